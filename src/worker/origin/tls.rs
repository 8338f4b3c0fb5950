//! The handshake with https origin servers (RFC 9110 §4.3.4), and the authorities that it trusts, read
//! once, when first needed. The certificate must name the host; ALPN offers http/1.1 alone.

use std::cell::RefCell;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{CertificateError, ClientConfig};
use tokio::net::TcpStream;
use tokio::task::spawn_blocking;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::sys::certificates;
use crate::sys::stream::Stream;

/// The authorities whose certificates are believed, once read.
#[derive(Default)]
pub(crate) struct Trust {
    known: RefCell<Option<(PathBuf, Arc<ClientConfig>)>>,
}

impl Trust {
    /// Gives the configuration of TLS connections, or a sentence when `file` can't be read.
    pub(crate) async fn config(&self, file: &Path) -> Result<Arc<ClientConfig>, String> {
        if let Some((of, config)) = &*self.known.borrow() {
            if of == file {
                return Ok(config.clone());
            }
        }
        let path = file.to_path_buf();
        let read = spawn_blocking(move || read_config(&path)).await;
        let config = read.map_err(|lost| lost.to_string())?;
        let config = config.map_err(|why| format!("{why} (\"ca_file\")"))?;
        *self.known.borrow_mut() = Some((file.to_path_buf(), config.clone()));
        Ok(config)
    }

    /// Reads the file anew at the next need.
    pub(crate) fn forget(&self) {
        *self.known.borrow_mut() = None;
    }
}

fn read_config(file: &Path) -> Result<Arc<ClientConfig>, String> {
    let roots = certificates::authorities(file)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|why| why.to_string())?;
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// Shakes hands with `host`, whose certificate must name it; a sentence when that fails.
/// The caller bounds the time.
pub(crate) async fn handshake(
    stream: Stream,
    host: &str,
    config: Arc<ClientConfig>,
) -> Result<TlsStream<TcpStream>, String> {
    let name = ServerName::try_from(host.to_owned())
        .map_err(|_| "no certificate can have this name".to_owned())?;
    let socket = std::net::TcpStream::from(stream.into_fd());
    let socket = TcpStream::from_std(socket).map_err(|why| why.to_string())?;
    let shaken = TlsConnector::from(config).connect(name, socket).await;
    shaken.map_err(|why| reason(&why))
}

/// The reason as a clause for people.
#[allow(clippy::wildcard_enum_match_arm)]
fn reason(why: &io::Error) -> String {
    if why.kind() == io::ErrorKind::UnexpectedEof {
        return "the connection closed during the TLS handshake".to_owned();
    }
    let tls = why.get_ref().and_then(|inner| inner.downcast_ref());
    let Some(rustls::Error::InvalidCertificate(certificate)) = tls else {
        return why.to_string();
    };
    let clause = match certificate {
        CertificateError::UnknownIssuer => {
            "its certificate is not from an authority that this proxy trusts (\"ca_file\" in the configuration)"
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "its certificate has expired"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "its certificate is for another name"
        }
        other => return format!("its certificate is not valid: {other}"),
    };
    clause.to_owned()
}

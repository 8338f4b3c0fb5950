//! TLS to origin servers (RFC 9110 §4.3.4): a session driven over a plain stream, so that reading and
//! writing need no lock and no task of their own. What is trusted is read once, when first needed.
//!
//! An end without close_notify is an error, because content that ends with the connection could
//! have been cut off (RFC 9112 §9.8). ALPN offers http/1.1 alone.

use std::cell::RefCell;
use std::io::{self, IoSlice, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BufMut, BytesMut};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{CertificateError, ClientConfig, ClientConnection, RootCertStore};
use tokio::task::spawn_blocking;

use crate::sys::stream::Stream;

/// How much ciphertext is read at a time: a full record and some.
const READ: usize = 32 << 10;
/// How much plaintext is encrypted before it is sent.
const WRITTEN: usize = 64 << 10;

/// The authorities whose certificates are believed, once read.
#[derive(Default)]
pub struct Trust {
    known: RefCell<Option<(PathBuf, Arc<ClientConfig>)>>,
}

impl Trust {
    /// What TLS connections are made with; a sentence when it can't be read.
    pub async fn config(&self, file: &Path) -> Result<Arc<ClientConfig>, String> {
        if let Some((of, config)) = &*self.known.borrow() {
            if of == file {
                return Ok(config.clone());
            }
        }
        let path = file.to_path_buf();
        let read = spawn_blocking(move || read_config(&path)).await;
        let config = read.map_err(|lost| lost.to_string())?;
        let config = config.map_err(|why| {
            let file = file.display();
            format!("the trusted certificates can't be read from {file} (\"ca_file\"): {why}")
        })?;
        *self.known.borrow_mut() = Some((file.to_path_buf(), config.clone()));
        Ok(config)
    }

    /// Reads the file anew at the next need.
    pub fn forget(&self) {
        *self.known.borrow_mut() = None;
    }
}

fn read_config(file: &Path) -> Result<Arc<ClientConfig>, String> {
    let mut roots = RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(file).map_err(|why| why.to_string())?;
    for certificate in certificates {
        let certificate = certificate.map_err(|why| why.to_string())?;
        // A system's file may have one that is no authority; the others still count.
        if let Err(why) = roots.add(certificate) {
            log::debug!("a certificate in {} isn't used: {why}", file.display());
        }
    }
    if roots.is_empty() {
        return Err("there is none in it".into());
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|why| why.to_string())?;
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// A stream with a TLS session on it.
pub struct Session {
    stream: Stream,
    session: RefCell<ClientConnection>,
    /// Ciphertext that was read and not yet decrypted.
    incoming: RefCell<BytesMut>,
    /// Ciphertext that is still to be written.
    outgoing: RefCell<BytesMut>,
}

impl Session {
    /// Shakes hands with `host`, whose certificate must name it; a sentence when that fails.
    /// The caller bounds the time.
    pub async fn begin(
        stream: Stream,
        host: &str,
        config: Arc<ClientConfig>,
        timeout: Duration,
    ) -> Result<Session, String> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| "no certificate can have this name".to_owned())?;
        let session = ClientConnection::new(config, name).map_err(|why| told(&why))?;
        let tls = Session {
            stream,
            session: RefCell::new(session),
            incoming: RefCell::default(),
            outgoing: RefCell::default(),
        };
        let shaken = tls.shake_hands(timeout).await;
        shaken.map_err(|why| match tls_error(&why) {
            Some(why) => told(why),
            None => why.to_string(),
        })?;
        Ok(tls)
    }

    async fn shake_hands(&self, timeout: Duration) -> io::Result<()> {
        loop {
            self.flush(timeout).await?;
            if !self.session.borrow().is_handshaking() {
                return Ok(());
            }
            let fed = self.feed_more().await;
            if fed.is_err() {
                // The alert that says why, as far as it can be told.
                let _ = self.flush(timeout).await;
            }
            if fed? == 0 {
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "the connection closed during the TLS handshake",
                ));
            }
        }
    }

    /// Appends plaintext to `buffer`'s spare capacity. `Ok(0)` is an end that the server meant.
    pub async fn read_some(&self, buffer: &mut BytesMut, timeout: Duration) -> io::Result<usize> {
        loop {
            match self.read_decrypted(buffer) {
                Err(why) if why.kind() == io::ErrorKind::WouldBlock => {}
                done => return done,
            }
            if self.decrypt()? == 0 {
                self.feed_more().await?;
            }
            self.flush(timeout).await?;
        }
    }

    /// Takes what is decrypted, as far as there is room for it.
    fn read_decrypted(&self, buffer: &mut BytesMut) -> io::Result<usize> {
        let mut piece = [0; 8 << 10];
        let mut session = self.session.borrow_mut();
        let mut total = 0;
        while buffer.capacity() > buffer.len() {
            let room = piece.len().min(buffer.capacity() - buffer.len());
            match session.reader().read(&mut piece[..room]) {
                Ok(read @ 1..) => {
                    buffer.put_slice(&piece[..read]);
                    total += read;
                }
                Ok(_) | Err(_) if total > 0 => break,
                done => return done,
            }
        }
        match total {
            0 => Err(io::Error::other("no room to read into")),
            total => Ok(total),
        }
    }

    /// Reads ciphertext, waiting for it, and decrypts it; 0 at the end of the stream.
    async fn feed_more(&self) -> io::Result<usize> {
        let mut fresh = BytesMut::with_capacity(READ);
        let read = self.stream.read_some(&mut fresh).await?;
        if read == 0 {
            // Told to the session, which knows whether the server meant it.
            self.session.borrow_mut().read_tls(&mut io::empty())?;
            return Ok(0);
        }
        self.incoming.borrow_mut().extend_from_slice(&fresh);
        self.decrypt()?;
        Ok(read)
    }

    /// Decrypts what was read, as far as the session has room for the plaintext; how much it took.
    fn decrypt(&self) -> io::Result<usize> {
        let mut session = self.session.borrow_mut();
        let mut incoming = self.incoming.borrow_mut();
        let mut taken = 0;
        while !incoming.is_empty() && session.wants_read() {
            let read = session.read_tls(&mut &incoming[..])?;
            if read == 0 {
                break;
            }
            incoming.advance(read);
            taken += read;
            session
                .process_new_packets()
                .map_err(|why| io::Error::new(io::ErrorKind::InvalidData, why))?;
        }
        Ok(taken)
    }

    /// Writes all of `parts` in order; the deadline is `timeout` from the last progress.
    pub async fn write_all(&self, parts: &[IoSlice<'_>], timeout: Duration) -> io::Result<()> {
        for part in parts {
            for chunk in part.chunks(WRITTEN) {
                // One at a time and each sent at once, so that the session's own buffer stays short.
                let mut rest = chunk;
                while !rest.is_empty() {
                    let written = self.session.borrow_mut().writer().write(rest)?;
                    rest = &rest[written..];
                    self.encrypt()?;
                    if !rest.is_empty() {
                        self.flush(timeout).await?;
                    }
                }
            }
            if self.outgoing.borrow().len() >= WRITTEN {
                self.flush(timeout).await?;
            }
        }
        self.flush(timeout).await
    }

    fn encrypt(&self) -> io::Result<()> {
        let mut session = self.session.borrow_mut();
        let mut outgoing = self.outgoing.borrow_mut();
        while session.wants_write() {
            session.write_tls(&mut (&mut *outgoing).writer())?;
        }
        Ok(())
    }

    /// Sends all ciphertext there is. Reading and writing may both be here: what is at the front of
    /// the queue goes first, whoever sends it.
    async fn flush(&self, timeout: Duration) -> io::Result<()> {
        self.encrypt()?;
        while !self.outgoing.borrow().is_empty() {
            let written = self.stream.try_write(&self.outgoing.borrow());
            match written {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => self.outgoing.borrow_mut().advance(written),
                Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
                Err(why) if why.kind() == io::ErrorKind::WouldBlock => {
                    self.stream.wait_writable(timeout).await?;
                }
                Err(why) => return Err(why),
            }
        }
        Ok(())
    }

    /// Whether the server has neither closed nor sent content: session tickets may come at any time.
    pub fn is_quiet(&self) -> bool {
        loop {
            let mut fresh = BytesMut::with_capacity(READ);
            match self.stream.try_read(&mut fresh) {
                Ok(1..) => {
                    self.incoming.borrow_mut().extend_from_slice(&fresh);
                    if self.decrypt().is_err() {
                        return false;
                    }
                }
                Err(why) if why.kind() == io::ErrorKind::WouldBlock => break,
                Ok(0) | Err(_) => return false,
            }
        }
        if self.decrypt().is_err() || !self.incoming.borrow().is_empty() {
            return false;
        }
        let state = self.session.borrow_mut().process_new_packets();
        state.is_ok_and(|state| state.plaintext_bytes_to_read() == 0 && !state.peer_has_closed())
    }
}

fn tls_error(why: &io::Error) -> Option<&rustls::Error> {
    why.get_ref().and_then(|inner| inner.downcast_ref())
}

/// The reason as a clause for people.
fn told(why: &rustls::Error) -> String {
    let rustls::Error::InvalidCertificate(certificate) = why else {
        return why.to_string();
    };
    let clause = if matches!(certificate, CertificateError::UnknownIssuer) {
        "its certificate is not from an authority that this proxy trusts (\"ca_file\" in the configuration)"
    } else if is_expired(certificate) {
        "its certificate has expired"
    } else if is_for_another(certificate) {
        "its certificate is for another name"
    } else {
        return format!("its certificate is not valid: {certificate}");
    };
    clause.to_owned()
}

fn is_expired(why: &CertificateError) -> bool {
    matches!(
        why,
        CertificateError::Expired | CertificateError::ExpiredContext { .. }
    )
}

fn is_for_another(why: &CertificateError) -> bool {
    matches!(
        why,
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }
    )
}

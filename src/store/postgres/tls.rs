//! TLS to the database: whose certificates are believed, by `sslmode` and `sslrootcert` as libpq has them.

use std::path::Path;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, SignatureScheme};

use crate::config::Database;
use crate::sys::certificates;

/// Debian's own list of authorities, for `sslrootcert=system` and where none is named.
const SYSTEM: &str = "/etc/ssl/certs/ca-certificates.crt";

/// The configuration of TLS, where it is used.
pub fn config(database: &Database) -> Result<ClientConfig, String> {
    let mode = database.value("sslmode");
    let named = match database.value("sslrootcert") {
        Some("system") => Some(SYSTEM),
        named => named,
    };
    let check = match (mode, named) {
        (Some("disable"), _) => Check::Nothing,
        (Some("verify-full"), _) => Check::Host,
        (Some("verify-ca"), _) | (Some("require"), Some(_)) => Check::Authority,
        _ => Check::Nothing,
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let web_pki = match check {
        Check::Nothing => None,
        Check::Authority | Check::Host => {
            let file = Path::new(named.unwrap_or(SYSTEM));
            let roots = certificates::authorities(file);
            let roots = Arc::new(roots.map_err(|why| format!("{why} (sslrootcert)"))?);
            let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider.clone());
            Some(verifier.build().map_err(|why| why.to_string())?)
        }
    };
    let verifier = Verifier {
        check,
        web_pki,
        provider: provider.clone(),
    };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|why| why.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    Ok(
        match (database.value("sslcert"), database.value("sslkey")) {
            (Some(certificate), Some(key)) if mode != Some("disable") => builder
                .with_client_auth_cert(
                    certificates::read(Path::new(certificate))?,
                    PrivateKeyDer::from_pem_file(key).map_err(|why| {
                        format!("the key can't be read from {key} (sslkey): {why}")
                    })?,
                )
                .map_err(|why| format!("the certificate in {certificate} can't be used: {why}"))?,
            _ => builder.with_no_client_auth(),
        },
    )
}

/// The part of the server's certificate that is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Check {
    Nothing,
    Authority,
    Host,
}

#[derive(Debug)]
struct Verifier {
    check: Check,
    web_pki: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(web_pki) = &self.web_pki else {
            return Ok(ServerCertVerified::assertion());
        };
        let verified =
            web_pki.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match verified {
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if self.check == Check::Authority => Ok(ServerCertVerified::assertion()),
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = &self.provider.signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}

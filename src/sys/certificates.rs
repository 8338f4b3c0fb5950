//! Certificates in a file, as the operator names it: read, or a sentence that says why they can't be.

use std::path::Path;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

/// All certificates of a file in PEM.
pub fn read(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect)
        .map_err(|why| unreadable(file, &why.to_string()))
}

/// The authorities of a file in PEM, at least one. A system's file may have a certificate that is none: the
/// others still count.
pub fn authorities(file: &Path) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    let (_, unused) = roots.add_parsable_certificates(read(file)?);
    if unused > 0 {
        log::debug!("{unused} certificates in {} aren't used", file.display());
    }
    match roots.is_empty() {
        true => Err(unreadable(file, "no authority's is in it")),
        false => Ok(roots),
    }
}

fn unreadable(file: &Path, why: &str) -> String {
    format!("certificates can't be read from {}: {why}", file.display())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_or_a_sentence_says_why_not() {
        let dir = tempfile::tempdir().unwrap();
        let authority = rcgen::generate_simple_self_signed(Vec::new()).unwrap();
        let pem = authority.cert.pem();
        let table = [
            (pem.repeat(2), Ok(2)),
            (String::new(), Err(": no authority's is in it")),
            (pem.replace("-----END", "-----OND"), Err("")),
        ];
        for (text, expected) in table {
            let file = dir.path().join("ca.pem");
            std::fs::write(&file, &text).unwrap();
            match (authorities(&file), expected) {
                (Ok(roots), expected) => assert_eq!(Ok(roots.len()), expected, "{text}"),
                (Err(why), Err(expected)) => {
                    let begin = format!("certificates can't be read from {}", file.display());
                    assert!(why.starts_with(&begin) && why.ends_with(expected), "{why}");
                }
                (Err(why), Ok(_)) => panic!("{why}"),
            }
        }
    }
}

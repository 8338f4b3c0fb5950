//! References of messages (RFC 3986 §5.2), as Location and Content-Location have them, relative to a URI.

use bytes::Bytes;

use super::Uri;
use crate::http::target::authority::UriError;

impl Uri {
    /// The URI that a reference names, seen from this one, without its fragment.
    pub fn resolve(&self, reference: &[u8]) -> Result<Uri, UriError> {
        let end = memchr::memchr(b'#', reference).unwrap_or(reference.len());
        let reference = &reference[..end];
        let (path, query) = split_query(reference);
        let (base_path, _) = split_query(self.path_and_query());
        let origin = self.origin().as_bytes();
        let whole = match path {
            _ if has_scheme(reference) => reference.to_vec(),
            [b'/', b'/', ..] => [self.scheme.as_str().as_bytes(), b":", reference].concat(),
            [] if query.is_empty() => return Ok(self.clone()),
            [] => [origin, base_path, query].concat(),
            [b'/', ..] => [origin, &without_dots(path), query].concat(),
            _ => {
                let folder = memchr::memrchr(b'/', base_path).map_or(0, |at| at + 1);
                let merged = [&base_path[..folder], path].concat();
                [origin, &without_dots(&merged), query].concat()
            }
        };
        Uri::parse(&Bytes::from(whole))
    }
}

/// True for a URI: a colon ends its first part, which only a scheme may have.
pub(in crate::http::target) fn has_scheme(reference: &[u8]) -> bool {
    let end = reference
        .iter()
        .position(|byte| matches!(byte, b':' | b'/' | b'?'));
    end.is_some_and(|end| reference[end] == b':') && reference[0].is_ascii_alphabetic()
}

/// Path, and query with its question mark.
fn split_query(text: &[u8]) -> (&[u8], &[u8]) {
    text.split_at(memchr::memchr(b'?', text).unwrap_or(text.len()))
}

/// A path that begins with `/`, without its dot segments (RFC 3986 §5.2.4).
fn without_dots(path: &[u8]) -> Vec<u8> {
    let mut kept: Vec<&[u8]> = Vec::new();
    for segment in path.split(|&byte| byte == b'/').skip(1) {
        match segment {
            b"." => {}
            b".." => {
                kept.pop();
            }
            _ => kept.push(segment),
        }
    }
    if path.ends_with(b"/.") || path.ends_with(b"/..") {
        kept.push(b"");
    }
    [b"/", &kept.join(&b'/')[..]].concat()
}

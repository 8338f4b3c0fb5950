//! URLs as they are written on the command line.

use bytes::Bytes;

use crate::http::target::Uri;

pub(super) fn parse(text: &str) -> Result<Uri, String> {
    Uri::parse(&Bytes::copy_from_slice(text.as_bytes()))
        .map_err(|why| format!("{why}; expected a whole URL such as http://mirror.example/debian/"))
}

/// True when the URI is of this host, or of this host and port.
pub(super) fn is_of(uri: &Uri, host: &str) -> bool {
    uri.host().eq_ignore_ascii_case(host) || uri.authority().eq_ignore_ascii_case(host)
}

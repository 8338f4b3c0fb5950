//! URLs and hosts as they are written on the command line, also in the form `http://HTTPS///host/path`.

use bytes::Bytes;

use crate::http::target::{Scheme, TargetUri, Uri};

/// A URL, and what it says besides.
pub(super) fn target(text: &str) -> Result<TargetUri, String> {
    TargetUri::parse(&Bytes::copy_from_slice(text.as_bytes()))
        .map_err(|why| format!("{why}; expected a whole URL such as http://mirror.example/debian/"))
}

/// A URL.
pub(super) fn parse(text: &str) -> Result<Uri, String> {
    target(text).map(|target| target.uri)
}

/// A host, or a host and port.
#[derive(Debug, Clone)]
pub(super) struct HostFilter {
    host: String,
    /// Of https URIs alone.
    https: bool,
}

impl HostFilter {
    /// Reads `host`, `host:port`, or either of them after `HTTPS///`.
    pub(super) fn parse(text: &str) -> Result<HostFilter, String> {
        let (form, host) = text.rsplit_once("///").unwrap_or(("", text));
        let https = ["https", "http://https"];
        let https = https.iter().any(|it| form.eq_ignore_ascii_case(it));
        let host = host.trim_end_matches('/').to_owned();
        match https || form.is_empty() && host.len() == text.len() {
            true => Ok(HostFilter { host, https }),
            false => Err("expected a host such as mirror.example, or a host:port".to_owned()),
        }
    }

    /// True for the URI of a key when it is of this host.
    pub(super) fn has(&self, uri: &str) -> bool {
        Uri::parse(&Bytes::copy_from_slice(uri.as_bytes())).is_ok_and(|uri| {
            let is = |host: &str| host.eq_ignore_ascii_case(&self.host);
            (is(uri.host()) || is(uri.authority()))
                && (!self.https || uri.scheme() == Scheme::Https)
        })
    }
}

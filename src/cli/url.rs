//! URLs and hosts as they are written on the command line, also in the form `http://HTTPS///host/path`.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use bytes::Bytes;
use clap::builder::{OsStringValueParser, TypedValueParser};

use crate::http::target::{Scheme, TargetUri, Uri};

/// Reads a URL, and what it says besides. Clients may have sent bytes that aren't UTF-8, so that it may have them too.
pub(super) fn target() -> impl TypedValueParser<Value = TargetUri> {
    OsStringValueParser::new().try_map(read)
}

/// Reads a URL.
pub(super) fn uri() -> impl TypedValueParser<Value = Uri> {
    OsStringValueParser::new().try_map(|text| read(text).map(|target| target.uri))
}

fn read(text: OsString) -> Result<TargetUri, String> {
    TargetUri::parse(&Bytes::from(text.into_vec()))
        .map_err(|why| format!("{why}; expected a whole URL such as http://mirror.example/debian/"))
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
    pub(super) fn has(&self, uri: &[u8]) -> bool {
        Uri::parse(&Bytes::copy_from_slice(uri)).is_ok_and(|uri| {
            let is = |host: &str| host.eq_ignore_ascii_case(&self.host);
            (is(uri.host()) || is(uri.authority()))
                && (!self.https || uri.scheme() == Scheme::Https)
        })
    }
}

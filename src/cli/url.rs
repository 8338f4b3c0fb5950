//! URLs as they are written on the command line, also in the form `http://HTTPS///host/path`.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use bytes::Bytes;
use clap::builder::{OsStringValueParser, TypedValueParser};

use crate::http::target::{TargetUri, Uri};

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

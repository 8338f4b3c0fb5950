//! The form `http://PROXY/host/path`, in which clients that have no setting for a proxy name http URIs in the path of a
//! request to the proxy itself, as for apt-cacher-ng: which URI it names, for which hosts, and what a reference in a
//! response becomes in it. The host may be `HTTPS///host`, too.
//!
//! To a browser all these hosts are one web origin, the proxy's (RFC 6454 §4): its requests are told apart as those for
//! `http://HTTPS///`.

use bytes::Bytes;

use super::authority::HostPort;
use super::uri::{Scheme, Uri, has_scheme};

/// Hosts that may be named in that form, as the operator writes them: `mirror.example`, `mirror.example:8080`,
/// `*.debian.example`, or `*` for all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostPatterns(Vec<String>);

impl HostPatterns {
    /// These patterns; one that no host could match is handed back.
    pub fn of<'a>(patterns: impl IntoIterator<Item = &'a str>) -> Result<HostPatterns, &'a str> {
        let read = |pattern: &'a str| {
            let host = pattern.strip_prefix("*.").unwrap_or(pattern);
            let is_host = HostPort::parse(host.as_bytes()).is_ok();
            (pattern == "*" || is_host)
                .then(|| pattern.to_ascii_lowercase())
                .ok_or(pattern)
        };
        let patterns: Result<Vec<String>, &str> = patterns.into_iter().map(read).collect();
        patterns.map(HostPatterns)
    }

    /// The patterns as they are compared.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// True for a URI of one of these hosts. A pattern without a port means the scheme's own.
    pub fn has(&self, uri: &Uri) -> bool {
        let with_port = format!("{}:{}", uri.host(), uri.port());
        let is = |authority: &str, pattern: &str| match pattern.strip_prefix('*') {
            Some("") => true,
            Some(domain) => authority.len() > domain.len() && authority.ends_with(domain),
            None => pattern == authority,
        };
        let mut patterns = self.0.iter();
        patterns.any(|pattern| is(uri.authority(), pattern) || is(&with_port, pattern))
    }
}

/// The text of the URI that a path names in that form, which may be none for other reasons; `None` where a page of the
/// proxy's own is meant, or credentials would be seen wherever paths are.
pub(super) fn named_in(path: &[u8]) -> Option<Bytes> {
    let named = path.strip_prefix(b"/")?;
    let authority = named.split(|byte| matches!(byte, b'/' | b'?')).next()?;
    // "/http://host/" names no host "http".
    if authority.ends_with(b":") || memchr::memchr(b'@', authority).is_some() {
        return None;
    }
    // A page's name has no dot and no port; "/favicon.ico" is a host that isn't known.
    let is_host = authority.iter().any(|byte| matches!(byte, b'.' | b':'))
        || authority.eq_ignore_ascii_case(b"localhost")
        || authority.eq_ignore_ascii_case(b"https");
    is_host.then(|| Bytes::from([b"http://", named].concat()))
}

/// A reference in a response from `base`, for a client that named that in this form, which goes on in it: what is
/// relative, or a URI of one of these hosts. Anything else stays as it is: `None`.
pub(super) fn reference(base: &Uri, hosts: &HostPatterns, reference: &[u8]) -> Option<Vec<u8>> {
    let uri = base.resolve(reference).ok()?;
    let is_absolute = has_scheme(reference) || reference.starts_with(b"//");
    if is_absolute && uri.origin() != base.origin() && !hosts.has(&uri) {
        return None;
    }
    let fragment = memchr::memchr(b'#', reference).unwrap_or(reference.len());
    let form = match uri.scheme() {
        Scheme::Http => &b"/"[..],
        Scheme::Https => b"/HTTPS///",
    };
    let authority = uri.authority().as_bytes();
    Some(
        [
            form,
            authority,
            uri.path_and_query(),
            &reference[fragment..],
        ]
        .concat(),
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
#[path = "tests/in_path.rs"]
mod tests;

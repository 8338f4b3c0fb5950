//! The heads of requests and responses (RFC 9112 §2–§5), as parsed: start line and fields.
//!
//! Their meaning (target URI, framing, persistence) is decided in the modules beside this one.

use bytes::Bytes;

use super::fields::Fields;

/// A request method (RFC 9110 §9). Methods are case-sensitive.
#[derive(Debug, strum::IntoStaticStr, Clone, PartialEq, Eq)]
#[strum(serialize_all = "UPPERCASE")]
#[allow(missing_docs)]
pub enum Method {
    Get,
    Head,
    Post,
    Put,
    Delete,
    Connect,
    Options,
    Trace,
    /// Any other token.
    Other(Bytes),
}

impl Method {
    /// The method that this token names.
    pub fn from_token(token: &Bytes) -> Method {
        match token.as_ref() {
            b"GET" => Method::Get,
            b"HEAD" => Method::Head,
            b"POST" => Method::Post,
            b"PUT" => Method::Put,
            b"DELETE" => Method::Delete,
            b"CONNECT" => Method::Connect,
            b"OPTIONS" => Method::Options,
            b"TRACE" => Method::Trace,
            _ => Method::Other(token.clone()),
        }
    }

    /// The method as it stands in a request line.
    pub fn as_bytes(&self) -> &[u8] {
        if let Method::Other(token) = self {
            return token;
        }
        <&str>::from(self).as_bytes()
    }

    /// True for a safe method (RFC 9110 §9.2.1). Unknown ones are not.
    pub fn is_safe(&self) -> bool {
        match self {
            Method::Get | Method::Head | Method::Options | Method::Trace => true,
            Method::Post | Method::Put | Method::Delete | Method::Connect => false,
            Method::Other(token) => matches!(token.as_ref(), b"PROPFIND" | b"REPORT" | b"SEARCH"),
        }
    }

    /// True for an idempotent method (RFC 9110 §9.2.2), so that a request may be sent again.
    pub fn is_idempotent(&self) -> bool {
        self.is_safe() || matches!(self, Method::Put | Method::Delete)
    }

    /// True for a method whose definition gives content a meaning, so that any server reads it: RFC 9110 §9.3.3 and
    /// §9.3.4, RFC 5789, WebDAV (RFC 3253, 3648, 3744, 4791, 4918, 5323, 5842), and QUERY. For GET, HEAD and DELETE there
    /// is none, for OPTIONS none yet (RFC 9110 §9.3.7).
    pub fn has_meaningful_content(&self) -> bool {
        match self {
            Method::Post | Method::Put => true,
            Method::Get | Method::Head | Method::Delete => false,
            Method::Connect | Method::Options | Method::Trace => false,
            Method::Other(token) => matches!(
                token.as_ref(),
                b"PATCH"
                    | b"QUERY"
                    | b"PROPFIND"
                    | b"PROPPATCH"
                    | b"LOCK"
                    | b"REPORT"
                    | b"SEARCH"
                    | b"ACL"
                    | b"MKCALENDAR"
                    | b"ORDERPATCH"
                    | b"BIND"
                    | b"UNBIND"
                    | b"REBIND"
            ),
        }
    }
}

/// The HTTP/1 minor version of a message (RFC 9112 §2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1, and any higher minor version, which is treated as 1.1 (RFC 9110 §2.5).
    Http11,
}

/// The sender of a message. A client is read strictly: a proxy before this one may read what isn't grammatical as other
/// requests. Of an origin server what can be told is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Sender {
    Client,
    OriginServer,
}

/// A request's head.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub struct RequestHead {
    pub method: Method,
    /// As received (RFC 9112 §3.2).
    pub target: Bytes,
    pub version: Version,
    pub fields: Fields,
}

/// A response's head.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub struct ResponseHead {
    /// 100 to 999.
    pub status: u16,
    pub version: Version,
    /// The reason phrase as received.
    pub reason: Bytes,
    pub fields: Fields,
    /// A line that is no field line was dropped, and may have been of a field that forbids storing, such as Cache-Control.
    pub has_lost_field: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods() {
        // RFC 9110 §9.2.1, §9.2.2, and the registry for those that aren't in it: (token, safe, idempotent)
        let table = [
            ("GET", true, true),
            ("HEAD", true, true),
            ("OPTIONS", true, true),
            ("TRACE", true, true),
            ("PUT", false, true),
            ("DELETE", false, true),
            ("POST", false, false),
            ("CONNECT", false, false),
            ("PATCH", false, false),
            ("PROPFIND", true, true),
            ("REPORT", true, true),
            ("SEARCH", true, true),
            ("LOCK", false, false),
            ("get", false, false),
        ];
        for (token, is_safe, is_idempotent) in table {
            let method = Method::from_token(&Bytes::from(token));
            assert_eq!(method.as_bytes(), token.as_bytes());
            assert_eq!(method.is_safe(), is_safe, "{token}");
            assert_eq!(method.is_idempotent(), is_idempotent, "{token}");
            let is_ours = !matches!(method, Method::Other(_));
            let known = [
                "GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE", "POST", "CONNECT",
            ];
            assert_eq!(is_ours, known.contains(&token), "{token}");
        }
    }
}

//! Collapsed forwarding: which requests wait for a fetch that another's has begun and that has no response yet (RFC 9111
//! §4). Whoever waits must not be worse off than alone: what looks personal, or is asked for the first time with
//! a query, goes to the origin server at once.
//!
//! The use of its response to others is for `reuse` and `vary` to say, the time to wait for it for the waiting list.

use super::plan::{Presented, has_condition, wants_whole};
use crate::http::fields::Fields;
use crate::http::syntax::elements;

/// Experience with earlier answers for a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precedent {
    Unknown,
    /// They were of use to all.
    Shared,
    /// They were for each client alone.
    Own,
}

/// The fetches without a response that a request may wait for, and that those of others may wait for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitsFor {
    Nobody,
    Any,
    /// Those that begin after it came, since it asks for what holds now.
    Later,
}

/// A request's circumstances, beside the request itself.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    pub precedent: Precedent,
    /// The target URI has a query.
    pub has_query: bool,
    /// A rule of the operator says that cookies make no difference.
    pub ignore_cookies: bool,
    /// The origin server is asked about a stored response, and not under the client's own condition.
    pub validates: bool,
    /// What it got before was of no use to it.
    pub asks_again: bool,
}

/// The fetches that this request may wait for.
pub fn waits_for(request: &Presented<'_>, asked: Asked) -> WaitsFor {
    let Asked {
        precedent,
        validates,
        ..
    } = asked;
    let (head, directives) = (request.head, &request.directives);
    let is_doubtful = asked.has_query || is_personal(&head.fields, asked.ignore_cookies);
    let is_for_all = match precedent {
        Precedent::Shared => true,
        Precedent::Unknown => !is_doubtful,
        Precedent::Own => false,
    };
    let has_own_condition = has_condition(head) && !validates;
    if !is_for_all || !wants_whole(head, 0) || has_own_condition || is_event_stream(&head.fields) {
        WaitsFor::Nobody
    } else if directives.no_cache || directives.max_age == Some(0) || asked.asks_again {
        WaitsFor::Later
    } else {
        WaitsFor::Any
    }
}

/// True when a request says who its client is, so that the response may be for that one alone.
pub fn is_personal(request: &Fields, ignore_cookies: bool) -> bool {
    request.has("authorization") || request.has("cookie") && !ignore_cookies
}

/// True when a stream of events is asked for, which goes on as long as its client likes.
fn is_event_stream(request: &Fields) -> bool {
    let mut accepted = request.all("accept").flat_map(elements);
    accepted.any(|element| {
        let media_type = element.split(|byte| *byte == b';').next();
        let media_type = media_type.unwrap_or_default().trim_ascii();
        media_type.eq_ignore_ascii_case(b"text/event-stream")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::directives::RequestDirectives;
    use crate::cache::testing::request;
    use crate::cache::versioned::Remembered;

    #[test]
    fn who_waits_for_whom() {
        use Precedent::{Own, Shared, Unknown};
        use WaitsFor::{Any, Later, Nobody};
        type Row = (&'static [(&'static str, &'static str)], Precedent, WaitsFor);
        #[rustfmt::skip]
        let table: &[Row] = &[
            (&[], Unknown, Any),
            (&[], Shared, Any),
            (&[], Own, Nobody),
            (&[("Range", "bytes=0-")], Unknown, Any),
            (&[("Range", "bytes=0-9")], Unknown, Nobody),
            (&[("Range", "bytes=2000000-")], Shared, Nobody),
            (&[("If-None-Match", "\"a\"")], Unknown, Nobody),
            (&[("If-Modified-Since", "Sun, 06 Nov 1994 08:49:37 GMT")], Shared, Nobody),
            (&[("Cache-Control", "no-cache")], Unknown, Later),
            (&[("Pragma", "no-cache")], Unknown, Later),
            (&[("Cache-Control", "max-age=0")], Unknown, Later),
            (&[("Cache-Control", "max-age=1")], Unknown, Any),
            (&[("Cache-Control", "no-cache")], Own, Nobody),
            (&[("Authorization", "Basic YQ==")], Unknown, Nobody),
            (&[("Authorization", "Basic YQ==")], Shared, Any),
            (&[("Cookie", "a=b")], Unknown, Nobody),
            (&[("Cookie", "a=b")], Shared, Any),
            (&[("Cookie", "a=b"), ("Cache-Control", "no-cache")], Shared, Later),
            (&[("Accept", "text/event-stream")], Shared, Nobody),
            (&[("Accept", "*/*"), ("Accept", "text/html, Text/Event-Stream;q=0.9")], Unknown, Nobody),
            (&[("Accept", "text/html, */*")], Unknown, Any),
        ];
        for (lines, precedent, expected) in table {
            let head = request("GET", lines);
            let presented = Presented {
                head: &head,
                directives: RequestDirectives::of(&head.fields),
                bypass: None,
                is_local: false,
                remembered: Remembered::default(),
                origin_hangs: false,
            };
            let got = |has_query, validates| {
                let asked = Asked {
                    precedent: *precedent,
                    has_query,
                    ignore_cookies: false,
                    validates,
                    asks_again: false,
                };
                waits_for(&presented, asked)
            };
            assert_eq!(got(false, false), *expected, "{lines:?} {precedent:?}");
            let with_query = match precedent {
                Unknown => Nobody,
                Shared | Own => *expected,
            };
            assert_eq!(got(true, false), with_query, "{lines:?} {precedent:?}");
            let conditional = has_condition(&head) && *precedent != Own;
            let validating = if conditional { Any } else { *expected };
            assert_eq!(got(false, true), validating, "{lines:?} {precedent:?}");
        }
    }
}

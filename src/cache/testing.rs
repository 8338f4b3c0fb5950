//! Messages for the tests of these rules, as short as they can be written.

use bytes::Bytes;

use super::directives::TargetList;
use super::key::Key;
use super::provenance::BootTime;
use super::stored::Meta;
use super::time::{FetchTimes, Timestamp};
use crate::http::fields::Fields;
use crate::http::head::{Method, RequestHead, ResponseHead, Version};
pub use crate::http::testing::fields;

/// `Sun, 06 Nov 1994 08:49:37 GMT`, when every response in the tests is received.
pub const NOW: Timestamp = Timestamp::from_seconds(784_111_777);

/// The times of an exchange in no time.
pub const TIMES: FetchTimes = FetchTimes {
    request: NOW,
    response: NOW,
    received: BootTime {
        boot: [7; 16],
        millis: 12_345,
    },
};

/// [`NOW`] as a field value.
pub const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

/// Lines as text, for comparing.
pub fn lines(fields: &Fields) -> Vec<String> {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    fields
        .iter()
        .map(|(name, value)| format!("{}: {}", text(name), text(value)))
        .collect()
}

pub fn request(method: &str, lines: &[(&str, &str)]) -> RequestHead {
    RequestHead {
        method: Method::from_token(&Bytes::copy_from_slice(method.as_bytes())),
        target: Bytes::from_static(b"http://a.example/"),
        version: Version::Http11,
        fields: fields(lines),
    }
}

pub fn response(status: u16, lines: &[(&str, &str)]) -> ResponseHead {
    ResponseHead {
        status,
        version: Version::Http11,
        reason: Bytes::new(),
        fields: fields(lines),
        has_lost_field: false,
    }
}

/// A response to a plain GET, stored at [`NOW`].
pub fn stored(status: u16, lines: &[(&str, &str)]) -> Meta {
    let key = Key::new(&b"GET http://a.example/"[..]);
    Meta::of(
        key,
        &request("GET", &[]),
        &response(status, lines),
        TIMES,
        &TargetList::NONE,
    )
}

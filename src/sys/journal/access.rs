//! The line of a request that was served.

use std::borrow::Cow;
use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use log::Level;

use super::line::Line;
use crate::http::target::masked;
use crate::sys::printable::printable;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessLine {
    /// The client's address; none for a client on a Unix socket.
    pub client: Option<IpAddr>,
    /// As received.
    pub method: Bytes,
    /// The target URI, or the request target where that isn't one. Credentials are masked here.
    pub uri: Bytes,
    /// The response's status code; 0 when the client left before there was one.
    pub status: u16,
    /// The part that the cache had: `hit`, `miss`, `revalidated`, `bypass`, `tunnel`, …
    pub outcome: &'static str,
    /// The bytes of content sent to the client.
    pub bytes: u64,
    /// From the whole head's arrival to the response's last byte.
    pub duration: Duration,
}

impl AccessLine {
    /// As the journal has it: `127.0.0.1 GET http://host/path 200 hit 1234B 0.2ms`.
    pub(super) fn line(&self) -> Line {
        let of = |address: IpAddr| address.to_canonical().to_string();
        let client = self.client.map_or("unix".to_string(), of);
        let method = shortened(printable(&self.method));
        let uri = shortened(printable(&masked(&self.uri)));
        let AccessLine {
            status,
            outcome,
            bytes,
            ..
        } = self;
        let micros = self.duration.as_micros();
        let (millis, tenths) = (micros / 1000, micros % 1000 / 100);
        let message =
            format!("{client} {method} {uri} {status} {outcome} {bytes}B {millis}.{tenths}ms");
        let fields = [
            ("CACHEPROXY_CLIENT", client),
            ("CACHEPROXY_METHOD", method),
            ("CACHEPROXY_URI", uri),
            ("CACHEPROXY_STATUS", status.to_string()),
            ("CACHEPROXY_CACHE", (*outcome).to_string()),
            ("CACHEPROXY_BYTES", bytes.to_string()),
            ("CACHEPROXY_MICROSECONDS", micros.to_string()),
        ];
        Line {
            level: Level::Info,
            target: "access".to_string(),
            message,
            fields: Vec::from(fields.map(|(name, value)| (Cow::Borrowed(name), value))),
        }
    }
}

/// The most bytes that are shown of a method or URI: the journal keeps every one, often twice.
const MOST_SHOWN: usize = 4 << 10;

/// As much of the text as is shown, with a mark where that isn't all.
fn shortened(mut text: String) -> String {
    if text.len() > MOST_SHOWN {
        let mut end = MOST_SHOWN;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_and_its_fields() {
        let access = AccessLine {
            client: Some(IpAddr::from([0, 0, 0, 0, 0, 0xffff, 0x7f00, 1])),
            method: Bytes::from_static(b"GET"),
            uri: Bytes::from_static(b"http://u:p@host/path\x07"),
            status: 200,
            outcome: "hit",
            bytes: 1234,
            duration: Duration::from_micros(12_345),
        };
        let line = access.line();
        assert_eq!(
            line.message,
            "127.0.0.1 GET http://***@host/path\\u{7} 200 hit 1234B 12.3ms"
        );
        let fields: Vec<String> = line
            .fields
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        assert_eq!(
            fields,
            [
                "CACHEPROXY_CLIENT=127.0.0.1",
                "CACHEPROXY_METHOD=GET",
                "CACHEPROXY_URI=http://***@host/path\\u{7}",
                "CACHEPROXY_STATUS=200",
                "CACHEPROXY_CACHE=hit",
                "CACHEPROXY_BYTES=1234",
                "CACHEPROXY_MICROSECONDS=12345",
            ]
        );
        let long = |uri: Vec<u8>| {
            let uri = Bytes::from(uri);
            let line = AccessLine {
                uri,
                ..access.clone()
            };
            line.line()
        };
        let short = long(vec![b'x'; 4096]);
        assert!(!short.message.contains('…'));
        let line = long(vec![0xff; 60_000]);
        let (_, uri) = &line.fields[2];
        assert!(uri.ends_with("\\xff…") && uri.len() == 4096 + 3);
        assert!(line.message.contains(&format!(" {uri} 200")) && line.message.len() < 4200);
        let line = long(["x", &"ä".repeat(3000)].concat().into_bytes());
        assert!(line.message.contains("ä… 200"));
        let unix = AccessLine {
            client: None,
            ..access
        };
        assert!(unix.line().message.starts_with("unix GET "));
    }
}

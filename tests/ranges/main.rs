//! Ranges (RFC 9110 §13.1.5, §14, §15.3.7, §15.5.17; RFC 9111 §3.3, §3.4, §4.3) through the whole binary, as
//! tables, one row per clause.
#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;

mod broken;
mod fetched;
mod parts;
mod stored;

use common::{Client, Origin, PATIENCE, Proxy, Response, wait_until};

/// Small content, whose bytes say where they are.
const DIGITS: &str = "0123456789";
/// When that was made.
const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
/// When it wasn't.
const EARLIER: &str = "Sun, 06 Nov 1994 08:49:35 GMT";

/// Asks for a path of the origin until the proxy has it stored.
fn have_stored(proxy: &Proxy, origin: &Origin, path: &str) {
    let mut client = Client::of(proxy);
    wait_until("a hit", PATIENCE, || client.get(&origin.uri(path)).is_hit());
}

/// Long enough for what came to be in the store.
fn settle() {
    std::thread::sleep(std::time::Duration::from_millis(300));
}

/// One request and its response.
fn ask(proxy: &Proxy, origin: &Origin, path: &str, fields: &str) -> Response {
    Client::of(proxy).request("GET", &origin.uri(path), fields)
}

/// What a `multipart/byteranges` response has: the Content-Type of each, its Content-Range, its
/// content; every byte of the framing is checked.
fn byteranges(response: &Response) -> Vec<(String, String, Vec<u8>)> {
    let media_type = response.first("content-type").unwrap();
    let boundary = media_type
        .strip_prefix("multipart/byteranges; boundary=")
        .unwrap();
    assert!(boundary.len() >= 16, "{media_type}");
    assert!(!response.head.has("content-range"), "{media_type}");
    let delimiter = format!("\r\n--{boundary}");
    let mut rest = &response.content[..];
    let mut found = Vec::new();
    loop {
        rest = rest.strip_prefix(delimiter.as_bytes()).unwrap();
        if rest == b"--\r\n" {
            return found;
        }
        let head_len = position(rest, b"\r\n\r\n");
        let head = String::from_utf8(rest[..head_len].to_vec()).unwrap();
        rest = &rest[head_len + 4..];
        let len = position(rest, delimiter.as_bytes());
        let field = |name: &str| {
            let line = head.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap_or_default().to_owned()
        };
        let content = rest[..len].to_vec();
        found.push((field("Content-Type: "), field("Content-Range: "), content));
        rest = &rest[len..];
    }
}

fn position(text: &[u8], mark: &[u8]) -> usize {
    let mut windows = text.windows(mark.len());
    windows.position(|window| window == mark).unwrap()
}

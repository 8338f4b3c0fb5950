//! The origin server's answers, as octets.

use std::time::Duration;

use super::super::origin::{Received, ok, passing, reply};
use super::super::{Conn, date};
use super::octets::octets;
use super::script::lines;

const PAUSE: Duration = Duration::from_millis(20);

/// Answers one request; true when the connection ends with that.
pub fn say(conn: &mut Conn, request: &Received, number: usize, says: &str) -> bool {
    if let Some(raw) = says.strip_prefix("raw ") {
        let (raw, closes) = match raw.strip_suffix("{close}") {
            Some(raw) => (raw, true),
            None => (raw, false),
        };
        for (at, part) in raw.split("{pause}").enumerate() {
            if at > 0 {
                std::thread::sleep(PAUSE);
            }
            conn.send(octets(part));
        }
        return closes;
    }
    if says == "close" {
        return true;
    }
    let bytes = match (says.strip_prefix("serve "), says) {
        (Some(serve), _) => {
            let (content, fields) = serve.split_once(" | ").unwrap_or((serve, ""));
            served(request, &lines(fields), content.as_bytes())
        }
        (None, "echo") => echo(request),
        (None, _) => answer(request, number, says).into_bytes(),
    };
    !conn.send(bytes)
}

/// Each answer names its request, so that one taken for another shows.
fn echo(request: &Received) -> Vec<u8> {
    match request.method() {
        "HEAD" => reply("200 OK", "Cache-Control: no-store\r\n", ""),
        method => passing(format!("{method} {}", request.target())),
    }
}

/// An answer, and the interim ones before it.
fn answer(request: &Received, number: usize, says: &str) -> String {
    let mut out = String::new();
    for message in says.split(" || ") {
        let (status, rest) = message.split_once(" | ").unwrap_or((message, ""));
        let (fields, content) = match rest.rsplit_once('=') {
            Some((fields, content)) if fields.is_empty() || fields.ends_with(" | ") => {
                (fields, content.to_owned())
            }
            _ => (rest, format!("answer {number}")),
        };
        out += &format!("HTTP/1.1 {status} x\r\n{}", lines(fields));
        if status.starts_with('1') {
            out += "\r\n";
            continue;
        }
        if !fields.contains("Date:") {
            out += &format!("Date: {}\r\n", date(0));
        }
        let has_content = !matches!(status, "204" | "304");
        if fields.contains("chunked") {
            out += &format!("\r\n{:x}\r\n{content}\r\n0\r\n\r\n", content.len());
            continue;
        }
        if has_content && !fields.contains("Content-Length:") {
            out += &format!("Content-Length: {}\r\n", content.len());
        }
        out += "\r\n";
        if has_content && request.method() != "HEAD" {
            out += &content;
        }
    }
    out.replace("Date: none\r\n", "")
}

/// An origin server's answer to ranges of some content: one range, If-Range by its tag.
pub fn served(request: &Received, fields: &str, content: &[u8]) -> Vec<u8> {
    let whole = || ok(fields, content);
    let tag = request.head.first("if-none-match");
    if tag.is_some_and(|tag| fields.contains(&format!("ETag: {tag}"))) {
        return reply("304 x", fields, "");
    }
    let range = request.head.first("range").unwrap_or_default();
    let Some((first, last)) = range
        .strip_prefix("bytes=")
        .and_then(|range| range.split_once('-'))
    else {
        return whole();
    };
    let validator = request.head.first("if-range");
    if validator.is_some_and(|tag| !fields.contains(tag)) {
        return whole();
    }
    let len = content.len();
    let (first, end) = match (first.parse::<usize>(), last.parse::<usize>()) {
        (Ok(first), Ok(last)) => (first, (last + 1).min(len)),
        (Ok(first), Err(_)) => (first, len),
        (Err(_), Ok(suffix)) => (len.saturating_sub(suffix), len),
        (Err(_), Err(_)) => return whole(),
    };
    if first >= end {
        return reply("416 x", &format!("Content-Range: bytes */{len}\r\n"), "");
    }
    let range = format!("Content-Range: bytes {first}-{}/{len}\r\n", end - 1);
    reply(
        "206 Partial Content",
        &(fields.to_owned() + &range),
        &content[first..end],
    )
}

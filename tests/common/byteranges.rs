//! The parts of a `multipart/byteranges` response (RFC 9110 §14.6); every byte of its framing is checked.

use super::message::Response;

/// One part.
#[derive(Debug, PartialEq, Eq)]
pub struct BodyPart {
    /// Its Content-Type, or nothing.
    pub media_type: String,
    /// Its Content-Range.
    pub range: String,
    pub content: Vec<u8>,
}

/// The parts of a response.
pub fn byteranges(response: &Response) -> Vec<BodyPart> {
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
        found.push(BodyPart {
            media_type: field("Content-Type: "),
            range: field("Content-Range: "),
            content: rest[..len].to_vec(),
        });
        rest = &rest[len..];
    }
}

fn position(text: &[u8], mark: &[u8]) -> usize {
    let mut windows = text.windows(mark.len());
    windows.position(|window| window == mark).unwrap()
}

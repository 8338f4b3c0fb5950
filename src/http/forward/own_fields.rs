//! Fields that each hop writes anew: framing and Via.

use bytes::{BufMut, BytesMut};

use crate::http::fields::write_line;
use crate::http::framing::Framing;
use crate::http::head::Version;

/// True for a field about framing, which is written anew. Trailer announces what only a chunked
/// message can have.
pub(super) fn is_framing(name: &[u8], framing: Framing) -> bool {
    name.eq_ignore_ascii_case(b"content-length")
        || (name.eq_ignore_ascii_case(b"trailer") && framing != Framing::Chunked)
}

pub(super) fn write_framing(out: &mut BytesMut, framing: Framing) {
    match framing {
        Framing::None | Framing::UntilClose => {}
        Framing::Length(length) => {
            write_line(out, b"Content-Length", length.to_string().as_bytes())
        }
        Framing::Chunked => write_line(out, b"Transfer-Encoding", b"chunked"),
    }
}

pub(super) fn write_via(out: &mut BytesMut, received: Version, pseudonym: &str) {
    out.put_slice(match received {
        Version::Http10 => b"Via: 1.0 ",
        Version::Http11 => b"Via: 1.1 ",
    });
    out.put_slice(pseudonym.as_bytes());
    out.put_slice(b"\r\n");
}

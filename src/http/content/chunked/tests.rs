//! Chunked bodies by the grammar of RFC 9112 §7.1; each whole and cut in every way.

use super::*;
use crate::http::parse::HeadError;

/// The content, the trailers as text and the bytes left; nothing while incomplete.
type Decoded = Result<Option<(Vec<u8>, String, Vec<u8>)>, ContentError>;

fn feed(bytes: &[u8], step: usize) -> Decoded {
    let (mut decoder, mut buf, mut content) =
        (ChunkedDecoder::default(), BytesMut::new(), Vec::new());
    let mut pieces = bytes.chunks(step);
    while let Some(piece) = pieces.next() {
        buf.extend_from_slice(piece);
        loop {
            match decoder.next(&mut buf)? {
                ContentStep::Data(data) => content.extend_from_slice(&data),
                ContentStep::More => break,
                ContentStep::End { trailers } => {
                    assert!(decoder.is_complete());
                    buf.extend(pieces.flatten());
                    let shown = trailers
                        .iter()
                        .map(|(name, value)| {
                            format!("{}={};", name.escape_ascii(), value.escape_ascii())
                        })
                        .collect::<Vec<_>>()
                        .concat();
                    return Ok(Some((content, shown, buf.to_vec())));
                }
            }
        }
        assert!(!decoder.is_complete());
    }
    Ok(None)
}

/// The outcome of `bytes`, which must not depend on how they are cut.
fn outcome(bytes: &[u8]) -> Decoded {
    let whole = feed(bytes, bytes.len().max(1));
    for step in [1, 2, 3, 5] {
        let cut = feed(bytes, step);
        assert_eq!(cut, whole, "{} by {step}", bytes.escape_ascii());
    }
    whole
}

#[test]
fn bodies() {
    use ContentError::*;
    /// Bytes; content and trailers when whole.
    type Row<'a> = (&'a [u8], Result<Option<(&'a [u8], &'a str)>, ContentError>);
    let table: &[Row<'_>] = &[
        // §7.1: chunks, the last chunk, the empty line.
        (b"0\r\n\r\n", Ok(Some((b"", "")))),
        (b"3\r\nabc\r\n0\r\n\r\n", Ok(Some((b"abc", "")))),
        (
            b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
            Ok(Some((b"abcde", ""))),
        ),
        (b"2\r\n\r\n\r\n0\r\n\r\n", Ok(Some((b"\r\n", "")))),
        (b"", Ok(None)),
        (b"3", Ok(None)),
        (b"3\r\nab", Ok(None)),
        (b"3\r\nabc\r\n", Ok(None)),
        (b"3\r\nabc\r\n0\r\n", Ok(None)),
        (b"3\r\nabc\r\n0\r\n\r", Ok(None)),
        // The size: hexadecimal in either case, leading zeros within a bound.
        (
            b"0000000000000003\r\nabc\r\n000\r\n\r\n",
            Ok(Some((b"abc", ""))),
        ),
        (
            b"a\r\n0123456789\r\n0\r\n\r\n",
            Ok(Some((b"0123456789", ""))),
        ),
        (
            b"0A\r\n0123456789\r\n0\r\n\r\n",
            Ok(Some((b"0123456789", ""))),
        ),
        (b"7fffffffffffffff\r\nabc", Ok(None)),
        (b"8000000000000000\r\n", Err(ChunkSize)),
        (b"ffffffffffffffff\r\n", Err(ChunkSize)),
        (b"10000000000000003\r\nabc\r\n", Err(ChunkSize)),
        (b"00000000000000003\r\nabc\r\n", Err(ChunkSize)),
        (b"\r\n", Err(ChunkSize)),
        (b" 3\r\nabc\r\n", Err(ChunkSize)),
        (b"+3\r\nabc\r\n", Err(ChunkSize)),
        (b"-3\r\nabc\r\n", Err(ChunkSize)),
        (b"0x3\r\nabc\r\n", Err(ChunkSize)),
        (b"3h\r\nabc\r\n", Err(ChunkSize)),
        (b"3 3\r\nabc\r\n", Err(ChunkSize)),
        (b"3_0\r\nabc\r\n", Err(ChunkSize)),
        (b"g\r\n", Err(ChunkSize)),
        (b"\xb2\r\nab\r\n", Err(ChunkSize)),
        (b"\0\r\n", Err(ChunkSize)),
        // CRLF after the size, and nothing else.
        (b"3\nabc\r\n0\r\n\r\n", Err(ChunkSize)),
        (b"3\rabc\r\n0\r\n\r\n", Err(ChunkEnd)),
        (b"3\r\rabc\r\n0\r\n\r\n", Err(ChunkEnd)),
        (b"0\n\r\n", Err(ChunkSize)),
        // CRLF after the data, which is as long as the size says.
        (b"3\r\nabcd\r\n0\r\n\r\n", Err(ChunkEnd)),
        (b"3\r\nab\r\n0\r\n\r\n", Err(ChunkEnd)),
        (b"3\r\nabc\n0\r\n\r\n", Err(ChunkEnd)),
        (b"3\r\nabc\r0\r\n\r\n", Err(ChunkEnd)),
        (b"3\r\nabc0\r\n\r\n", Err(ChunkEnd)),
        // §7.1.1: extensions are read past; whitespace after the size is what old servers pad with.
        (b"3;a=b\r\nabc\r\n0;c\r\n\r\n", Ok(Some((b"abc", "")))),
        (
            b"3 ; a = \"b;\xe9\"\r\nabc\r\n0\r\n\r\n",
            Ok(Some((b"abc", ""))),
        ),
        (b"3 \t\r\nabc\r\n0 \r\n\r\n", Ok(Some((b"abc", "")))),
        (b"3;a\nabc\r\n0\r\n\r\n", Err(ChunkExtension)),
        (b"3;a\rabc\r\n0\r\n\r\n", Err(ChunkEnd)),
        (b"3;a=\"\r\n\"\r\nabc\r\n0\r\n\r\n", Err(ChunkEnd)),
        (b"3;\0\r\nabc\r\n", Err(ChunkExtension)),
        (b"3;\x7f\r\nabc\r\n", Err(ChunkExtension)),
        // §7.1.2: trailer fields.
        (b"0\r\nA: b\r\nC:\r\n\r\n", Ok(Some((b"", "A=b;C=;")))),
        (b"0\r\nA: b\r\n", Ok(None)),
        (b"0\r\nA: b\n\r\n", Err(Trailers(HeadError::BareLf))),
        (b"0\r\n\n", Err(Trailers(HeadError::BareLf))),
        (b"0\r\nA : b\r\n\r\n", Err(Trailers(HeadError::FieldName))),
        (b"0\r\n A: b\r\n\r\n", Err(Trailers(HeadError::Folded))),
        (
            b"0\r\nGET / HTTP/1.1\r\n\r\n",
            Err(Trailers(HeadError::FieldName)),
        ),
    ];
    for (bytes, expected) in table {
        let got = outcome(bytes).map(|body| {
            body.map(|(content, trailers, rest)| {
                assert_eq!(rest, b"", "{}", bytes.escape_ascii());
                (content, trailers)
            })
        });
        let got = match &got {
            Ok(body) => Ok(body
                .as_ref()
                .map(|(content, trailers)| (&content[..], &trailers[..]))),
            Err(error) => Err(*error),
        };
        // An incomplete body has content too; what is compared is that it isn't over.
        assert_eq!(got, *expected, "{}", bytes.escape_ascii());
    }
}

#[test]
fn what_follows_a_body_is_left() {
    let body = outcome(b"1\r\na\r\n0\r\nA: b\r\n\r\nGET /").unwrap();
    assert_eq!(
        body,
        Some((b"a".to_vec(), "A=b;".to_owned(), b"GET /".to_vec()))
    );
}

#[test]
fn everything_is_bounded() {
    let long = |length: usize| [b"1;", &vec![b'x'; length][..], b"\r\na\r\n0\r\n\r\n"].concat();
    assert!(outcome(&long(MAX_EXTENSIONS - 1)).unwrap().is_some());
    assert_eq!(
        outcome(&long(MAX_EXTENSIONS)),
        Err(ContentError::ChunkExtension)
    );
    // The bound is over the whole body, not one chunk.
    let many = b"1;xxxxxxx\r\na\r\n".repeat(MAX_EXTENSIONS / 8 + 1);
    assert_eq!(outcome(&many), Err(ContentError::ChunkExtension));
    let padded = [b"1", &vec![b' '; MAX_EXTENSIONS + 1][..]].concat();
    assert_eq!(outcome(&padded), Err(ContentError::ChunkExtension));
    let table = [
        (
            vec![b'a'; TRAILER_LIMITS.line + 1],
            HeadError::FieldLineTooLong,
        ),
        (
            b"A: b\r\n".repeat(TRAILER_LIMITS.head / 6 + 1),
            HeadError::TooLarge,
        ),
        (
            [&b"A: b\r\n".repeat(TRAILER_LIMITS.fields + 1)[..], b"\r\n"].concat(),
            HeadError::TooManyFields,
        ),
    ];
    for (trailers, error) in table {
        let bytes = [b"0\r\n", &trailers[..]].concat();
        assert_eq!(outcome(&bytes), Err(ContentError::Trailers(error)));
    }
}

/// No input panics, and none is read differently when it is cut.
#[test]
fn damaged_bodies_are_read_the_same_however_cut() {
    let body = b"3;x=\"y\"\r\nabc\r\n10 \r\n0123456789abcdef\r\n0\r\nA: b\r\n\r\nx";
    for at in 0..body.len() {
        for byte in *b"\r\n \t;:\0a0\x80\x7f" {
            let mut damaged = body.to_vec();
            damaged[at] = byte;
            let _ = outcome(&damaged);
        }
    }
}

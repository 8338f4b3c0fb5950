//! Chunked bodies by the grammar of RFC 9112 §7.1; each whole and cut in every way.

use super::*;
use crate::http::parse::HeadError;

/// The content, the trailers as text and the bytes left; nothing while incomplete.
type Decoded = Result<Option<(Vec<u8>, String, Vec<u8>)>, ContentError>;

/// Bytes; content and trailers when whole.
type Row<'a> = (&'a [u8], Result<Option<(&'a [u8], &'a str)>, ContentError>);

fn feed(sender: Sender, bytes: &[u8], step: usize) -> Decoded {
    let (mut decoder, mut buf, mut content) =
        (ChunkedDecoder::new(sender), BytesMut::new(), Vec::new());
    let mut pieces = bytes.chunks(step);
    while let Some(piece) = pieces.next() {
        buf.extend_from_slice(piece);
        loop {
            match decoder.next(&mut buf)? {
                ContentStep::Data(data) => content.extend_from_slice(&data),
                ContentStep::More => break,
                ContentStep::End { trailers } => {
                    assert!(decoder.is_complete());
                    if sender == Sender::Client {
                        assert!(!decoder.is_doubtful());
                    }
                    // Shown as the last trailer.
                    let doubt = if decoder.is_doubtful() {
                        "doubtful"
                    } else {
                        ""
                    };
                    buf.extend(pieces.flatten());
                    let shown = trailers
                        .iter()
                        .map(|(name, value)| {
                            format!("{}={};", name.escape_ascii(), value.escape_ascii())
                        })
                        .collect::<Vec<_>>()
                        .concat()
                        + doubt;
                    return Ok(Some((content, shown, buf.to_vec())));
                }
            }
        }
        assert!(!decoder.is_complete());
    }
    Ok(None)
}

/// The outcome of `bytes` from a client.
fn outcome(bytes: &[u8]) -> Decoded {
    outcome_from(Sender::Client, bytes)
}

/// The outcome of `bytes`, which must not depend on how they are cut.
fn outcome_from(sender: Sender, bytes: &[u8]) -> Decoded {
    let whole = feed(sender, bytes, bytes.len().max(1));
    for step in [1, 2, 3, 5] {
        let cut = feed(sender, bytes, step);
        assert_eq!(cut, whole, "{} by {step}", bytes.escape_ascii());
    }
    whole
}

#[test]
fn bodies() {
    use ContentError::*;
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
        (b"3;a=\"\r\n\"\r\nabc\r\n0\r\n\r\n", Err(ChunkExtension)),
        (b"3;\0\r\nabc\r\n", Err(ChunkExtension)),
        (b"3;\x7f\r\nabc\r\n", Err(ChunkExtension)),
        // §7.1.2: trailer fields.
        (b"0\r\nA: b\r\nC:\r\n\r\n", Ok(Some((b"", "A=b;C=;")))),
        (
            b"0\r\nContent-Length: 5\r\nA: b\r\nconnection: c\r\n\r\n",
            Ok(Some((b"", "A=b;"))),
        ),
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
    check(Sender::Client, table);
}

fn check(sender: Sender, table: &[Row<'_>]) {
    for (bytes, expected) in table {
        let got = outcome_from(sender, bytes).map(|body| {
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

/// RFC 9112 §7.1.1: `*( BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] )`.
#[test]
fn extensions_have_a_grammar() {
    let good: [&[u8]; 14] = [
        b";a",
        b" ;a",
        b"; a",
        b"\t;\ta",
        b";a=b",
        b";a = b",
        b";a;b",
        b";a ; b=c;d",
        b";a=\"\"",
        b";a=\"b c\"",
        b";a=\"\\\"\"",
        b";a=\"\\\\\";b",
        b";a=\"\xe9\" ;b",
        b";a=\"b;c=d\"",
    ];
    let bad: [&[u8]; 26] = [
        b";",
        b"; ",
        b";;a",
        b";a;",
        b";=b",
        b";a=",
        b";a= ",
        b";a=;b",
        b";a==b",
        b";\"a\"",
        b";a=\"",
        b";a=\"b",
        b";a=\"b\\\"",
        b";a=\"b\"c",
        b";a=\"b\" c",
        b";a=\"b\"\"c\"",
        b";a=b c",
        b";a b",
        b";a=b\"c\"",
        b";a=(",
        b";a,b",
        b";\xe9",
        b";a=\0",
        b";a=\"\x7f\"",
        b";a=\"\\\x01\"",
        b";a\x0b",
    ];
    for extension in good {
        let text = [b"3", extension, b"\r\nabc\r\n0", extension, b"\r\n\r\n"].concat();
        for sender in [Sender::Client, Sender::OriginServer] {
            let (content, doubt, _) = outcome_from(sender, &text).unwrap().unwrap();
            assert_eq!((&content[..], &doubt[..]), (&b"abc"[..], ""));
        }
    }
    for extension in bad {
        let first = [b"3", extension, b"\r\nabc\r\n0\r\n\r\n"].concat();
        let last = [b"3\r\nabc\r\n0", extension, b"\r\n\r\n"].concat();
        for text in [first, last] {
            let shown = text.escape_ascii();
            let strict = outcome(&text);
            assert_eq!(strict, Err(ContentError::ChunkExtension), "{shown}");
            let (content, doubt, _) = outcome_from(Sender::OriginServer, &text).unwrap().unwrap();
            assert_eq!(
                (&content[..], &doubt[..]),
                (&b"abc"[..], "doubtful"),
                "{shown}"
            );
        }
    }
}

#[test]
fn bodies_of_old_origin_servers() {
    use ContentError::*;
    let table: &[Row<'_>] = &[
        (b"3\r\nabc\r\n0\r\n\r\n", Ok(Some((b"abc", "")))),
        (b"3 \t\r\nabc\r\n0 \r\n\r\n", Ok(Some((b"abc", "")))),
        // LF alone, anywhere and everywhere.
        (b"3\nabc\n0\n\n", Ok(Some((b"abc", "doubtful")))),
        (b"3\nabc\r\n0\r\n\r\n", Ok(Some((b"abc", "doubtful")))),
        (b"3\r\nabc\n0\r\n\r\n", Ok(Some((b"abc", "doubtful")))),
        (b"3 \nabc\r\n0\r\n\r\n", Ok(Some((b"abc", "doubtful")))),
        (b"3\r\nabc\r\n0\n\r\n", Ok(Some((b"abc", "doubtful")))),
        (b"3\r\nabc\r\n0\r\n\n", Ok(Some((b"abc", "doubtful")))),
        (b"3;a\nabc\r\n0\r\n\r\n", Ok(Some((b"abc", "doubtful")))),
        // A quote that is open is so for nobody: the line ends where it ends.
        (
            b"3;a=\"\r\nabc\r\n0\r\n\r\n",
            Ok(Some((b"abc", "doubtful"))),
        ),
        (b"3;a=\"\r\n\"\r\nabc\r\n0\r\n\r\n", Err(ChunkEnd)),
        (b"3;a=\"\n\"\r\nabc\r\n0\r\n\r\n", Err(ChunkEnd)),
        (b"3;a\0\r\nabc\r\n0\r\n\r\n", Ok(Some((b"abc", "doubtful")))),
        // Bare CR could be either.
        (b"3\rabc\r\n0\r\n\r\n", Err(ChunkEnd)),
        (b"3;a\rabc\r\n0\r\n\r\n", Err(ChunkEnd)),
        (b"3;a=\"\r\"\r\nabc\r\n0\r\n\r\n", Err(ChunkEnd)),
        (b"3\r\nabc\r0\r\n\r\n", Err(ChunkEnd)),
        // More leading zeros than any size has digits.
        (
            b"00000000000000003\r\nabc\r\n000000000000000000\r\n\r\n",
            Ok(Some((b"abc", "doubtful"))),
        ),
        (b"000000000000000010000000000000003\r\n", Err(ChunkSize)),
        (b"0000000000000000ffffffffffffffff\r\n", Err(ChunkSize)),
        (b"10000000000000000\r\n", Err(ChunkSize)),
        // What no size is stays none.
        (b"\r\n", Err(ChunkSize)),
        (b"\n", Err(ChunkSize)),
        (b" 3\r\nabc\r\n", Err(ChunkSize)),
        (b"0x3\r\nabc\r\n", Err(ChunkSize)),
        (b"-3\r\nabc\r\n", Err(ChunkSize)),
        (b"3 3\r\nabc\r\n", Err(ChunkSize)),
        (b"3\r\nabcd\r\n0\r\n\r\n", Err(ChunkEnd)),
        // Trailers are mended as a head is.
        (b"0\r\nA: b\r\nC:\r\n\r\n", Ok(Some((b"", "A=b;C=;")))),
        (b"0\r\nA: b\n\r\n", Ok(Some((b"", "A=b;doubtful")))),
        (b"0\nA: b\n\n", Ok(Some((b"", "A=b;doubtful")))),
        (b"0\r\nA : b\r\n\r\n", Ok(Some((b"", "A=b;doubtful")))),
        (
            b"0\r\nA: b\r\n c\r\n\r\n",
            Ok(Some((b"", "A=b   c;doubtful"))),
        ),
        (b"0\r\n A: b\r\n\r\n", Err(Trailers(HeadError::Folded))),
        (b"0\r\nA\r\nB: c\r\n\r\n", Ok(Some((b"", "B=c;doubtful")))),
        (b"0\r\nA: \0b\r\n\r\n", Ok(Some((b"", "A=b;doubtful")))),
        (
            b"0\r\nContent-Length\r\n\r\n",
            Err(Trailers(HeadError::FieldName)),
        ),
    ];
    check(Sender::OriginServer, table);
}

/// Sizes that are padded may be so in however many chunks; what has no data to it may not.
#[test]
fn padding_is_bounded_by_the_data() {
    let padded = b"10;x=0123456789   \r\n0123456789abcdef\r\n".repeat(3000);
    let text = [&padded[..], b"0\r\n\r\n"].concat();
    let got = outcome_from(Sender::OriginServer, &text).unwrap().unwrap();
    assert_eq!(got.0.len(), 48_000);
    let much = [b"1;", &[b'x'; 250][..], b"\r\na\r\n"].concat().repeat(400);
    let zeros = vec![b'0'; 100_000];
    for text in [much, zeros] {
        let got = outcome_from(Sender::OriginServer, &text);
        assert_eq!(got, Err(ContentError::ChunkExtension));
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
            let _ = outcome_from(Sender::OriginServer, &damaged);
        }
    }
}

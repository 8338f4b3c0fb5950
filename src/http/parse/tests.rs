//! Heads as received, by the clauses of RFC 9112; each whole and one byte at a time.
#![allow(clippy::unwrap_used)]

mod limits;
mod responses;

use super::*;

/// Small limits, so that rows about them are readable.
const LIMITS: HeadLimits = HeadLimits {
    line: 64,
    head: 256,
    fields: 8,
};

type Parse<H> = fn(&mut BytesMut, &mut SectionScan, &HeadLimits) -> Result<Option<H>, HeadError>;

/// A head as one line of text and the bytes left, nothing, or an error.
type Parsed = Result<Option<(String, Vec<u8>)>, HeadError>;

/// Parses `bytes` given `step` at a time.
fn feed<H>(parse: Parse<H>, show: fn(&H) -> String, bytes: &[u8], step: usize) -> Parsed {
    let (mut buf, mut scan) = (BytesMut::new(), SectionScan::default());
    let mut pieces = bytes.chunks(step);
    while let Some(piece) = pieces.next() {
        buf.extend_from_slice(piece);
        if let Some(head) = parse(&mut buf, &mut scan, &LIMITS)? {
            assert_eq!(scan, SectionScan::default(), "after a head");
            buf.extend(pieces.flatten());
            return Ok(Some((show(&head), buf.to_vec())));
        }
        // All but a CR that an LF may follow is never looked at again.
        let searched = scan.line + scan.searched;
        assert!((buf.len() - usize::from(buf.ends_with(b"\r"))..=buf.len()).contains(&searched));
    }
    Ok(None)
}

/// The outcome of `bytes`, which must not depend on how they are cut.
fn outcome<H>(parse: Parse<H>, show: fn(&H) -> String, bytes: &[u8]) -> Parsed {
    let whole = feed(parse, show, bytes, bytes.len().max(1));
    for step in [1, 2, 3, 7] {
        let cut = feed(parse, show, bytes, step);
        assert_eq!(cut, whole, "{} by {step}", bytes.escape_ascii());
    }
    whole
}

fn show_fields(fields: &Fields) -> String {
    fields
        .iter()
        .map(|(name, value)| format!(" {}={}", name.escape_ascii(), value.escape_ascii()))
        .collect::<Vec<_>>()
        .concat()
}

fn show_request(head: &RequestHead) -> String {
    let method = head.method.as_bytes().escape_ascii();
    let target = head.target.escape_ascii();
    let (version, fields) = (head.version, show_fields(&head.fields));
    format!("{method} {target} {version:?}{fields}")
}

fn show_response(head: &ResponseHead) -> String {
    let (status, reason) = (head.status, head.reason.escape_ascii());
    let (version, fields) = (head.version, show_fields(&head.fields));
    format!("{version:?} {status} ({reason}){fields}")
}

fn request(text: &[u8]) -> Result<Option<String>, HeadError> {
    let outcome = outcome(parse_request, show_request, text)?;
    Ok(outcome.map(|(head, rest)| {
        assert_eq!(rest, b"", "{}", text.escape_ascii());
        head
    }))
}

fn response(text: &[u8]) -> Result<Option<String>, HeadError> {
    let outcome = outcome(parse_response, show_response, text)?;
    Ok(outcome.map(|(head, rest)| {
        assert_eq!(rest, b"", "{}", text.escape_ascii());
        head
    }))
}

type Row<'a> = (&'a [u8], Result<Option<&'a str>, HeadError>);

fn check(parse: fn(&[u8]) -> Result<Option<String>, HeadError>, table: &[Row<'_>]) {
    for (text, expected) in table {
        let expected = expected.map(|head| head.map(str::to_owned));
        assert_eq!(parse(text), expected, "{}", text.escape_ascii());
    }
}

#[test]
fn requests() {
    use HeadError::*;
    let table: &[Row<'_>] = &[
        // §2.1, §3: a request line, fields, an empty line.
        (
            b"GET http://h/ HTTP/1.1\r\nHost: h\r\n\r\n",
            Ok(Some("GET http://h/ Http11 Host=h")),
        ),
        (b"GET / HTTP/1.0\r\n\r\n", Ok(Some("GET / Http10"))),
        (b"", Ok(None)),
        (b"GE", Ok(None)),
        (b"GET / HTTP/1.1\r\nHost: h\r\n", Ok(None)),
        (b"GET / HTTP/1.1\r\n\r", Ok(None)),
        // §2.2: empty lines before a request line are skipped, not any number of them.
        (b"\r\n", Ok(None)),
        (b"\r\nGET / HTTP/1.0\r\n\r\n", Ok(Some("GET / Http10"))),
        (
            b"\r\n\r\n\r\n\r\nGET / HTTP/1.0\r\n\r\n",
            Ok(Some("GET / Http10")),
        ),
        (
            b"\r\n\r\n\r\n\r\n\r\nGET / HTTP/1.0\r\n\r\n",
            Err(RequestLine),
        ),
        (b"\n\r\n\nGET / HTTP/1.0\r\n\r\n", Ok(Some("GET / Http10"))),
        (b"\n\n\n\n\nGET / HTTP/1.0\r\n\r\n", Err(RequestLine)),
        // §2.2: bare CR, anywhere.
        (b"GET / HTTP/1.1\n\rHost: h\n\n", Err(BareCr)),
        (b"GET / HTTP/1.1\nHost: h\n\r\r\n", Err(BareCr)),
        (b"GET / HTTP/1.1\rHost: h\r\n\r\n", Err(BareCr)),
        (b"GET / HTTP/1.1\r\nHost: h\rX: y\r\n\r\n", Err(BareCr)),
        (b"GET / HTTP/1.1\r\nHost: h\r\r\n\r\n", Err(BareCr)),
        (b"GET / HTTP/1.1\r\nHost: h\r\n\rX: y\r\n\r\n", Err(BareCr)),
        (b"GET /\r HTTP/1.1\r\n\r\n", Err(BareCr)),
        (b"\rGET / HTTP/1.1\r\n\r\n", Err(BareCr)),
        // §2.2: whitespace between the request line and the first field.
        (b"GET / HTTP/1.1\r\n Host: h\r\n\r\n", Err(Folded)),
        (b"GET / HTTP/1.1\r\n\tHost: h\r\n\r\n", Err(Folded)),
        (b"GET / HTTP/1.1\r\n \r\n\r\n", Err(Folded)),
        // §3: exactly one space between the parts, none around them.
        (b" GET / HTTP/1.1\r\n\r\n", Err(NotHttp)),
        (b"GET  / HTTP/1.1\r\n\r\n", Err(RequestLine)),
        (b"GET /  HTTP/1.1\r\n\r\n", Err(RequestLine)),
        (b"GET / HTTP/1.1 \r\n\r\n", Err(RequestLine)),
        (b"GET / a HTTP/1.1\r\n\r\n", Err(RequestLine)),
        (b"GET\t/\tHTTP/1.1\r\n\r\n", Err(NotHttp)),
        (b"GET /\tHTTP/1.1\r\n\r\n", Err(RequestLine)),
        (b"GET /\t HTTP/1.1\r\n\r\n", Err(TargetBytes)),
        (b"GET /\x0b HTTP/1.1\r\n\r\n", Err(TargetBytes)),
        (b"GET /\0 HTTP/1.1\r\n\r\n", Err(TargetBytes)),
        (b"GET /\x7f HTTP/1.1\r\n\r\n", Err(TargetBytes)),
        (
            b"GET /\xc3\xa9 HTTP/1.1\r\n\r\n",
            Ok(Some("GET /\\xc3\\xa9 Http11")),
        ),
        (b"GET /\xff HTTP/1.1\r\n\r\n", Ok(Some("GET /\\xff Http11"))),
        // §3, §2.3: HTTP/0.9 has no version; it is refused when the line ends.
        (b"GET /\r\n", Err(RequestLine)),
        (b"GET\r\n", Err(RequestLine)),
        (b"GET \r\n", Err(RequestLine)),
        (b"GET / \r\n", Err(RequestLine)),
        // §3.1: the method is a token, and case-sensitive.
        (
            b"M-SEARCH * HTTP/1.1\r\n\r\n",
            Ok(Some("M-SEARCH * Http11")),
        ),
        (b"get / HTTP/1.1\r\n\r\n", Ok(Some("get / Http11"))),
        (b"G(T / HTTP/1.1\r\n\r\n", Err(NotHttp)),
        (b"G\0T / HTTP/1.1\r\n\r\n", Err(NotHttp)),
        // Not HTTP at all: TLS, SOCKS, SSH; refused as soon as that shows.
        (b"\x16\x03\x01\x02\x00\x01\x00", Err(NotHttp)),
        (b"\x16", Err(NotHttp)),
        (b"\x05\x01\x00", Err(NotHttp)),
        (b"SSH-2.0-OpenSSH_9.2\r\n", Err(RequestLine)),
        // §2.3: the version.
        (b"GET / HTTP/1.2\r\n\r\n", Ok(Some("GET / Http11"))),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Err(Version)),
        (b"GET / HTTP/2.0\r\n", Err(Version)),
        (b"GET / HTTP/0.9\r\n\r\n", Err(Version)),
        (b"GET / http/1.1\r\n\r\n", Err(RequestLine)),
        (b"GET / HTTP/1\r\n\r\n", Err(RequestLine)),
        (b"GET / HTTP/1.10\r\n\r\n", Err(RequestLine)),
        (b"GET / HTTP/01.1\r\n\r\n", Err(RequestLine)),
        (b"GET / HTTP/1,1\r\n\r\n", Err(RequestLine)),
        (b"GET / HTTPS/1.1\r\n\r\n", Err(RequestLine)),
    ];
    check(request, table);
}

#[test]
fn field_lines_of_requests() {
    use HeadError::*;
    let table: &[Row<'_>] = &[
        // §5: whitespace around a value is no part of it; a value may be empty or have obs-text.
        (
            b"GET / HTTP/1.1\r\nA:b\r\nC: \t d e\t \r\nF:\r\nG: \r\n\r\n",
            Ok(Some("GET / Http11 A=b C=d e F= G=")),
        ),
        (
            b"GET / HTTP/1.1\r\nA: b:c\r\nA: \xe9\tx\r\n\r\n",
            Ok(Some("GET / Http11 A=b:c A=\\xe9\\tx")),
        ),
        // §5.1: no whitespace before the colon, and names are tokens.
        (b"GET / HTTP/1.1\r\nHost : h\r\n\r\n", Err(FieldName)),
        (b"GET / HTTP/1.1\r\nHost\t: h\r\n\r\n", Err(FieldName)),
        (b"GET / HTTP/1.1\r\nHo st: h\r\n\r\n", Err(FieldName)),
        (b"GET / HTTP/1.1\r\nHost\r\n\r\n", Err(FieldName)),
        (b"GET / HTTP/1.1\r\n: h\r\n\r\n", Err(FieldName)),
        (b"GET / HTTP/1.1\r\nH\xe9: h\r\n\r\n", Err(FieldName)),
        (b"GET / HTTP/1.1\r\nH\0: h\r\n\r\n", Err(FieldName)),
        (b"GET / HTTP/1.1\r\n\"H\": h\r\n\r\n", Err(FieldName)),
        // RFC 9110 §5.5: control characters in a value.
        (b"GET / HTTP/1.1\r\nHost: h\0\r\n\r\n", Err(FieldValue)),
        (b"GET / HTTP/1.1\r\nHost: \x0bh\r\n\r\n", Err(FieldValue)),
        (b"GET / HTTP/1.1\r\nHost: h\x1b[0m\r\n\r\n", Err(FieldValue)),
        (b"GET / HTTP/1.1\r\nHost: h\x7f\r\n\r\n", Err(FieldValue)),
        // §5.2: a folded line is refused in a request.
        (b"GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n", Err(Folded)),
        (b"GET / HTTP/1.1\r\nA: b\r\n\tc\r\n\r\n", Err(Folded)),
        (b"GET / HTTP/1.1\r\nA: b\r\n ", Err(Folded)),
        // The first fault counts, not the one that is found first.
        (b"GET  / HTTP/1.1\r\nA: b\rC\r\n\r\n", Err(RequestLine)),
        (b"GET / HTTP/1.1\r\nA : b\r\nC: d\re\r\n\r\n", Err(BareCr)),
    ];
    check(request, table);
}

#[test]
fn lines_of_requests_may_end_with_lf_alone() {
    use HeadError::*;
    let table: &[Row<'_>] = &[
        (b"GET / HTTP/1.1\n\n", Ok(Some("GET / Http11"))),
        (
            b"GET / HTTP/1.1\nHost: h\nA:b\n\n",
            Ok(Some("GET / Http11 Host=h A=b")),
        ),
        (
            b"GET / HTTP/1.1\nHost: h\r\n\r\n",
            Ok(Some("GET / Http11 Host=h")),
        ),
        (
            b"GET / HTTP/1.1\r\nHost: h\n\r\n",
            Ok(Some("GET / Http11 Host=h")),
        ),
        (
            b"GET / HTTP/1.1\r\nHost: h\r\n\n",
            Ok(Some("GET / Http11 Host=h")),
        ),
        (
            b"GET / HTTP/1.1\r\nA: b\nC: d\r\n\r\n",
            Ok(Some("GET / Http11 A=b C=d")),
        ),
        (b"GET / HTTP/1.1\nA: b\n c\n\n", Err(Folded)),
        (b"GET / HTTP/1.1\nA\n\n", Err(FieldName)),
        (b"GET /\n", Err(RequestLine)),
        (b"GET\n", Err(RequestLine)),
    ];
    check(request, table);
}

#[test]
fn what_follows_a_head_is_left() {
    let text = b"GET / HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\nrest";
    let first = outcome(parse_request, show_request, text).unwrap().unwrap();
    assert_eq!(first.0, "GET / Http11");
    let second = outcome(parse_request, show_request, &first.1)
        .unwrap()
        .unwrap();
    assert_eq!(second, ("GET /2 Http11".to_owned(), b"rest".to_vec()));
    let large = [b"HTTP/1.1 200 x\r\n\r\n".to_vec(), vec![0; 1000]].concat();
    let (_, rest) = outcome(parse_response, show_response, &large)
        .unwrap()
        .unwrap();
    assert_eq!(rest.len(), 1000);
}

fn trailers_of_client(
    buf: &mut BytesMut,
    scan: &mut SectionScan,
    limits: &HeadLimits,
) -> Result<Option<Fields>, HeadError> {
    let trailers = parse_trailers(buf, scan, limits, Sender::Client)?;
    Ok(trailers.map(|trailers| trailers.fields))
}

#[test]
fn trailer_sections() {
    use HeadError::*;
    let table: &[Row<'_>] = &[
        // §7.1.2: any number of field lines and an empty line.
        (b"\r\n", Ok(Some(""))),
        (b"A: b\r\n\r\n", Ok(Some(" A=b"))),
        (b"A: b\r\n", Ok(None)),
        (b"\r", Ok(None)),
        (b"\n", Err(BareLf)),
        (b"\rA", Err(BareCr)),
        (b" A: b\r\n\r\n", Err(Folded)),
        (b"A: b\r\n c\r\n\r\n", Err(Folded)),
        (b"A : b\r\n\r\n", Err(FieldName)),
        (b"A: \0\r\n\r\n", Err(FieldValue)),
    ];
    let trailers = |text: &[u8]| {
        let outcome = outcome(trailers_of_client, show_fields, text)?;
        Ok(outcome.map(|(fields, _)| fields))
    };
    check(trailers, table);
}

#[test]
fn faults_have_a_status() {
    use HeadError::*;
    let table = [
        (NotHttp, 400),
        (RequestLine, 400),
        (TargetBytes, 400),
        (BareCr, 400),
        (BareLf, 400),
        (Folded, 400),
        (FieldName, 400),
        (FieldValue, 400),
        (Version, 505),
        (RequestLineTooLong, 414),
        (FieldLineTooLong, 431),
        (TooLarge, 431),
        (TooManyFields, 431),
    ];
    for (error, status) in table {
        assert_eq!(error.status(), status, "{error}");
    }
}

/// No input panics, and none is read differently when it is cut: every head of the tables above
/// with each of its bytes replaced, in turn, by bytes that mean something.
#[test]
fn damaged_heads_are_read_the_same_however_cut() {
    let heads: [&[u8]; 2] = [
        b"\r\nGET http://h/ HTTP/1.1\r\nHost: h\r\nA:\r\n\r\nx",
        b"HTTP/1.1 200 OK\nA : b\r\n c\nD: e\r\n\r\nx",
    ];
    for head in heads {
        for at in 0..head.len() {
            for byte in *b"\r\n \t:\0/1a\x80\x7f" {
                let mut damaged = head.to_vec();
                damaged[at] = byte;
                let _ = outcome(parse_request, show_request, &damaged);
                let _ = outcome(parse_response, show_response, &damaged);
                let _ = outcome(trailers_of_client, show_fields, &damaged);
            }
        }
    }
}

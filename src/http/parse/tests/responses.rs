//! Heads of responses.

use super::*;

#[test]
fn responses() {
    use HeadError::*;
    let table: &[Row<'_>] = &[
        // §4: a status line, fields, an empty line. The reason may be missing, with its space.
        (
            b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n",
            Ok(Some("Http11 200 (OK) A=b")),
        ),
        (
            b"HTTP/1.0 404 Not Found\r\n\r\n",
            Ok(Some("Http10 404 (Not Found)")),
        ),
        (b"HTTP/1.1 200 \r\n\r\n", Ok(Some("Http11 200 ()"))),
        (b"HTTP/1.1 200\r\n\r\n", Ok(Some("Http11 200 ()"))),
        (
            b"HTTP/1.1 200 \xe9\tx\r\n\r\n",
            Ok(Some("Http11 200 (\\xe9\\tx)")),
        ),
        (b"HTTP/1.9 999 x\r\n\r\n", Ok(Some("Http11 999 (x)"))),
        (b"HTTP/1.1 200 OK\r\n", Ok(None)),
        (b"HTTP/1.1 099 x\r\n", Err(StatusLine)),
        (b"HTTP/1.1 20 x\r\n", Err(StatusLine)),
        (b"HTTP/1.1 2000 x\r\n", Err(StatusLine)),
        (b"HTTP/1.1 +20 x\r\n", Err(StatusLine)),
        (b"HTTP/1.1\r\n", Err(StatusLine)),
        (b"HTTP/11 200 x\r\n", Err(StatusLine)),
        (b"HTTP/2.0 200 x\r\n", Err(Version)),
        (b"ICY/1.0 200 OK\r\n", Err(StatusLine)),
        (b"ICY200 OK\r\n", Err(StatusLine)),
        (b"icy 200 OK\r\n", Err(StatusLine)),
        (b"HTTP 200 OK\r\n", Err(StatusLine)),
        (b"<html>", Err(StatusLine)),
        (b"\r\nHTTP/1.1 200 OK\r\n\r\n", Err(StatusLine)),
        (b"\nHTTP/1.1 200 OK\r\n\r\n", Err(StatusLine)),
        // §2.2: but not before the first field.
        (b"HTTP/1.1 200 OK\r\n A: b\r\n\r\n", Err(Folded)),
        (b"HTTP/1.1 200 OK\n A: b\n\n", Err(Folded)),
        (b"HTTP/1.1 200 OK\r\n : b\r\n\r\n", Err(Folded)),
    ];
    check(response, table);
}

/// A mended head: the connection isn't used again.
fn mended(text: &[u8]) -> Result<Option<String>, HeadError> {
    Ok(response(text)?.map(|head| {
        let closed = head.strip_suffix(" Connection=close");
        closed.expect("it says so").to_owned()
    }))
}

#[test]
fn status_lines_and_line_ends_of_old_origin_servers() {
    use HeadError::*;
    let table: &[Row<'_>] = &[
        // §4: any whitespace between the parts, and controls in the reason.
        (b"HTTP/1.1  200 x\r\n\r\n", Ok(Some("Http11 200 (x)"))),
        (b"HTTP/1.1\t200 x\r\n\r\n", Ok(Some("Http11 200 (x)"))),
        (b"HTTP/1.1 200\tx\r\n\r\n", Ok(Some("Http11 200 (x)"))),
        (
            b"HTTP/1.1 200 O\0K\x7f\r\n\r\n",
            Ok(Some("Http11 200 (O K )")),
        ),
        (b"HTTP/1.1 200 O\rK\r\n\r\n", Ok(Some("Http11 200 (O K)"))),
        (b"HTTP/1.1 200 O\rContent-Length: 1\r\n\r\n", Err(BareCr)),
        (
            b"ICY 200 OK\r\nA: b\r\n\r\n",
            Ok(Some("Http10 200 (OK) A=b")),
        ),
        (b"ICY 404\r\n\r\n", Ok(Some("Http10 404 ()"))),
        // §2.2: LF alone.
        (b"HTTP/1.1 200 OK\n\n", Ok(Some("Http11 200 (OK)"))),
        (
            b"HTTP/1.0 200\nA: b\nC:d\n\n",
            Ok(Some("Http10 200 () A=b C=d")),
        ),
        (
            b"HTTP/1.1 200 OK\nA: b\r\n\r\n",
            Ok(Some("Http11 200 (OK) A=b")),
        ),
        (
            b"HTTP/1.1 200 OK\r\nA: b\n\r\n",
            Ok(Some("Http11 200 (OK) A=b")),
        ),
        (
            b"HTTP/1.1 200 OK\r\nA: b\r\n\n",
            Ok(Some("Http11 200 (OK) A=b")),
        ),
        // §2.2: bare CR becomes a space, but where something could be hidden behind it.
        (
            b"HTTP/1.1 200 OK\r\nA: b\rC: d\r\n\r\n",
            Ok(Some("Http11 200 (OK) A=b C: d")),
        ),
        (b"HTTP/1.1 200 OK\r\nA: b\r\rc\r\n\r\n", Err(BareCr)),
        (b"HTTP/1.1 200 OK\r\nA: b\r\r\n\r\n", Err(BareCr)),
        (b"HTTP/1.1 200 OK\r\nA: b\r\n\r\r\n\r\n", Err(BareCr)),
        (b"HTTP/1.1 200 OK\r\r\nA: b\r\n\r\n", Err(BareCr)),
        (
            b"HTTP/1.1 200 OK\r\nA: b\rcontent-length: 1\r\n\r\n",
            Err(BareCr),
        ),
        (
            b"HTTP/1.1 200 OK\r\nA: b\r Transfer-Encoding : x\r\n\r\n",
            Err(BareCr),
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\rx\r\n\r\n",
            Err(FieldValue),
        ),
    ];
    check(mended, table);
}

#[test]
fn field_lines_of_old_origin_servers() {
    use HeadError::*;
    let table: &[Row<'_>] = &[
        // RFC 9110 §5.5: controls in a value become spaces, but in one of framing.
        (
            b"HTTP/1.1 200 OK\r\nA: \0b\x01\x1b[0m\tc\x7f\r\n\r\n",
            Ok(Some("Http11 200 (OK) A=b  [0m\\tc")),
        ),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\0\r\n\r\n", Err(FieldValue)),
        (b"HTTP/1.1 200 OK\r\nContent-Length : 1\x0b\r\n\r\n", Err(FieldValue)),
        (
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: \x7fchunked\r\n\r\n",
            Err(FieldValue),
        ),
        // §5.1: whitespace before the colon goes, but only that.
        (
            b"HTTP/1.1 200 OK\r\nA : b\r\nC \t :d\r\nE\t:\r\n\r\n",
            Ok(Some("Http11 200 (OK) A=b C=d E=")),
        ),
        (
            b"HTTP/1.1 200 OK\r\nA : b : c\r\n d : e\r\n\r\n",
            Ok(Some("Http11 200 (OK) A=b : c   d : e")),
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length : 1\r\n\r\n",
            Ok(Some("Http11 200 (OK) Content-Length=1")),
        ),
        // §5: a line that is none is dropped, unless it is like one of framing.
        (
            b"HTTP/1.1 200 OK\r\n: b\r\nA b : c\r\nA\x0b: b\r\nA \r\nD: e\r\nHTTP/1.1 404 X\r\n\r\n",
            Ok(Some("Http11 200 (OK) D=e")),
        ),
        (b"HTTP/1.1 200 OK\r\nContent-Length 1\r\n\r\n", Err(FieldName)),
        (b"HTTP/1.1 200 OK\r\nContent-Length\r\n\r\n", Err(FieldName)),
        (b"HTTP/1.1 200 OK\r\nContent -Length: 1\r\n\r\n", Err(FieldName)),
        (b"HTTP/1.1 200 OK\r\nContent-Length\0: 1\r\n\r\n", Err(FieldName)),
        (b"HTTP/1.1 200 OK\r\nContent-Length x: 1\r\n\r\n", Err(FieldName)),
        (b"HTTP/1.1 200 OK\r\n\"Transfer-Encoding\": x\r\n\r\n", Err(FieldName)),
        (b"HTTP/1.1 200 OK\r\nTRANSFER\xa0-ENCODING: x\r\n\r\n", Err(FieldName)),
        (b"HTTP/1.1 200 OK\r\nX\rTransfer-Encoding: x\r\n\r\n", Err(FieldName)),
        // §5.2: a folded line is unfolded.
        (
            b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
            Ok(Some("Http11 200 (OK) A=b   c")),
        ),
        (
            b"HTTP/1.1 200 OK\r\nA:\r\n\tc\r\nD: e\r\n\r\n",
            Ok(Some("Http11 200 (OK) A=c D=e")),
        ),
        (
            b"HTTP/1.1 200 OK\r\nA: b\r\n \r\n\t\r\n\r\n",
            Ok(Some("Http11 200 (OK) A=b")),
        ),
        (
            b"HTTP/1.1 200 OK\r\nA: b\r\n C: d\r\n\r\n",
            Ok(Some("Http11 200 (OK) A=b   C: d")),
        ),
        (
            b"HTTP/1.1 200 OK\nA: b\n c\n\td\nE: f\n\n",
            Ok(Some("Http11 200 (OK) A=b  c \\td E=f")),
        ),
        // A name isn't put together out of two lines, nor framing.
        (
            b"HTTP/1.1 200 OK\r\nA\r\n : b\r\nC: d\r\n\r\n",
            Ok(Some("Http11 200 (OK) C=d")),
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length\r\n : 1\r\n\r\n",
            Err(FieldName),
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n 2\r\n\r\n",
            Err(FieldValue),
        ),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding:\r\n chunked\r\n\r\n",
            Err(FieldValue),
        ),
    ];
    check(mended, table);
}

/// What others may not have, or only some of them, isn't stored for what nobody could read.
#[test]
fn lost_lines_that_may_have_forbidden_storing() {
    let table: &[(&[u8], bool)] = &[
        (b"Cache-Control private, no-store", true),
        (b"Cache-Control\0: no-store", true),
        (b"cache control: no-store", false),
        (b"Cache -Control: no-store", true),
        (b"(CDN-Cache-Control): no-store", true),
        (b"Set-Cookie a=b", true),
        (b"Set-Cookie2\xa0: a=b", true),
        (b"Content-Encoding\x0b: gzip", true),
        (b"Content-Range bytes 0-1/2", true),
        (b"Vary Accept", true),
        (b"Va\0ry: Accept", true),
        (b"\"Vary\": Accept", true),
        (b"Pragma\r\n : no-cache", true),
        (b"Expires 0", true),
        (b"Age 3600", true),
        (b"X: a\rCache-Control: no-store", true),
        (b"X: a\r\n Cache-Control: no-store", false),
        (b"Cache-Control : no-store", false),
        (b"Cache-Control: no-store\0", false),
        (b"X: Cache-Control", false),
        (b"Warning in page 1", false),
        (b"Message a", false),
        (b"X Y: Vary", false),
    ];
    for (line, is_lost) in table {
        let text = [b"HTTP/1.1 200 OK\r\n", *line, b"\r\n\r\n"].concat();
        let mut scan = SectionScan::default();
        let head = parse_response(&mut text[..].into(), &mut scan, &LIMITS);
        let head = head.unwrap().unwrap();
        assert_eq!(head.has_lost_field, *is_lost, "{}", line.escape_ascii());
    }
    let mut head = b"HTTP/1.1 200 O\rVary: a\r\n\r\n"[..].into();
    let head = parse_response(&mut head, &mut SectionScan::default(), &LIMITS);
    assert!(head.unwrap().unwrap().has_lost_field, "in the status line");
}

#[test]
fn as_many_field_lines_as_may_be_can_be_mended() {
    for (count, outcome) in [(8, Ok(true)), (9, Err(HeadError::TooManyFields))] {
        for end in ["\n", "\r\n"] {
            let text = format!("HTTP/1.1 200 OK\n{}{end}", "A: b\n".repeat(count));
            let got = feed(parse_response, show_response, text.as_bytes(), 7);
            assert_eq!(got.map(|head| head.is_some()), outcome, "{count}");
        }
    }
}

/// However many are folded, the end of the status line isn't looked for again, nor the end of a line from its beginning.
#[test]
fn nothing_is_searched_twice() {
    let mut scan = SectionScan::default();
    let mut buf = BytesMut::from(&b"HTTP/1.1 200 OK\nA: b"[..]);
    for count in 0..10 {
        buf.extend_from_slice(b"\r\n c\rd");
        let parsed = parse_response(&mut buf, &mut scan, &LIMITS);
        assert!(matches!(parsed, Ok(None)), "{parsed:?}");
        let expected = SectionScan {
            line: buf.len() - 4,
            searched: 4,
            fields: 16,
            method: 0,
        };
        assert_eq!(scan, expected, "{count}");
    }
    // Were the beginning looked at again, this would be an end.
    buf[0] = b'\n';
    let at = buf.len() - 3;
    buf[at] = b'\n';
    assert!(matches!(
        parse_response(&mut buf, &mut scan, &LIMITS),
        Ok(None)
    ));
    let (mut scan, mut buf) = (SectionScan::default(), BytesMut::from(&b"GETTING"[..]));
    let parsed = parse_request(&mut buf, &mut scan, &LIMITS);
    assert!(matches!(parsed, Ok(None)) && scan.method == 7, "{parsed:?}");
}

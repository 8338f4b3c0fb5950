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

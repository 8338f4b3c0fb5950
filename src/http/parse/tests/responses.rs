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
        (b"HTTP/1.1 200 O\0K\r\n", Err(StatusLine)),
        (b"HTTP/1.1 200 O\x7fK\r\n", Err(StatusLine)),
        (b"HTTP/1.1 099 x\r\n", Err(StatusLine)),
        (b"HTTP/1.1 20 x\r\n", Err(StatusLine)),
        (b"HTTP/1.1 2000 x\r\n", Err(StatusLine)),
        (b"HTTP/1.1 +20 x\r\n", Err(StatusLine)),
        (b"HTTP/1.1  200 x\r\n", Err(StatusLine)),
        (b"HTTP/1.1\t200 x\r\n", Err(StatusLine)),
        (b"HTTP/1.1 200\tx\r\n", Err(StatusLine)),
        (b"HTTP/1.1\r\n", Err(StatusLine)),
        (b"HTTP/11 200 x\r\n", Err(StatusLine)),
        (b"HTTP/2.0 200 x\r\n", Err(Version)),
        (b"ICY 200 OK\r\n", Err(StatusLine)),
        (b"<html>", Err(StatusLine)),
        (b"\r\nHTTP/1.1 200 OK\r\n\r\n", Err(StatusLine)),
        // §2.2: bare CR and LF.
        (b"HTTP/1.1 200 OK\nA: b\r\n\r\n", Err(BareLf)),
        (b"HTTP/1.1 200 OK\r\nA: b\n\r\n", Err(BareLf)),
        (b"HTTP/1.1 200 OK\r\nA: b\rC: d\r\n\r\n", Err(BareCr)),
        // §5.1: whitespace before the colon goes, but only that.
        (
            b"HTTP/1.1 200 OK\r\nA : b\r\nC \t :d\r\nE\t:\r\n\r\n",
            Ok(Some("Http11 200 (OK) A=b C=d E=")),
        ),
        (
            b"HTTP/1.1 200 OK\r\nA : b : c\r\n d : e\r\n\r\n",
            Ok(Some("Http11 200 (OK) A=b : c   d : e")),
        ),
        (b"HTTP/1.1 200 OK\r\n : b\r\n\r\n", Err(Folded)),
        (b"HTTP/1.1 200 OK\r\n: b\r\n\r\n", Err(FieldName)),
        (b"HTTP/1.1 200 OK\r\nA b : c\r\n\r\n", Err(FieldName)),
        (b"HTTP/1.1 200 OK\r\nA\x0b: b\r\n\r\n", Err(FieldName)),
        (b"HTTP/1.1 200 OK\r\nA \r\n\r\n", Err(FieldName)),
        (b"HTTP/1.1 200 OK\r\nA: b\0\r\n\r\n", Err(FieldValue)),
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
        (b"HTTP/1.1 200 OK\r\nA\r\n : b\r\n\r\n", Err(FieldName)),
        // §2.2: but not before the first field.
        (b"HTTP/1.1 200 OK\r\n A: b\r\n\r\n", Err(Folded)),
    ];
    check(response, table);
}

//! Limits on the heads of requests.

use super::*;

#[test]
fn limits_of_requests() {
    use HeadError::*;
    let target = |length: usize| format!("GET /{} HTTP/1.1\r\n", "a".repeat(length)).into_bytes();
    let field = |length: usize| format!("A: {}\r\n", "b".repeat(length)).into_bytes();
    let with = |parts: &[&[u8]]| parts.concat();
    let start: &[u8] = b"GET / HTTP/1.1\r\n";
    let table = [
        // 50 + 14 bytes are the 64 that a line may have.
        (with(&[&target(50), b"\r\n"]), None),
        (target(51), Some(RequestLineTooLong)),
        (vec![b'a'; 65], Some(RequestLineTooLong)),
        (with(&[b"\r\n", &[b'a'; 65]]), Some(RequestLineTooLong)),
        (with(&[b"GET /\xff", &[b'a'; 65]]), Some(RequestLineTooLong)),
        (with(&[start, &field(61), b"\r\n"]), None),
        (with(&[start, &field(62)]), Some(FieldLineTooLong)),
        (with(&[start, &[b'a'; 65]]), Some(FieldLineTooLong)),
        // 16 + 3 * 66 + 40 + 2 = 256 bytes.
        (
            with(&[start, &field(61).repeat(3), &field(35), b"\r\n"]),
            None,
        ),
        (
            with(&[start, &field(61).repeat(3), &field(36), b"\r\n"]),
            Some(TooLarge),
        ),
        // As many bytes without an end: there is no use in waiting for more.
        (
            with(&[start, &field(61).repeat(3), &field(37)]),
            Some(TooLarge),
        ),
        (with(&[start, &field(61).repeat(4)]), Some(TooLarge)),
        (with(&[start, &field(1).repeat(8), b"\r\n"]), None),
        (
            with(&[start, &field(1).repeat(9), b"\r\n"]),
            Some(TooManyFields),
        ),
    ];
    for (text, expected) in table {
        let got = request(&text);
        assert_eq!(got.err(), expected, "{}", text.escape_ascii());
    }
    for count in [31, 32, 33, 127, 128, 129, 999, 1000, 1001] {
        let many = with(&[start, &b"A:\r\n".repeat(count), b"\r\n"]);
        let mut many = BytesMut::from(&many[..]);
        let parsed = parse_request(
            &mut many,
            &mut SectionScan::default(),
            &HeadLimits::default(),
        );
        match parsed {
            Ok(head) => assert_eq!(head.unwrap().fields.iter().count(), count),
            Err(why) => assert_eq!((why, count), (TooManyFields, 1001)),
        }
    }
}

//! Framing by the rules of RFC 9112 §6.3, one row for each way to write the fields.

use bytes::Bytes;

use super::FramingError::*;
use super::*;

/// Field lines from text: one a line.
fn fields(text: &str) -> Fields {
    text.lines()
        .map(|line| {
            let (name, value) = line.split_once(':').unwrap();
            (name.as_bytes(), value.trim_matches(' ').as_bytes())
        })
        .collect()
}

fn request(method: &str, version: Version, text: &str) -> Result<Framing, FramingError> {
    request_framing(&RequestHead {
        method: Method::from_token(&Bytes::copy_from_slice(method.as_bytes())),
        target: Bytes::from_static(b"/"),
        version,
        fields: fields(text),
    })
}

fn response(method: &str, status: u16, text: &str) -> Result<Framing, FramingError> {
    response_of(Version::Http11, method, status, text)
}

fn response_of(
    version: Version,
    method: &str,
    status: u16,
    text: &str,
) -> Result<Framing, FramingError> {
    let method = Method::from_token(&Bytes::copy_from_slice(method.as_bytes()));
    let head = ResponseHead {
        status,
        version,
        reason: Bytes::new(),
        fields: fields(text),
        has_lost_field: false,
    };
    response_framing(&method, &head)
}

#[test]
fn requests() {
    let table = [
        // §6.3 rule 7: neither field, no content.
        ("", Ok(Framing::None)),
        // §6.3 rule 6: a valid Content-Length.
        ("Content-Length: 0", Ok(Framing::Length(0))),
        ("Content-Length: 5", Ok(Framing::Length(5))),
        ("content-length: 005", Ok(Framing::Length(5))),
        (
            "Content-Length: 18446744073709551615",
            Ok(Framing::Length(u64::MAX)),
        ),
        // §6.3 rule 5: an invalid one. Lists and repetitions are refused in requests.
        ("Content-Length: 18446744073709551616", Err(Length)),
        ("Content-Length:", Err(Length)),
        ("Content-Length: +5", Err(Length)),
        ("Content-Length: -5", Err(Length)),
        ("Content-Length: 0x5", Err(Length)),
        ("Content-Length: 5 5", Err(Length)),
        ("Content-Length: 5.0", Err(Length)),
        ("Content-Length: \"5\"", Err(Length)),
        ("Content-Length: 5, 5", Err(Length)),
        ("Content-Length: 5,", Err(Length)),
        ("Content-Length: 5\nContent-Length: 5", Err(Lengths)),
        ("Content-Length: 5\nContent-Length: 6", Err(Lengths)),
        ("Content-Length: 5\nContent-Length:", Err(Lengths)),
        // §6.3 rule 4: chunked is the final coding.
        ("Transfer-Encoding: chunked", Ok(Framing::Chunked)),
        ("Transfer-Encoding: CHUNKED", Ok(Framing::Chunked)),
        ("Transfer-Encoding: , chunked ,", Ok(Framing::Chunked)),
        (
            "Transfer-Encoding:\nTransfer-Encoding: chunked",
            Ok(Framing::Chunked),
        ),
        // §6.1: a coding that isn't understood.
        ("Transfer-Encoding: gzip, chunked", Err(Coding)),
        ("Transfer-Encoding: identity, chunked", Err(Coding)),
        (
            "Transfer-Encoding: gzip\nTransfer-Encoding: chunked",
            Err(Coding),
        ),
        // §6.3 rule 4: chunked isn't final, so the length can't be told; §7.1: not twice.
        ("Transfer-Encoding: chunked, gzip", Err(NotLast)),
        ("Transfer-Encoding: chunked, chunked", Err(NotLast)),
        (
            "Transfer-Encoding: chunked\nTransfer-Encoding: chunked",
            Err(NotLast),
        ),
        ("Transfer-Encoding: chunked, identity", Err(NotLast)),
        ("Transfer-Encoding: gzip", Err(NotLast)),
        ("Transfer-Encoding: identity", Err(NotLast)),
        ("Transfer-Encoding:", Err(NotLast)),
        ("Transfer-Encoding: xchunked", Err(NotLast)),
        ("Transfer-Encoding: chunked;q=1", Err(NotLast)),
        ("Transfer-Encoding: \"chunked\"", Err(NotLast)),
        ("Transfer-Encoding: \"x, chunked", Err(NotLast)),
        ("Transfer-Encoding: \x0bchunked", Err(NotLast)),
        // §6.3 rule 3: both, whatever they say.
        ("Transfer-Encoding: chunked\nContent-Length: 5", Err(Both)),
        ("Content-Length: 5\nTransfer-Encoding: chunked", Err(Both)),
        ("Transfer-Encoding: x\nContent-Length: x", Err(Both)),
    ];
    for (text, expected) in table {
        assert_eq!(request("POST", Version::Http11, text), expected, "{text}");
        // Content means nothing in GET, but its framing is the same.
        assert_eq!(request("GET", Version::Http11, text), expected, "{text}");
    }
}

#[test]
fn requests_by_version_and_method() {
    use Version::{Http10, Http11};
    let table = [
        // §6.1: Transfer-Encoding in HTTP/1.0 is faulty framing.
        (
            "POST",
            Http10,
            "Transfer-Encoding: chunked",
            Err(OldVersion),
        ),
        ("POST", Http10, "Content-Length: 5", Ok(Framing::Length(5))),
        ("POST", Http10, "", Ok(Framing::None)),
        // RFC 9110 §9.3.6, §9.3.8: no content in CONNECT and TRACE.
        ("CONNECT", Http11, "", Ok(Framing::None)),
        (
            "CONNECT",
            Http11,
            "Content-Length: 0",
            Ok(Framing::Length(0)),
        ),
        ("CONNECT", Http11, "Content-Length: 5", Err(NoContent)),
        (
            "CONNECT",
            Http11,
            "Transfer-Encoding: chunked",
            Err(NoContent),
        ),
        ("TRACE", Http11, "Content-Length: 5", Err(NoContent)),
        (
            "DELETE",
            Http11,
            "Content-Length: 5",
            Ok(Framing::Length(5)),
        ),
        ("X", Http11, "Content-Length: 5", Ok(Framing::Length(5))),
    ];
    for (method, version, text, expected) in table {
        assert_eq!(request(method, version, text), expected, "{method} {text}");
    }
}

#[test]
fn responses() {
    let table = [
        // §6.3 rule 8: until the connection closes.
        ("", Ok(Framing::UntilClose)),
        // §6.3 rule 6, and rule 5: equal values may be repeated.
        ("Content-Length: 5", Ok(Framing::Length(5))),
        ("Content-Length: 05", Ok(Framing::Length(5))),
        ("Content-Length: 5, 5", Ok(Framing::Length(5))),
        (
            "Content-Length: 5\nContent-Length: 5",
            Ok(Framing::Length(5)),
        ),
        (
            "Content-Length: 5,5\nContent-Length: 5",
            Ok(Framing::Length(5)),
        ),
        ("Content-Length: 5, 6", Err(Lengths)),
        ("Content-Length: 5\nContent-Length: 6", Err(Lengths)),
        ("Content-Length:", Err(Length)),
        ("Content-Length: 5,", Err(Length)),
        ("Content-Length: ,5", Err(Length)),
        ("Content-Length: 5\nContent-Length:", Err(Length)),
        ("Content-Length: +5", Err(Length)),
        ("Content-Length: -1", Err(Length)),
        ("Content-Length: 18446744073709551616", Err(Length)),
        ("Content-Length: none", Err(Length)),
        // §6.3 rule 4; no other coding was asked for or can be undone.
        ("Transfer-Encoding: chunked", Ok(Framing::Chunked)),
        ("Transfer-Encoding: gzip, chunked", Err(Coding)),
        ("Transfer-Encoding: chunked, gzip", Err(Coding)),
        ("Transfer-Encoding: gzip", Err(Coding)),
        ("Transfer-Encoding: chunked;x", Err(Coding)),
        ("Transfer-Encoding: \"chunked\"", Err(Coding)),
        ("Transfer-Encoding:", Err(Coding)),
        ("Transfer-Encoding: ,", Err(Coding)),
        ("Transfer-Encoding:\nContent-Length: 5", Err(Coding)),
        ("Transfer-Encoding: x\nContent-Length: 5", Err(Coding)),
        // §7.1: it isn't to be said twice; it is decoded once.
        ("Transfer-Encoding: chunked, chunked", Ok(Framing::Chunked)),
        (
            "Transfer-Encoding: chunked\nTransfer-Encoding: Chunked",
            Ok(Framing::Chunked),
        ),
        // RFC 2616 §3.6 had "identity", which stands for nothing.
        ("Transfer-Encoding: identity", Ok(Framing::UntilClose)),
        (
            "Transfer-Encoding: Identity\nContent-Length: 5",
            Ok(Framing::Length(5)),
        ),
        ("Transfer-Encoding: identity, chunked", Ok(Framing::Chunked)),
        ("Transfer-Encoding: chunked, identity", Ok(Framing::Chunked)),
        (
            "Transfer-Encoding: chunked\nTransfer-Encoding: identity",
            Ok(Framing::Chunked),
        ),
        // §6.3 rule 3: it overrides a length, but not lengths of which one is wrong.
        (
            "Transfer-Encoding: chunked\nContent-Length: 5",
            Ok(Framing::Chunked),
        ),
        (
            "Content-Length: 0\nTransfer-Encoding: chunked",
            Ok(Framing::Chunked),
        ),
        (
            "Transfer-Encoding: chunked\nContent-Length: 5\nContent-Length: 6",
            Err(Lengths),
        ),
        ("Transfer-Encoding: chunked\nContent-Length: x", Err(Length)),
    ];
    for (text, expected) in table {
        for status in [200, 205, 206, 301, 404, 500, 999] {
            assert_eq!(response("GET", status, text), expected, "{status} {text}");
        }
        assert_eq!(response("POST", 200, text), expected, "POST {text}");
        // §6.3 rules 1 and 2: no content, whatever the fields say.
        for status in [100, 101, 103, 199, 204, 304] {
            assert_eq!(
                response("GET", status, text),
                Ok(Framing::None),
                "{status} {text}"
            );
        }
        assert_eq!(
            response("HEAD", 200, text),
            Ok(Framing::None),
            "HEAD {text}"
        );
        assert_eq!(
            response("HEAD", 404, text),
            Ok(Framing::None),
            "HEAD {text}"
        );
        assert_eq!(
            response("CONNECT", 200, text),
            Ok(Framing::None),
            "CONNECT {text}"
        );
        assert_eq!(response("CONNECT", 403, text), expected, "CONNECT {text}");
    }
}

#[test]
fn transfer_coding_in_an_old_response_is_undone() {
    let coded = response_of(Version::Http10, "GET", 200, "Transfer-Encoding: chunked");
    assert_eq!(coded, Ok(Framing::Chunked));
    let plain = response_of(Version::Http10, "GET", 200, "Content-Length: 1");
    assert_eq!(plain, Ok(Framing::Length(1)));
}

#[test]
fn responses_that_are_read_in_one_way_alone() {
    use Version::{Http10, Http11};
    let table = [
        // fields, in HTTP/1.1, in HTTP/1.0, the length that is stated to HEAD
        ("", true, true, None),
        ("Content-Length: 5", true, true, Some(5)),
        ("Content-Length: 5, 6", true, true, None),
        ("Transfer-Encoding: Chunked", true, false, None),
        ("Transfer-Encoding: ,chunked", false, false, None),
        ("Transfer-Encoding: chunked, chunked", false, false, None),
        (
            "Transfer-Encoding: chunked\nTransfer-Encoding: chunked",
            false,
            false,
            None,
        ),
        (
            "Transfer-Encoding: chunked\nContent-Length: 5",
            false,
            false,
            None,
        ),
        ("Transfer-Encoding: identity", false, false, None),
        (
            "Transfer-Encoding: identity\nContent-Length: 5",
            false,
            false,
            Some(5),
        ),
        (
            "Transfer-Encoding: x\nContent-Length: 5",
            false,
            false,
            None,
        ),
        ("Transfer-Encoding:", false, false, None),
    ];
    for (text, new, old, length) in table {
        let plainly = |version| {
            is_framed_plainly(&ResponseHead {
                status: 200,
                version,
                reason: Bytes::new(),
                fields: fields(text),
                has_lost_field: false,
            })
        };
        assert_eq!((plainly(Http11), plainly(Http10)), (new, old), "{text}");
        assert_eq!(stated_length(&fields(text)), length, "{text}");
    }
}

#[test]
fn faults_have_a_status() {
    for error in [Length, Lengths, Both, OldVersion, NotLast, NoContent] {
        assert_eq!(error.status(), 400, "{error}");
    }
    assert_eq!(Coding.status(), 501);
}

#[test]
fn lengths_that_framing_tells() {
    assert_eq!(Framing::None.length(), Some(0));
    assert_eq!(Framing::Length(7).length(), Some(7));
    assert_eq!(Framing::Chunked.length(), None);
    assert_eq!(Framing::UntilClose.length(), None);
}

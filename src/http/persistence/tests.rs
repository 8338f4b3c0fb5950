//! Rows of what passed on a connection, and may it be used again.

use bytes::Bytes;

use super::*;
use crate::http::head::{Method, Version};
use crate::http::testing::fields;

const SENT: RequestCourse = RequestCourse {
    content: Framing::None,
    upgrade: false,
    sent: RequestSent::Whole,
    continues: 0,
};

fn request(method: &str, lines: &[(&str, &str)]) -> RequestHead {
    RequestHead {
        method: Method::from_token(&Bytes::copy_from_slice(method.as_bytes())),
        target: Bytes::from_static(b"/"),
        version: Version::Http11,
        fields: fields(lines),
    }
}

fn response(status: u16, lines: &[(&str, &str)]) -> ResponseHead {
    ResponseHead {
        status,
        version: Version::Http11,
        reason: Bytes::new(),
        fields: fields(lines),
    }
}

#[test]
fn content_needs_a_meaning() {
    // RFC 9110 §9.3; methods are case-sensitive.
    let with = [
        "POST", "PUT", "PATCH", "PROPFIND", "REPORT", "QUERY", "LOCK",
    ];
    let without = [
        "GET", "HEAD", "DELETE", "OPTIONS", "post", "FROB", "COPY", "PURGE",
    ];
    let all = with.iter().map(|it| (it, true));
    for (method, expected) in all.chain(without.iter().map(|it| (it, false))) {
        let framings = [
            (Framing::None, true),
            (Framing::Length(0), true),
            (Framing::Length(1), expected),
            // Even an empty one has a last chunk.
            (Framing::Chunked, expected),
        ];
        for (content, expected) in framings {
            let course = RequestCourse { content, ..SENT };
            let used = may_be_used_again(
                &request(method, &[]),
                &course,
                &response(200, &[]),
                Framing::None,
            );
            assert_eq!(used, expected, "{method} {content:?}");
        }
    }
}

#[test]
fn the_course_of_a_request() {
    let partly = RequestCourse {
        sent: RequestSent::Partly,
        ..SENT
    };
    let late = RequestCourse {
        sent: RequestSent::Late,
        ..SENT
    };
    let upgrade = RequestCourse {
        upgrade: true,
        ..SENT
    };
    let continued = |continues| RequestCourse { continues, ..SENT };
    let expect: &[(&str, &str)] = &[("Expect", "100-continue")];
    #[rustfmt::skip]
    let table = [
        (&[][..], SENT, true),
        (&[], partly, false),
        (&[], late, false),
        (&[], upgrade, false),
        (&[], continued(1), false),
        (expect, continued(0), false),
        (expect, continued(1), true),
        (expect, continued(2), false),
    ];
    for (lines, course, expected) in table {
        let response = response(200, &[]);
        let used = may_be_used_again(&request("POST", lines), &course, &response, Framing::None);
        assert_eq!(used, expected, "{lines:?} {course:?}");
    }
}

#[test]
fn responses() {
    #[rustfmt::skip]
    let table: &[(u16, &[(&str, &str)], Framing, bool)] = &[
        (200, &[], Framing::Length(2), true),
        (200, &[], Framing::Chunked, true),
        (200, &[], Framing::UntilClose, false),
        (200, &[("Connection", "x, Close")], Framing::Length(2), false),
        (204, &[], Framing::None, true),
        (204, &[("Content-Length", "0")], Framing::None, true),
        (204, &[("Content-Length", "5")], Framing::None, false),
        (204, &[("Content-Length", "x")], Framing::None, false),
        (204, &[("Transfer-Encoding", "chunked")], Framing::None, false),
        (304, &[("Content-Length", "5")], Framing::None, true),
    ];
    for (status, lines, framing, expected) in table {
        let response = response(*status, lines);
        let used = may_be_used_again(&request("GET", &[]), &SENT, &response, *framing);
        assert_eq!(used, *expected, "{status} {lines:?} {framing:?}");
    }
    let mut old = response(200, &[]);
    old.version = Version::Http10;
    let used = may_be_used_again(&request("GET", &[]), &SENT, &old, Framing::Length(2));
    assert!(!used, "HTTP/1.0 without keep-alive");
}

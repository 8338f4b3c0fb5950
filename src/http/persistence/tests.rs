//! Rows of what passed on a connection, and its use after that.

use bytes::Bytes;

use super::*;
use crate::http::head::{Method, Version};
use crate::http::testing::fields;

const SENT: RequestCourse = RequestCourse {
    content: Framing::None,
    upgrade: false,
    sent: RequestSent::Whole,
    continues: 0,
    closing: false,
};

fn may_be_used_again(
    request: &RequestHead,
    course: &RequestCourse,
    response: &ResponseHead,
    framing: Framing,
) -> bool {
    next_use(request, course, response, framing) == NextUse::Anyone
}

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
        has_lost_field: false,
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
fn content_may_have_been_ignored() {
    let length = Framing::Length(5);
    #[rustfmt::skip]
    let table = [
        (length, Version::Http11, 200, true),
        (length, Version::Http10, 200, true),
        (Framing::Chunked, Version::Http10, 200, false),
        (Framing::None, Version::Http11, 400, true),
        (length, Version::Http11, 400, false),
        (length, Version::Http11, 404, true),
        (length, Version::Http11, 411, false),
        (Framing::Chunked, Version::Http11, 411, false),
        (length, Version::Http11, 413, false),
        (length, Version::Http11, 417, false),
        (Framing::Chunked, Version::Http11, 501, false),
        (length, Version::Http11, 503, true),
    ];
    for (content, version, status, expected) in table {
        let course = RequestCourse { content, ..SENT };
        let mut response = response(status, &[("Connection", "keep-alive")]);
        response.version = version;
        let used = may_be_used_again(
            &request("POST", &[]),
            &course,
            &response,
            Framing::Length(0),
        );
        assert_eq!(used, expected, "{content:?} {version:?} {status}");
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
        // RFC 9112 §6.3: what others may read differently.
        (200, &[("Transfer-Encoding", "chunked")], Framing::Chunked, true),
        (200, &[("Transfer-Encoding", "chunked, chunked")], Framing::Chunked, false),
        (200, &[("Transfer-Encoding", "identity"), ("Content-Length", "5")], Framing::Length(5), false),
        (200, &[("Transfer-Encoding", "chunked"), ("Content-Length", "5")], Framing::Chunked, false),
        (304, &[("Transfer-Encoding", "chunked"), ("Content-Length", "5")], Framing::None, false),
    ];
    for (status, lines, framing, expected) in table {
        let response = response(*status, lines);
        let used = may_be_used_again(&request("GET", &[]), &SENT, &response, *framing);
        assert_eq!(used, *expected, "{status} {lines:?} {framing:?}");
    }
    let closing = RequestCourse {
        closing: true,
        ..SENT
    };
    let ok = response(200, &[]);
    let used = may_be_used_again(&request("GET", &[]), &closing, &ok, Framing::Length(2));
    assert!(!used, "an interim response says so");
    let mut old = response(200, &[]);
    old.version = Version::Http10;
    let used = may_be_used_again(&request("GET", &[]), &SENT, &old, Framing::Length(2));
    assert!(!used, "HTTP/1.0 without keep-alive");
}

#[test]
fn what_is_authenticated_is_for_the_same_client() {
    use NextUse::{Anyone, Nobody, SameClient};
    let late = RequestCourse {
        sent: RequestSent::Late,
        ..SENT
    };
    let partly = RequestCourse {
        sent: RequestSent::Partly,
        ..SENT
    };
    let upgrade = RequestCourse {
        upgrade: true,
        ..SENT
    };
    let ntlm: &[(&str, &str)] = &[("Authorization", "NTLM TlRM")];
    let token: &[(&str, &str)] = &[("WWW-Authenticate", "NTLM TlRM")];
    let bare: &[(&str, &str)] = &[("WWW-Authenticate", "NTLM")];
    let closing: &[(&str, &str)] = &[("WWW-Authenticate", "NTLM TlRM"), ("Connection", "close")];
    #[rustfmt::skip]
    let table: &[(&[(&str, &str)], RequestCourse, &[(&str, &str)], NextUse)] = &[
        (&[], SENT, &[], Anyone),
        (&[("Authorization", "Basic eDp5")], SENT, &[], Anyone),
        (ntlm, SENT, &[], SameClient),
        (ntlm, SENT, token, SameClient),
        (&[], SENT, token, SameClient),
        (&[], SENT, bare, Anyone),
        (ntlm, SENT, closing, Nobody),
        (ntlm, late, &[], Nobody),
        (ntlm, late, bare, Nobody),
        (ntlm, late, token, SameClient),
        (ntlm, partly, token, Nobody),
        (ntlm, upgrade, &[], Nobody),
        (ntlm, upgrade, token, SameClient),
    ];
    for (lines, course, answered, expected) in table {
        let response = response(401, answered);
        let used = next_use(
            &request("POST", lines),
            course,
            &response,
            Framing::Length(0),
        );
        assert_eq!(used, *expected, "{lines:?} {course:?} {answered:?}");
    }
}

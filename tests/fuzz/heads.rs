//! Messages: heads, content and targets. What comes byte by byte is read as what comes whole, and what is
//! accepted and written anew is read as the same.

use bytes::{Bytes, BytesMut};
use cacheproxy::http::content::{ContentDecoder, ContentError, ContentStep};
use cacheproxy::http::fields::Fields;
use cacheproxy::http::forward::{RequestAs, write_request};
use cacheproxy::http::framing::{Framing, request_framing, response_framing};
use cacheproxy::http::head::{Method, RequestHead, ResponseHead, Sender, Version};
use cacheproxy::http::parse::{HeadError, HeadLimits, SectionScan, parse_request, parse_response};
use cacheproxy::http::target::{Authority, Target, Uri};
use cacheproxy::http::{chunked, connection, syntax};

use crate::fuzz;

const TOKENS: &[&[u8]] = &[
    b"\r\n",
    b"\r\n\r\n",
    b"\r\n ",
    b"\n",
    b"\n\n",
    b"\r",
    b"\0",
    b"ICY 200\n",
    b"Transfer-Encoding: identity, chunked\n",
    b"Host: a\r\n",
    b"Content-Length: 5\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Connection: close, x\r\n",
    b"HTTP/1.1",
    b"HTTP/1.0",
    b"http://",
    b"https://",
    b"CONNECT ",
    b"[::1]",
    b"%00",
    b"0\r\n\r\n",
    b"ffffffffffffffff",
    b";a=\"b\"",
    b";a=\"",
];

const LIMITS: HeadLimits = HeadLimits {
    line: 1024,
    head: 4096,
    fields: 32,
};

fn lines(fields: &Fields) -> Vec<(Vec<u8>, Vec<u8>)> {
    let line = |(name, value): (&[u8], &[u8])| (name.to_vec(), value.to_vec());
    fields.iter().map(line).collect()
}

fn is_clean(bytes: &[u8]) -> bool {
    !bytes.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0))
}

fn hold_fields(fields: &Fields) {
    for (name, value) in fields.iter() {
        assert!(!name.is_empty() && name.iter().all(|&byte| syntax::is_tchar(byte)));
        assert!(is_clean(value), "a value without CR, LF and NUL");
    }
}

type Parse<H> = fn(&mut BytesMut, &mut SectionScan, &HeadLimits) -> Result<Option<H>, HeadError>;

/// Parses it whole and byte by byte; gives the head, and what was left of the input.
fn both_ways<H>(
    input: &[u8],
    parse: Parse<H>,
    same: impl Fn(&H, &H) -> bool,
) -> Option<(H, BytesMut)> {
    let mut whole = BytesMut::from(input);
    let at_once = parse(&mut whole, &mut SectionScan::default(), &LIMITS);
    let (mut buf, mut scan, mut taken) = (BytesMut::new(), SectionScan::default(), 0);
    let mut dripped = Ok(None);
    for byte in input {
        buf.extend_from_slice(&[*byte]);
        taken += 1;
        dripped = parse(&mut buf, &mut scan, &LIMITS);
        if !matches!(dripped, Ok(None)) {
            break;
        }
        assert!(buf.len() <= LIMITS.head + 2 * LIMITS.line, "a bounded wait");
    }
    match (at_once, dripped) {
        (Ok(Some(one)), Ok(Some(other))) => {
            assert!(same(&one, &other), "byte by byte gives the same head");
            assert!(
                buf.is_empty() && whole == input[taken..],
                "exactly the head is taken"
            );
            return Some((one, whole));
        }
        (Ok(None), Ok(None)) => {}
        // Which fault is told first may differ, not that there is one.
        (Err(_), Err(_)) => {}
        (one, other) => panic!(
            "whole: {:?}, byte by byte: {:?}",
            one.map(|head| head.is_some()),
            other.map(|head| head.is_some())
        ),
    }
    None
}

fn same_request(one: &RequestHead, other: &RequestHead) -> bool {
    let of = |head: &RequestHead| (head.method.clone(), head.target.clone(), head.version);
    of(one) == of(other) && lines(&one.fields) == lines(&other.fields)
}

fn same_response(one: &ResponseHead, other: &ResponseHead) -> bool {
    let of = |head: &ResponseHead| (head.status, head.reason.clone(), head.version);
    of(one) == of(other) && lines(&one.fields) == lines(&other.fields)
}

/// A request as it goes on: what is written is one head, framed the same, for the same target.
fn hold_forwarded(head: &RequestHead) {
    let Ok(target) = Target::of(head) else { return };
    let (Target::Absolute(target), Ok(framing)) = (target, request_framing(head)) else {
        return;
    };
    let uri = target.uri;
    let mut out = BytesMut::new();
    let how = RequestAs {
        framing,
        pseudonym: "fuzz",
        extra: &[],
        without: &[],
        upgrade: connection::wants_upgrade(head),
    };
    write_request(&mut out, head, &uri, &how);
    let written = parse_request(
        &mut out,
        &mut SectionScan::default(),
        &HeadLimits::default(),
    );
    let written = written
        .expect("what is written is a head")
        .expect("a whole one");
    assert!(out.is_empty(), "one head and nothing more");
    assert_eq!(written.method, head.method);
    assert_eq!(request_framing(&written), Ok(framing), "framed the same");
    let hosts: Vec<_> = written.fields.all("host").collect();
    assert_eq!(
        hosts,
        [uri.authority().as_bytes()],
        "one Host, the target's"
    );
    hold_fields(&written.fields);
}

#[test]
fn request_heads() {
    fuzz("request", Vec::new(), TOKENS, |input| {
        let Some((head, _)) = both_ways(input, parse_request, same_request) else {
            return false;
        };
        assert!(is_clean(&head.target) && !head.target.contains(&b' '));
        hold_fields(&head.fields);
        hold_forwarded(&head);
        true
    });
}

#[test]
fn response_heads() {
    fuzz("response", Vec::new(), TOKENS, |input| {
        let Some((head, _)) = both_ways(input, parse_response, same_response) else {
            return false;
        };
        assert!((100..1000).contains(&head.status) && is_clean(&head.reason));
        hold_fields(&head.fields);
        for method in [Method::Get, Method::Head, Method::Connect] {
            let framing = response_framing(&method, &head);
            if let Ok(Framing::Length(_)) = framing {
                let chunked = head.fields.has_token("transfer-encoding", "chunked");
                assert!(!chunked, "never both");
            }
        }
        // Written as it was understood, it is understood as the same.
        let mut again = BytesMut::from(match head.version {
            Version::Http10 => &b"HTTP/1.0 "[..],
            Version::Http11 => b"HTTP/1.1 ",
        });
        again.extend_from_slice(head.status.to_string().as_bytes());
        again.extend_from_slice(b" ");
        again.extend_from_slice(&head.reason);
        again.extend_from_slice(b"\r\n");
        for (name, value) in head.fields.iter() {
            again.extend_from_slice(&[name, b": ", value, b"\r\n"].concat());
        }
        again.extend_from_slice(b"\r\n");
        let read = parse_response(
            &mut again,
            &mut SectionScan::default(),
            &HeadLimits::default(),
        )
        .unwrap();
        assert!(same_response(&head, &read.unwrap()), "written anew");
        true
    });
}

/// Content and trailers when they are whole.
type Content = Result<Option<(Vec<u8>, Fields)>, ContentError>;

/// The chunks, read in pieces of a length, and how much of the input they took.
fn decoded(input: &[u8], piece: usize) -> (Content, usize) {
    let mut decoder = ContentDecoder::new(Framing::Chunked, Sender::OriginServer);
    let (mut buf, mut content, mut taken) = (BytesMut::new(), Vec::new(), 0);
    for part in input.chunks(piece) {
        buf.extend_from_slice(part);
        taken += part.len();
        loop {
            match decoder.next(&mut buf) {
                Ok(ContentStep::Data(data)) => {
                    assert!(!data.is_empty(), "no empty step");
                    content.extend_from_slice(&data);
                }
                Ok(ContentStep::More) => break,
                Ok(ContentStep::End { trailers }) => {
                    assert!(decoder.is_complete() && decoder.eof(&buf).is_ok());
                    return (Ok(Some((content, trailers))), taken - buf.len());
                }
                Err(error) => return (Err(error), taken - buf.len()),
            }
        }
    }
    assert!(!decoder.is_complete(), "it isn't complete");
    (Ok(None), taken)
}

#[test]
fn chunks() {
    fuzz("chunked", Vec::new(), TOKENS, |input| {
        let (whole, length) = decoded(input, input.len().max(1));
        for piece in [1, 3] {
            let (pieces, taken) = decoded(input, piece);
            match (&whole, pieces) {
                (Ok(Some(one)), Ok(Some(other))) => {
                    assert_eq!(one.0, other.0, "the same content");
                    assert_eq!(lines(&one.1), lines(&other.1), "the same trailers");
                    assert_eq!(length, taken, "the same end");
                }
                (Ok(None), Ok(None)) | (Err(_), Err(_)) => {}
                (one, other) => panic!("whole: {one:?}, in pieces: {other:?}"),
            }
        }
        let Ok(Some((content, trailers))) = whole else {
            return false;
        };
        hold_fields(&trailers);
        let mut out = BytesMut::new();
        if !content.is_empty() {
            chunked::write_chunk_head(&mut out, content.len());
            out.extend_from_slice(&content);
            out.extend_from_slice(chunked::CRLF);
        }
        chunked::write_last(&mut out, &trailers);
        let (again, taken) = decoded(&out, 7);
        let (read, kept) = again.unwrap().expect("what is written is whole");
        assert_eq!((read, taken), (content, out.len()), "written anew");
        assert!(
            kept.iter()
                .all(|(name, _)| connection::may_be_trailer(name))
        );
        true
    });
}

#[test]
fn uris() {
    fuzz("uri", Vec::new(), TOKENS, |input| {
        let input = Bytes::copy_from_slice(input);
        if let Ok(authority) = Authority::parse(&input) {
            let (host, port) = (authority.host(), authority.port());
            let text = Bytes::from(match host.contains(':') {
                true => format!("[{host}]:{port}"),
                false => format!("{host}:{port}"),
            });
            let again = Authority::parse(&text).expect("an authority written anew");
            assert_eq!((again.host(), again.port()), (host, port));
        }
        let Ok(uri) = Uri::parse(&input) else {
            return false;
        };
        let again = Uri::parse(uri.as_bytes()).expect("a URI written anew");
        assert_eq!(again, uri, "normal is normal");
        assert!(
            uri.as_bytes()
                .iter()
                .all(|byte| *byte > b' ' && !b"#\x7f".contains(byte))
        );
        assert!(uri.path_and_query().starts_with(b"/") && !uri.authority().contains('@'));
        assert!(!uri.host().is_empty() && uri.port() > 0);
        for reference in [&input[..], b"/x", b"../y?z", b"//other/"] {
            if let Ok(found) = uri.resolve(reference) {
                let found_again = Uri::parse(found.as_bytes()).expect("a reference resolved");
                assert_eq!(found_again, found);
            }
        }
        true
    });
}

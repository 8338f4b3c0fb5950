//! Responses that their origin server cuts short: the client gets all that came, and a sign that it isn't all (RFC 9112 §8).

use crate::common::{Client, Ended, Origin, Proxy, each};

/// What used to be lost was lost by chance.
const TRIES: usize = 15;

#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Fin,
    Reset,
    /// It stays open.
    Never,
}

/// Answers the first request of each connection with these bytes, and ends the connection at once.
fn ending(answer: &'static str, end: End) -> Origin {
    Origin::scripted(move |mut conn| {
        if conn.request().is_ok() {
            conn.send(answer);
            match end {
                End::Fin => {}
                End::Reset => conn.reset(),
                End::Never => conn.hold(),
            }
        }
    })
}

fn ask(origin: &Origin, method: &str, version: &str, fields: &str) -> String {
    let content = match method {
        "POST" => "Content-Length: 2\r\n\r\nhi",
        _ => "\r\n",
    };
    let (uri, authority) = (origin.uri("/"), origin.authority());
    format!("{method} {uri} HTTP/{version}\r\nHost: {authority}\r\n{fields}{content}")
}

#[test]
fn what_came_of_it_goes_out_and_shows_that_it_is_cut() {
    let proxy = Proxy::start("");
    let answers = [
        "Content-Length: 10\r\n\r\nsome",
        "Content-Length: 10\r\nCache-Control: max-age=60\r\nETag: \"a\"\r\n\r\nsome",
        "Content-Length: 10\r\nCache-Control: no-store\r\n\r\nsome",
        "Content-Length: 10\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n4\r\nsome\r\n",
        "Transfer-Encoding: chunked\r\n\r\n9\r\nsome",
        "Transfer-Encoding: chunked\r\n\r\n4\r\nsome\r\n0",
        "Transfer-Encoding: chunked\r\n\r\n4\r\nsome\r\nzz\r\n",
        "Transfer-Encoding: chunked\r\n\r\n4\r\nsome\r\n0\r\nX-Trailer: a\r\n",
        "\r\nsome",
    ];
    let answers =
        answers.map(|rest| &*format!("HTTP/1.1 203 Kept\r\nX-Kept: yes\r\n{rest}").leak());
    let of_all = |answer| [(answer, End::Fin), (answer, End::Reset)];
    let rows = answers.into_iter().flat_map(of_all);
    // An end like this is the proper one of content without a length.
    let rows = rows.filter(|row| {
        !row.0.contains("\r\n\r\nsome") || row.0.contains("Length") || row.1 == End::Reset
    });
    each(rows, |(answer, end)| {
        let origin = ending(answer, end);
        for (method, version) in [("GET", "1.1"), ("POST", "1.1"), ("GET", "1.0")] {
            for _ in 0..TRIES {
                let mut client = Client::of(&proxy);
                client.send(ask(&origin, method, version, ""));
                let (got, ended) = client.rest();
                let got = String::from_utf8(got).unwrap();
                let what = format!("{method} {version}, {end:?}: {answer:?}: {got:?}, {ended:?}");
                assert!(got.starts_with("HTTP/1.1 203 Kept\r\n"), "{what}");
                assert!(got.contains("X-Kept: yes\r\n"), "{what}");
                assert!(!answer.contains("some") || got.contains("some"), "{what}");
                assert!(!got.ends_with("0\r\n\r\n"), "{what}");
                let by_its_end = version == "1.0" && !answer.contains("Content-Length");
                let expected = match by_its_end {
                    true => Ended::Reset,
                    false => Ended::Closed,
                };
                assert_eq!(ended, expected, "{what}");
            }
        }
    });
}

#[test]
fn a_head_that_is_all_is_whole_whatever_comes_behind_it() {
    let proxy = Proxy::start("");
    let rows = [
        ("HEAD", "", "200 OK\r\nContent-Length: 10\r\n\r\n", 200),
        (
            "HEAD",
            "",
            "200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            200,
        ),
        (
            "GET",
            "If-None-Match: \"a\"\r\n",
            "304 Not Modified\r\nETag: \"a\"\r\n\r\n",
            304,
        ),
        ("GET", "", "204 No Content\r\n\r\n", 204),
        ("POST", "", "204 No Content\r\n\r\n", 204),
        (
            "POST",
            "",
            "303 See Other\r\nLocation: /a\r\nContent-Length: 0\r\n\r\n",
            303,
        ),
        (
            "GET",
            "",
            "200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
            200,
        ),
    ];
    each(rows, |(method, fields, answer, status)| {
        for end in [End::Fin, End::Reset] {
            let origin = ending(format!("HTTP/1.1 {answer}").leak(), end);
            for _ in 0..TRIES {
                let mut client = Client::of(&proxy);
                client.send(ask(&origin, method, "1.1", fields));
                assert_eq!(
                    client.response(method).status,
                    status,
                    "{method} {answer:?} {end:?}"
                );
            }
        }
    });
}

#[test]
fn the_last_chunk_is_the_end_though_its_last_line_lacks() {
    let proxy = Proxy::start("");
    let rows = ["0\r\n", "0;a=b\r\n", "000\r\n", "0\r\n\r"];
    each(rows, |last| {
        for end in [End::Fin, End::Reset, End::Never] {
            let head = "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nTransfer-Encoding: chunked";
            let origin = ending(format!("{head}\r\n\r\n4\r\nsome\r\n{last}").leak(), end);
            let mut client = Client::of(&proxy);
            assert_eq!(
                client.get(&origin.uri("/")).text(),
                "some",
                "{last:?} {end:?}"
            );
            let next = client.get(&origin.uri("/"));
            assert_eq!(
                (next.text().as_str(), next.is_hit()),
                ("some", true),
                "{last:?} {end:?}"
            );
            client.get(&origin.uri("/other"));
            assert_eq!(origin.connections(), 2, "{last:?} {end:?}");
        }
    });
}

#[test]
fn an_answer_that_came_before_the_request_was_read_is_an_answer() {
    let proxy = Proxy::start("");
    let origin = Origin::scripted(|mut conn| {
        conn.send("HTTP/1.1 503 Too Busy\r\nContent-Length: 4\r\n\r\nbusy");
    });
    for number in 0..TRIES {
        let method = ["GET", "POST"][number % 2];
        let mut client = Client::of(&proxy);
        client.send(ask(&origin, method, "1.1", ""));
        let response = client.response(method);
        assert_eq!((response.status, response.text().as_str()), (503, "busy"));
    }
}

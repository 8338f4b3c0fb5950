//! Connections to origin servers that no other client may get: after content or an Upgrade that a server may have taken
//! for something else, or with bytes on them that nobody asked for.

use std::time::Duration;

use crate::common::origin::passing;
use crate::common::{Client, Conn, Gate, Origin, Proxy, each};

/// An origin that knows nothing of content: what follows a head is the next request. It takes its time with what is
/// evil, so that no answer to that waits before the next request.
fn without_content() -> Origin {
    Origin::scripted(|mut conn| {
        let mut late = Vec::new();
        while let Ok(head) = conn.head() {
            late.extend(passing(&head.line));
            if !head.line.contains("/evil") && !conn.send(std::mem::take(&mut late)) {
                return;
            }
        }
    })
}

/// A whole request with this content, chunked or by length.
fn with_content(origin: &Origin, method: &str, content: &str, chunked: bool) -> String {
    let (uri, authority, length) = (origin.uri("/"), origin.authority(), content.len());
    let (framing, content) = match chunked {
        true => (
            "Transfer-Encoding: chunked".to_owned(),
            format!("{length:x}\r\n{content}\r\n0\r\n\r\n"),
        ),
        false => (format!("Content-Length: {length}"), content.to_owned()),
    };
    format!("{method} {uri} HTTP/1.1\r\nHost: {authority}\r\n{framing}\r\n\r\n{content}")
}

#[test]
fn content_without_a_meaning_is_nobodys_request() {
    let proxy = Proxy::start("");
    let methods = ["GET", "HEAD", "DELETE", "OPTIONS", "FROB", "post"];
    let rows = methods.map(|method| [(method, false), (method, true)]);
    each(rows.concat(), |(method, chunked)| {
        let origin = without_content();
        let evil = format!("GET /evil HTTP/1.1\r\nHost: {}\r\n\r\n", origin.authority());
        let mut client = Client::of(&proxy);
        client.send(with_content(&origin, method, &evil, chunked));
        client.response(method);
        for round in 0..3 {
            let path = format!("/good/{round}");
            let line = format!("GET {path} HTTP/1.1");
            assert_eq!(
                proxy.get(&origin.uri(&path)).text(),
                line,
                "{method} {chunked}"
            );
        }
        let good = origin
            .requests()
            .into_iter()
            .filter(|it| it.target() != "/");
        let mut good = good.filter(|it| it.target() != "/evil");
        assert!(good.all(|it| it.connection > 0), "{method} {chunked}");
    });
}

#[test]
fn content_with_a_meaning_costs_no_connection() {
    let proxy = Proxy::start("");
    let rows = ["POST", "PUT", "PATCH", "PROPFIND", "QUERY"].map(|it| [(it, false), (it, true)]);
    each(rows.concat(), |(method, chunked)| {
        let origin = Origin::answering(|_| passing("ok"));
        let mut client = Client::of(&proxy);
        client.send(with_content(&origin, method, "content", chunked));
        assert_eq!(client.response(method).text(), "ok");
        assert_eq!(proxy.get(&origin.uri("/next")).text(), "ok");
        assert_eq!(origin.connections(), 1, "{method} {chunked}");
    });
}

#[test]
fn a_response_before_the_end_of_the_content_ends_the_connection() {
    let proxy = Proxy::start("");
    // The last bytes of the content arrive at the proxy with the response, after it, or never.
    let rows = ["with", "after", "never"];
    each(rows, |last| {
        let answered = Gate::new();
        let origin = Origin::scripted({
            let answered = answered.clone();
            move |mut conn| {
                while let Ok(head) = conn.head() {
                    conn.send(passing(&head.line));
                    answered.open();
                }
            }
        });
        let mut client = Client::of(&proxy);
        let request = with_content(&origin, "POST", &"x".repeat(64), false);
        let (first, rest) = request.split_at(request.len() - 32);
        client.send(first);
        answered.wait();
        if last == "with" {
            client.send(rest);
        }
        assert_eq!(client.response("POST").status, 200, "{last}");
        if last == "after" {
            client.send(rest);
        }
        let next = proxy.get(&origin.uri("/next"));
        assert_eq!(next.text(), "GET /next HTTP/1.1", "{last}");
        assert_eq!(origin.last().connection, 1, "{last}");
    });
}

#[test]
fn a_declined_upgrade_ends_the_connection() {
    let proxy = Proxy::start("");
    each([200, 404, 426, 401], |status| {
        let origin = Origin::answering(move |request| match request.target() {
            "/switch" => format!("HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n").into_bytes(),
            _ => passing("good"),
        });
        let mut client = Client::of(&proxy);
        let fields = "Upgrade: websocket\r\nConnection: Upgrade\r\n";
        let declined = client.request("GET", &origin.uri("/switch"), fields);
        assert_eq!(declined.status, status);
        assert_eq!(proxy.get(&origin.uri("/next")).text(), "good");
        assert_eq!(origin.last().connection, 1, "{status}");
    });
}

#[test]
fn a_100_that_nobody_waits_for_ends_the_connection() {
    let proxy = Proxy::start("");
    // The request's fields, the 100s before the response, and a new connection for the next request.
    let rows = [
        ("", 0, false),
        ("", 1, true),
        ("Expect: 100-continue\r\n", 0, true),
        ("Expect: 100-continue\r\n", 1, false),
        ("Expect: 100-continue\r\n", 2, true),
    ];
    each(rows, |(fields, continues, new)| {
        let origin = Origin::scripted(move |mut conn| {
            while let Ok(request) = conn.request() {
                let continues = if request.method() == "POST" {
                    continues
                } else {
                    0
                };
                let interim = "HTTP/1.1 100 Continue\r\n\r\n".repeat(continues);
                conn.send([interim.as_bytes(), &passing("ok")].concat());
            }
        });
        let mut client = Client::of(&proxy);
        client.send(format!(
            "POST {} HTTP/1.1\r\nHost: {}\r\n{fields}Content-Length: 2\r\n\r\nhi",
            origin.uri("/"),
            origin.authority()
        ));
        while client.response_head("POST").status == 100 {}
        proxy.get(&origin.uri("/next"));
        assert_eq!(
            origin.last().connection,
            usize::from(new),
            "{fields} {continues}"
        );
    });
}

#[test]
fn a_server_that_may_not_have_read_the_content_gets_no_other_request() {
    let proxy = Proxy::start("");
    // The status line, and chunked content or by length.
    let rows = [
        ("HTTP/1.0 200 OK\r\nConnection: keep-alive", true),
        ("HTTP/1.1 411 Length Required", true),
        ("HTTP/1.1 501 Not Implemented", true),
        ("HTTP/1.1 413 Content Too Large", false),
        ("HTTP/1.1 400 Bad Request", false),
    ];
    each(rows, |(status, chunked)| {
        let origin = Origin::answering(move |request| match request.target() {
            "/" => format!("{status}\r\nContent-Length: 0\r\n\r\n").into_bytes(),
            _ => passing("good"),
        });
        let mut client = Client::of(&proxy);
        client.send(with_content(&origin, "POST", "content", chunked));
        client.response("POST");
        assert_eq!(proxy.get(&origin.uri("/next")).text(), "good");
        assert_eq!(origin.last().connection, 1, "{status}");
    });
}

/// Answers each request, and sends more when told to: nobody has asked for that.
fn unasked(more: &'static str) -> (Origin, Gate, Gate) {
    let (send, sent) = (Gate::new(), Gate::new());
    let gates = (send.clone(), sent.clone());
    let origin = Origin::scripted(move |mut conn: Conn| {
        let mut first = conn.number == 0;
        while let Ok(request) = conn.request() {
            conn.send(passing(request.target()));
            if std::mem::take(&mut first) {
                gates.0.wait();
                conn.send(more);
                gates.1.open();
            }
        }
    });
    (origin, send, sent)
}

#[test]
fn what_comes_between_two_requests_is_nobodys_answer() {
    let proxy = Proxy::start("");
    let rows = [
        "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 4\r\n\r\nevil",
        "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        "H",
        "\n",
    ];
    each(rows, |more| {
        let (origin, send, sent) = unasked(more);
        let mut client = Client::of(&proxy);
        assert_eq!(client.get(&origin.uri("/first")).text(), "/first");
        send.open();
        sent.wait();
        for path in ["/second", "/third"] {
            assert_eq!(client.get(&origin.uri(path)).text(), path, "{more:?}");
        }
        assert!(origin.last().connection > 0, "{more:?}");
    });
}

#[test]
fn what_comes_while_the_worker_is_busy_is_seen_too() {
    // The event loop has a turn between few of these requests, so that it hears late of what has come.
    let proxy = Proxy::start("");
    let (origin, send, sent) = unasked("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
    let mut client = Client::of(&proxy);
    assert_eq!(client.get(&origin.uri("/first")).text(), "/first");
    send.open();
    sent.wait();
    let mut many: Vec<Client> = (0..32).map(|_| Client::of(&proxy)).collect();
    for (number, one) in many.iter_mut().enumerate() {
        one.ask("GET", &origin.uri(&format!("/{number}")), "");
    }
    for (number, one) in many.iter_mut().enumerate() {
        assert_eq!(one.response("GET").text(), format!("/{number}"));
    }
    assert!(client.is_quiet(Duration::from_millis(1)));
}

#[test]
fn a_204_with_content_ends_the_connection() {
    let proxy = Proxy::start("");
    let origin = Origin::answering(|request| match request.target() {
        "/first" => b"HTTP/1.1 204 No Content\r\nContent-Length: 4\r\n\r\n".to_vec(),
        _ => passing("good"),
    });
    proxy.get(&origin.uri("/first"));
    assert_eq!(proxy.get(&origin.uri("/second")).text(), "good");
    assert_eq!(origin.connections(), 2);
}

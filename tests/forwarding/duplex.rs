//! Responses that begin before the upload has ended: both go on at once, for as long as both sides like; and clients
//! that still send see the response.

use std::io::Write;
use std::thread::sleep;
use std::time::Duration;

use super::MIB;
use crate::common::message::{Framing, read_content};
use crate::common::origin::passing;
use crate::common::{
    Client, Conn, Ended, Expected, Gate, Origin, Proxy, TIMEOUT, each, send_pattern,
};

const SHORT: &str = "[timeouts]\nbody_stall = \"1s\"\n";

/// Sends each request's content back as it comes, after a head that comes at once.
fn echo(mut conn: Conn) {
    while let Ok(head) = conn.head() {
        if head.line.contains("/next") {
            conn.send(passing("next"));
            continue;
        }
        if head.line.contains("/continue") {
            conn.send("HTTP/1.1 100 Continue\r\n\r\n");
        }
        let ends = head.line.contains("/ends");
        conn.send(match ends {
            true => "HTTP/1.1 200 OK\r\n\r\n",
            false => "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        });
        let framing = Framing::of_request(&head).unwrap();
        let mut writer = conn.wire.writer();
        let mut back = |piece: &[u8]| {
            let _ = match ends {
                true => writer.write_all(piece),
                false => writer.write_all(&chunk(piece)),
            };
        };
        if read_content(&mut conn.wire, framing, &mut back).is_err() || ends {
            return;
        }
        conn.send("0\r\n\r\n");
    }
}

fn chunk(piece: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat()
}

fn head(origin: &Origin, method: &str, path: &str, version: &str, fields: &str) -> String {
    let (uri, authority) = (origin.uri(path), origin.authority());
    format!("{method} {uri} HTTP/{version}\r\nHost: {authority}\r\n{fields}\r\n")
}

/// Reads response content of so many bytes, however it is framed.
#[track_caller]
fn piece(client: &mut Client, framing: Framing, len: usize) -> Vec<u8> {
    let mut got = Vec::new();
    while got.len() < len {
        client.wire.allow(TIMEOUT);
        if framing == Framing::UntilClose {
            got.extend(client.wire.some(len - got.len()).unwrap());
            continue;
        }
        let line = String::from_utf8(client.wire.until(b"\r\n").unwrap()).unwrap();
        let size = usize::from_str_radix(line.trim(), 16).unwrap();
        got.extend(client.wire.exactly(size).unwrap());
        assert_eq!(client.wire.exactly(2).unwrap(), b"\r\n");
    }
    got
}

#[test]
fn both_directions_go_on_at_once() {
    let proxy = Proxy::start(SHORT);
    let origin = Origin::scripted(echo);
    let by_length = "Content-Length: 100\r\n";
    let chunked = "Transfer-Encoding: chunked\r\n";
    let expects = "Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n";
    let rows = [
        ("POST", "/", "1.1", by_length),
        ("POST", "/", "1.1", chunked),
        ("PUT", "/", "1.1", chunked),
        ("GET", "/", "1.1", chunked),
        ("POST", "/continue", "1.1", expects),
        ("POST", "/", "1.1", expects),
        ("POST", "/ends", "1.1", chunked),
        ("POST", "/ends", "1.1", by_length),
        ("POST", "/", "1.0", by_length),
        ("POST", "/ends", "1.0", by_length),
    ];
    std::thread::scope(|scope| {
        for (method, path, version, fields) in rows {
            let (proxy, origin) = (&proxy, &origin);
            scope.spawn(move || {
                let what = format!("{method} {path} {version} {fields}");
                let mut client = Client::of(proxy);
                client.send(head(origin, method, path, version, fields));
                let mut response = client.response_head(method);
                if path == "/continue" {
                    assert_eq!(response.status, 100, "{what}");
                    response = client.response_head(method);
                }
                assert_eq!(response.status, 200, "{what}");
                for number in 0..10 {
                    let sent = format!("content {number:02}");
                    match fields.contains("chunked") {
                        true => client.send(chunk(sent.as_bytes())),
                        false => client.send(&sent),
                    }
                    let got = piece(&mut client, response.framing, sent.len());
                    assert_eq!(got, sent.as_bytes(), "{what}");
                    if number == 5 {
                        // Longer than content may stall where it alone is waited for.
                        sleep(Duration::from_millis(1800));
                    }
                }
                if fields.contains("chunked") {
                    client.send("0\r\n\r\n");
                }
                if response.framing == Framing::Chunked {
                    assert_eq!(client.wire.exactly(5).unwrap(), b"0\r\n\r\n", "{what}");
                }
                if response.head.has_element("connection", "close") || version == "1.0" {
                    assert_eq!(client.rest(), (Vec::new(), Ended::Closed), "{what}");
                } else {
                    assert_eq!(client.get(&origin.uri("/next")).text(), "next", "{what}");
                }
            });
        }
    });
}

#[test]
fn much_goes_both_ways_in_bounded_memory() {
    const MUCH: u64 = 48 * MIB;
    let proxy = Proxy::start("");
    let origin = Origin::scripted(echo);
    let mut client = Client::of(&proxy);
    let length = format!("Content-Length: {MUCH}\r\n");
    client.send(head(&origin, "POST", "/", "1.1", &length));
    let mut writer = client.wire.writer();
    let sent = std::thread::spawn(move || {
        send_pattern(&mut |piece| writer.write_all(piece).is_ok(), MUCH);
    });
    let framing = client.response_head("POST").framing;
    // Whoever can't go on waits.
    sleep(Duration::from_millis(500));
    let mut expected = Expected::new();
    client
        .content(framing, &mut |piece| expected.take(piece))
        .unwrap();
    assert_eq!(expected.seen(), MUCH);
    sent.join().unwrap();
    let peak = proxy.worker_peak();
    assert!(peak < 64 * MIB, "{peak}");
    assert_eq!(client.get(&origin.uri("/next")).text(), "next");
}

#[test]
fn a_client_can_finish_its_upload_after_an_early_answer() {
    let proxy = Proxy::start("");
    // The origin reads on after these.
    let rows = [
        "HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno",
        "HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n",
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 401 Unauthorized\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno",
    ];
    let rows = rows
        .into_iter()
        .flat_map(|answer| [(answer, true), (answer, false)]);
    each(rows, |(answer, chunked)| {
        let is_whole = Gate::new();
        let origin = Origin::scripted({
            let is_whole = is_whole.clone();
            move |mut conn| {
                let head = conn.head().unwrap();
                if head.line.contains("/next") {
                    conn.send(passing("next"));
                    return;
                }
                conn.send(answer);
                let framing = Framing::of_request(&head).unwrap();
                let mut expected = Expected::new();
                read_content(&mut conn.wire, framing, &mut |piece| expected.take(piece)).unwrap();
                assert_eq!(expected.seen(), 2 * MIB);
                is_whole.open();
            }
        });
        let mut client = Client::of(&proxy);
        let framing = match chunked {
            true => "Transfer-Encoding: chunked\r\n".to_owned(),
            false => format!("Content-Length: {}\r\n", 2 * MIB),
        };
        client.send(head(&origin, "POST", "/", "1.1", &framing));
        let response = client.response("POST");
        assert_eq!(response.status.to_string(), answer[9..12]);
        let mut send = |piece: &[u8]| {
            let piece = if chunked {
                chunk(piece)
            } else {
                piece.to_vec()
            };
            client.wire.send(&piece).is_ok()
        };
        send_pattern(&mut send, MIB);
        sleep(Duration::from_millis(300));
        send_rest(&mut send);
        if chunked {
            client.send("0\r\n\r\n");
        }
        is_whole.wait();
        if !answer.contains("close") {
            assert_eq!(client.get(&origin.uri("/next")).text(), "next");
        }
    });
}

/// Sends the second MiB of the pattern.
fn send_rest(send: &mut dyn FnMut(&[u8]) -> bool) {
    let mut left = MIB;
    send_pattern(
        &mut |piece| {
            let skipped = left.min(piece.len() as u64);
            left -= skipped;
            piece.len() as u64 == skipped || send(&piece[skipped as usize..])
        },
        2 * MIB,
    );
}

#[test]
fn a_client_that_sends_all_before_it_reads_sees_an_early_answer() {
    let proxy = Proxy::start("");
    let rows = ["close", "keep-alive"].map(|connection| [(connection, true), (connection, false)]);
    each(rows.concat(), |(connection, at_once)| {
        let origin = Origin::scripted(move |mut conn| {
            let _ = conn.head();
            if !at_once {
                let _ = conn.wire.exactly(MIB as usize);
            }
            conn.send(format!(
                "HTTP/1.1 413 Content Too Large\r\nConnection: {connection}\r\nContent-Length: 3\r\n\r\nbig"
            ));
            // It closes with bytes unread, which resets the connection.
        });
        for _ in 0..5 {
            let mut client = Client::of(&proxy);
            let length = format!("Content-Length: {}\r\n", 24 * MIB);
            client.send(head(&origin, "POST", "/", "1.1", &length));
            let mut sent = true;
            send_pattern(
                &mut |piece| {
                    sent &= client.wire.send(piece).is_ok();
                    sent
                },
                24 * MIB,
            );
            assert!(sent, "the client was cut off");
            let response = client.response("POST");
            assert_eq!((response.status, response.text().as_str()), (413, "big"));
        }
    });
}

#[test]
fn an_upload_ends_with_its_client_or_its_origin() {
    let proxy = Proxy::start("");
    // The client goes after the response has begun; its origin hears of it at once.
    let gone = Gate::new();
    let origin = Origin::scripted({
        let gone = gone.clone();
        move |mut conn| {
            let _ = conn.head();
            conn.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nsome\r\n");
            conn.wire.allow(TIMEOUT);
            let (_, ended) = conn.wire.rest();
            assert!(ended.is_over(), "{ended:?}");
            gone.open();
        }
    });
    let upload = head(&origin, "POST", "/", "1.1", "Content-Length: 100\r\n");
    for reset in [false, true] {
        let mut client = Client::of(&proxy);
        client.send(format!("{upload}begin"));
        let framing = client.response_head("POST").framing;
        piece(&mut client, framing, 4);
        if reset {
            client.wire.reset();
        } else {
            drop(client);
        }
        gone.wait();
    }
    // The origin goes; the client gets what came, and sees that it is cut.
    let dying = Origin::scripted(|mut conn| {
        let _ = conn.head();
        conn.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nsome\r\n");
        let _ = conn.wire.exactly(5);
    });
    for _ in 0..10 {
        let mut client = Client::of(&proxy);
        client.send(head(&dying, "POST", "/", "1.1", "Content-Length: 100\r\n"));
        client.send("begin");
        let framing = client.response_head("POST").framing;
        assert_eq!(piece(&mut client, framing, 4), b"some");
        assert_eq!(client.rest(), (Vec::new(), Ended::Closed));
    }
}

#[test]
fn what_follows_an_upload_is_the_next_request() {
    let proxy = Proxy::start("");
    let origin = Origin::scripted(echo);
    let mut client = Client::of(&proxy);
    let upload = head(
        &origin,
        "POST",
        "/",
        "1.1",
        "Transfer-Encoding: chunked\r\n",
    );
    client.send(upload);
    let framing = client.response_head("POST").framing;
    let next = head(&origin, "GET", "/next", "1.1", "");
    client.send([chunk(b"some").as_slice(), b"0\r\n\r\n", next.as_bytes()].concat());
    assert_eq!(piece(&mut client, framing, 4), b"some");
    assert_eq!(client.wire.exactly(5).unwrap(), b"0\r\n\r\n");
    assert_eq!(client.response("GET").text(), "next");
    // A response that came before its request's end leaves no connection for others.
    assert!(origin.last().connection > 0);
}

#[test]
fn content_that_is_malformed_after_the_response_began_ends_both() {
    let proxy = Proxy::start("");
    let origin = Origin::scripted(echo);
    let mut client = Client::of(&proxy);
    client.send(head(
        &origin,
        "POST",
        "/",
        "1.1",
        "Transfer-Encoding: chunked\r\n",
    ));
    let framing = client.response_head("POST").framing;
    client.send(chunk(b"some"));
    assert_eq!(piece(&mut client, framing, 4), b"some");
    client.send("zz\r\n");
    assert!(client.rest().1.is_over());
}

#[test]
fn a_client_that_sends_all_before_it_reads_sees_why_it_is_refused() {
    let proxy = Proxy::start("");
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let dead = nobody.local_addr().unwrap();
    drop(nobody);
    // Nobody is there; a port that isn't allowed; a malformed head.
    let rows = [
        (format!("http://{dead}/"), "", 502),
        ("http://127.0.0.1:22/".to_owned(), "", 403),
        (format!("http://{dead}/"), "Bad Name: x\r\n", 400),
    ];
    each(rows, |(uri, fields, status)| {
        let mut client = Client::of(&proxy);
        let length = 24 * MIB;
        client.send(format!(
            "POST {uri} HTTP/1.1\r\nHost: a\r\n{fields}Content-Length: {length}\r\n\r\n"
        ));
        let mut sent = true;
        send_pattern(
            &mut |piece| {
                sent &= client.wire.send(piece).is_ok();
                sent
            },
            length,
        );
        assert!(sent, "{uri}: the client was cut off");
        assert_eq!(client.response("POST").status, status, "{uri}");
    });
}

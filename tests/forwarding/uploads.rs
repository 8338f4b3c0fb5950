//! Uploads that pause, by either side, for longer than content may stall: they go on while both sides are there.

use std::thread::sleep;
use std::time::{Duration, Instant};

use super::MIB;
use crate::common::message::{Framing, read_content};
use crate::common::origin::{ok, passing};
use crate::common::{Client, Conn, Expected, Gate, Origin, Proxy, send_pattern};

const SHORT: &str = "[timeouts]\nbody_stall = \"1s\"\norigin_response = \"4s\"\n";
/// Longer than content may stall, and than a client is waited for that has its response where nobody takes its content.
const LONGER: Duration = Duration::from_millis(2500);

fn head(origin: &Origin, path: &str, version: &str, fields: &str) -> String {
    let (uri, authority) = (origin.uri(path), origin.authority());
    format!("POST {uri} HTTP/{version}\r\nHost: {authority}\r\n{fields}\r\n")
}

/// Takes content and says how much that was.
fn take(conn: &mut Conn, framing: Framing) -> u64 {
    let mut expected = Expected::new();
    let _ = read_content(&mut conn.wire, framing, &mut |piece| expected.take(piece));
    expected.seen()
}

#[test]
fn an_origin_that_pauses_gets_all() {
    const MUCH: u64 = 24 * MIB;
    let proxy = Proxy::start(SHORT);
    let done = Gate::new();
    let origin = Origin::scripted({
        let done = done.clone();
        move |mut conn| {
            let head = conn.head().unwrap();
            let begins = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nbegin\r\n";
            if head.line.contains("/early") {
                conn.send(begins);
            }
            if head.line.contains("/never") {
                return done.wait();
            }
            sleep(LONGER);
            if head.line.contains("/amid") {
                conn.send(begins);
                sleep(LONGER);
            }
            let taken = take(&mut conn, Framing::of_request(&head).unwrap()).to_string();
            if head.line.contains("/late") {
                conn.send(passing(&taken));
            } else {
                conn.send(format!("{:x}\r\n{taken}\r\n0\r\n\r\n", taken.len()));
            }
        }
    });
    std::thread::scope(|scope| {
        let (proxy, origin) = (&proxy, &origin);
        let all = MUCH.to_string();
        let rows = [
            ("/early", 200, format!("begin{all}")),
            ("/amid", 200, format!("begin{all}")),
            ("/late", 200, all),
            // One that takes nothing and says nothing is silent.
            ("/never", 504, String::new()),
        ];
        let rows = rows.map(|(path, status, text)| {
            scope.spawn(move || {
                let mut client = Client::of(proxy);
                let length = format!("Content-Length: {MUCH}\r\n");
                let begun = Instant::now();
                client.send(head(origin, path, "1.1", &length));
                let mut writer = client.wire.writer();
                let sent = std::thread::spawn(move || {
                    let mut send =
                        |piece: &[u8]| std::io::Write::write_all(&mut writer, piece).is_ok();
                    send_pattern(&mut send, MUCH);
                });
                let response = client.response("POST");
                assert_eq!(response.status, status, "{path}");
                if status == 200 {
                    assert_eq!(response.text(), text, "{path}");
                } else {
                    let took = begun.elapsed();
                    assert!(took > Duration::from_millis(3900), "{path}: {took:?}");
                }
                drop(client);
                sent.join().unwrap();
            })
        });
        let ended = rows.map(std::thread::ScopedJoinHandle::join);
        done.open();
        assert!(ended.iter().all(Result::is_ok));
    });
}

#[test]
fn a_client_that_pauses_after_an_early_answer_can_finish() {
    let proxy = Proxy::start(SHORT);
    let chunked = "Transfer-Encoding: chunked\r\n";
    let rows = [
        ("1.1", chunked, ""),
        (
            "1.1",
            "Connection: close\r\nTransfer-Encoding: chunked\r\n",
            "",
        ),
        ("1.1", chunked, "Connection: close\r\n"),
        (
            "1.1",
            "Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n",
            "",
        ),
        ("1.0", "Content-Length: 10\r\n", ""),
    ];
    std::thread::scope(|scope| {
        for (version, fields, answer) in rows {
            let proxy = &proxy;
            scope.spawn(move || {
                let what = format!("{version} {fields} {answer}");
                let got = Gate::new();
                let origin = Origin::scripted({
                    let got = got.clone();
                    move |mut conn| {
                        let head = conn.head().unwrap();
                        conn.send(format!(
                            "HTTP/1.1 202 Accepted\r\n{answer}Content-Length: 2\r\n\r\nok"
                        ));
                        let framing = Framing::of_request(&head).unwrap();
                        let mut content = Vec::new();
                        let mut take = |piece: &[u8]| content.extend_from_slice(piece);
                        let read = read_content(&mut conn.wire, framing, &mut take);
                        if read.is_ok() && content == b"helloworld" {
                            got.open();
                        }
                    }
                });
                let mut client = Client::of(proxy);
                client.send(head(&origin, "/", version, fields));
                let pieces = match fields.contains("chunked") {
                    true => ["5\r\nhello\r\n", "5\r\nworld\r\n0\r\n\r\n"],
                    false => ["hello", "world"],
                };
                client.send(pieces[0]);
                let response = client.response("POST");
                assert_eq!(
                    (response.status, response.text().as_str()),
                    (202, "ok"),
                    "{what}"
                );
                sleep(LONGER);
                client.send(pieces[1]);
                got.wait();
            });
        }
    });
}

#[test]
fn a_client_whose_origin_has_closed_is_not_waited_for() {
    let proxy = Proxy::start(SHORT);
    for resets in [true, false] {
        let origin = Origin::scripted(move |mut conn| {
            let _ = conn.head();
            if !resets {
                let _ = conn.wire.exactly(5);
            }
            conn.send("HTTP/1.1 413 No\r\nContent-Length: 2\r\n\r\nno");
        });
        let mut client = Client::of(&proxy);
        client.send(head(&origin, "/", "1.1", "Content-Length: 100\r\n"));
        client.send("begin");
        assert_eq!(client.response("POST").status, 413);
        assert!(client.rest().1.is_over(), "{resets}");
    }
}

#[test]
fn a_client_that_expects_100_waits_for_as_long_as_the_origin_likes() {
    let proxy = Proxy::start("[timeouts]\nbody_stall = \"1s\"\norigin_response = \"1s\"\n");
    let origin = Origin::scripted(|mut conn| {
        let head = conn.head().unwrap();
        for _ in 0..7 {
            conn.send("HTTP/1.1 102 Processing\r\n\r\n");
            sleep(Duration::from_millis(300));
        }
        if !head.line.contains("/silent") {
            conn.send("HTTP/1.1 100 Continue\r\n\r\n");
            if conn.wire.exactly(5).is_ok() {
                conn.send(ok("", "done"));
            }
        }
        conn.hold();
    });
    let rows = [("/sent", 200), ("/unsent", 408), ("/silent", 504)];
    std::thread::scope(|scope| {
        for (path, status) in rows {
            let (proxy, origin) = (&proxy, &origin);
            scope.spawn(move || {
                let mut client = Client::of(proxy);
                let fields = "Expect: 100-continue\r\nContent-Length: 5\r\n";
                client.send(head(origin, path, "1.1", fields));
                for _ in 0..7 {
                    assert_eq!(client.response_head("POST").status, 102, "{path}");
                }
                if path != "/silent" {
                    assert_eq!(client.response_head("POST").status, 100, "{path}");
                }
                if path == "/sent" {
                    client.send("hello");
                }
                assert_eq!(client.response("POST").status, status, "{path}");
            });
        }
    });
}

#[test]
fn a_client_that_sends_slowly_before_it_reads_gets_all() {
    const MUCH: u64 = 24 * MIB;
    let proxy = Proxy::start(SHORT);
    let origin = Origin::scripted(|mut conn| {
        let _ = conn.head();
        conn.send(format!("HTTP/1.1 413 No\r\nContent-Length: {MUCH}\r\n\r\n"));
        send_pattern(&mut |piece| conn.send(piece), MUCH);
        let _ = conn.wire.exactly(50);
    });
    let mut client = Client::of(&proxy);
    client.send(head(&origin, "/", "1.1", "Content-Length: 50\r\n"));
    for _ in 0..10 {
        client.send("piece");
        sleep(Duration::from_millis(300));
    }
    let framing = client.response_head("POST").framing;
    let mut expected = Expected::new();
    let whole = client.content(framing, &mut |piece| expected.take(piece));
    assert!(whole.is_ok(), "{:?} after {}", whole, expected.seen());
}

#[test]
fn an_upload_may_be_silent() {
    let proxy = Proxy::start("[timeouts]\nbody_stall = \"1s\"\norigin_response = \"1s\"\n");
    let origin = Origin::answering(|request| passing(&request.content));
    let rows = [
        (
            "Transfer-Encoding: chunked\r\n",
            ["3\r\none\r\n", "3\r\ntwo\r\n0\r\n\r\n"],
        ),
        ("Content-Length: 6\r\n", ["one", "two"]),
    ];
    for (fields, [first, second]) in rows {
        let mut client = Client::of(&proxy);
        client.send(head(&origin, "/", "1.1", fields));
        client.send(first);
        sleep(LONGER);
        client.send(second);
        let response = client.response("POST");
        assert_eq!(
            (response.status, response.text().as_str()),
            (200, "onetwo"),
            "{fields}"
        );
    }
}

#[test]
fn a_switch_before_the_end_of_the_content_needs_all_of_it() {
    let proxy = Proxy::start("");
    let origin = Origin::scripted(|mut conn| {
        let _ = conn.head();
        conn.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n");
        // Content in one chunk, and what the other protocol says.
        let content = conn.wire.exactly(b"2\r\nhi\r\n0\r\n\r\nping".len());
        if content.is_ok_and(|content| content.ends_with(b"ping")) {
            conn.send("pong");
        }
    });
    let fields = "Connection: Upgrade\r\nUpgrade: x\r\nTransfer-Encoding: chunked\r\n";
    for (content, status) in [("0\r\n\r\nping", 101), ("zz\r\nping", 400)] {
        let mut client = Client::of(&proxy);
        client.send(head(&origin, "/", "1.1", fields));
        client.send("2\r\nhi\r\n");
        sleep(Duration::from_millis(200));
        client.send(content);
        assert_eq!(client.response_head("POST").status, status, "{content}");
        if status == 101 {
            assert_eq!(client.wire.exactly(4).unwrap(), b"pong");
        }
    }
}

#[test]
fn a_switch_waits_for_an_origin_that_pauses() {
    const MUCH: u64 = 24 * MIB;
    let proxy = Proxy::start(SHORT);
    let origin = Origin::scripted(|mut conn| {
        let _ = conn.head();
        conn.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n");
        sleep(LONGER);
        let taken = take(&mut conn, Framing::Chunked);
        let ping = conn.wire.exactly(4);
        if taken == MUCH && ping.is_ok_and(|ping| ping == b"ping") {
            conn.send("pong");
        }
    });
    let mut client = Client::of(&proxy);
    let fields = "Connection: Upgrade\r\nUpgrade: x\r\nTransfer-Encoding: chunked\r\n";
    client.send(head(&origin, "/", "1.1", fields));
    let mut send = |piece: &[u8]| {
        let size = format!("{:x}\r\n", piece.len());
        let chunk = [size.as_bytes(), piece, b"\r\n"].concat();
        client.wire.send(&chunk).is_ok()
    };
    send_pattern(&mut send, MUCH);
    client.send("0\r\n\r\nping");
    assert_eq!(client.response_head("POST").status, 101);
    assert_eq!(client.wire.exactly(4).unwrap(), b"pong");
}

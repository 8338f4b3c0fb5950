//! Content in the smallest pieces that its framing allows: it costs what its bytes cost, in time and in memory, and
//! others are answered meanwhile.

use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use crate::common;
use crate::common::origin::passing;
use crate::common::{Client, Origin, Proxy, TIMEOUT, wait_until};

/// The length of the contents.
const LENGTH: usize = 768 << 10;

/// Content of this length in chunks of one byte.
fn chunks(length: usize) -> Vec<u8> {
    let content = common::pattern(length);
    let chunks = content
        .iter()
        .flat_map(|byte| [b'1', b'\r', b'\n', *byte, b'\r', b'\n']);
    chunks.chain(*b"0\r\n\r\n").collect()
}

/// The longest that an unrelated client waits until this thread is done.
fn longest_wait(proxy: &Proxy, uri: &str, done: &std::thread::JoinHandle<()>) -> Duration {
    let mut client = Client::of(proxy);
    let mut longest = Duration::ZERO;
    while !done.is_finished() {
        let begun = Instant::now();
        assert_eq!(client.get(uri).text(), "unrelated");
        longest = longest.max(begun.elapsed());
    }
    longest
}

#[test]
fn content_in_chunks_of_one_byte_holds_up_nobody() {
    // (field of the response, the method)
    let rows = [
        ("Cache-Control: max-age=60", "GET"),
        ("Cache-Control: no-store", "GET"),
        ("Cache-Control: no-store", "POST"),
    ];
    for (field, method) in rows {
        let proxy = Proxy::start("");
        let origin = Origin::scripted(move |mut conn| {
            while let Ok(request) = conn.request() {
                match request.target() {
                    "/unrelated" => conn.send(passing("unrelated")),
                    _ if method == "POST" => conn.send(passing(request.content)),
                    _ => {
                        let framing = "Transfer-Encoding: chunked";
                        conn.send(format!("HTTP/1.1 200 OK\r\n{field}\r\n{framing}\r\n\r\n"));
                        conn.send(chunks(LENGTH))
                    }
                };
            }
        });
        let (uri, authority) = (origin.uri("/small"), origin.authority());
        let address = proxy.address();
        let reading = std::thread::spawn(move || {
            let mut client = Client::to(address);
            client.send(format!("{method} {uri} HTTP/1.1\r\nHost: {authority}\r\n"));
            match method {
                "POST" => {
                    client.send("Transfer-Encoding: chunked\r\n\r\n");
                    client.send(chunks(LENGTH));
                }
                _ => client.send("\r\n"),
            }
            assert!(client.response(method).content == common::pattern(LENGTH));
        });
        let longest = longest_wait(&proxy, &origin.uri("/unrelated"), &reading);
        reading.join().unwrap();
        assert!(
            longest < Duration::from_secs(2),
            "{field} {method}: {longest:?}"
        );
    }
}

#[test]
fn who_stalls_amid_the_smallest_chunks_holds_no_more_memory_than_others() {
    const STALLED: usize = 30;
    // (the method: who stalls is the client, or the origin server)
    for method in ["GET", "POST"] {
        let proxy = Proxy::start("");
        let sent = Arc::new(AtomicUsize::new(0));
        let counted = sent.clone();
        let chunks = Arc::new(chunks(8 << 20));
        let send = move |mut out: TcpStream| {
            for part in chunks.chunks(60_000) {
                if out.write_all(part).is_err() {
                    return;
                }
                counted.fetch_add(part.len(), SeqCst);
            }
        };
        let sending = send.clone();
        let origin = Origin::scripted(move |mut conn| {
            let _ = conn.head();
            if method == "GET" {
                let fields = "Cache-Control: no-store\r\nTransfer-Encoding: chunked";
                conn.send(format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\n"));
                sending(conn.wire.writer());
            }
            std::thread::sleep(TIMEOUT);
        });
        let clients = (0..STALLED).map(|number| {
            let mut client = Client::of(&proxy);
            let uri = origin.uri(&format!("/{number}"));
            let field = match method {
                "GET" => "",
                _ => "Transfer-Encoding: chunked\r\n",
            };
            client.ask(method, &uri, field);
            if method == "POST" {
                let (out, send) = (client.wire.writer(), send.clone());
                std::thread::spawn(move || send(out));
            }
            client
        });
        let clients: Vec<Client> = clients.collect();
        origin.wait_for(STALLED);
        let mut last = (0, Instant::now());
        wait_until("nothing more is taken", TIMEOUT * 2, || {
            let now = sent.load(SeqCst);
            if now != last.0 {
                last = (now, Instant::now());
            }
            now > 0 && last.1.elapsed() > Duration::from_millis(700)
        });
        let peak = proxy.worker_peak();
        assert!(peak < 64 << 20, "{method}: {} MiB", peak >> 20);
        drop(clients);
    }
}

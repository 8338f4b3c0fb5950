//! Content in the smallest pieces that its framing allows: it costs what its bytes cost, in time and in memory, and
//! others are answered meanwhile.

use std::time::{Duration, Instant};

use crate::common;
use crate::common::origin::passing;
use crate::common::{Client, Origin, Proxy};

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

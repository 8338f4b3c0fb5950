//! Clients that leave: what nobody waits for any more ends, unless little of it lacks; one that closes only its half stays.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use super::company::{hanging, patient};
use crate::common::origin::{fresh, ok, reply};
use crate::common::{Client, Gate, Origin, Proxy, TIMEOUT, pattern, wait_until};

#[test]
fn who_gave_up_and_asks_again_does_not_wait_for_what_hangs() {
    let (origin, ended) = hanging(1, "content");
    let proxy = patient("60s");
    let gave_up = Client::asking(&proxy, &origin.uri("/one"));
    origin.wait_for(1);
    drop(gave_up);
    wait_until("the fetch ends", TIMEOUT, || ended.load(SeqCst) == 1);
    assert_eq!(proxy.get(&origin.uri("/one")).text(), "content");
    let log = proxy.log();
    assert!(
        log.iter().any(|line| line.contains(" 0 abandoned ")),
        "{log:#?}"
    );
}

#[test]
fn a_half_closed_client_gets_all_of_what_it_reads_slowly() {
    const LENGTH: usize = 24 << 20;
    let content = pattern(LENGTH);
    let origin = Origin::answering({
        let content = content.clone();
        move |_| fresh(&content)
    });
    let proxy = patient("60s");
    let mut client = Client::asking(&proxy, &origin.uri("/one"));
    client.wire.half_close();
    client.response_head("GET");
    // All of it is at the proxy long before.
    for part in content.chunks(LENGTH / 12) {
        assert!(client.wire.exactly(part.len()).unwrap() == part);
        client.wire.allow(TIMEOUT);
        std::thread::sleep(Duration::from_millis(600));
    }
}

#[test]
fn a_stream_that_nobody_reads_any_more_ends() {
    let ended = Arc::new(AtomicUsize::new(0));
    let origin = Origin::scripted({
        let ended = ended.clone();
        move |mut conn| {
            let _ = conn.request();
            conn.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n");
            conn.hold();
            ended.fetch_add(1, SeqCst);
        }
    });
    let proxy = patient("60s");
    let mut client = Client::asking(&proxy, &origin.uri("/events"));
    client.response_head("GET");
    // The content was not read: its end is a reset.
    drop(client);
    wait_until("the fetch ends", TIMEOUT, || ended.load(SeqCst) == 1);
}

#[test]
fn a_post_whose_client_has_gone_is_waited_for_by_nobody() {
    let (origin, ended) = hanging(1, "");
    let proxy = patient("60s");
    let mut client = Client::of(&proxy);
    client.ask("POST", &origin.uri("/"), "Content-Length: 2\r\n");
    client.send("hi");
    origin.wait_for(1);
    drop(client);
    wait_until("the fetch ends", TIMEOUT, || ended.load(SeqCst) == 1);
}

#[test]
fn content_that_nobody_waits_for_is_finished_if_little_lacks() {
    const LENGTH: usize = 3_000_000;
    let content = pattern(LENGTH);
    // (how much lacks when the client leaves, the setting, what becomes of it)
    let rows = [
        (500_000, "", true),
        (2_000_000, "", false),
        (2_000_000, "quick_abort_min = \"2MiB\"\n", true),
        (500_000, "quick_abort_min = \"0MB\"\n", false),
    ];
    for (lacking, config, finished) in rows {
        let (gate, asked_for_rest) = (Gate::new(), Arc::new(AtomicUsize::new(0)));
        let ended = Arc::new(AtomicUsize::new(0));
        let origin = Origin::gated(&gate, {
            let (content, asked_for_rest) = (content.clone(), asked_for_rest.clone());
            let ended = ended.clone();
            move |conn, request, gate| {
                let fields = "Cache-Control: max-age=600\r\nETag: \"a\"\r\n";
                if let Some(range) = request.head.first("range") {
                    asked_for_rest.fetch_add(1, SeqCst);
                    let first = range.trim_matches(|c: char| !c.is_ascii_digit());
                    let first: usize = first.parse().unwrap();
                    let range = format!("bytes {first}-{}/{LENGTH}", LENGTH - 1);
                    let fields = format!("{fields}Content-Range: {range}\r\n");
                    conn.send(reply("206 Partial Content", &fields, &content[first..]));
                    return;
                }
                let whole = ok(fields, &content);
                conn.send(&whole[..whole.len() - lacking]);
                if finished {
                    gate.wait();
                    conn.send(&whole[whole.len() - lacking..]);
                } else {
                    conn.hold();
                    ended.fetch_add(1, SeqCst);
                }
            }
        });
        let proxy = Proxy::start(config);
        let uri = origin.uri("/one");
        let mut client = Client::asking(&proxy, &uri);
        client.response_head("GET");
        client.wire.exactly(LENGTH - lacking - 100_000).unwrap();
        // With unread bytes, so that its end is seen at once.
        drop(client);
        wait_until("it is logged", TIMEOUT, || {
            proxy.log().iter().any(|line| line.contains("/one"))
        });
        // When what came has been kept.
        wait_until("the fetch ends", TIMEOUT, || {
            finished || ended.load(SeqCst) == 1
        });
        gate.open_for_all();
        let again = proxy.get(&uri);
        assert!(again.content == content, "{lacking} {config}");
        assert_eq!(
            again.is_hit(),
            finished,
            "{lacking} {config}{}",
            again.cache_status()
        );
        // What came was kept.
        let rest = asked_for_rest.load(SeqCst);
        assert_eq!(rest, usize::from(!finished), "{lacking} {config}");
    }
}

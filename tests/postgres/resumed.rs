//! Large content whose database is lost while it is sent: the rest comes from the origin server, or the client is cut
//! off where that has another representation by now.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use super::stage::wait_until_stored;
use crate::common::conversation::settle;
use crate::common::origin::reply;
use crate::common::postgres::Server;
use crate::common::{Client, Origin, Proxy, pattern};

/// More than sockets hold.
const LARGE: usize = 24 << 20;

/// The origin server's answer to the second request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    Part,
    Whole,
    Another,
    Error,
}

/// A row: how the origin server answers, its validator, the client's fields, whether the client gets the whole.
type Row = (Then, &'static str, &'static str, bool);

const TAG: &str = "ETag: \"one\"\r\n";
const ROWS: [Row; 6] = [
    (Then::Part, TAG, "", true),
    (Then::Whole, TAG, "", true),
    (Then::Part, TAG, "Range: bytes=1000-\r\n", true),
    (Then::Another, TAG, "", false),
    (Then::Error, TAG, "", false),
    (Then::Part, "", "", false),
];

/// The content, made once.
fn content() -> &'static [u8] {
    static CONTENT: OnceLock<Vec<u8>> = OnceLock::new();
    CONTENT.get_or_init(|| pattern(LARGE))
}

/// The origin server: whole content at first, then as it is to be.
fn origin(then: Then, tag: &'static str) -> Origin {
    let asked = AtomicUsize::new(0);
    Origin::answering(move |request| {
        let content = content();
        let fields = format!("Cache-Control: max-age=600\r\n{tag}");
        if asked.fetch_add(1, SeqCst) == 0 || then == Then::Whole {
            return reply("200 OK", &fields, content);
        }
        let range = request.head.first("range").unwrap_or_default();
        let range = range.trim_start_matches("bytes=").trim_end_matches('-');
        let from: usize = range.parse().unwrap_or(0);
        match then {
            Then::Part => {
                let part = format!(
                    "{fields}Content-Range: bytes {from}-{}/{LARGE}\r\n",
                    LARGE - 1
                );
                reply("206 Partial Content", &part, &content[from..])
            }
            Then::Another => reply("200 OK", "ETag: \"new\"\r\n", content),
            Then::Whole | Then::Error => reply("500 Oh", "", "no"),
        }
    })
}

#[test]
fn what_a_killed_server_had_comes_from_the_origin_server() {
    // Each has a server of its own, and most of it is waiting.
    std::thread::scope(|scope| ROWS.map(|row| scope.spawn(move || hold(row))).map(drop));
}

fn hold((then, tag, fields, whole): Row) {
    let row = format!("{then:?} {tag:?} {fields:?}");
    let origin = origin(then, tag);
    let mut server = Server::start();
    let database = server.database();
    let proxy = Proxy::with("access_log = false\npurge_allow = [\"127.0.0.1\"]\n")
        .database(&database)
        .start();
    let uri = origin.uri("/large");
    proxy.get(&uri);
    wait_until_stored(&server, &database, "/large", 1);
    // Until then the fetch itself would answer.
    settle(&proxy);

    let mut client = Client::of(&proxy);
    client.ask("GET", &uri, &format!("{fields}Connection: close\r\n"));
    let head = client.response_head("GET");
    assert!(head.is_hit(), "{row}: {head:?}");
    let mut got = client.wire.exactly(100_000).unwrap();
    server.kill();
    let (rest, ended) = client.rest();
    got.extend(rest);
    let skipped = if fields.is_empty() { 0 } else { 1000 };
    assert!(content()[skipped..].starts_with(&got), "{row}");
    let is_whole = got.len() == LARGE - skipped;
    assert_eq!(is_whole, whole, "{row}: {} bytes, {ended:?}", got.len());
    let asked = origin.requests();
    let again = asked
        .get(1)
        .map(|request| request.head.first("if-range").map(str::to_owned));
    match tag.is_empty() {
        true => assert_eq!(again, None, "{row}"),
        false => assert_eq!(again, Some(Some("\"one\"".to_owned())), "{row}"),
    }
}

//! Responses stored in the database are hits later, whoever stored them: after restarts, by variants, after validation, and whatever
//! its size.

use super::stage::{proxy, stored, wait_until_stored};
use crate::common::byteranges::byteranges;
use crate::common::conversation::{as_asked, served};
use crate::common::long_heads::long_heads_are_stored;
use crate::common::message::Framing;
use crate::common::origin::{fresh, ok, reply};
use crate::common::postgres::Server;
use crate::common::{
    Client, Expected, Origin, Proxy, TIMEOUT, each, pattern, send_pattern, wait_until,
};

#[test]
fn a_hit_survives_restarts_of_the_proxy_and_of_the_server() {
    let mut server = Server::start();
    let connection = server.database();
    let origin = Origin::answering(|_| fresh("kept"));
    let mut proxy = proxy(&connection);
    assert!(!proxy.get(&origin.uri("/kept")).is_hit());
    wait_until_stored(&server, &connection, "/kept", 1);
    proxy.restart();
    let response = proxy.get(&origin.uri("/kept"));
    assert!(
        response.is_hit() && response.text() == "kept",
        "{response:?}"
    );
    proxy.stop();
    server.restart();
    proxy.start_again();
    assert!(proxy.get(&origin.uri("/kept")).is_hit());
    assert_eq!(origin.count(), 1);
}

#[test]
fn a_database_can_be_given_as_a_url() {
    let server = Server::with().tcp().start();
    let connection = server.database();
    let name = super::stage::name(&connection);
    let port = server.port();
    let url = format!("postgresql://cacheproxy@127.0.0.1:{port}/{name}?sslmode=disable");
    let proxy = Proxy::with("").database_url(&url).start();
    let origin = Origin::answering(|_| fresh("by URL"));
    proxy.get(&origin.uri("/url"));
    wait_until_stored(&server, &connection, "/url", 1);
    assert!(proxy.get(&origin.uri("/url")).is_hit());
}

#[test]
fn each_size_is_stored_and_comes_back() {
    let server = Server::shared();
    let connection = server.database();
    let origin = Origin::sized();
    let (one, other) = (proxy(&connection), proxy(&connection));
    let sizes = [
        0,
        1,
        1_024,
        65_535,
        65_536,
        65_537,
        262_143,
        262_144,
        262_145,
        1 << 20,
        (4 << 20) + 1,
    ];
    each(sizes, |size| {
        let path = format!("/size/{size}");
        let uri = origin.uri(&path);
        assert!(
            one.get(&uri).content == crate::common::pattern(size),
            "{size}"
        );
        wait_until_stored(server, &connection, &path, 1);
        let response = other.get(&uri);
        assert!(response.is_hit(), "{size}: {}", response.cache_status());
        assert!(
            response.content == crate::common::pattern(size),
            "{size}: differs"
        );
        // And again, where it may be in memory by now.
        assert!(
            other.get(&uri).content == crate::common::pattern(size),
            "{size}"
        );
    });
    assert_eq!(origin.count(), sizes.len());
}

#[test]
fn variants_are_kept_apart() {
    let server = Server::shared();
    let connection = server.database();
    let origin = Origin::answering(|request| {
        let language = request
            .head
            .first("accept-language")
            .unwrap_or("none")
            .to_owned();
        ok(
            "Cache-Control: max-age=60\r\nVary: Accept-Language\r\n",
            language,
        )
    });
    let (one, other) = (proxy(&connection), proxy(&connection));
    let uri = origin.uri("/vary");
    for (count, language) in ["de", "en"].iter().enumerate() {
        one.request("GET", &uri, &format!("Accept-Language: {language}\r\n"));
        wait_until_stored(server, &connection, "/vary", count + 1);
    }
    for (language, hit) in [("de", true), ("en", true), ("fr", false), ("de", true)] {
        let response = other.request("GET", &uri, &format!("Accept-Language: {language}\r\n"));
        assert_eq!(
            (response.is_hit(), response.text().as_str()),
            (hit, language)
        );
    }
    wait_until_stored(server, &connection, "/vary", 3);
}

#[test]
fn what_one_proxy_validated_is_fresh_on_the_other() {
    let server = Server::shared();
    let connection = server.database();
    let origin = Origin::answering(|request| match request.head.has("if-none-match") {
        true => reply(
            "304 Not Modified",
            "ETag: \"a\"\r\nCache-Control: max-age=60\r\n",
            "",
        ),
        false => ok("ETag: \"a\"\r\nCache-Control: max-age=3\r\n", "same"),
    });
    let (one, other) = (proxy(&connection), proxy(&connection));
    let uri = origin.uri("/validated");
    one.get(&uri);
    wait_until_stored(server, &connection, "/validated", 1);
    assert!(other.get(&uri).is_hit());
    crate::common::wait_until("it is stale, and validated", TIMEOUT, || {
        let status = one.get(&uri).cache_parameter("fwd-status");
        status.as_deref() == Some("304")
    });
    let refreshed = || {
        let response = other.get(&uri);
        assert_eq!(response.text(), "same");
        response.is_hit()
    };
    crate::common::wait_until("a hit on the other", TIMEOUT, refreshed);
    // The other may have asked once itself, before the refreshed metadata were there.
    let asked = origin.count();
    assert!((2..=3).contains(&asked), "{asked} requests");
    assert!(other.get(&uri).is_hit() && one.get(&uri).is_hit());
    assert_eq!(stored(server, &connection, "/validated"), 1);
}

#[test]
fn a_large_response_takes_little_memory() {
    const LEN: u64 = 128 << 20;
    let server = Server::start();
    let connection = server.database();
    let origin = Origin::scripted(|mut conn| {
        if conn.request().is_ok() {
            conn.send(format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {LEN}\r\nCache-Control: max-age=60\r\n\r\n"
            ));
            send_pattern(&mut |piece| conn.send(piece), LEN);
        }
    });
    let (one, other) = (proxy(&connection), proxy(&connection));
    let uri = origin.uri("/large");
    let fetch = |proxy: &Proxy| {
        let mut client = Client::asking(proxy, &uri);
        let head = client.response_head("GET");
        let mut expected = Expected::new();
        client
            .content(Framing::Length(LEN), &mut |piece| expected.take(piece))
            .unwrap();
        assert_eq!(expected.seen(), LEN);
        head.is_hit()
    };
    assert!(!fetch(&one));
    wait_until_stored(&server, &connection, "/large", 1);
    assert!(fetch(&one) && fetch(&other) && fetch(&other));
    assert_eq!(origin.count(), 1);
    for (name, proxy) in [("that stored", one), ("that only sent", other)] {
        let peak = proxy.worker_peak() >> 20;
        eprintln!("the worker {name} used at most {peak} MiB");
        assert!(peak < 128, "the worker {name} used {peak} MiB");
    }
}

#[test]
fn long_heads_are_stored_in_a_database_too() {
    let server = Server::shared();
    let connection = server.database();
    long_heads_are_stored(proxy(&connection), || {
        wait_until_stored(server, &connection, "ttt", 1);
    });
}

/// Parts of a representation, hundreds in one request, and a stored part that is completed on both sides (RFC 9110 §14.6, RFC 9111
/// §3.4).
#[test]
fn ranges_and_parts() {
    const LEN: usize = 1_500_000;
    let content = pattern(LEN);
    let server = Server::shared();
    let connection = server.database();
    let fields = "ETag: \"a\"\r\nCache-Control: max-age=60\r\n";
    let origin = Origin::answering({
        let content = content.clone();
        move |request| served(request, fields, &content)
    });
    let (one, other) = (proxy(&connection), proxy(&connection));
    let uri = origin.uri("/ranges");
    let ask = |proxy: &Proxy, range: &str| {
        proxy.request("GET", &uri, &format!("Range: bytes={range}\r\n"))
    };
    let set = |first: usize, count: usize| {
        let ranges: Vec<_> = (0..count)
            .map(|at| first + at * 700..first + at * 700 + 9)
            .collect();
        let specs: Vec<_> = ranges
            .iter()
            .map(|range| format!("{}-{}", range.start, range.end - 1))
            .collect();
        (ranges, specs.join(","))
    };
    ask(&one, "400000-1299999");
    wait_until_stored(server, &connection, "/ranges", 1);
    // From the stored part, and then from the whole.
    for (first, count) in [(400_000, 600), (1, 1_000)] {
        let (ranges, specs) = set(first, count);
        let got = ask(&other, &specs);
        assert!(got.status == 206 && got.is_hit(), "{got:?}");
        let found = byteranges(&got);
        assert_eq!(found.len(), count);
        for (part, range) in found.iter().zip(ranges) {
            assert!(part.content == content[range.clone()], "{range:?}");
        }
        let got = other.get(&uri);
        assert!(got.status == 200 && got.content == content);
        wait_until("all of it is stored", TIMEOUT, || one.get(&uri).is_hit());
    }
    let asked: Vec<_> = origin.requests().iter().map(as_asked).collect();
    let expected = [
        "bytes=400000-1299999",
        "bytes=0-399999 if \"a\"",
        "bytes=1300000- if \"a\"",
    ];
    assert_eq!(asked, expected);
}

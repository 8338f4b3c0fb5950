//! Responses that come over TLS are cached and passed on as any other, under their own URI.

use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use crate::common::origin::{fresh, ok, passing};
use crate::common::{Client, Proxy, each, pattern};
use crate::origin::{Answer, Authority, Origin, Version};
use crate::{fetch, get};

#[test]
fn https_is_cached_as_anything_else() {
    let authority = Authority::new();
    let names = ["localhost", "127.0.0.1"];
    each([Version::Both, Version::Tls12], |version| {
        let origin = Origin::answering(authority.server(&names, true, version), |path| fresh(path));
        let proxy = Proxy::start(&authority.config());
        for host in names {
            let uri = origin.uri(host, "/a?b");
            let first = fetch(&proxy, &uri);
            assert_eq!((first.status, first.text().as_str()), (200, "/a?b"));
            let second = fetch(&proxy, &uri);
            assert_eq!(second.text(), "/a?b");
            let told = second.head.first("cache-status").unwrap();
            assert!(told.contains("; hit"), "{told}");
            let port = origin.address.port();
            let sent = format!("GET /a?b HTTP/1.1\r\nHost: {host}:{port}\r\n");
            assert!(
                origin
                    .heads
                    .lock()
                    .unwrap()
                    .last()
                    .unwrap()
                    .starts_with(&sent)
            );
        }
        assert_eq!(origin.count(), 2, "one for each host");
    });
}

#[test]
fn clients_that_tunnel_https_have_a_form_that_is_cached() {
    let authority = Authority::new();
    let server = authority.server(&["localhost"], true, Version::Both);
    let origin = Origin::answering(server, |path| fresh(path));
    let proxy = Proxy::start(&authority.config());
    let port = origin.address.port();
    each(
        [
            ("HTTPS", "HTTPS"),
            ("https", "https"),
            ("HTTPS", "https:80"),
        ],
        |(written, host)| {
            let uri = format!("http://{written}///localhost:{port}/pool/a.deb");
            let response = get(&proxy, &uri, host);
            assert_eq!(
                (response.status, response.text().as_str()),
                (200, "/pool/a.deb")
            );
        },
    );
    assert_eq!(
        fetch(&proxy, &origin.uri("localhost", "/pool/a.deb")).status,
        200
    );
    assert_eq!(origin.count(), 1, "all of them are one URI");
}

#[test]
fn http_and_https_of_one_name_are_two_origins() {
    let authority = Authority::new();
    let server = authority.server(&["127.0.0.1"], true, Version::Both);
    let origin = Origin::answering(server, |_| passing("secret"));
    let proxy = Proxy::start(&authority.config());
    assert_eq!(
        fetch(&proxy, &origin.uri("127.0.0.1", "/")).text(),
        "secret"
    );
    let plain = format!("http://{}/", origin.address);
    // A TLS server that is spoken to in plain text: never an answer over the idle TLS connection.
    assert_eq!(proxy.get(&plain).status, 502);
}

#[test]
fn connections_are_used_again() {
    let authority = Authority::new();
    each([Version::Both, Version::Tls12], |version| {
        let server = authority.server(&["127.0.0.1"], true, version);
        let origin = Origin::answering(server, |path| passing(path));
        let proxy = Proxy::start(&authority.config());
        for n in 0..20 {
            let path = format!("/{n}");
            assert_eq!(fetch(&proxy, &origin.uri("127.0.0.1", &path)).text(), path);
        }
        assert_eq!(origin.connections.load(SeqCst), 1);
    });
}

#[test]
fn content_passes_whole_both_ways() {
    let authority = Authority::new();
    let server = authority.server(&["127.0.0.1"], true, Version::Both);
    let long = pattern(9 << 20);
    let origin = Origin::answering(server, {
        let long = long.clone();
        move |path| match path {
            "/long" => fresh(&long),
            _ => passing("taken"),
        }
    });
    let proxy = Proxy::start(&authority.config());
    for _ in 0..2 {
        let response = fetch(&proxy, &origin.uri("127.0.0.1", "/long"));
        assert!(response.content == long, "{} bytes", response.content.len());
    }
    let content = "0123456789".repeat(200_000);
    let (uri, length) = (origin.uri("127.0.0.1", "/up"), content.len());
    let mut client = Client::of(&proxy);
    let host = uri["https://".len()..].trim_end_matches("/up");
    client.send(format!(
        "POST {uri} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\n\r\n{content}"
    ));
    assert_eq!(client.response("POST").text(), "taken");
    let heads = origin.heads.lock().unwrap();
    assert!(heads.last().unwrap().ends_with(&content));
}

#[test]
fn what_an_origin_sends_too_much_is_nobodys_answer() {
    let authority = Authority::new();
    let evil = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil".to_vec();
    each([Version::Both, Version::Tls12], |version| {
        let server = authority.server(&["localhost"], true, version);
        let evil = evil.clone();
        let origin = Origin::of(server, move |path| {
            let good = passing(path);
            match path.split('/').nth(1).unwrap() {
                "one" => Answer::Bytes([good, evil.clone()].concat()),
                "two" => Answer::Records(vec![good, evil.clone()]),
                "three" => Answer::Records(vec![good, b"e".to_vec()]),
                _ => Answer::Notifying(good),
            }
        });
        let proxy = Proxy::start(&authority.config());
        for kind in ["one", "two", "three", "notify"] {
            for round in 0..5 {
                let path = format!("/{kind}/{round}");
                let response = fetch(&proxy, &origin.uri("localhost", &path));
                assert_eq!(response.text(), path);
            }
        }
        assert_eq!(origin.connections.load(SeqCst), 20);
    });
}

/// A way to an origin server that takes connections, and passes nothing on once it is told to hang.
fn relay(to: std::net::SocketAddr, hangs: Arc<AtomicBool>) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut held = Vec::new();
        for client in listener.incoming().flatten() {
            if hangs.load(SeqCst) {
                held.push(client);
                continue;
            }
            let server = TcpStream::connect(to).unwrap();
            let ends = [(&client, &server), (&server, &client)];
            for (from, to) in ends {
                let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                std::thread::spawn(move || {
                    let _ = std::io::copy(&mut from, &mut to);
                    let _ = to.shutdown(std::net::Shutdown::Both);
                });
            }
        }
    });
    address
}

#[test]
fn a_handshake_that_hangs_is_no_connection() {
    let authority = Authority::new();
    let server = authority.server(&["127.0.0.1"], true, Version::Both);
    let stale = "Cache-Control: max-age=0\r\nETag: \"a\"\r\n";
    let origin = Origin::of(server, move |_| Answer::Closing(ok(stale, "old"), true));
    let hangs = Arc::new(AtomicBool::new(false));
    let relay = relay(origin.address, hangs.clone());
    let times = "[timeouts]\norigin_hang = \"1s\"\n";
    let proxy = Proxy::start(&format!("{}{times}", authority.config()));
    let uri = |path: &str| format!("https://127.0.0.1:{}{path}", relay.port());
    for path in ["/a", "/b"] {
        assert_eq!(fetch(&proxy, &uri(path)).text(), "old");
    }
    hangs.store(true, SeqCst);
    let second = Duration::from_secs(1);
    for (path, within) in [("/a", second..3 * second), ("/b", Duration::ZERO..second)] {
        let begun = Instant::now();
        let response = fetch(&proxy, &uri(path));
        let (status, took) = (response.cache_status(), begun.elapsed());
        assert!(status.contains("detail=origin-hung"), "{status}");
        assert!(within.contains(&took), "{path}: {took:?}");
    }
}

//! Origin servers that are not believed, not spoken to or not allowed over TLS, and how the client is told.

use std::net::UdpSocket;

use crate::common::origin::{fresh, passing};
use crate::common::{Client, Proxy, each};
use crate::origin::{Answer, Authority, Origin, Version};
use crate::{common, fetch};

#[test]
fn certificates_that_are_not_believed_are_told_of() {
    let authority = Authority::new();
    let unknown = Authority::new();
    let rows = [
        (
            authority.server(&["other.example"], true, Version::Both),
            "its certificate is for another name",
        ),
        (
            authority.server(&["127.0.0.1"], false, Version::Both),
            "its certificate has expired",
        ),
        (
            unknown.server(&["127.0.0.1"], true, Version::Both),
            "not from an authority that this proxy trusts",
        ),
        (
            authority.server(&["localhost"], true, Version::Tls12),
            "its certificate is for another name",
        ),
    ];
    let proxy = Proxy::start(&authority.config());
    each(rows, |(server, why)| {
        let origin = Origin::answering(server, |_| fresh("never"));
        let response = fetch(&proxy, &origin.uri("127.0.0.1", "/"));
        assert_eq!(response.status, 502);
        assert!(response.text().contains(why), "{}", response.text());
        assert_eq!(origin.count(), 0, "no request over such a connection");
    });
}

#[test]
fn what_is_no_tls_is_told_of() {
    let authority = Authority::new();
    let plain = common::Origin::scripted(|mut conn| {
        conn.send("HTTP/1.1 400 Bad Request\r\n\r\n");
        conn.hold();
    });
    let shut = common::Origin::scripted(drop);
    let proxy = Proxy::start(&authority.config());
    for origin in [&plain, &shut] {
        let response = fetch(&proxy, &format!("https://{}/", origin.authority()));
        assert_eq!(response.status, 502);
        let text = response.text();
        assert!(text.contains("no TLS connection to 127.0.0.1"), "{text}");
    }
}

#[test]
fn without_trusted_certificates_the_file_is_named() {
    let authority = Authority::new();
    let server = authority.server(&["127.0.0.1"], true, Version::Both);
    let origin = Origin::answering(server, |_| fresh("x"));
    let proxy = Proxy::start("ca_file = \"/nowhere/ca.pem\"\n");
    let response = fetch(&proxy, &origin.uri("127.0.0.1", "/"));
    assert_eq!(response.status, 502);
    let text = response.text();
    assert!(
        text.contains("/nowhere/ca.pem") && text.contains("ca_file"),
        "{text}"
    );
}

#[test]
fn an_end_that_the_server_did_not_mean_is_a_cut() {
    // RFC 9112 §9.8: without close_notify, content that ends with the connection isn't whole.
    let authority = Authority::new();
    let server = authority.server(&["127.0.0.1"], true, Version::Both);
    let head = "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n\r\n";
    let origin = Origin::of(server, move |path| {
        Answer::Closing(format!("{head}{path}").into_bytes(), path == "/meant")
    });
    let proxy = Proxy::start(&authority.config());
    for _ in 0..2 {
        let response = fetch(&proxy, &origin.uri("127.0.0.1", "/meant"));
        assert_eq!(response.text(), "/meant");
    }
    assert_eq!(origin.count(), 1, "stored");
    for asked in 2..4 {
        let uri = origin.uri("127.0.0.1", "/cut");
        let mut client = Client::of(&proxy);
        let host = uri["https://".len()..].trim_end_matches("/cut");
        client.send(format!("GET {uri} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        let whole = client.try_response("GET").is_ok_and(|r| r.status == 200);
        assert!(!whole, "cut content looks whole");
        assert_eq!(origin.count(), asked, "nothing stored");
    }
}

#[test]
fn upgrade_is_left_out() {
    // RFC 9110 §7.8: a server may ignore Upgrade; over TLS this proxy does so for it.
    let authority = Authority::new();
    let server = authority.server(&["127.0.0.1"], true, Version::Both);
    let origin = Origin::answering(server, |_| passing("no socket"));
    let proxy = Proxy::start(&authority.config());
    let uri = origin.uri("127.0.0.1", "/");
    let host = uri["https://".len()..].trim_end_matches('/');
    let mut client = Client::of(&proxy);
    client.send(format!(
        "GET {uri} HTTP/1.1\r\nHost: {host}\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
    ));
    assert_eq!(client.response("GET").text(), "no socket");
    let heads = origin.heads.lock().unwrap();
    assert!(
        !heads[0].to_ascii_lowercase().contains("upgrade"),
        "{}",
        heads[0]
    );
}

#[test]
fn the_network_may_not_reach_loopback_by_https() {
    // An address that isn't loopback, when this machine has one; connect() of UDP sends nothing.
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    if socket.connect("192.0.2.1:9").is_err() {
        return;
    }
    let own = socket.local_addr().unwrap().ip();
    if own.is_loopback() || own.is_unspecified() {
        return;
    }
    let authority = Authority::new();
    let server = authority.server(&["127.0.0.1"], true, Version::Both);
    let origin = Origin::answering(server, |_| fresh("local"));
    let config = format!("{}allow = [\"0.0.0.0/0\"]\n", authority.config());
    let proxy = Proxy::with(&config)
        .listen_also(&format!("{own}:0"))
        .start();
    let uri = origin.uri("127.0.0.1", "/");
    let from_loopback = fetch(&proxy, &uri);
    assert_eq!(from_loopback.text(), "local");
    let line = proxy.wait_for_line(&["listening on", &format!("{own}:")]);
    let address = line.rsplit("http://").next().unwrap().trim_end_matches('/');
    let mut client = Client::to(address.parse().unwrap());
    let host = uri["https://".len()..].trim_end_matches('/');
    client.send(format!("GET {uri} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
    assert_eq!(client.response("GET").status, 403, "stored");
    client = Client::to(address.parse().unwrap());
    client.send(format!("GET {uri}x HTTP/1.1\r\nHost: {host}\r\n\r\n"));
    assert_eq!(client.response("GET").status, 403, "not stored");
}

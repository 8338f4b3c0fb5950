//! Access: who may use the proxy, and what those outside may not reach through it.

use crate::common::origin::passing;
use crate::common::{Client, Origin, Proxy};

#[test]
fn clients_that_are_not_allowed_are_403() {
    let proxy = Proxy::start("allow = [\"10.0.0.0/8\"]\n");
    let origin = Origin::answering(|_| passing("origin"));
    let port = origin.address().port();
    let response = proxy.get(&origin.uri("/"));
    assert_eq!(response.status, 403, "{}", response.text());
    assert!(!response.content.is_empty());
    let connect = Client::of(&proxy).request("CONNECT", &format!("127.0.0.1:{port}"), "");
    assert_eq!(connect.status, 403);
    assert_eq!(origin.connections(), 0);
}

/// An address of this machine that isn't loopback, when it has one.
fn outside() -> Option<std::net::IpAddr> {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").ok()?;
    // Connecting a datagram socket sends nothing; it only picks the address.
    socket.connect("192.0.2.1:9").ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback() && !address.is_unspecified()).then_some(address)
}

#[test]
fn the_network_may_not_reach_loopback() {
    let Some(outside) = outside() else { return };
    let setup = Proxy::with("allow = [\"0.0.0.0/0\"]\nconnect_ports = [\"1-65535\"]\n");
    let proxy = setup.listen(&format!("{outside}:0")).start();
    let origin = Origin::answering(|_| passing("secret"));
    let port = origin.address().port();
    // The name is allowed; what it resolves to isn't.
    for host in [
        "127.0.0.1",
        "127.1.2.3",
        "localhost",
        "[::1]",
        "0.0.0.0",
        "[::ffff:127.0.0.1]",
        "169.254.169.254",
    ] {
        let uri = format!("http://{host}:{port}/");
        let response = proxy.get(&uri);
        assert!(
            [403, 400].contains(&response.status),
            "{host}: {} {}",
            response.status,
            response.text()
        );
        let connect = Client::of(&proxy).request("CONNECT", &format!("{host}:{port}"), "");
        assert!(
            [403, 400].contains(&connect.status),
            "CONNECT {host}: {}",
            connect.status
        );
    }
    assert_eq!(origin.connections(), 0);
}

#[test]
fn uris_may_not_have_the_ports_of_other_services() {
    let origin = Origin::answering(|_| passing("origin"));
    let proxy = Proxy::start("");
    for uri in [
        "http://127.0.0.1:25/",
        "http://127.0.0.1:022/",
        "http://localhost:1023/",
        "http://[::1]:6/",
        "http://HTTPS///127.0.0.1:993/",
    ] {
        for method in ["GET", "HEAD", "POST"] {
            let response = proxy.request(method, uri, "");
            assert_eq!(response.status, 403, "{method} {uri}");
            let says_why = method == "HEAD" || response.text().contains("\"http_ports\"");
            assert!(says_why, "{uri}: {}", response.text());
        }
    }
    // The ports of the web, where nobody listens, and those from 1024 on.
    for uri in ["http://127.0.0.1/", "http://127.0.0.1:443/"] {
        assert_ne!(proxy.get(uri).status, 403, "{uri}");
    }
    assert_eq!(proxy.get(&origin.uri("/")).text(), "origin");

    let proxy = Proxy::start("http_ports = [80]\n");
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
    for lines in ["", upgrade] {
        let refused = proxy.request("GET", &origin.uri("/"), lines);
        assert_eq!(refused.status, 403, "{}", refused.text());
    }
    assert_eq!(origin.connections(), 1);
}

#[test]
fn connect_may_go_to_the_ports_of_the_web() {
    let proxy = Proxy::start("");
    // Whether anybody listens there depends on the machine.
    for (port, refused) in [(80, false), (443, false), (22, true), (8443, true)] {
        let connect = Client::of(&proxy).request("CONNECT", &format!("127.0.0.1:{port}"), "");
        assert_eq!(connect.status == 403, refused, "{port}: {}", connect.status);
    }
}

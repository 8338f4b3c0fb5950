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

//! Access: who may use the proxy, and what those outside may not reach through it.

use std::net::IpAddr;
use std::time::Duration;

use crate::common::origin::passing;
use crate::common::proxy::run;
use crate::common::{Client, Origin, Proxy, TIMEOUT, wait_until};

const ALLOWED: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 2));

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

/// Those of these clients whose connection isn't closed, once there are so many.
#[track_caller]
fn left(mut clients: Vec<Client>, expected: usize) -> Vec<Client> {
    wait_until("all others are closed", TIMEOUT, || {
        clients.retain_mut(|client| client.is_quiet(Duration::from_millis(2)));
        clients.len() <= expected
    });
    assert_eq!(clients.len(), expected);
    clients
}

/// Whoever isn't allowed and says nothing, or too little, takes no place of others.
#[test]
fn clients_that_are_not_allowed_hold_up_nobody() {
    let config = "allow = [\"127.0.0.2\"]\nmax_clients = 4\n[timeouts]\nclient_header = \"4s\"\n";
    let proxy = Proxy::start(config);
    let origin = Origin::answering(|_| passing("origin"));
    let silent = left((0..100).map(|_| Client::of(&proxy)).collect(), 64);
    let serves = |address| Client::from(address, &proxy).get(&origin.uri("/"));
    assert_eq!(serves(ALLOWED).text(), "origin");
    // Half a head takes a worker's time and no more.
    let mut dripping = silent;
    for client in &mut dripping {
        client.send("GET / HTTP/1.1\r\n");
    }
    let mut allowed: Vec<Client> = (0..4).map(|_| Client::from(ALLOWED, &proxy)).collect();
    for client in &mut allowed {
        assert_eq!(client.get(&origin.uri("/")).text(), "origin");
    }
    let told = status(&proxy);
    assert!(
        told.contains("closed at once: 36 that aren't allowed, 0 beyond"),
        "{told}"
    );
    proxy.wait_for_line(&["closed at once", "127.0.0.1", "allow", "64"]);
    drop((dripping, allowed));
    // A place that is free again has the reason for the next, and is free at once.
    for _ in 0..3 {
        let mut refused = None;
        wait_until("a place for one that isn't allowed", TIMEOUT, || {
            let mut client = Client::of(&proxy);
            client.ask("GET", &origin.uri("/"), "");
            refused = client
                .try_response("GET")
                .ok()
                .map(|response| (client, response));
            refused.is_some()
        });
        let (mut client, response) = refused.unwrap();
        assert_eq!(response.status, 403);
        assert!(response.text().contains("allow"), "{}", response.text());
        assert!(client.rest().1.is_over());
    }
    // What a reload forbids is answered as before, and takes a place of the others.
    let mut idle = Client::from(ALLOWED, &proxy);
    assert_eq!(idle.get(&origin.uri("/")).text(), "origin");
    proxy.wait_until_parked(&idle);
    proxy.write_config("allow = [\"127.0.0.1\"]\nmax_clients = 1\n");
    let dir = proxy.runtime_dir();
    assert!(
        run(&["reload", "--runtime-dir", dir.to_str().unwrap()])
            .status
            .success()
    );
    assert_eq!(proxy.get(&origin.uri("/")).text(), "origin");
    assert_eq!(idle.request("GET", &origin.uri("/"), "").status, 403);
}

fn status(proxy: &Proxy) -> String {
    let told = run(&[
        "status",
        "--runtime-dir",
        proxy.runtime_dir().to_str().unwrap(),
    ]);
    String::from_utf8(told.stdout).unwrap()
}

#[test]
fn one_address_takes_a_quarter_of_all_places() {
    let Some(outside) = outside() else { return };
    let config = "allow = [\"0.0.0.0/0\"]\nmax_clients = 40\n[timeouts]\nworker_idle = \"50ms\"\n";
    let proxy = Proxy::with(config).listen("0.0.0.0:0").start();
    let port = proxy.address().port();
    let connect = |address: IpAddr| Client::to((address, port).into());
    // Served, and then as a client that is parked: it counts all the same.
    let mut served: Vec<Client> = (0..5).map(|_| connect(outside)).collect();
    for client in &mut served {
        assert_eq!(
            client
                .request("OPTIONS", "http://a/", "Max-Forwards: 0\r\n")
                .status,
            200
        );
    }
    let silent = left((0..30).map(|_| connect(outside)).collect(), 5);
    let told = status(&proxy);
    assert!(told.contains("0 that aren't allowed, 25 beyond"), "{told}");
    proxy.wait_for_line(&[
        "closed at once",
        &outside.to_string(),
        "max_clients_per_address",
        "10",
    ]);
    for client in &mut served {
        assert_eq!(
            client
                .request("OPTIONS", "http://a/", "Max-Forwards: 0\r\n")
                .status,
            200
        );
    }
    // Those of this machine have no such limit.
    let here: Vec<Client> = (0..20)
        .map(|_| connect(IpAddr::from([127, 0, 0, 1])))
        .collect();
    assert_eq!(left(here, 20).len(), 20);
    drop((served, silent));
    wait_until("its places are free again", TIMEOUT, || {
        let mut client = connect(outside);
        client.ask("OPTIONS", "http://a/", "Max-Forwards: 0\r\n");
        client
            .try_response("OPTIONS")
            .is_ok_and(|response| response.status == 200)
    });
}

/// An address of this machine that isn't loopback, when it has one.
fn outside() -> Option<IpAddr> {
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

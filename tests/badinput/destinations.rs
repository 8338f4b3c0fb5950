//! Destinations: this machine's own addresses and special networks, which aren't for the clients of other machines.

use std::net::TcpListener;

use crate::common::namespace::is_inside;
use crate::common::origin::{fresh, ok};
use crate::common::{Client, Origin, Proxy, TIMEOUT, wait_until};

/// The forms of this machine's own addresses, the second one of an interface among them.
const OWN: [&str; 8] = [
    "192.0.2.1",
    "192.0.2.2",
    "198.51.100.1",
    "[2001:db8::1]",
    "[::ffff:192.0.2.2]",
    "3221225985",
    "mirror.test",
    "127.0.0.1",
];

/// An origin server at all addresses; it answers requests to switch protocols too.
fn everywhere() -> Origin {
    let listener = TcpListener::bind("[::]:0").unwrap();
    Origin::on(listener, |mut conn| {
        while let Ok(request) = conn.request() {
            let sent = match request.target() {
                "/fresh" => conn.send(fresh("secret")),
                _ => conn.send(ok("Cache-Control: no-store\r\n", "secret")),
            };
            if !sent {
                return;
            }
        }
    })
}

fn proxy(config: &str) -> Proxy {
    let rest = "allow = [\"0.0.0.0/0\"]\nconnect_ports = [\"1-65535\"]\n";
    let setup = Proxy::with(&format!("{rest}{config}"));
    setup.listen("0.0.0.0:0").start()
}

/// A client of another machine, as far as the proxy can tell: it comes from this machine's own address.
fn remote(proxy: &Proxy) -> Client {
    Client::to(([198, 51, 100, 1], proxy.address().port()).into())
}

fn local(proxy: &Proxy) -> Client {
    Client::to(([127, 0, 0, 1], proxy.address().port()).into())
}

#[test]
fn own_addresses_are_for_clients_on_this_machine() {
    if !is_inside("destinations::own_addresses_are_for_clients_on_this_machine") {
        return;
    }
    let origin = everywhere();
    let port = origin.address().port();
    let proxy = proxy("");
    for host in OWN {
        let authority = format!("{host}:{port}");
        let uri = format!("http://{authority}/");
        let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
        for (method, target, fields) in [
            ("GET", &*uri, ""),
            ("POST", &*uri, ""),
            ("GET", &*uri, upgrade),
            ("GET", &*format!("http://HTTPS///{authority}/"), ""),
            ("CONNECT", &*authority, ""),
        ] {
            let refused = remote(&proxy).request(method, target, fields);
            let text = refused.text();
            assert_eq!(refused.status, 403, "{method} {target}: {text}");
            assert!(
                text.contains("the proxy's own machine") && text.contains("\"own_destinations\""),
                "{method} {target}: {text}"
            );
        }
    }
    assert_eq!(origin.connections(), 0);
    proxy.wait_for_line(&["GET http://192.0.2.2:", "403 refused"]);
    // What a client on this machine has fetched, and its connection, stay with such clients.
    for host in OWN {
        let uri = format!("http://{host}:{port}/fresh");
        assert_eq!(local(&proxy).get(&uri).text(), "secret", "{uri}");
        assert!(local(&proxy).get(&uri).is_hit(), "{uri}");
        let connections = origin.connections();
        for uri in [&uri, &format!("http://{host}:{port}/")] {
            assert_eq!(remote(&proxy).get(uri).status, 403, "{uri}");
        }
        let only = "Cache-Control: only-if-cached\r\n";
        assert_eq!(remote(&proxy).request("GET", &uri, only).status, 504);
        assert_eq!(origin.connections(), connections);
        // What remote clients were refused is still there.
        assert!(local(&proxy).get(&uri).is_hit(), "{uri}");
    }
}

#[test]
fn own_destinations_are_for_all() {
    if !is_inside("destinations::own_destinations_are_for_all") {
        return;
    }
    let (named, origin) = (everywhere(), everywhere());
    let port = named.address().port();
    let uri = format!("http://192.0.2.2:{port}/fresh");
    let proxy = proxy("");
    assert_eq!(local(&proxy).get(&uri).text(), "secret");
    assert_eq!(remote(&proxy).get(&uri).status, 403);
    let named_too = format!("own_destinations = [\"192.0.2.2:{port}\", \"[2001:db8::1]:{port}\"]");
    let config = std::fs::read_to_string(proxy.config_path()).unwrap();
    proxy.write_config(&format!("{named_too}\n{config}"));
    proxy.signal(nix::sys::signal::Signal::SIGHUP);
    wait_until("the setting counts", TIMEOUT, || {
        remote(&proxy).get(&uri).status == 200
    });
    assert!(remote(&proxy).get(&uri).is_hit());
    assert!(local(&proxy).get(&uri).is_hit());
    for (host, expected) in OWN.map(|host| {
        let named = [
            "192.0.2.2",
            "[2001:db8::1]",
            "[::ffff:192.0.2.2]",
            "mirror.test",
        ];
        (host, if named.contains(&host) { 200 } else { 403 })
    }) {
        for (at, expected) in [(&named, expected), (&origin, 403)] {
            let authority = format!("{host}:{}", at.address().port());
            let response = remote(&proxy).get(&format!("http://{authority}/"));
            assert_eq!(
                response.status,
                expected,
                "{authority}: {}",
                response.text()
            );
            let mut connect = remote(&proxy);
            connect.send(format!(
                "CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n"
            ));
            assert_eq!(connect.response("CONNECT").status, expected, "{authority}");
        }
    }
    assert_eq!(origin.connections(), 0);
}

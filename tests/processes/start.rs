//! The start of a proxy: where it listens, how many clients it takes, what it does where another one runs.

use std::time::Duration;

use crate::common::origin::passing;
use crate::common::{Client, Origin, Proxy, TIMEOUT, wait_until};

#[test]
fn it_listens_on_several_addresses() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("proxy.sock");
    let origin = Origin::answering(|_| passing("ok"));
    let proxy = Proxy::with("")
        .listen("[::1]:0")
        .listen_also(path.to_str().unwrap())
        .start();
    assert!(proxy.address().is_ipv6());
    assert_eq!(proxy.get(&origin.uri("/")).text(), "ok");
    wait_until("the socket", TIMEOUT, || path.exists());
    let mut client = std::os::unix::net::UnixStream::connect(&path).unwrap();
    client.set_read_timeout(Some(TIMEOUT)).unwrap();
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
        origin.uri("/"),
        origin.authority()
    );
    std::io::Write::write_all(&mut client, request.as_bytes()).unwrap();
    let mut answer = String::new();
    std::io::Read::read_to_string(&mut client, &mut answer).unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("ok"),
        "{answer}"
    );
}

#[test]
fn more_clients_than_allowed_wait() {
    let proxy = Proxy::start("max_clients = 5\n");
    let origin = Origin::answering(|_| passing("ok"));
    let idle: Vec<Client> = (0..5).map(|_| Client::of(&proxy)).collect();
    for client in &idle {
        proxy.wait_until_parked(client);
    }
    let mut waiting = Client::asking(&proxy, &origin.uri("/"));
    assert!(waiting.is_quiet(Duration::from_millis(300)));
    drop(idle);
    assert_eq!(waiting.response("GET").text(), "ok");
}

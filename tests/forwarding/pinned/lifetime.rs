//! Pinned connections in time: their end, and the client's that stays where it is until then.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{Authenticated, ask, authenticate, authenticating, user};
use crate::common::origin::passing;
use crate::common::{Client, Conn, Gate, Origin, Proxy, TIMEOUT, wait_until};

const STAYS: &str = "[timeouts]\nworker_idle = \"20ms\"\n";

/// An origin that authenticates connections, and the number of those that have ended.
fn ending() -> (Origin, Arc<AtomicUsize>) {
    let ended = Arc::new(AtomicUsize::new(0));
    let origin = Origin::scripted({
        let ended = ended.clone();
        move |mut conn: Conn| {
            let mut state = Authenticated::default();
            while let Ok(request) = conn.request() {
                conn.send(state.answer(&request));
            }
            ended.fetch_add(1, SeqCst);
        }
    });
    (origin, ended)
}

#[track_caller]
fn wait_for_ends(ended: &AtomicUsize, count: usize) {
    wait_until("the origin connection's end", TIMEOUT, || {
        ended.load(SeqCst) >= count
    });
}

#[test]
fn it_ends_with_the_clients_connection() {
    let proxy = Proxy::start("");
    let (origin, ended) = ending();
    // In the midst of the handshake, after it, and with a request on its way.
    let mut client = Client::of(&proxy);
    ask(&mut client, &origin, "GET", "Authorization: NTLM 1\r\n", "");
    drop(client);
    wait_for_ends(&ended, 1);
    let mut client = Client::of(&proxy);
    authenticate(&mut client, &origin, "alice");
    drop(client);
    wait_for_ends(&ended, 2);
    let mut client = Client::of(&proxy);
    authenticate(&mut client, &origin, "alice");
    let fields = "Connection: close\r\n";
    assert_eq!(
        client.request("GET", &origin.uri("/"), fields).text(),
        "alice"
    );
    wait_for_ends(&ended, 3);
}

#[test]
fn it_ends_with_the_origins_connection() {
    let proxy = Proxy::start("");
    let gate = Gate::new();
    let origin = Origin::scripted({
        let gate = gate.clone();
        move |mut conn| {
            let mut state = Authenticated::default();
            while let Ok(request) = conn.request() {
                let mut answer = state.answer(&request);
                let closes = match request.target() {
                    "/close" => true,
                    "/drop" => {
                        conn.send(answer);
                        break;
                    }
                    _ => false,
                };
                if closes {
                    let line_end = answer.windows(2).position(|it| it == b"\r\n").unwrap() + 2;
                    answer.splice(line_end..line_end, *b"Connection: close\r\n");
                }
                conn.send(answer);
                if closes {
                    return;
                }
            }
            drop(conn);
            gate.open();
        }
    });
    // Said in the midst of the handshake, or after it: the client's own connection ends with it.
    for (handshake, fields, status) in [
        (false, "Authorization: NTLM 1\r\n", 401),
        (true, "", 200),
        (true, "Authorization: NTLM 1\r\n", 401),
    ] {
        let mut client = Client::of(&proxy);
        if handshake {
            authenticate(&mut client, &origin, "alice");
        }
        let last = client.request("GET", &origin.uri("/close"), fields);
        assert_eq!(last.status, status, "{fields}");
        assert!(last.head.has_element("connection", "close"), "{fields}");
        assert!(client.rest().0.is_empty());
    }
    // Not said: the next request is nobody's, and the client may authenticate anew.
    let mut client = Client::of(&proxy);
    authenticate(&mut client, &origin, "alice");
    assert_eq!(user(&mut client, &origin, "/drop"), "alice");
    gate.wait();
    assert_eq!(user(&mut client, &origin, "/"), "");
    authenticate(&mut client, &origin, "alice");
    assert_eq!(user(&mut client, &origin, "/"), "alice");
}

#[test]
fn a_user_isnt_parked_while_it_lasts() {
    let config = "[timeouts]\nworker_idle = \"20ms\"\norigin_idle = \"3s\"\n";
    let proxy = Proxy::with(config).workers(2).start();
    let (origin, ended) = ending();
    let mut alice = Client::of(&proxy);
    authenticate(&mut alice, &origin, "alice");
    assert!(alice.is_quiet(Duration::from_millis(1500)));
    assert_eq!(user(&mut alice, &origin, "/"), "alice");
    assert_eq!(proxy.holders(alice.port()).len(), 1);
    assert_ne!(proxy.holders(alice.port()), [proxy.pid()]);
    // Bounded by the limit of idle connections.
    wait_for_ends(&ended, 1);
    proxy.wait_until_parked(&alice);
    assert_eq!(user(&mut alice, &origin, "/"), "");
}

#[test]
fn a_user_isnt_handed_over_while_it_lasts() {
    let proxy = Proxy::with(STAYS).workers(2).start();
    proxy.wait_for_workers(2);
    let (origin, gate) = (authenticating(), Gate::new());
    let other = Origin::held(&gate, || passing("other"));
    let (mut users, mut holders) = (Vec::new(), Vec::new());
    wait_until("users on both workers", TIMEOUT, || {
        let mut client = Client::of(&proxy);
        authenticate(&mut client, &origin, "alice");
        holders.push(proxy.holders(client.port()));
        users.push(client);
        holders.iter().any(|it| *it != holders[0])
    });
    let mut fetching = Client::asking(&proxy, &other.uri("/"));
    other.wait_for(1);
    for client in &mut users {
        client.ask("GET", &other.uri("/"), "");
    }
    // Those in the other worker ask for themselves.
    other.wait_for(2);
    gate.open_for_all();
    assert_eq!(fetching.response("GET").text(), "other");
    for client in &mut users {
        assert_eq!(client.response("GET").text(), "other");
        assert_eq!(user(client, &origin, "/"), "alice");
    }
    let stayed: Vec<_> = users.iter().map(|it| proxy.holders(it.port())).collect();
    assert_eq!(stayed, holders);
}

#[test]
fn a_worker_that_stops_ends_it_and_its_client_goes_on() {
    let proxy = Proxy::with(STAYS).workers(2).start();
    proxy.wait_for_workers(2);
    let (origin, ended) = ending();
    let mut alice = Client::of(&proxy);
    let first = "Authorization: NTLM 1\r\n";
    ask(&mut alice, &origin, "GET", first, "");
    let worker = proxy.holders(alice.port())[0];
    kill(Pid::from_raw(worker), Signal::SIGTERM).unwrap();
    proxy.wait_for_line(&["drains"]);
    // Not in the midst of the handshake.
    let last = "Authorization: NTLM 3alice\r\n";
    assert_eq!(ask(&mut alice, &origin, "GET", last, "").text(), "alice");
    wait_for_ends(&ended, 1);
    assert_eq!(user(&mut alice, &origin, "/"), "");
    authenticate(&mut alice, &origin, "alice");
    assert_eq!(user(&mut Client::of(&proxy), &origin, "/"), "");
}

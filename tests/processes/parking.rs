//! Idle clients: parked at the supervisor, served again, moved without losing a byte, closed in time.

use std::time::Duration;

use crate::PARKING;
use crate::common::origin::{fresh, passing};
use crate::common::proxy::memory;
use crate::common::{Client, Ended, Origin, Proxy};

#[test]
fn a_new_client_stays_with_the_supervisor_until_it_speaks() {
    let proxy = Proxy::start("");
    let origin = Origin::answering(|_| passing("ok"));
    let mut client = Client::of(&proxy);
    proxy.wait_until_parked(&client);
    assert_eq!(client.get(&origin.uri("/")).text(), "ok");
}

#[test]
fn an_idle_client_is_parked_and_served_again() {
    let proxy = Proxy::with(PARKING).workers(2).start();
    let origin = Origin::answering(|request| passing(request.target()));
    let mut clients: Vec<Client> = (0..10).map(|_| Client::of(&proxy)).collect();
    for round in 0..3 {
        for (number, client) in clients.iter_mut().enumerate() {
            let path = format!("/{round}/{number}");
            assert_eq!(client.get(&origin.uri(&path)).text(), path);
        }
        for client in &clients {
            proxy.wait_until_parked(client);
        }
    }
    assert_eq!(origin.count(), 30);
}

#[test]
fn what_a_client_sends_while_it_moves_is_not_lost() {
    // A request in pieces, sent right when the client goes back to the supervisor and comes again.
    let proxy = Proxy::with("[timeouts]\nworker_idle = \"1ms\"\n")
        .workers(2)
        .start();
    let origin = Origin::answering(|request| {
        passing([request.target().as_bytes(), &request.content].concat())
    });
    let mut client = Client::of(&proxy);
    for round in 0..150_u64 {
        let (uri, authority) = (origin.uri(&format!("/{round}")), origin.authority());
        let request =
            format!("POST {uri} HTTP/1.1\r\nHost: {authority}\r\nContent-Length: 5\r\n\r\nhello");
        let cut = (round as usize * 7) % request.len();
        std::thread::sleep(Duration::from_micros(round * 37 % 3000));
        client.send(&request[..cut]);
        std::thread::sleep(Duration::from_micros(round * 101 % 3000));
        client.send(&request[cut..]);
        assert_eq!(client.response("POST").text(), format!("/{round}hello"));
    }
}

#[test]
fn pipelined_requests_survive_moves() {
    let proxy = Proxy::with("[timeouts]\nworker_idle = \"1ms\"\n")
        .workers(2)
        .start();
    let origin = Origin::answering(|request| passing(request.target()));
    let mut client = Client::of(&proxy);
    for round in 0..40 {
        let one = |number: usize| {
            let (uri, authority) = (
                origin.uri(&format!("/{round}/{number}")),
                origin.authority(),
            );
            format!("GET {uri} HTTP/1.1\r\nHost: {authority}\r\n\r\n")
        };
        let last = one(2);
        // The third one's head comes in two parts, with a pause in which the client may move.
        client.send(format!("{}{}{}", one(0), one(1), &last[..20]));
        for number in 0..2 {
            assert_eq!(client.response("GET").text(), format!("/{round}/{number}"));
        }
        std::thread::sleep(Duration::from_millis(round as u64 % 6));
        client.send(&last[20..]);
        assert_eq!(client.response("GET").text(), format!("/{round}/2"));
    }
}

#[test]
fn many_idle_clients_cost_little() {
    let proxy = Proxy::with(PARKING).workers(2).start();
    let origin = Origin::answering(|_| fresh("ok"));
    proxy.get(&origin.uri("/"));
    proxy.wait_for_workers(2);
    let before = memory(proxy.pid(), "VmRSS:");
    let mut clients: Vec<Client> = (0..2000).map(|_| Client::of(&proxy)).collect();
    for client in &mut clients {
        client.ask("GET", &origin.uri("/"), "");
    }
    for client in &mut clients {
        assert_eq!(client.response("GET").text(), "ok");
    }
    for client in clients.iter().rev().take(20) {
        proxy.wait_until_parked(client);
    }
    let grown = memory(proxy.pid(), "VmRSS:").saturating_sub(before);
    assert!(
        grown < 8 << 20,
        "the supervisor grew by {} KiB",
        grown >> 10
    );
    for client in clients.iter_mut().step_by(100) {
        assert_eq!(client.get(&origin.uri("/")).text(), "ok");
    }
}

#[test]
fn idle_clients_are_closed_in_time() {
    let proxy = Proxy::start("[timeouts]\nclient_idle = \"1s\"\nworker_idle = \"50ms\"\n");
    let origin = Origin::answering(|_| passing("ok"));
    let mut silent = Client::of(&proxy);
    let mut idle = Client::of(&proxy);
    idle.get(&origin.uri("/"));
    for client in [&mut idle, &mut silent] {
        assert_eq!(client.rest(), (Vec::new(), Ended::Closed));
    }
}

//! Collapsed forwarding between hosts: clients of many proxies on one database that ask for what one of them fetches make one
//! request to the origin server; nobody waits long for one that has gone.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::stage::name;
use crate::common::origin::{fresh, ok};
use crate::common::postgres::Server;
use crate::common::{Client, Gate, Origin, Proxy, TIMEOUT, pattern, wait_until};

const HOSTS: usize = 4;
const WORKERS: usize = 2;
const CLIENTS: usize = 100;
/// Time for clients to get to where they wait.
const A_MOMENT: Duration = Duration::from_millis(1500);

/// Proxies on a database of their own.
fn hosts(server: &Server) -> Vec<Proxy> {
    let connection = server.database();
    let host = |_| {
        Proxy::with("access_log = false\n")
            .database(&connection)
            .workers(WORKERS)
            .start()
    };
    let hosts = (0..HOSTS).map(host).collect();
    wait_until_listening(server, &connection);
    hosts
}

/// Waits until every worker hears what the others do: the first thing that it does then is to try the upkeep's lock, and
/// every 5 s it reads the secret, as it does just before, too.
fn wait_until_listening(server: &Server, connection: &str) {
    const TRIED: &str = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() \
        AND (query LIKE 'SELECT pg_catalog.pg_try_advisory_lock(%' \
        OR query LIKE 'SELECT pg_catalog.decode(value%' AND state_change < now() - interval '1 second' \
        OR pid IN (SELECT pid FROM pg_locks WHERE classid = 1668313721))";
    // What it does next hides that, but for the one that has the lock.
    let mut seen = HashSet::new();
    wait_until("all workers listen", TIMEOUT * 2, || {
        let tried = server.sql(name(connection), TRIED);
        seen.extend(tried.lines().map(str::to_owned));
        seen.len() >= HOSTS * WORKERS
    });
}

/// So many clients of each that have asked for this URI.
fn asking(hosts: &[Proxy], count: usize, uri: &str) -> Vec<Client> {
    let ask = |proxy| Client::asking(proxy, uri);
    (0..count).flat_map(|_| hosts.iter().map(ask)).collect()
}

#[test]
fn a_herd_on_four_hosts_makes_one_request() {
    let server = Server::with().setting("max_connections = 200").start();
    let hosts = hosts(&server);
    // (the length, which decides whether it is stored in pieces and kept in memory)
    for length in [11, 400_000] {
        let gate = Gate::new();
        let content = pattern(length);
        let origin = Origin::held(&gate, {
            let content = content.clone();
            move || fresh(&content)
        });
        let mut clients = asking(&hosts, CLIENTS, &origin.uri("/one"));
        origin.wait_for(1);
        std::thread::sleep(A_MOMENT);
        assert_eq!(origin.count(), 1, "{length}");
        gate.open_for_all();
        let since = Instant::now();
        let mut collapsed = 0;
        for client in &mut clients {
            let response = client.response("GET");
            assert_eq!(response.status, 200, "{length}");
            assert!(response.content == content, "{length}");
            collapsed += usize::from(response.cache_status().contains("collapsed"));
        }
        eprintln!(
            "{length} bytes: {} clients answered within {:?}, {collapsed} collapsed, {} requests at the origin",
            clients.len(),
            since.elapsed(),
            origin.count()
        );
        assert_eq!(origin.count(), 1, "{length}");
        for client in &mut clients {
            assert!(client.get(&origin.uri("/one")).is_hit(), "{length}");
        }
        assert_eq!(origin.count(), 1, "{length}");
    }
}

#[test]
fn what_is_of_no_use_to_others_is_fetched_by_each_host_at_once() {
    let server = Server::with().setting("max_connections = 200").start();
    let hosts = hosts(&server);
    let gate = Gate::new();
    let origin = Origin::held(&gate, || ok("Cache-Control: no-store\r\n", "own"));
    let mut clients = asking(&hosts, 5, &origin.uri("/own"));
    origin.wait_for(1);
    std::thread::sleep(A_MOMENT);
    assert_eq!(origin.count(), 1, "the others wait for the first answer");
    let since = Instant::now();
    gate.open();
    // The other clients of the first host, and one of each other host: they can't know what it will get.
    origin.wait_for(HOSTS + 4);
    let took = since.elapsed();
    gate.open_for_all();
    for client in &mut clients {
        assert_eq!(client.response("GET").text(), "own");
    }
    assert_eq!(origin.count(), HOSTS * 5);
    eprintln!("they were let go within {took:?}");
    assert!(took < Duration::from_secs(3), "{took:?}");
}

#[test]
fn the_others_go_on_when_the_host_that_fetches_is_killed() {
    let server = Server::with().setting("max_connections = 200").start();
    let hosts = hosts(&server);
    let gate = Gate::new();
    let origin = Origin::held(&gate, || fresh("content"));
    let uri = origin.uri("/one");
    let (first, others) = hosts.split_at(1);
    let of_first = asking(first, 10, &uri);
    origin.wait_for(1);
    let mut clients = asking(others, CLIENTS, &uri);
    std::thread::sleep(A_MOMENT);
    assert_eq!(origin.count(), 1);
    // All of it, so that nobody there renews the lease.
    let workers = first[0].workers();
    for pid in [first[0].pid()].into_iter().chain(workers) {
        kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
    }
    let since = Instant::now();
    origin.wait_for(2);
    let took = since.elapsed();
    std::thread::sleep(A_MOMENT);
    assert_eq!(origin.count(), 2, "one of the others fetches for all");
    gate.open_for_all();
    for client in &mut clients {
        assert_eq!(client.response("GET").text(), "content");
    }
    eprintln!("another host asked after {took:?}");
    assert!(took < Duration::from_secs(7), "{took:?}");
    assert_eq!(origin.count(), 2);
    drop(of_first);
}

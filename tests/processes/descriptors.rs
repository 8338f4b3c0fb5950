//! The processes' descriptors: each in one place at a time, none that leak, none that are inherited.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::common::origin::{fresh, passing};
use crate::common::proxy::{children, descriptors};
use crate::common::{Client, Gate, Origin, Proxy, TIMEOUT, wait_until};
use crate::{PARKING, common, holding};

#[test]
fn descriptors_do_not_leak() {
    let proxy = Proxy::with(PARKING).workers(2).start();
    let origin = Origin::answering(|request| match request.target() {
        "/stored" => fresh(common::pattern(100_000)),
        other => passing(other),
    });
    let churn = || {
        let mut kept = Vec::new();
        for number in 0..40 {
            let mut client = Client::of(&proxy);
            match number % 4 {
                0 => drop(client.get(&origin.uri("/stored"))),
                1 => client.send("GET nonsense\r\n\r\n"),
                2 => client.ask("GET", &origin.uri("/left"), ""),
                _ => {
                    client.get(&origin.uri("/parked"));
                    kept.push(client);
                }
            }
        }
        for client in &kept {
            proxy.wait_until_parked(client);
        }
    };
    let sockets = |pid: i32| {
        descriptors(pid)
            .iter()
            .filter(|name| name.starts_with("socket:"))
            .count()
    };
    let others = |pid: i32| {
        descriptors(pid)
            .iter()
            .filter(|name| !name.starts_with("socket:"))
            .count()
    };
    let all = || -> Vec<(usize, usize)> {
        let mut pids = proxy.workers();
        pids.push(proxy.pid());
        pids.into_iter()
            .map(|pid| (sockets(pid), others(pid)))
            .collect()
    };
    churn();
    let mut before = Vec::new();
    let settled = |last: &mut Vec<(usize, usize)>, since: &mut Instant| {
        let now = all();
        if now != *last {
            (*last, *since) = (now, Instant::now());
        }
        since.elapsed() > Duration::from_millis(400)
    };
    let mut since = Instant::now();
    wait_until("quiet", TIMEOUT, || settled(&mut before, &mut since));
    for _ in 0..5 {
        churn();
    }
    // Pooled connections to the origin may differ by a few; two hundred clients may not be among them.
    let few = 6;
    wait_until("as many descriptors as before", TIMEOUT, || {
        let now = all();
        now.iter()
            .zip(&before)
            .all(|(now, before)| now.0 <= before.0 + few && now.1 <= before.1 + few)
    });
    let was = before.pop().unwrap();
    wait_until("the supervisor has its own alone", TIMEOUT, || {
        all().pop().unwrap() == was
    });
}

#[test]
fn sent_descriptors_are_in_one_process_at_a_time() {
    let proxy = Proxy::start("");
    let gate = Gate::new();
    let origin = holding(&gate);
    let client = Client::asking(&proxy, &origin.uri("/hold"));
    origin.wait_for(1);
    let holders = || proxy.holders(client.port());
    wait_until("the worker alone has it", TIMEOUT, || {
        holders() == proxy.workers()
    });
    gate.open_for_all();
}

#[test]
fn children_have_only_what_they_need() {
    let proxy = Proxy::with("").workers(2).start();
    for worker in proxy.wait_for_workers(2) {
        assert_eq!(children(worker), Vec::<i32>::new());
    }
    let listening = |pid: i32| -> BTreeSet<String> {
        let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
        let port = format!(":{:04X}", proxy.address().port());
        let is_listener = |line: &&str| {
            let mut columns = line.split_whitespace();
            columns.nth(1).is_some_and(|local| local.ends_with(&port))
                && columns.nth(1).is_some_and(|state| state == "0A")
        };
        let inodes = table
            .lines()
            .filter(is_listener)
            .filter_map(|line| line.split_whitespace().nth(9));
        let sockets: BTreeSet<String> = inodes.map(|inode| format!("socket:[{inode}]")).collect();
        descriptors(pid)
            .into_iter()
            .filter(|name| sockets.contains(name))
            .collect()
    };
    assert_eq!(listening(proxy.pid()).len(), 1);
    for worker in proxy.workers() {
        assert!(listening(worker).is_empty(), "a worker holds the listener");
    }
}

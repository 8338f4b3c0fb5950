//! The size limit, kept by one host while several store.

use std::thread;
use std::time::{Duration, Instant};

use super::*;
use crate::store::Whole;
use crate::store::suite::{content, plain};

#[test]
fn the_limit_holds_while_two_hosts_store() {
    const LIMIT: u64 = 64 << 20;
    let server = Server::shared();
    let database = server.database();
    let hosts = [host(&database, LIMIT), host(&database, LIMIT)];
    let name = &hosts[0].name;
    let sizes = [1_000, 20_000, 60_000, 200_000, 500_000];
    let (mut most, mut refused, mut stored, mut bytes) = (0, 0, 0, 0u64);
    let since = Instant::now();
    thread::scope(|scope| {
        let filling: Vec<_> = hosts
            .iter()
            .enumerate()
            .map(|(number, host)| {
                scope.spawn(move || {
                    let (mut refused, mut stored, mut bytes) = (0, 0, 0);
                    for round in 0..450 {
                        let size = sizes[round % sizes.len()];
                        let meta = plain(&format!("GET http://room/{number}/{round}"));
                        let whole = Whole::Memory(vec![content(size, 1)]);
                        match host.store.publish(&meta, whole, None) {
                            Ok(_) => (stored, bytes) = (stored + 1, bytes + size),
                            Err(StoreError::Full { .. }) => refused += 1,
                            Err(other) => panic!("{other}"),
                        }
                    }
                    (refused, stored, bytes)
                })
            })
            .collect();
        while filling.iter().any(|thread| !thread.is_finished()) {
            if !hosts[0].store.waiting.is_heard() {
                continue;
            }
            let sum = server.sql(
                name,
                "SELECT sum(size), cacheproxy.used() FROM cacheproxy.response",
            );
            let (sum, used) = sum.split_once('|').unwrap();
            assert_eq!(sum.is_empty(), used == "0");
            assert!(sum.is_empty() || sum == used, "{sum} is counted as {used}");
            most = most.max(sum.parse().unwrap_or(0));
            thread::sleep(Duration::from_millis(5));
        }
        for thread in filling {
            let (more, done, size) = thread.join().unwrap();
            (refused, stored, bytes) = (refused + more, stored + done, bytes + size);
        }
    });
    println!(
        "stored {stored} of {bytes} bytes in {:?}, refused {refused}; at most {most} bytes, {:.4} of the limit",
        since.elapsed(),
        most as f64 / LIMIT as f64
    );
    assert!(most <= LIMIT + LIMIT / 100, "{most}");
    assert!(most >= LIMIT * 9 / 10, "it was filled");
}

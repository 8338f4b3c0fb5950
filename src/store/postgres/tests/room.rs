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
            if !hosts[0].store.waiters.is_heard() {
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
    assert!(most >= LIMIT * 8 / 10, "it was filled");
}

/// Does what there is to be done, once no store holds the lock.
fn keep_up(database: &str, limit: u64) {
    let mut session = connect(database, None, Duration::from_secs(10)).unwrap();
    let mut maintenance = DatabaseMaintenance::new(limit, Instant::now());
    let end = Instant::now() + Duration::from_secs(20);
    while !maintenance.is_ours() {
        assert!(Instant::now() < end, "nobody gives up the lock");
        thread::sleep(Duration::from_millis(20));
        session.set_deadline(end);
        maintenance.round(&mut session).unwrap();
    }
}

#[test]
fn what_was_used_is_passed_over_once() {
    let server = Server::shared();
    let database = server.database();
    let bench = host(&database, 1 << 30);
    for number in 0..8 {
        let meta = plain(&format!("GET http://room/queue/{number}"));
        bench
            .store
            .publish(&meta, Whole::Memory(vec![content(60_000, 1)]), None)
            .unwrap();
    }
    let name = &bench.name;
    server.sql(
        name,
        "UPDATE cacheproxy.response SET used = true WHERE uri ~ '[025]$'",
    );
    drop(bench.store);
    let numbers = "SELECT string_agg(right(uri, 1), '' ORDER BY id) FROM cacheproxy.response";
    // (the limit, of which an eighth is left free; what remains): on from the hand, and then all around.
    let rows = [
        (500_000, "0234567"),
        (420_000, "024567"),
        (380_000, "02567"),
        (320_000, "0257"),
        (240_000, "025"),
        (190_000, "25"),
        (125_000, "5"),
    ];
    for (limit, left) in rows {
        keep_up(&database, limit);
        assert_eq!(server.sql(name, numbers), left, "{limit}");
    }
}

#[test]
fn content_goes_some_time_after_nothing_refers_to_it() {
    let server = Server::shared();
    let database = server.database();
    let bench = host(&database, 1 << 30);
    let name = &bench.name;
    let metas = [
        plain("GET http://room/kept"),
        plain("GET http://room/gone"),
        plain("GET http://room/by-hand"),
    ];
    for meta in &metas {
        bench
            .store
            .publish(meta, Whole::Memory(vec![content(600_000, 1)]), None)
            .unwrap();
    }
    bench.store.remove(&metas[1].key).unwrap();
    server.sql(
        name,
        "DELETE FROM cacheproxy.response WHERE uri ~ 'by-hand$'",
    );
    drop(bench.store);
    let counts = "SELECT (SELECT count(*) FROM cacheproxy.content), (SELECT count(*) FROM cacheproxy.piece), \
        (SELECT count(*) FROM cacheproxy.content WHERE kept_until < now() + interval '2 minutes')";
    keep_up(&database, 1 << 30);
    assert_eq!(
        server.sql(name, counts),
        "3|9|2",
        "somebody may still be sent it"
    );
    server.sql(name, "UPDATE cacheproxy.content SET kept_until = now() - interval '1 s' WHERE kept_until <> 'infinity'");
    keep_up(&database, 1 << 30);
    assert_eq!(server.sql(name, counts), "1|3|0");
}

#[test]
fn what_is_of_no_use_goes() {
    let server = Server::shared();
    let database = server.database();
    let bench = host(&database, 1 << 30);
    let name = &bench.name;
    let fields = [
        ("old", ("Cache-Control", "max-age=60")),
        ("used", ("Cache-Control", "max-age=60")),
        ("fresh", ("Cache-Control", "max-age=1000000")),
        ("validated", ("ETag", "\"1\"")),
    ];
    for (path, field) in fields {
        let meta = suite::meta(
            &format!("GET http://room/{path}"),
            &[field],
            &Fields::default(),
        );
        let whole = Whole::Memory(vec![content(10, 1)]);
        bench.store.publish(&meta, whole, None).unwrap();
    }
    let aged = "UPDATE cacheproxy.response SET stored = now() - interval '3 days', \
        request_time = now() - interval '3 days', response_time = now() - interval '3 days'; \
        UPDATE cacheproxy.response SET last_used = now() - interval '1 hour' WHERE uri ~ 'used$'";
    server.sql(name, aged);
    drop(bench.store);
    keep_up(&database, 1 << 30);
    let left = "SELECT string_agg(substr(uri, 13), ' ' ORDER BY id) FROM cacheproxy.response";
    assert_eq!(server.sql(name, left), "used fresh validated");
}

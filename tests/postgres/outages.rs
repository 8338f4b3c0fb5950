//! The database is killed, stopped, restarted, locked, read-only, closed to us: every request is still answered, within a bound, and
//! the proxy is back by itself.

use std::time::{Duration, Instant};

use super::stage::{
    BOUND, Load, name, proxy, stored, stored_within, wait_until_stored, wait_until_storing,
};
use crate::common::origin::fresh;
use crate::common::postgres::Server;
use crate::common::{Origin, Proxy, TIMEOUT, wait_until};

fn origin() -> Origin {
    Origin::answering(|request| fresh(request.target()))
}

type Outage = fn(&mut Server);

/// Outages of the server under load.
const OUTAGES: [(&str, Outage); 3] = [
    ("killed", |server| {
        server.kill();
        std::thread::sleep(Duration::from_secs(3));
        server.start_again();
    }),
    ("paused", |server| {
        server.pause();
        std::thread::sleep(Duration::from_secs(6));
        server.resume();
    }),
    ("restarted", Server::restart),
];

#[test]
fn every_request_is_answered_whatever_happens_to_the_server() {
    let mut server = Server::start();
    let connection = server.database();
    let origin = origin();
    let proxy = proxy(&connection);
    for (what, outage) in OUTAGES {
        let load = Load::start(proxy.address(), &origin.uri(&format!("/{what}")), 4);
        wait_until("some are stored", TIMEOUT, || {
            stored_within(&server, &connection, &format!("{what}/new")) > 5
        });
        outage(&mut server);
        let back = Instant::now();
        wait_until_storing(
            &proxy,
            &server,
            &connection,
            &origin.uri(&format!("/{what}-back")),
        );
        eprintln!("{what}: storing again after {:?}", back.elapsed());
        load.finish_well(what, BOUND);
    }
    let log = proxy.log();
    let said: Vec<&String> = log
        .iter()
        .filter(|line| line.contains("database"))
        .collect();
    eprintln!("it said {said:#?}");
    assert!((2..=30).contains(&said.len()), "{said:#?}");
}

#[test]
fn a_proxy_starts_without_its_database_and_finds_it() {
    let mut server = Server::start();
    let connection = server.database();
    server.stop();
    let origin = origin();
    let proxy = proxy(&connection);
    let before = Instant::now();
    for number in 0..5 {
        assert_eq!(
            proxy.get(&origin.uri(&format!("/without/{number}"))).status,
            200
        );
    }
    assert!(before.elapsed() < BOUND, "{:?}", before.elapsed());
    wait_until("a hit from memory", TIMEOUT, || {
        proxy.get(&origin.uri("/without/0")).is_hit()
    });
    server.start_again();
    wait_until_storing(&proxy, &server, &connection, &origin.uri("/found"));
}

#[test]
fn a_read_only_database_still_gives_hits() {
    let server = Server::start();
    let connection = server.database();
    let origin = origin();
    let proxy = Proxy::with("memory = \"0B\"\n")
        .database(&connection)
        .start();
    proxy.get(&origin.uri("/before"));
    wait_until_stored(&server, &connection, "/before", 1);
    server.read_only(true);
    for number in 0..5 {
        let before = Instant::now();
        assert_eq!(
            proxy
                .get(&origin.uri(&format!("/meanwhile/{number}")))
                .status,
            200
        );
        assert!(before.elapsed() < BOUND);
    }
    wait_until("hits while read-only", TIMEOUT, || {
        proxy.get(&origin.uri("/before")).is_hit()
    });
    assert_eq!(stored(&server, &connection, "/meanwhile/0"), 0);
    let line = proxy.wait_for_line(&["read-only"]);
    eprintln!("it said {line}");
    server.read_only(false);
    wait_until_storing(&proxy, &server, &connection, &origin.uri("/writable"));
}

#[test]
fn a_locked_table_holds_no_one_up_for_long() {
    let server = Server::start();
    let connection = server.database();
    let origin = origin();
    let proxy = proxy(&connection);
    for _ in 0..3 {
        proxy.get(&origin.uri("/lock/often/0"));
        wait_until_stored(&server, &connection, "/lock/often/0", 1);
    }
    let mut session = server.session(name(&connection));
    session.run("BEGIN; LOCK TABLE cacheproxy.response IN ACCESS EXCLUSIVE MODE;");
    let load = Load::start(proxy.address(), &origin.uri("/lock"), 8);
    std::thread::sleep(Duration::from_secs(8));
    let peak = proxy.worker_peak() >> 20;
    let asked = load.finish_well("locked", BOUND);
    eprintln!(
        "{} new ones while locked, at most {peak} MiB",
        asked.len() / 2
    );
    // 64 MiB may wait to be written, and the memory tier may hold as much again; the rest is the program's.
    assert!(peak < 192, "{peak} MiB");
    drop(session);
    wait_until_storing(&proxy, &server, &connection, &origin.uri("/unlocked"));
}

#[test]
fn a_full_server_is_waited_for() {
    let server = Server::with().setting("max_connections = 12").start();
    let connection = server.database();
    server.sql("postgres", "ALTER ROLE cacheproxy CONNECTION LIMIT 0");
    let origin = origin();
    let proxy = proxy(&connection);
    let before = Instant::now();
    assert_eq!(proxy.get(&origin.uri("/full")).status, 200);
    assert!(before.elapsed() < BOUND);
    let line = proxy.wait_for_line(&["database", "connections"]);
    eprintln!("it said {line}");
    server.sql("postgres", "ALTER ROLE cacheproxy CONNECTION LIMIT -1");
    wait_until_storing(&proxy, &server, &connection, &origin.uri("/room"));
}

#[test]
fn a_role_without_rights_only_costs_the_store() {
    let server = Server::start();
    let connection = server.database();
    server.create_role("stranger");
    let strange = connection.replace("user=cacheproxy", "user=stranger");
    let origin = origin();
    let proxy = proxy(&strange);
    for number in 0..3 {
        assert_eq!(
            proxy.get(&origin.uri(&format!("/strange/{number}"))).status,
            200
        );
    }
    let line = proxy.wait_for_line(&["permission denied"]);
    eprintln!("it said {line}");
    // Its owner makes the schema and lets the stranger use it: nothing more is needed.
    server.sql("postgres", "GRANT cacheproxy TO stranger");
    wait_until_storing(&proxy, &server, &connection, &origin.uri("/granted"));
}

//! A server that stops, dies, comes back, or only reads.

use super::*;
use crate::cache::key::Key;

/// Longer than a call may take that waits for the server, and one that doesn't.
const BOUND: Duration = Duration::from_millis(2500);
const AT_ONCE: Duration = Duration::from_millis(200);

fn lookup(bench: &Bench) -> Result<bool, StoreError> {
    let found = bench
        .store
        .lookup(&Key::new("GET http://a/"), &Fields::default())?;
    Ok(matches!(found, Found::Object(_)))
}

fn store(bench: &Bench) -> Result<Published, StoreError> {
    let whole = Whole::Memory(vec![content(100, 1)]);
    bench.store.publish(&plain("GET http://a/"), whole, None)
}

#[test]
fn a_server_that_is_not_there_is_found_when_it_comes() {
    let mut server = Server::start();
    let database = server.database();
    server.stop();
    let (bench, time) = timed(|| bench(&database));
    assert!(time < AT_ONCE, "opened in {time:?}");
    wait_for_server(&bench, false);
    let (outcome, time) = timed(|| lookup(&bench));
    assert!(matches!(outcome, Err(StoreError::Unreachable { .. })) && time < AT_ONCE);
    assert!(matches!(store(&bench), Err(StoreError::Unreachable { .. })));
    server.start_again();
    wait_for_server(&bench, true);
    assert!(!lookup(&bench).unwrap());
    store(&bench).unwrap();
    assert!(lookup(&bench).unwrap());
}

#[test]
fn a_server_that_is_stopped_or_killed_is_lost_at_once_and_found_again() {
    let mut server = Server::start();
    let bench = bench(&server.database());
    store(&bench).unwrap();
    for end in [Server::stop, Server::kill] {
        end(&mut server);
        let (outcome, time) = timed(|| lookup(&bench));
        assert!(
            matches!(outcome, Err(StoreError::Unreachable { .. })),
            "{outcome:?}"
        );
        assert!(time < AT_ONCE, "{time:?}");
        wait_for_server(&bench, false);
        server.start_again();
        wait_for_server(&bench, true);
        store(&bench).unwrap();
        assert!(lookup(&bench).unwrap());
    }
}

#[test]
fn a_restart_that_nobody_saw_fails_nobody() {
    let mut server = Server::start();
    let bench = bench(&server.database());
    store(&bench).unwrap();
    server.restart();
    assert!(lookup(&bench).unwrap());
    server.restart();
    store(&bench).unwrap();
    server.sql(
        "postgres",
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'cacheproxy'",
    );
    assert!(lookup(&bench).unwrap());
    store(&bench).unwrap();
    assert!(!bench.shared.is_store_down());
}

#[test]
fn a_server_that_does_not_answer_is_waited_for_once() {
    let server = Server::start();
    let bench = bench(&server.database());
    store(&bench).unwrap();
    server.pause();
    std::thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| {
                let (outcome, time) = timed(|| lookup(&bench));
                assert!(
                    outcome.is_err() && time < BOUND,
                    "{outcome:?} after {time:?}"
                );
            });
        }
    });
    wait_for_server(&bench, false);
    let (outcome, time) = timed(|| (lookup(&bench), store(&bench)));
    assert!(
        outcome.0.is_err() && outcome.1.is_err() && time < AT_ONCE,
        "{time:?}"
    );
    server.resume();
    wait_for_server(&bench, true);
    assert!(lookup(&bench).unwrap());
    store(&bench).unwrap();
}

#[test]
fn what_waits_for_a_lock_in_vain_is_bounded() {
    let server = Server::start();
    server.create_database("locked", "cacheproxy");
    let bench = bench(&server.connection("locked"));
    store(&bench).unwrap();
    let mut session = server.session("locked");
    session.run("BEGIN; LOCK TABLE cacheproxy.response;");
    let (outcome, time) = timed(|| lookup(&bench));
    assert!(
        outcome.is_err() && time < BOUND,
        "{outcome:?} after {time:?}"
    );
    session.run("COMMIT;");
    wait_for_server(&bench, true);
    assert!(lookup(&bench).unwrap());
}

#[test]
fn a_server_that_takes_no_writes_is_read_from() {
    let server = Server::start();
    let database = server.database();
    let one = bench(&database);
    store(&one).unwrap();
    server.read_only(true);
    // One that was connected before, and one that comes now.
    let two = bench(&database);
    for bench in [&one, &two] {
        assert!(lookup(bench).unwrap());
        let refused = store(bench).unwrap_err();
        assert!(refused.to_string().contains("takes no writes"), "{refused}");
        assert!(matches!(refused, StoreError::Database { .. }));
        assert!(lookup(bench).unwrap() && !bench.shared.is_store_down());
    }
    server.read_only(false);
    for bench in [&one, &two] {
        store(bench).unwrap();
    }
}

#[test]
fn the_next_host_is_taken_when_one_is_gone() {
    let (mut one, two) = (Server::with().tcp().start(), Server::with().tcp().start());
    one.create_database("cache", "cacheproxy");
    two.create_database("cache", "cacheproxy");
    let ports = format!("{},{}", one.port(), two.port());
    let bench = bench(&format!(
        "host=127.0.0.1,127.0.0.1 port={ports} user=cacheproxy dbname=cache"
    ));
    let stored = |server: &Server| server.sql("cache", "SELECT count(*) FROM cacheproxy.response");
    store(&bench).unwrap();
    assert_eq!(stored(&one), "1");
    one.kill();
    // Another server knows nothing of what was done with this one: all is begun anew with it.
    assert!(matches!(
        lookup(&bench),
        Err(StoreError::Unreachable { .. })
    ));
    wait_for_server(&bench, true);
    assert!(!lookup(&bench).unwrap());
    store(&bench).unwrap();
    assert_eq!(stored(&two), "1");
    // A server that was demoted: the other one takes the writes.
    one.start_again();
    two.read_only(true);
    assert!(matches!(store(&bench), Err(StoreError::Unreachable { .. })));
    wait_for_server(&bench, true);
    store(&bench).unwrap();
    assert_eq!(stored(&one), "1");
}

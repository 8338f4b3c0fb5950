//! Others who may use the same database: they can make things in the schema "public", notify, and hear.

use super::*;
use crate::store::suite::look;

/// Everything that the store calls, made again in the schema "public".
const SHADOWS: &str = include_str!("shadows.sql");

#[test]
fn nothing_of_theirs_is_called() {
    let server = Server::shared();
    server.create_database("shadowed", "cacheproxy");
    server.create_role("mallory");
    server.sql("shadowed", "GRANT CREATE ON SCHEMA public TO mallory");
    server.sql("shadowed", &format!("SET ROLE mallory; {SHADOWS}"));
    let unsafe_path = "ALTER DATABASE shadowed SET search_path = public, pg_catalog";
    server.sql("postgres", unsafe_path);
    let shadowed = server.try_sql("shadowed", "SELECT pg_backend_pid()");
    assert!(shadowed.is_err_and(|why| why.contains("hijacked")));
    let bench = bench(&server.connection("shadowed"));
    until("it listens", || bench.store.waiters.is_heard());
    suite::run(&bench.store);
    publish(
        &bench.store,
        &plain("GET http://others/a"),
        &content(70_000, 1),
    );
    // An administrator's statement fires the triggers.
    let removed = server.try_sql("shadowed", "DELETE FROM cacheproxy.response");
    assert_eq!(removed.map(|said| said.contains("hijacked")), Ok(false));
}

/// A row is believed as little as the network.
#[test]
fn rows_that_no_response_made_are_a_miss_and_go() {
    let server = Server::shared();
    let bench = bench(&server.database());
    let meta = plain("GET http://others/row");
    let rows = [
        "fields = '{\"X: a\r\nSet-Cookie: b\"}'",
        "fields = '{\"X\"}', reason = E'OK\r\nX: y'",
        "fields = '{\"X \u{e9}: 1\"}'",
        "fields = fields || '{Transfer-Encoding: chunked}'",
        "trailers = '{\"X: a\nb\"}'",
        "variant = E'a: 1\n'",
        "vary = '{a}', fields = '{\"Vary: a\"}'",
        "status = -1",
        "status = 304",
        "response_time = 'infinity'",
        "request_time = '294000-01-01'",
        "whole_length = 100000000",
        "status = 206",
    ];
    for row in rows {
        for length in [10, 70_000] {
            publish(&bench.store, &meta, &content(length, 1));
            server.sql(
                &bench.name,
                &format!("UPDATE cacheproxy.response SET {row}"),
            );
            assert!(look(&bench.store, &meta.key).is_none(), "{row}");
            let left = server.sql(&bench.name, "SELECT count(*) FROM cacheproxy.response");
            assert_eq!(left, "0", "{row}");
        }
    }
    // What is unknown of where it came from counts as nothing.
    let odd = "boot = '\\x07', digest_algorithm = 'md5', digest = '\\x07', class = 'eternal', first_byte = 7";
    publish(&bench.store, &meta, &content(10, 1));
    server.sql(
        &bench.name,
        &format!("UPDATE cacheproxy.response SET {odd}"),
    );
    assert_eq!(look(&bench.store, &meta.key).unwrap().meta, meta);
    // One that isn't what its content says is a miss.
    for row in [
        "length = -1",
        "length = length + 1",
        "checksum = '\\x00'",
        "content_id = 4711",
    ] {
        publish(&bench.store, &meta, &content(10, 1));
        server.sql(
            &bench.name,
            &format!("UPDATE cacheproxy.response SET {row}"),
        );
        let found = look(&bench.store, &meta.key);
        assert!(found.is_none() || row.starts_with("content_id"), "{row}");
    }
}

#[test]
fn notifications_of_theirs_change_nothing() {
    let server = Server::shared();
    let (name, database) = ("noisy", server.connection("noisy"));
    server.create_database(name, "cacheproxy");
    server.create_role("noisy");
    let (one, two) = (bench(&database), bench(&database));
    until("they listen", || {
        one.store.waiters.is_heard() && two.store.waiters.is_heard()
    });
    let meta = plain("GET http://others/noise");
    let hash = *meta.key.hash();
    publish(&one.store, &meta, &content(10, 1));
    assert!(look(&two.store, &meta.key).is_some());
    // Something proven, for them to hear and to send again.
    server.sql(name, "CREATE TABLE heard (payload text)");
    let seen = two.shared.generation(&hash);
    let mut listening =
        crate::store::postgres::connect(&database, None, Duration::from_secs(20)).unwrap();
    listening.batch("LISTEN cacheproxy").unwrap();
    publish(&one.store, &meta, &content(10, 2));
    until("the other host hears", || {
        two.shared.generation(&hash) != seen
    });
    let (generation, elsewhere) = (
        two.shared.generation(&hash),
        two.shared.invalidations_elsewhere(&hash),
    );
    let hex = format!("{:032x}", u128::from_be_bytes(hash));
    let forged = [
        format!("h p {hex} 900001 4000000000"),
        format!("h r {hex} 900002 4000000000 7 1 {hex}"),
        format!("- g 900003 {hex}"),
        "h a".to_owned(),
        "h a 900004 1 00000000000000000000000000000000".to_owned(),
        format!("h f {hex}"),
        String::new(),
    ];
    let mut notify = String::from("SET ROLE noisy;");
    for payload in &forged {
        notify += &format!("NOTIFY cacheproxy, '{payload}'; NOTIFY cacheproxy_room, '{payload}';");
    }
    notify += "NOTIFY cacheproxy_room, '1000000000';";
    // And a flood of them.
    notify += "SELECT count(pg_notify('cacheproxy', 'h r ' || md5(n::text) || ' ' || n || ' 7')) FROM generate_series(1, 20000) n;";
    server.sql(name, &notify);
    // What is told after them is heard after them.
    let last = plain("GET http://others/last");
    publish(&one.store, &last, &content(10, 1));
    assert!(look(&two.store, &last.key).is_some());
    let before = two.shared.generation(last.key.hash());
    one.store.remove(&last.key).unwrap();
    until("the other host hears", || {
        two.shared.generation(last.key.hash()) != before
    });
    assert!(two.store.waiters.is_heard());
    assert_eq!(
        (
            two.shared.generation(&hash),
            two.shared.invalidations_elsewhere(&hash)
        ),
        (generation, elsewhere)
    );
    assert!(look(&two.store, &meta.key).is_some(), "no room was made");
    // The check of invalidations works: what was asked for before one isn't stored.
    let began = Some(two.shared.invalidations(&hash));
    one.store.remove(&meta.key).unwrap();
    let late = two
        .store
        .publish(&meta, Whole::Memory(vec![content(10, 3)]), began);
    assert!(matches!(late, Err(StoreError::Gone)), "{late:?}");
}

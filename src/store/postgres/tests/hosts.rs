//! Two stores with shared memory each, on one database: two hosts.

use std::thread;
use std::time::{Duration, Instant};

use super::*;
use crate::http::testing::fields;
use crate::store::Whole;
use crate::store::suite::{content, look, plain, publish};

/// Two hosts that hear each other.
pub(super) fn two() -> (Bench, Bench) {
    let database = Server::shared().database();
    let hosts = (bench(&database), bench(&database));
    for host in [&hosts.0, &hosts.1] {
        until("it listens", || host.store.waiters.is_heard());
    }
    hosts
}

#[test]
fn changes_reach_the_other_hosts_memory() {
    let (one, two) = two();
    let meta = plain("GET http://hosts/changes");
    let hash = *meta.key.hash();
    let other = *Key::new("GET http://hosts/other").hash();
    publish(&one.store, &meta, &content(10, 1));
    // (what one host does)
    let steps: [(&str, &dyn Fn()); 3] = [
        ("replaced", &|| {
            publish(&one.store, &meta, &content(10, 2));
        }),
        ("refreshed", &|| {
            let object = look(&one.store, &meta.key).unwrap();
            one.store.refresh(&object, &meta, None).unwrap();
        }),
        ("removed", &|| drop(one.store.remove(&meta.key).unwrap())),
    ];
    for (name, step) in steps {
        let generations = |host: &Bench| {
            (
                host.shared.generation(&hash),
                host.shared.generation(&other),
            )
        };
        let (before, here) = (generations(&two), generations(&one));
        step();
        let took = until(name, || generations(&two) != before);
        assert_eq!(
            generations(&two),
            (before.0 + 1, before.1),
            "{name}: once, and no other key"
        );
        assert!(generations(&one).0 > here.0, "{name}: at once here");
        println!("{name}: heard after {took:?}");
        assert_eq!(look(&two.store, &meta.key).is_some(), name != "removed");
    }
    // Removing what isn't there is a change too.
    let before = two.shared.generation(&hash);
    one.store.remove(&meta.key).unwrap();
    until("removed again", || two.shared.generation(&hash) > before);
}

#[test]
fn what_is_new_is_no_news_and_what_was_evicted_is() {
    let database = Server::shared().database();
    let hosts = [bench(&database), bench(&database)];
    for host in &hosts {
        until("it listens", || host.store.waiters.is_heard());
    }
    let [one, two] = &hosts;
    let (meta, other) = (
        plain("GET http://hosts/new"),
        plain("GET http://hosts/told"),
    );
    let hash = *meta.key.hash();
    publish(&one.store, &other, &content(10, 1));
    let before = two.shared.generation(&hash);
    publish(&one.store, &meta, &content(10, 1));
    // Notifications come in order: what was to be heard of the one is heard before the other.
    let heard = two.shared.generation(other.key.hash());
    publish(&one.store, &other, &content(10, 2));
    until("it is heard", || {
        two.shared.generation(other.key.hash()) > heard
    });
    assert_eq!(two.shared.generation(&hash), before);
    assert!(look(&two.store, &meta.key).is_some(), "but it is there");
    // Whoever evicts it tells every host, as any may store it anew.
    let generations = || hosts.each_ref().map(|host| host.shared.generation(&hash));
    let before = generations();
    Server::shared().sql(
        &one.name,
        "SELECT cacheproxy.evict(array_agg(id)) FROM cacheproxy.response WHERE uri = 'http://hosts/new'",
    );
    until("it is heard", || {
        generations() == before.map(|generation| generation + 1)
    });
    assert!(look(&two.store, &meta.key).is_none());
}

/// Another worker of the same host.
fn beside(host: &Bench, database: &str) -> PostgresStore {
    let options = PostgresOptions {
        database: database.to_owned(),
        password_file: None,
        logged: false,
        spool: host.spool.path().to_owned(),
        worker: 2,
        limit: 1 << 30,
    };
    PostgresStore::open(&options, host.shared.clone()).unwrap()
}

#[test]
fn several_workers_of_a_host_begin_one_generation() {
    let database = Server::shared().database();
    let (one, two) = (bench(&database), bench(&database));
    let second = beside(&two, &database);
    for waiting in [&one.store.waiters, &two.store.waiters, &second.waiters] {
        until("it listens", || waiting.is_heard());
    }
    let meta = plain("GET http://hosts/workers");
    let hash = *meta.key.hash();
    publish(&one.store, &meta, &content(10, 1));
    let before = two.shared.generation(&hash);
    for round in 1..=20 {
        publish(&one.store, &meta, &content(10, 1));
        until("it is heard", || {
            two.shared.generation(&hash) >= before + round
        });
    }
    thread::sleep(Duration::from_millis(100));
    assert_eq!(two.shared.generation(&hash), before + 20);
}

#[test]
fn what_is_heard_while_a_response_is_stored_may_have_come_after_it() {
    let server = Server::shared();
    let host = bench(&server.database());
    until("it listens", || host.store.waiters.is_heard());
    let meta = plain("GET http://hosts/meanwhile");
    let hash = *meta.key.hash();
    let published = publish(&host.store, &meta, &content(10, 1));
    assert_eq!(published.generation, host.shared.generation(&hash));
    // While it is being stored, for which it needs the key's lock, another host's change is heard.
    let mut session = server.session(&host.name);
    session
        .run("BEGIN; SELECT pg_advisory_xact_lock(hashtextextended('http://hosts/meanwhile', 0));");
    let published = thread::scope(|scope| {
        let storing = scope.spawn(|| publish(&host.store, &meta, &content(10, 2)));
        let waits = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted \
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
        until("it waits", || server.sql(&host.name, waits) == "1");
        host.shared.note_change(&[hash], 1 << 40);
        session.run("COMMIT;");
        storing.join().unwrap()
    });
    assert_ne!(published.generation, host.shared.generation(&hash));
}

#[test]
fn what_was_asked_for_before_another_host_made_it_invalid_is_not_stored() {
    let (one, two) = two();
    let meta = plain("GET http://hosts/invalid");
    let invalidation_epoch = two.shared.invalidations(meta.key.hash());
    one.shared.invalidate(meta.key.hash());
    one.store.remove(&meta.key).unwrap();
    // This host may have heard of it or not.
    let whole = || Whole::Memory(vec![content(10, 1)]);
    let late = two.store.publish(&meta, whole(), Some(invalidation_epoch));
    assert!(matches!(late, Err(StoreError::Gone)), "{late:?}");
    until("it is counted", || {
        two.shared.invalidations(meta.key.hash()) != invalidation_epoch
    });
    let invalidation_epoch = two.shared.invalidations(meta.key.hash());
    two.store
        .publish(&meta, whole(), Some(invalidation_epoch))
        .unwrap();
    assert!(look(&one.store, &meta.key).is_some());
    // And here it was counted twice, as it was made invalid and in the database: stored all the same.
    let invalidation_epoch = one.shared.invalidations(meta.key.hash());
    one.store
        .publish(&meta, whole(), Some(invalidation_epoch))
        .unwrap();
}

/// Ends the connections on which hosts listen, and keeps new ones from being made.
fn cut(server: &Server, name: &str, allowed: bool) {
    server.sql(
        "postgres",
        &format!("ALTER DATABASE {name} ALLOW_CONNECTIONS {allowed}"),
    );
    let end = format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
         WHERE datname = '{name}' AND application_name = 'cacheproxy'"
    );
    server.sql("postgres", &end);
}

#[test]
fn nothing_made_invalid_while_the_connection_was_lost_is_used() {
    let server = Server::shared();
    let (one, two) = two();
    let name = &two.name;
    let meta = plain("GET http://hosts/lost");
    let hash = *meta.key.hash();
    publish(&one.store, &meta, &content(10, 1));
    let (invalidation_epoch, generation) = (
        two.shared.invalidations(&hash),
        two.shared.generation(&hash),
    );
    // The connections end; in the database the key is made invalid unheard.
    let mut session = server.session(name);
    cut(server, name, false);
    until("nothing is heard", || !two.store.waiters.is_heard());
    let slot = Shared::invalidation_slot(&hash);
    let since = Instant::now();
    session.run(&format!("INSERT INTO cacheproxy.invalidation AS i VALUES ({slot}, 1) ON CONFLICT (slot) DO UPDATE SET count = i.count + 1;"));
    server.sql(
        "postgres",
        &format!("ALTER DATABASE {name} ALLOW_CONNECTIONS true"),
    );
    until("it listens again", || two.store.waiters.is_heard());
    println!("heard again after {:?}", since.elapsed());
    assert!(two.shared.generation(&hash) > generation);
    assert!(two.shared.invalidations(&hash) > invalidation_epoch);
    let late = two.store.publish(
        &meta,
        Whole::Memory(vec![content(10, 2)]),
        Some(invalidation_epoch),
    );
    assert!(matches!(late, Err(StoreError::Gone)), "{late:?}");
    // Invalidations that the database has forgotten are counted there again.
    let heard = two.shared.invalidations_elsewhere(&hash);
    server.sql(name, "DELETE FROM cacheproxy.invalidation");
    cut(server, name, true);
    let count =
        format!("SELECT coalesce(max(count), 0) FROM cacheproxy.invalidation WHERE slot = {slot}");
    until("it is counted again", || {
        server.sql(name, &count) == heard.to_string()
    });
}

#[test]
fn what_is_made_invalid_without_the_database_is_removed_before_it_is_used_again() {
    let mut server = Server::start();
    let database = server.database();
    let (one, two) = (bench(&database), bench(&database));
    let second = beside(&two, &database);
    let (meta, other) = (
        plain("GET http://hosts/untold"),
        plain("GET http://hosts/kept"),
    );
    let hash = *meta.key.hash();
    publish(&one.store, &meta, &content(10, 1));
    publish(&one.store, &other, &content(10, 1));
    let generation = two.shared.generation(&hash);
    server.stop();
    two.shared.invalidate(&hash);
    assert!(two.store.remove(&meta.key).is_err());
    assert!(two.shared.generation(&hash) > generation, "at once here");
    server.start_again();
    let mut found = None;
    until("it is back", || {
        for store in [&two.store, &second] {
            let purged = store.lookup(&meta.key, &Fields::default());
            assert!(!matches!(purged, Ok(Found::Object(_))));
        }
        found = two.store.lookup(&other.key, &Fields::default()).ok();
        found.is_some()
    });
    assert!(matches!(found, Some(Found::Object(_))));
    assert!(!two.store.pending_invalidations.any());
    assert!(look(&two.store, &meta.key).is_none());
    until("the other host is back", || {
        one.store.lookup(&meta.key, &Fields::default()).is_ok()
    });
    assert!(look(&one.store, &meta.key).is_none());
    assert!(look(&one.store, &other.key).is_some());
}

#[test]
fn hits_are_written_in_batches() {
    let (one, _two) = two();
    let meta = plain("GET http://hosts/hits");
    publish(&one.store, &meta, &content(10, 1));
    let used = |hits| Used {
        hash: *meta.key.hash(),
        variant: *meta.variant.hash(),
        hits,
    };
    one.store.used(&[used(2), used(3)]);
    one.store.used(&[used(4)]);
    let server = Server::shared();
    let row = "SELECT hits, used, last_used > now() - interval '1 minute' FROM cacheproxy.response";
    until("they are written", || server.sql(&one.name, row) == "9|t|t");
    // A variant that was used stays, however many come that nobody asks for again.
    let request = |value: &str| fields(&[("User-Agent", value)]);
    let variant = |value: &str| {
        suite::meta(
            "GET http://hosts/hits",
            &[("Vary", "User-Agent")],
            &request(value),
        )
    };
    publish(&one.store, &variant("real"), &content(10, 1));
    server.sql(&one.name, "UPDATE cacheproxy.response SET hits = 2");
    for junk in 0..40 {
        publish(&one.store, &variant(&junk.to_string()), &content(10, 1));
    }
    let found = |value: &str| one.store.lookup(&meta.key, &request(value)).unwrap();
    let is_there = |value: &str| matches!(found(value), Found::Object(_));
    assert!(is_there("real") && is_there("39") && is_there("9") && !is_there("8"));
}

#[test]
fn the_whole_takes_the_place_of_a_part_on_every_host() {
    let (one, two) = two();
    let whole = plain("GET http://hosts/part");
    let part = suite::part_of(&whole.key, 5..15);
    assert!(part.key.is_for_part());
    publish(&one.store, &part, &content(10, 1));
    assert!(look(&two.store, &part.key).is_some());
    let (here, there) = (
        one.shared.generation(part.key.hash()),
        two.shared.generation(part.key.hash()),
    );
    publish(&one.store, &whole, &content(20, 1));
    assert!(look(&two.store, &part.key).is_none() && look(&two.store, &whole.key).is_some());
    assert!(one.shared.generation(part.key.hash()) > here);
    until("it is heard", || {
        two.shared.generation(part.key.hash()) > there
    });
}

//! The store on a server of its own.
#![allow(clippy::unwrap_used)]

mod hosts;
mod leases;
mod others;
mod outages;
mod refusals;
mod room;

use std::time::{Duration, Instant};

use super::*;
use crate::postgres_server::Server;
use crate::store::suite::{self, content, plain, publish};

/// A store, and the directory of its spool.
struct Bench {
    store: PostgresStore,
    shared: Arc<Shared>,
    /// The database's name.
    name: String,
    spool: tempfile::TempDir,
}

fn bench(database: &str) -> Bench {
    host(database, 1 << 30)
}

/// A host of its own, by its shared memory.
fn host(database: &str, limit: u64) -> Bench {
    let spool = tempfile::tempdir().unwrap();
    let shared = Arc::new(Shared::create().unwrap());
    let options = PostgresOptions {
        database: database.to_owned(),
        password_file: None,
        logged: false,
        spool: spool.path().to_owned(),
        worker: 1,
        limit,
    };
    Bench {
        store: PostgresStore::open(&options, shared.clone()).unwrap(),
        shared,
        name: database.rsplit('=').next().unwrap().to_owned(),
        spool,
    }
}

/// Does this, and tells the time that it takes.
fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let begin = Instant::now();
    (work(), begin.elapsed())
}

/// Polls until it holds; how long that took.
#[track_caller]
fn until(what: &str, mut holds: impl FnMut() -> bool) -> Duration {
    let since = Instant::now();
    while !holds() {
        assert!(
            since.elapsed() < Duration::from_secs(20),
            "not in time: {what}"
        );
        std::thread::sleep(Duration::from_micros(200));
    }
    since.elapsed()
}

/// Waits until the store has found its server, or found that it has gone.
#[track_caller]
fn wait_for_server(bench: &Bench, there: bool) {
    let end = Instant::now() + Duration::from_secs(15);
    while (bench.store.pool.is_up(), bench.shared.is_store_down()) != (there, !there) {
        assert!(Instant::now() < end, "waited for the server in vain");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn does_what_every_store_does() {
    let bench = bench(&Server::shared().database());
    until("it listens", || bench.store.waiters.is_heard());
    suite::run(&bench.store);
}

#[test]
fn a_part_is_looked_up_only_where_there_is_one() {
    let database = Server::shared().database();
    let (one, other) = (host(&database, 1 << 30), host(&database, 1 << 30));
    let key = Key::new("GET http://a.example/part");
    let part = key.part();
    assert!(suite::look(&other.store, &key).is_none());
    assert!(!other.store.may_have(&part) && other.store.may_have(&key));
    publish(&one.store, &suite::part_of(&key, 0..100), &content(100, 1));
    // It is no answer to who asks for the whole, but is seen then.
    assert!(suite::look(&other.store, &key).is_none());
    assert!(other.store.may_have(&part));
    assert!(suite::look(&other.store, &part).is_some());
}

/// Bit rot that the server didn't find, in content of more than one piece and of one: nobody gets it, and it goes.
#[test]
fn damaged_pieces_are_neither_served_nor_kept() {
    let server = Server::shared();
    let bench = bench(&server.database());
    for (length, damaged) in [(600_000, 1), (600_000, 2), (100_000, 0)] {
        let meta = plain("GET http://rotten/");
        let store = [publish, suite::publish_draft][damaged % 2];
        store(&bench.store, &meta, &content(length, 1));
        let damage = format!(
            "UPDATE cacheproxy.piece SET bytes = set_byte(bytes, 7, get_byte(bytes, 7) # 1) WHERE number = {damaged}"
        );
        server.sql(&bench.name, &damage);
        let object = suite::look(&bench.store, &meta.key).unwrap();
        let mut at = 0;
        let outcome = loop {
            match object.content.piece(at) {
                Ok(piece) if piece.is_empty() => break Ok(()),
                Ok(piece) => at += piece.len() as u64,
                Err(why) => break Err(why),
            }
        };
        assert!(matches!(outcome, Err(StoreError::Gone)), "{outcome:?}");
        assert_eq!(at, damaged as u64 * content::PIECE);
        assert!(suite::look(&bench.store, &meta.key).is_none());
        server.sql(&bench.name, "DELETE FROM cacheproxy.piece");
    }
}

#[test]
fn a_person_can_read_it() {
    let server = Server::shared();
    server.create_database("readable", "cacheproxy");
    let bench = bench(&server.connection("readable"));
    let mut meta = plain("GET http://a.example/x?y%20z");
    meta.fields = [
        (&b"X"[..], &b"caf\xe9: 1"[..]),
        (b"Last-Modified", b"today"),
    ]
    .into_iter()
    .collect();
    meta.local = true;
    publish(&bench.store, &meta, &content(70_000, 1));
    assert_eq!(suite::look(&bench.store, &meta.key).unwrap().meta, meta);
    let columns =
        "method, uri, local, status, reason, fields, last_modified, length, response_time";
    let row = server.sql(
        "readable",
        &format!("SET timezone = 'UTC'; SELECT {columns} FROM cacheproxy.response"),
    );
    assert!(
        row.ends_with(
            "GET|http://a.example/x?y%20z|t|200|OK|{\"X: café: 1\",\"Last-Modified: today\"}|today|70000|1970-01-01 00:00:00.002+00"
        ),
        "{row}"
    );
}

#[test]
fn what_was_made_invalid_meanwhile_is_not_stored() {
    let database = Server::shared().database();
    let (one, two) = (bench(&database), bench(&database));
    for length in [10, 600_000] {
        let meta = plain(&format!("GET http://invalid/{length}"));
        let whole = || Whole::Memory(vec![content(length, 1)]);
        let invalidation_epoch = Some(one.shared.invalidations(meta.key.hash()));
        one.store
            .publish(&meta, whole(), invalidation_epoch)
            .unwrap();
        // Another host.
        assert_eq!(two.store.remove(&meta.key).unwrap().len(), 1);
        let late = one.store.publish(&meta, whole(), invalidation_epoch);
        assert!(matches!(late, Err(StoreError::Gone)), "{late:?}");
        assert!(suite::look(&one.store, &meta.key).is_none());
    }
}

#[test]
fn two_stores_at_once_see_whole_responses() {
    let database = Server::shared().database();
    let benches = [bench(&database), bench(&database)];
    let meta = plain("GET http://both/");
    let lengths = [100, 70_000, 300_000];
    std::thread::scope(|scope| {
        for bench in &benches {
            scope.spawn(|| {
                for round in 0..30 {
                    let seed = round % 3;
                    publish(&bench.store, &meta, &content(lengths[seed], seed as u8));
                    if round % 10 == 9 {
                        bench.store.remove(&meta.key).unwrap();
                    }
                }
            });
            scope.spawn(|| {
                for _ in 0..100 {
                    if let Some(object) = suite::look(&bench.store, &meta.key) {
                        let bytes = suite::read(&object.content);
                        let whole = |seed: u8| bytes == content(lengths[usize::from(seed)], seed);
                        assert!((0..3).any(whole));
                    }
                }
            });
        }
    });
}

/// An invalidation while somebody waits for the key's lock is to be seen once he has it.
#[test]
fn statements_see_what_was_committed_before_them() {
    let server = Server::shared();
    let database = server.database();
    let name = database.rsplit('=').next().unwrap();
    let set = format!("ALTER DATABASE {name} SET default_transaction_isolation = 'serializable'");
    server.sql("postgres", &set);
    let mut session = connect(&database, None, Duration::from_secs(20)).unwrap();
    let row = session.query_first("SHOW transaction_isolation", &[]);
    let level: String = row.unwrap().unwrap().get(0);
    assert_eq!(level, "read committed");
}

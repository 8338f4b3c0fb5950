//! The store on a server of its own.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::postgres_server::Server;
use crate::store::suite;

/// A store, and the directory of its spool.
struct Bench {
    store: PostgresStore,
    _spool: tempfile::TempDir,
}

fn bench(database: &str) -> Bench {
    let spool = tempfile::tempdir().unwrap();
    let shared = Arc::new(Shared::anonymous().unwrap());
    let options = PostgresOptions {
        database: database.to_owned(),
        password_file: None,
        logged: false,
        spool: spool.path().to_owned(),
        worker: 1,
        limit: 1 << 30,
    };
    Bench {
        store: PostgresStore::open(&options, shared).unwrap(),
        _spool: spool,
    }
}

#[test]
fn does_what_every_store_does() {
    let bench = bench(&Server::shared().database());
    suite::run(&bench.store);
}

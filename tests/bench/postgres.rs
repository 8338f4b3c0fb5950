//! The cost of hits and fills on the PostgreSQL store, beside the same rows read and written by plain prepared statements in the
//! same run; then what hits cost through a proxy on this store and on the filesystem's.
//!
//!     cargo bench --bench postgres
//!
//! Processor time is what counts, the client's and the server's together: it depends little on what else the machine does.
#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;
mod cpu;
mod plain;
mod through;

use std::sync::Arc;

use bytes::Bytes;
use cacheproxy::cache::extent::Extent;
use cacheproxy::cache::key::{Key, Variant};
use cacheproxy::cache::provenance::Provenance;
use cacheproxy::cache::stored::Meta;
use cacheproxy::cache::time::Timestamp;
use cacheproxy::http::fields::{Fields, FieldsBuilder};
use cacheproxy::store::postgres::{PostgresOptions, PostgresStore};
use cacheproxy::store::{Checksum, Content, Found, Store, Whole};
use cacheproxy::sys::shared::Shared;

use common::pattern;
use common::postgres::Server;
use cpu::Used;
use plain::Plain;

/// Lengths of content, and how many responses of each are written in a round and read `READ` times over.
const SIZES: [(usize, usize); 3] = [(1 << 10, 100), (64 << 10, 50), (4 << 20, 2)];
const READ: usize = 5;
/// Rounds, short ones that alternate between the store and plain statements, so that both see the same machine.
const ROUNDS: usize = 20;
/// The length up to which content is held in memory while it is fetched, as in the worker.
const IN_MEMORY: usize = 256 << 10;

const FIELDS: [&str; 8] = [
    "Date: Sat, 01 Aug 2026 10:00:00 GMT",
    "Server: Apache/2.4.62 (Debian)",
    "Last-Modified: Sat, 01 Aug 2026 09:00:00 GMT",
    "ETag: \"1\"",
    "Accept-Ranges: bytes",
    "Content-Type: application/vnd.debian.binary-package",
    "Cache-Control: max-age=3600",
    "X-Clacks-Overhead: GNU Terry Pratchett",
];

fn main() {
    // cargo test runs every target; this one is for cargo bench alone.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let server = Server::with().setting("shared_buffers = 256MB").start();
    let connection = server.database();
    let store = open(&connection);
    let mut plain = Plain::connect(&connection);
    println!(
        "PostgreSQL {}; processor time of one, client + server, in microseconds",
        Server::version()
    );
    println!(
        "{:22} {:>22} {:>22} {:>7}",
        "", "store", "plain statements", "ratio"
    );
    for (len, count) in SIZES {
        let content = pattern(len);
        let mut spent: [Vec<(f64, f64)>; 4] = Default::default();
        for round in 0..ROUNDS {
            let keys = |way: &str| -> Vec<Key> {
                let key = |n| Key::new(format!("GET http://bench.example/{way}/{len}/{round}/{n}"));
                (0..count).map(key).collect()
            };
            let (ours, theirs) = (keys("store"), keys("plain"));
            let measure = |spent: &mut Vec<(f64, f64)>, times: usize, work: &mut dyn FnMut()| {
                let own = [std::process::id() as i32];
                let used = Used::by(&own, &server, work);
                spent.push((
                    cpu::micros(used.client, times),
                    cpu::micros(used.server, times),
                ));
            };
            measure(&mut spent[0], count, &mut || {
                ours.iter().for_each(|key| fill(&store, key, &content))
            });
            measure(&mut spent[1], count, &mut || {
                for key in &theirs {
                    let uri = std::str::from_utf8(&key.text()[4..]).unwrap();
                    plain.fill(key.hash(), uri, &FIELDS, &content);
                }
            });
            measure(&mut spent[2], count * READ, &mut || {
                for _ in 0..READ {
                    ours.iter()
                        .for_each(|key| assert_eq!(hit(&store, key), len));
                }
            });
            measure(&mut spent[3], count * READ, &mut || {
                for _ in 0..READ {
                    theirs
                        .iter()
                        .for_each(|key| assert_eq!(plain.hit(key.hash()), len));
                }
            });
        }
        let [fill, plain_fill, hit, plain_hit] = spent.map(median);
        for (what, ours, theirs) in [("fill", fill, plain_fill), ("hit", hit, plain_hit)] {
            let both = |(client, server): (f64, f64)| format!("{client:.0} + {server:.0}");
            let ratio = (ours.0 + ours.1) / (theirs.0 + theirs.1);
            println!(
                "{what:5} {:>12} KiB {:>24} {:>22} {ratio:>7.2}",
                len >> 10,
                both(ours),
                both(theirs)
            );
        }
    }
    drop(store);
    through::run(&server);
}

/// The round in the middle: what else the machine did in some of them doesn't count.
fn median(mut rounds: Vec<(f64, f64)>) -> (f64, f64) {
    rounds.sort_by(|one, other| (one.0 + one.1).total_cmp(&(other.0 + other.1)));
    rounds[rounds.len() / 2]
}

fn open(connection: &str) -> PostgresStore {
    let spool = tempfile::tempdir().unwrap().keep();
    let options = PostgresOptions {
        database: connection.to_owned(),
        password_file: None,
        logged: false,
        spool,
        worker: 1,
        limit: 64 << 30,
    };
    let shared = Arc::new(Shared::create().unwrap());
    shared.set_limit(64 << 30);
    let store = PostgresStore::open(&options, shared).unwrap();
    // Connected, with a schema.
    while store
        .lookup(&Key::new("GET http://none/"), &Fields::default())
        .is_err()
    {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    store
}

/// As the worker stores what it fetched.
fn fill(store: &PostgresStore, key: &Key, content: &[u8]) {
    let mut fields = FieldsBuilder::default();
    for line in FIELDS {
        let (name, value) = line.split_once(": ").unwrap();
        fields.push(name.as_bytes(), value.as_bytes());
    }
    let meta = Meta {
        key: key.clone(),
        variant: Variant::none(),
        request_time: Timestamp::from_seconds(1_785_000_000),
        response_time: Timestamp::from_seconds(1_785_000_000),
        local: false,
        extent: Extent::Whole,
        provenance: Provenance::default(),
        status: 200,
        reason: "OK".into(),
        fields: fields.build(),
        trailers: Fields::default(),
    };
    let whole = if content.len() <= IN_MEMORY {
        Whole::Memory(
            content
                .chunks(16 << 10)
                .map(Bytes::copy_from_slice)
                .collect(),
        )
    } else {
        let draft = store.begin(&meta, Some(content.len() as u64)).unwrap();
        let mut checksum = Checksum::new();
        for (number, part) in content.chunks(IN_MEMORY).enumerate() {
            draft.write_at(part, (number * IN_MEMORY) as u64).unwrap();
            checksum.update(part);
        }
        let len = content.len() as u64;
        Whole::Draft {
            draft,
            len,
            checksum,
        }
    };
    store.publish(&meta, whole, None).unwrap();
}

/// The length of the content, all of which was read.
fn hit(store: &PostgresStore, key: &Key) -> usize {
    let Found::Object(object) = store.lookup(key, &Fields::default()).unwrap() else {
        panic!("nothing stored");
    };
    match object.content {
        Content::Memory(bytes) => bytes.len(),
        Content::Pieces(pieces) => {
            let mut at = 0;
            while at < pieces.len() {
                at += pieces.read(at).unwrap().len() as u64;
            }
            at as usize
        }
        Content::File { .. } => panic!("a file"),
    }
}

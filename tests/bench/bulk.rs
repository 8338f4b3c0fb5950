//! Commands over a filesystem store of many small responses, each with nothing of it in memory before: the time, and the most
//! memory that one took.
//!
//!     cargo bench --bench bulk                       # 1,000,000 responses of 1 KiB
//!     BULK_RESPONSES=100000 BULK_DIR=/srv cargo bench --bench bulk
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use cacheproxy::cache::extent::Extent;
use cacheproxy::cache::key::{Key, Variant};
use cacheproxy::cache::provenance::Provenance;
use cacheproxy::cache::stored::Meta;
use cacheproxy::cache::time::Timestamp;
use cacheproxy::http::fields::{Fields, FieldsBuilder};
use cacheproxy::store::filesystem::FilesystemStore;
use cacheproxy::store::{Publication, Store, Whole};
use cacheproxy::sys::shared::Shared;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

const HOSTS: usize = 10;
/// Those that are published together.
const TOGETHER: usize = 64;
/// The share of a host's responses that lie below one prefix.
const PREFIXES: usize = 4;

const FIELDS: [(&str, &str); 7] = [
    ("Date", "Sat, 01 Aug 2026 10:00:00 GMT"),
    ("Server", "Apache/2.4.62 (Debian)"),
    ("Last-Modified", "Sat, 01 Aug 2026 09:00:00 GMT"),
    ("ETag", "\"1f2-63b6b0b2a1c40\""),
    ("Accept-Ranges", "bytes"),
    ("Content-Type", "application/vnd.debian.binary-package"),
    ("Cache-Control", "max-age=3600"),
];

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, fill, store, count] = &arguments[..] {
        assert_eq!(fill, "fill");
        return self::fill(Path::new(store), count.parse().unwrap());
    }
    // cargo test runs every target; this one is for cargo bench alone.
    if !arguments.iter().any(|argument| argument == "--bench") {
        return;
    }
    let count: usize =
        std::env::var("BULK_RESPONSES").map_or(1_000_000, |count| count.parse().unwrap());
    let place = std::env::var("BULK_DIR").unwrap_or_else(|_| "target".to_owned());
    let dir = tempfile::tempdir_in(place).unwrap();
    let store = dir.path().join("store");
    // By another process: a command would begin with the memory of this one counted as its own.
    let filled = Command::new(&arguments[0])
        .args(["fill", store.to_str().unwrap(), &count.to_string()])
        .status();
    assert!(filled.unwrap().success());
    let each = count / HOSTS;
    let prefix = "http://host-2.test/pool/1/";
    let below = each.div_ceil(PREFIXES);
    run(&store, "list", &["list"], count, &format!("{count} stored"));
    let one = ["purge", "--host", "host-1.test"];
    run(
        &store,
        "purge --host",
        &one,
        each,
        &format!("{each} stored"),
    );
    let some = ["purge", "--prefix", prefix];
    run(
        &store,
        "purge --prefix",
        &some,
        below,
        &format!("{below} stored"),
    );
}

/// Stores so many responses, those of all hosts mixed.
fn fill(path: &Path, count: usize) {
    let shared = Arc::new(Shared::create().unwrap());
    let store = FilesystemStore::open(path, 1, shared).unwrap();
    let mut fields = FieldsBuilder::default();
    for (name, value) in FIELDS {
        fields.push(name.as_bytes(), value.as_bytes());
    }
    let fields = fields.build();
    let begun = Instant::now();
    // Coprime to the count, so that each comes once, far from those before it.
    let step = 7_368_787;
    let number = |at: usize| (at * step) % count;
    let mut together = Vec::with_capacity(TOGETHER);
    for at in 0..count {
        together.push(publication(number(at), &fields));
        if together.len() == TOGETHER || at + 1 == count {
            for outcome in store.publish_all(std::mem::take(&mut together)) {
                outcome.unwrap();
            }
        }
    }
    let took = begun.elapsed();
    store.close().unwrap();
    println!(
        "{count} responses stored: {:.1} µs each, {} MiB on disk, {} bytes each",
        took.as_secs_f64() * 1e6 / count as f64,
        size(path) >> 20,
        size(path) / count as u64
    );
}

fn publication(number: usize, fields: &Fields) -> Publication {
    let (host, number) = (number % HOSTS, number / HOSTS);
    let part = number % PREFIXES;
    let content = vec![number as u8; 1024];
    Publication {
        meta: Meta {
            key: Key::new(format!(
                "GET http://host-{host}.test/pool/{part}/lib/package_{number}-1_amd64.deb"
            )),
            variant: Variant::none(),
            request_time: Timestamp::from_millis(1_785_578_400_000),
            response_time: Timestamp::from_millis(1_785_578_400_010),
            local: false,
            extent: Extent::Whole,
            provenance: Provenance::default(),
            status: 200,
            reason: Bytes::from_static(b"OK"),
            fields: fields.clone(),
            trailers: Fields::default(),
        },
        whole: Whole::Memory(vec![content.into()]),
        invalidation_epoch: None,
    }
}

/// The bytes that all below this path takes on disk.
fn size(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let entries = std::fs::read_dir(path).unwrap().flatten();
    let sizes = entries.map(|entry| {
        let metadata = entry.metadata().unwrap();
        match metadata.is_dir() {
            true => size(&entry.path()),
            false => metadata.blocks() * 512,
        }
    });
    sizes.sum()
}

/// Runs a command about the store, and prints what it took.
fn run(store: &Path, name: &str, arguments: &[&str], count: usize, says: &str) {
    let how = if forget() { "cold" } else { "warm" };
    let begun = Instant::now();
    let output = Command::new(env!("CARGO_BIN_EXE_cacheproxy"))
        .args(arguments)
        .arg("--store")
        .arg(store)
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    let took = begun.elapsed();
    let said = String::from_utf8_lossy(&output.stdout);
    let last = said.lines().last().unwrap_or_default().to_owned();
    assert!(output.status.success() && said.contains(says), "{last}");
    println!(
        "{name} of {count}, {how}: {:.2} s, {:.2} s of it CPU, {} MiB at most: {last}",
        took.as_secs_f64(),
        cpu().as_secs_f64(),
        peak() >> 10
    );
}

/// Has the kernel forget what it has of files; false where this process may not.
fn forget() -> bool {
    nix::unistd::sync();
    std::fs::write("/proc/sys/vm/drop_caches", "1").is_ok()
}

/// Of all commands so far: CPU time, and the most KiB of memory that one had.
fn cpu() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap();
    let all = usage.user_time() + usage.system_time();
    Duration::from_micros(u64::try_from(all.num_microseconds()).unwrap())
}

fn peak() -> i64 {
    getrusage(UsageWho::RUSAGE_CHILDREN).unwrap().max_rss()
}

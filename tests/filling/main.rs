//! The limits on disk while a store fills: never above the size limit by more than a hundredth, whatever is
//! counted against it, files that nobody sees included.
#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;
mod taken;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread::sleep;
use std::time::Duration;

use common::origin::ok;
use common::proxy::may_mount;
use common::{Client, Origin, Proxy, TIMEOUT, wait_until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use taken::Taken;

const MIB: u64 = 1 << 20;

/// Lengths of contents, taken in turn: most are small, most bytes are in large ones.
const LENGTHS: [usize; 14] = [
    700, 4_000, 1_500, 20_000, 70_000, 300, 300_000, 9_000, 1_200_000, 5_000, 2_500_000, 40_000,
    1_024, 5_242_880,
];

/// An origin server whose contents have the length that the path says, some of it untold beforehand,
/// some for one language only.
fn sized() -> Origin {
    let content = common::pattern(5 << 20);
    Origin::answering(move |request| {
        let mut parts = request.target().rsplit('/');
        let length: usize = parts.next().unwrap().parse().unwrap();
        let number: usize = parts.next().unwrap().parse().unwrap();
        let content = &content[..length];
        let fields = "Cache-Control: max-age=600\r\n";
        match number % 5 {
            0 => {
                let head = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n{fields}\r\n");
                let size = format!("{length:x}\r\n");
                [head.as_bytes(), size.as_bytes(), content, b"\r\n0\r\n\r\n"].concat()
            }
            1 => ok(&format!("{fields}Vary: Accept-Language\r\n"), content),
            _ => ok(fields, content),
        }
    })
}

/// Asks for so many bytes, by eight clients, and calls `sample` all the while.
fn fill(proxy: &Proxy, origin: &Origin, bytes: u64, mut sample: impl FnMut()) {
    let next = Arc::new(AtomicUsize::new(0));
    let each: u64 = LENGTHS.iter().map(|length| *length as u64).sum();
    let last = (bytes / each) as usize * LENGTHS.len();
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..8)
            .map(|_| {
                let next = next.clone();
                scope.spawn(move || {
                    let mut client = Client::of(proxy);
                    loop {
                        let number = next.fetch_add(1, SeqCst);
                        if number >= last {
                            return;
                        }
                        let length = LENGTHS[number % LENGTHS.len()];
                        let response = client.get(&origin.uri(&format!("/{number}/{length}")));
                        assert_eq!((response.status, response.content.len()), (200, length));
                    }
                })
            })
            .collect();
        while !clients.iter().all(|client| client.is_finished()) {
            sample();
            sleep(Duration::from_millis(15));
        }
    });
}

#[test]
fn a_store_that_fills_stays_within_a_hundredth_of_its_limit() {
    const LIMIT: u64 = 64 * MIB;
    let proxy = Proxy::with("store_size = \"64MiB\"\nmin_free_disk = \"0B\"\n")
        .workers(4)
        .start();
    let origin = sized();
    let (mut most, mut samples) = (Taken::default(), 0);
    fill(&proxy, &origin, 10 * LIMIT, || {
        most = most.most(Taken::by(&proxy));
        samples += 1;
    });
    println!("{samples} samples, of {LIMIT} bytes at most: {most:?}");
    assert!(samples > 50, "{samples}");
    assert!(most.files <= LIMIT + LIMIT / 100, "{most:?}");
    assert!(most.du <= LIMIT + LIMIT / 100, "{most:?}");
    assert!(most.files >= LIMIT / 10 * 9, "it was never full: {most:?}");
}

/// Clients that have asked for these and read nothing, each after its content was stored, if it was.
fn slow_clients(proxy: &Proxy, origin: &Origin, numbers: std::ops::Range<usize>) -> Vec<Client> {
    let slow = numbers.map(|number| {
        // Far more than what sockets hold.
        let uri = origin.uri(&format!("/{number}/{}", 16 * MIB));
        Client::of(proxy).get(&uri);
        let mut client = Client::asking(proxy, &uri);
        client.response_head("GET");
        client
    });
    slow.collect()
}

fn large() -> Origin {
    let answer = ok("Cache-Control: max-age=600\r\n", vec![7; 16 * MIB as usize]);
    Origin::answering(move |_| answer.clone())
}

#[test]
fn files_that_slow_clients_hold_count() {
    const LIMIT: u64 = 40 * MIB;
    let proxy = Proxy::with("store_size = \"40MiB\"\nmin_free_disk = \"0B\"\n")
        .workers(2)
        .start();
    let origin = large();
    let mut slow = slow_clients(&proxy, &origin, 0..8);
    let taken = Taken::by(&proxy);
    println!("of {LIMIT} bytes: {taken:?}");
    assert!(taken.files <= LIMIT + LIMIT / 100, "{taken:?}");
    // They are slow, and nothing else: each gets all of it.
    for client in &mut slow {
        let mut length = 0;
        let framing = common::message::Framing::Length(16 * MIB);
        client.wire.allow(TIMEOUT);
        client
            .content(framing, &mut |piece| length += piece.len() as u64)
            .unwrap();
        assert_eq!(length, 16 * MIB);
    }
    drop(slow);
    // Then there is room again.
    wait_until("it is stored", TIMEOUT, || {
        let uri = origin.uri(&format!("/100/{}", 16 * MIB));
        proxy.get(&uri).is_hit()
    });
}

#[test]
fn a_client_that_holds_a_removed_file_is_cut_off_below_the_floor_only() {
    const FLOOR: u64 = 32 * MIB;
    if !may_mount() {
        println!("left out: a file system of one's own can't be mounted here");
        return;
    }
    let proxy = Proxy::with(
        "store_size = \"1GiB\"\nmin_free_disk = \"32MiB\"\npurge_allow = [\"127.0.0.0/8\"]\n",
    )
    .disk(96 * MIB)
    .start();
    let origin = large();
    let mut slow = slow_clients(&proxy, &origin, 0..2);
    let files = proxy.store_as_seen().join("v3/files");
    let stored = || {
        let directories = std::fs::read_dir(&files).into_iter().flatten().flatten();
        let files = directories.filter_map(|it| std::fs::read_dir(it.path()).ok());
        files.map(Iterator::count).sum::<usize>()
    };
    wait_until("both are stored", TIMEOUT, || stored() == 2);
    for number in 0..2 {
        let purged = proxy.request("PURGE", &origin.uri(&format!("/{number}/{}", 16 * MIB)), "");
        assert_eq!(purged.status, 200);
    }
    // One of them reads on, which nothing keeps it from.
    let [faster, slower] = &mut slow[..] else {
        panic!("two clients")
    };
    faster.wire.allow(TIMEOUT);
    faster.wire.exactly(8 * MIB as usize).unwrap();
    let other = proxy.store_as_seen().join("another-program");
    std::fs::write(&other, vec![1; 40 * MIB as usize]).unwrap();
    assert!(proxy.free_disk() < FLOOR);
    wait_until("disk is free again", TIMEOUT, || proxy.free_disk() >= FLOOR);
    proxy.wait_for_line(&["min_free_disk", "cut off"]);
    let framing = common::message::Framing::Length(8 * MIB);
    faster.content(framing, &mut |_| ()).unwrap();
    let (read, ended) = slower.rest();
    assert!(
        (read.len() as u64) < 16 * MIB,
        "{} bytes, then {ended:?}",
        read.len()
    );
}

#[test]
fn a_store_that_fills_leaves_the_floor_of_free_disk() {
    const FLOOR: u64 = 64 * MIB;
    if !may_mount() {
        println!("left out: a file system of one's own can't be mounted here");
        return;
    }
    let proxy = Proxy::with("store_size = \"1GiB\"\nmin_free_disk = \"64MiB\"\n")
        .workers(4)
        .disk(128 * MIB)
        .start();
    let origin = sized();
    let (mut least, mut samples) = (u64::MAX, 0);
    fill(&proxy, &origin, 256 * MIB, || {
        least = least.min(proxy.free_disk());
        samples += 1;
    });
    println!("{samples} samples, {least} bytes free at least, {FLOOR} wanted");
    assert!(
        least >= FLOOR - FLOOR / 100,
        "{least} bytes free of {FLOOR}"
    );
    assert!(
        least <= FLOOR + FLOOR / 2,
        "it was never full: {least} bytes free"
    );
}

/// Asks for so much under this name; true when it came from the store.
fn is_stored(proxy: &Proxy, origin: &Origin, name: &str, length: u64) -> bool {
    let response = proxy.get(&origin.uri(&format!("/{name}/{length}")));
    let got = (response.status, response.content.len() as u64);
    assert_eq!(got, (200, length), "{name}");
    response.is_hit()
}

#[test]
fn a_full_disk_that_has_room_again_stores_again() {
    // The first takes most of the disk.
    const LENGTHS: [u64; 4] = [20 * MIB, MIB, 100 << 10, 1 << 10];
    if !may_mount() {
        println!("left out: a file system of one's own can't be mounted here");
        return;
    }
    let proxy = Proxy::with("min_free_disk = \"0B\"\n")
        .workers(3)
        .disk(32 * MIB)
        .start();
    let content = common::pattern(20 << 20);
    let origin = Origin::answering(move |request| {
        let length: usize = request
            .target()
            .rsplit('/')
            .next()
            .unwrap()
            .parse()
            .unwrap();
        ok("Cache-Control: max-age=600\r\n", &content[..length])
    });
    for length in [1 << 10, MIB] {
        wait_until("it is stored", TIMEOUT, || {
            is_stored(&proxy, &origin, "before", length)
        });
    }
    let filler = proxy.store_as_seen().join("filler");
    assert!(std::fs::write(&filler, vec![1; 32 * MIB as usize]).is_err());
    assert_eq!(proxy.free_disk(), 0);
    let old = proxy.wait_for_workers(3);
    for worker in &old {
        kill(Pid::from_raw(*worker), Signal::SIGTERM).unwrap();
    }
    wait_until("others take their place", TIMEOUT, || {
        let workers = proxy.workers();
        workers.len() == 3 && !workers.iter().any(|it| old.contains(it))
    });
    for length in LENGTHS {
        is_stored(&proxy, &origin, "full", length);
    }
    std::fs::remove_file(&filler).unwrap();
    // Others than before: what waited for room may be stored by now.
    for length in LENGTHS {
        assert!(!is_stored(&proxy, &origin, "again", length), "{length}");
        wait_until("it is stored again", TIMEOUT, || {
            is_stored(&proxy, &origin, "again", length)
        });
    }
    // No worker had to do without the store meanwhile.
    let log = proxy.log();
    assert!(!log.iter().any(|it| it.contains("nothing is stored")));
}

#[test]
fn running_out_of_inodes_evicts() {
    // Of so many, these are left free; the directories of the store take some 260.
    const INODES: u64 = 600;
    const FLOOR: u64 = 32;
    if !may_mount() {
        println!("left out: a file system of one's own can't be mounted here");
        return;
    }
    let proxy = Proxy::with("store_size = \"1GiB\"\nmin_free_disk = \"0B\"\nmemory = \"0B\"\n")
        .disk_of(512 * MIB, INODES)
        .start();
    let origin = sized();
    let mut client = Client::of(&proxy);
    let mut least = u64::MAX;
    for number in 0..700 {
        let response = client.get(&origin.uri(&format!("/{number}/70000")));
        assert_eq!(response.content.len(), 70_000);
        least = least.min(proxy.free_inodes());
    }
    println!("{least} inodes free at least, {FLOOR} wanted");
    assert!(least < FLOOR + 100, "{least} inodes were free");
    let uri = |number: usize| origin.uri(&format!("/{number}/70000"));
    wait_until("they are free", TIMEOUT, || proxy.free_inodes() >= FLOOR);
    wait_until("the newest is stored", TIMEOUT, || {
        proxy.get(&uri(699)).is_hit()
    });
    assert!(
        !proxy
            .request("GET", &uri(2), "Cache-Control: only-if-cached\r\n")
            .is_hit()
    );
    // Others take them all: requests go on, small responses are stored, and it is said.
    let others = proxy.store_as_seen().join("others");
    std::fs::create_dir(&others).unwrap();
    wait_until("others have taken all", TIMEOUT, || {
        let taken = (0..).map(|number| {
            std::fs::write(others.join(format!("{number}-{}", proxy.free_inodes())), "")
        });
        taken.take_while(Result::is_ok).count();
        !proxy
            .request("GET", &uri(699), "Cache-Control: only-if-cached\r\n")
            .is_hit()
    });
    for number in 1000..1003 {
        assert_eq!(proxy.get(&uri(number)).content.len(), 70_000);
    }
    // Once a minute something is said of a store without room, and it may have been something else.
    let mut number = 1003..;
    wait_until("it is said", TIMEOUT * 8, || {
        proxy.get(&uri(number.next().unwrap_or_default()));
        proxy.log().iter().any(|line| line.contains("inodes"))
    });
    let small = origin.uri("/1/300");
    proxy.get(&small);
    wait_until("a small one is stored", TIMEOUT, || {
        proxy.get(&small).is_hit()
    });
    std::fs::remove_dir_all(&others).unwrap();
    wait_until("it stores again", TIMEOUT, || {
        proxy.get(&uri(2000)).is_hit()
    });
}

#[test]
fn what_other_versions_left_counts_until_it_is_removed() {
    const LIMIT: u64 = 64 * MIB;
    let mut proxy =
        Proxy::with("store_size = \"64MiB\"\nmin_free_disk = \"0B\"\nmemory = \"0B\"\n")
            .workers(2)
            .start();
    let origin = sized();
    let kept: Vec<String> = (0..20)
        .map(|number| origin.uri(&format!("/{number}/300000")))
        .collect();
    for uri in &kept {
        proxy.get(uri);
    }
    wait_until("they are stored", TIMEOUT, || {
        kept.iter().all(|uri| proxy.get(uri).is_hit())
    });
    for (number, version) in (0..100).zip(["v1/ab", "v2/cd", "v1/ef"].iter().cycle()) {
        let directory = proxy.store().join(version);
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join(number.to_string()), vec![1; MIB as usize]).unwrap();
    }
    std::fs::write(proxy.store().join("synced"), "").unwrap();
    proxy.restart();
    proxy.wait_for_line(&["other versions", "101 files, 100 MiB"]);
    for gone in ["v1", "v2", "synced"] {
        assert!(!proxy.store().join(gone).exists(), "{gone}");
    }
    // Nothing went for it, and what comes finds room.
    assert!(kept.iter().all(|uri| proxy.get(uri).is_hit()));
    let mut most = Taken::default();
    fill(&proxy, &origin, 2 * LIMIT, || {
        most = most.most(Taken::by(&proxy))
    });
    assert!(most.du <= LIMIT + LIMIT / 100, "{most:?}");
    assert!(most.files >= LIMIT / 10 * 9, "it was never full: {most:?}");
}

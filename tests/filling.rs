//! The limits on disk while a store fills: never above the size limit by more than a hundredth, whatever is
//! counted against it, files that nobody sees included.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::HashSet;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread::sleep;
use std::time::Duration;

use common::origin::ok;
use common::proxy::{may_mount, state};
use common::{Client, Origin, Proxy, TIMEOUT, wait_until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const MIB: u64 = 1 << 20;

/// Lengths of contents, taken in turn: most are small, most bytes are in large ones.
const LENGTHS: [usize; 12] = [
    700, 4_000, 1_500, 20_000, 70_000, 300, 300_000, 9_000, 1_200_000, 5_000, 2_500_000, 40_000,
];

/// An origin server whose contents have the length that the path says, some of it untold beforehand,
/// some for one language only.
fn sized() -> Origin {
    let content = common::pattern(3 << 20);
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

/// A store's place on disk.
#[derive(Debug, Default, Clone, Copy)]
struct Taken {
    /// Blocks of files, those that have no name included.
    files: u64,
    /// Of those, the ones without a name.
    unnamed: u64,
    /// Blocks of everything with a name, directories too, as du counts them.
    du: u64,
}

impl Taken {
    /// The store's place while none of the proxy's processes runs, so that all is of one moment.
    fn by(proxy: &Proxy) -> Taken {
        let mut pids = proxy.workers();
        pids.push(proxy.pid());
        let all = |signal| {
            pids.iter().for_each(|pid| {
                let _ = kill(Pid::from_raw(*pid), signal);
            })
        };
        all(Signal::SIGSTOP);
        wait_until("all have stopped", TIMEOUT, || {
            pids.iter().all(|pid| is_stopped(*pid))
        });
        let mut taken = Taken::default();
        let mut seen = HashSet::new();
        let mut folders = vec![proxy.store()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap().flatten() {
                let metadata = entry.metadata().unwrap();
                if metadata.is_dir() {
                    folders.push(entry.path());
                } else if seen.insert(metadata.ino()) {
                    taken.files += metadata.blocks() * 512;
                }
            }
        }
        for pid in &pids {
            taken.unnamed += unnamed(*pid, &proxy.store(), &mut seen);
        }
        taken.files += taken.unnamed;
        taken.du = du(&proxy.store());
        all(Signal::SIGCONT);
        taken
    }

    fn most(self, other: Taken) -> Taken {
        Taken {
            files: self.files.max(other.files),
            unnamed: self.unnamed.max(other.unnamed),
            du: self.du.max(other.du),
        }
    }
}

/// True when none of its threads runs: the first may have stopped while another is still within a call.
fn is_stopped(pid: i32) -> bool {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task"));
    threads.into_iter().flatten().flatten().all(|thread| {
        let id = thread.file_name().to_str().unwrap().parse().unwrap();
        matches!(state(id), None | Some('T' | 'Z'))
    })
}

/// The blocks of the files of this store that a process has open and nobody else can.
fn unnamed(pid: i32, store: &Path, seen: &mut HashSet<u64>) -> u64 {
    let Ok(entries) = std::fs::read_dir(format!("/proc/{pid}/fd")) else {
        return 0;
    };
    let mut bytes = 0;
    for entry in entries.flatten() {
        let (link, file) = (std::fs::read_link(entry.path()), entry.path().metadata());
        let (Ok(link), Ok(file)) = (link, file) else {
            continue;
        };
        if link.starts_with(store) && file.is_file() && file.nlink() == 0 && seen.insert(file.ino())
        {
            bytes += file.blocks() * 512;
        }
    }
    bytes
}

fn du(store: &Path) -> u64 {
    let told = Command::new("du")
        .args(["-s", "-B1"])
        .arg(store)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    told.split_whitespace().next().unwrap().parse().unwrap()
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
    fill(&proxy, &origin, 512 * MIB, || {
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
    let other = proxy.store().join("another-program");
    let other = format!("/proc/{}/root{}", proxy.pid(), other.display());
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

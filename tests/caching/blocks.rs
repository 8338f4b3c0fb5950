//! Large stored content that is damaged: no byte of a block that doesn't check is sent, whatever was done to its file and
//! though the file's time was kept. The rest comes from the origin server, or the client can tell that it is cut off.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use nix::fcntl::{Flock, FlockArg};

use crate::common::origin::reply;
use crate::common::{Client, Origin, Proxy, TIMEOUT, pattern, wait_until};

pub const MIB: usize = 1 << 20;
/// Three blocks and a bit.
pub const LENGTH: usize = 3 * MIB + 100;
pub const TAG: &str = "ETag: \"one\"\r\n";

/// An origin server that has content of this length at each path, with these fields, and parts of it.
pub fn origin(length: usize, fields: &'static str) -> Origin {
    let content = pattern(length);
    Origin::answering(move |request| {
        let fields = format!("Cache-Control: max-age=600\r\n{fields}");
        match request.head.first("range").and_then(|it| range(it, length)) {
            None => reply("200 OK", &fields, &content),
            Some((from, to)) => {
                let part = format!(
                    "{fields}Content-Range: bytes {from}-{}/{length}\r\n",
                    to - 1
                );
                reply("206 Partial Content", &part, &content[from..to])
            }
        }
    })
}

fn range(value: &str, length: usize) -> Option<(usize, usize)> {
    let (from, last) = value.strip_prefix("bytes=")?.split_once('-')?;
    let last = last.parse().map_or(length, |last: usize| last + 1);
    Some((from.parse().ok()?, last))
}

/// The files with large content, new ones last.
pub fn large_files(store: &Path) -> Vec<PathBuf> {
    let entries = |folder: &Path| std::fs::read_dir(folder).into_iter().flatten().flatten();
    let folders = entries(&store.join("v3/files")).map(|it| it.path());
    let files = folders.flat_map(|folder| entries(&folder).map(|it| it.path()).collect::<Vec<_>>());
    let modified = |path: &PathBuf| path.metadata().and_then(|it| it.modified()).ok();
    let mut files: Vec<_> = files.filter(|path| path.is_file()).collect();
    files.sort_by_key(modified);
    files
}

/// Has the proxy store what is at this URI; its file.
pub fn store(proxy: &Proxy, uri: &str) -> PathBuf {
    let before = large_files(&proxy.store());
    assert_eq!(proxy.get(uri).status, 200);
    let mut stored = None;
    wait_until("it is stored", TIMEOUT, || {
        let new = |path: &PathBuf| !before.contains(path);
        stored = large_files(&proxy.store()).into_iter().find(new);
        stored.as_ref().is_some_and(|path| is_left_alone(path))
    });
    stored.unwrap()
}

/// True when no process marks a file as in use: its fetch is over, whose clients read what it has written.
fn is_left_alone(path: &Path) -> bool {
    let file = File::open(path).unwrap();
    Flock::lock(file, FlockArg::LockExclusiveNonblock).is_ok()
}

/// Damages a file; its time stays as it was.
pub fn damage(path: &Path, how: impl FnOnce(&File)) {
    let file = File::options().read(true).write(true).open(path).unwrap();
    let modified = file.metadata().unwrap().modified().unwrap();
    how(&file);
    file.set_modified(modified).unwrap();
}

pub fn flip(file: &File, at: u64) {
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 4], at).unwrap();
}

fn length(file: &File) -> u64 {
    file.metadata().unwrap().len()
}

/// What becomes of the first request after the damage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    /// All of it is fetched anew.
    Miss,
    /// It is a hit whose rest comes from the origin server, from this byte on.
    Continued(usize),
    /// It is a hit.
    Hit,
}

type Damage = (&'static str, fn(&File), Then);

#[rustfmt::skip]
const DAMAGES: [Damage; 14] = [
    ("a bit of the first block", |file| flip(file, 5), Then::Miss),
    ("the last of its bits", |file| flip(file, MIB as u64 - 1), Then::Miss),
    ("a bit of the second block", |file| flip(file, MIB as u64), Then::Continued(MIB)),
    ("a bit of the third block", |file| flip(file, 3 * MIB as u64 - 1), Then::Continued(2 * MIB)),
    ("a bit of the last block", |file| flip(file, LENGTH as u64 - 1), Then::Continued(3 * MIB)),
    ("the first sum", |file| flip(file, LENGTH as u64), Then::Miss),
    ("the last sum", |file| flip(file, LENGTH as u64 + 63), Then::Continued(3 * MIB)),
    ("the head, which the index has too", |file| flip(file, LENGTH as u64 + 90), Then::Hit),
    ("the footer", |file| flip(file, length(file) - 30), Then::Miss),
    ("cut short by a byte", |file| file.set_len(length(file) - 1).unwrap(), Then::Miss),
    ("cut in half", |file| file.set_len(length(file) / 2).unwrap(), Then::Miss),
    ("empty", |file| file.set_len(0).unwrap(), Then::Miss),
    ("longer", |file| file.set_len(length(file) + 1).unwrap(), Then::Miss),
    ("a hole", |file| {
        file.write_all_at(&[0; 4096], 2 * MIB as u64).unwrap();
    }, Then::Continued(2 * MIB)),
];

#[test]
fn damage_is_never_sent_though_it_came_while_it_was_in_use() {
    let proxy = Proxy::start("");
    let origin = origin(LENGTH, TAG);
    for (what, how, then) in DAMAGES {
        let uri = origin.uri(&format!("/{}", what.replace(' ', "-")));
        let file = store(&proxy, &uri);
        // All of it is checked, and may be kept open.
        assert!(proxy.get(&uri).content == pattern(LENGTH), "{what}");
        damage(&file, how);
        check(&proxy, &origin, &uri, what, then);
    }
}

#[test]
fn damage_is_never_sent_after_a_start() {
    let mut proxy = Proxy::start("");
    let origin = origin(LENGTH, TAG);
    let uri = |what: &str| origin.uri(&format!("/{}", what.replace(' ', "-")));
    let stored = DAMAGES.map(|(what, ..)| store(&proxy, &uri(what)));
    proxy.stop();
    for (file, (_, how, _)) in stored.iter().zip(DAMAGES) {
        damage(file, how);
    }
    proxy.start_again();
    for (what, _, then) in DAMAGES {
        check(&proxy, &origin, &uri(what), what, then);
    }
}

/// Checks what the first request for this gets, and those after it.
fn check(proxy: &Proxy, origin: &Origin, uri: &str, what: &str, then: Then) {
    let asked = origin.count();
    let response = proxy.get(uri);
    assert_eq!(response.status, 200, "{what}");
    assert!(response.content == pattern(LENGTH), "{what}: other content");
    assert_eq!(
        response.is_hit(),
        then != Then::Miss,
        "{what}: {}",
        response.cache_status()
    );
    let asked_then = origin.requests().split_off(asked);
    let ranges: Vec<_> = asked_then
        .iter()
        .map(|it| it.head.first("range").unwrap_or(""))
        .collect();
    match then {
        Then::Hit => assert_eq!(ranges, [""; 0], "{what}"),
        Then::Miss => assert_eq!(ranges, [""], "{what}"),
        Then::Continued(from) => assert_eq!(ranges, [format!("bytes={from}-")], "{what}"),
    }
    if let Then::Continued(_) = then {
        wait_until("it is removed", TIMEOUT, || {
            !proxy
                .request("HEAD", uri, "Cache-Control: only-if-cached\r\n")
                .is_hit()
        });
        assert!(proxy.get(uri).content == pattern(LENGTH), "{what}");
    }
    if then != Then::Hit {
        let said = |line: &&String| line.contains("removed from the store");
        wait_until("it is said", TIMEOUT, || {
            proxy.log().iter().any(|line| said(&line))
        });
    }
    // What was fetched took its place.
    wait_until("it is stored", TIMEOUT, || {
        proxy.request("HEAD", uri, "").is_hit()
    });
    let again = proxy.get(uri);
    assert!(
        again.is_hit() && again.content == pattern(LENGTH),
        "{what}: {}",
        again.cache_status()
    );
}

#[test]
fn parts_of_what_is_damaged_elsewhere_are_sent_and_no_others() {
    let proxy = Proxy::start("");
    let origin = origin(LENGTH, TAG);
    // The second block is damaged. (range, whether it is a hit, whether the origin server is asked)
    let rows = [
        ((0, 99), true, false),
        ((0, MIB - 1), true, false),
        ((2 * MIB, 2 * MIB + 999), true, false),
        ((LENGTH - 10, LENGTH - 1), true, false),
        ((MIB, MIB + 9), false, true),
        ((2 * MIB - 1, 2 * MIB), false, true),
        ((MIB - 1, MIB), true, true),
        ((500, LENGTH - 1), true, true),
    ];
    for (number, ((first, last), is_hit, is_asked)) in rows.into_iter().enumerate() {
        let uri = origin.uri(&format!("/{number}"));
        let file = store(&proxy, &uri);
        damage(&file, |file| flip(file, MIB as u64 + 7));
        let asked = origin.count();
        let response = proxy.request("GET", &uri, &format!("Range: bytes={first}-{last}\r\n"));
        let row = format!("{first}-{last}: {}", response.cache_status());
        assert_eq!(response.status, 206, "{row}");
        assert!(response.content == pattern(LENGTH)[first..=last], "{row}");
        assert_eq!(response.is_hit(), is_hit, "{row}");
        assert_eq!(origin.count() > asked, is_asked, "{row}");
    }
    // Several at once, of which the second lies in the damaged block.
    let uri = origin.uri("/several");
    let file = store(&proxy, &uri);
    damage(&file, |file| flip(file, MIB as u64 + 7));
    let several = format!("Range: bytes=0-9, {}-{}\r\n", MIB + 5, MIB + 9);
    let response = proxy.request("GET", &uri, &several);
    let parts = crate::common::byteranges::byteranges(&response);
    let contents: Vec<_> = parts.iter().map(|part| &part.content[..]).collect();
    assert_eq!(
        contents,
        [&pattern(LENGTH)[..10], &pattern(LENGTH)[MIB + 5..MIB + 10]]
    );
}

#[test]
fn what_needs_no_content_is_answered_from_what_is_damaged() {
    let proxy = Proxy::start("");
    let origin = origin(LENGTH, TAG);
    let uri = origin.uri("/");
    let file = store(&proxy, &uri);
    damage(&file, |file| flip(file, 0));
    let asked = origin.count();
    let head = proxy.request("HEAD", &uri, "");
    assert!(head.is_hit() && head.first("content-length") == Some(&LENGTH.to_string()));
    let condition = "If-None-Match: \"one\"\r\n";
    assert_eq!(origin.count(), asked);
    let response = proxy.request("GET", &uri, condition);
    assert_eq!(response.status, 304);
    assert!(proxy.get(&uri).content == pattern(LENGTH));
}

#[test]
fn where_the_rest_can_not_be_had_the_client_can_tell() {
    let changed = std::sync::Arc::new(AtomicBool::new(false));
    let another = {
        let changed = changed.clone();
        Origin::answering(move |_| match changed.load(SeqCst) {
            false => reply(
                "200 OK",
                "Cache-Control: max-age=600\r\nETag: \"one\"\r\n",
                pattern(LENGTH),
            ),
            true => reply(
                "200 OK",
                "Cache-Control: max-age=600\r\nETag: \"two\"\r\n",
                "another",
            ),
        })
    };
    for origin in [&origin(LENGTH, ""), &another] {
        // One each: what is fetched anew at the end gets a file, too.
        let proxy = Proxy::start("");
        let uri = origin.uri("/");
        changed.store(false, SeqCst);
        let file = store(&proxy, &uri);
        damage(&file, |file| flip(file, 2 * MIB as u64 + 3));
        changed.store(true, SeqCst);
        let mut client = Client::of(&proxy);
        client.ask("GET", &uri, "");
        let response = client.response_head("GET");
        assert!(response.is_hit() && response.first("content-length") == Some(&LENGTH.to_string()));
        let (content, _) = client.rest();
        assert!(pattern(LENGTH).starts_with(&content), "damage was sent");
        assert!(
            content == pattern(LENGTH)[..2 * MIB],
            "{} bytes",
            content.len()
        );
        // It went with that.
        let response = proxy.get(&uri);
        assert!(!response.is_hit() && response.status == 200);
    }
}

/// A stored part that is joined with what it lacks.
#[test]
fn what_a_damaged_part_had_comes_from_the_origin_server() {
    let proxy = Proxy::start("");
    let origin = origin(LENGTH, TAG);
    // (the place of the damage, what is asked for then)
    let rows = [
        (
            MIB + 9,
            [format!("bytes={}-", 2 * MIB), format!("bytes={MIB}-")].to_vec(),
        ),
        (9, [String::new()].to_vec()),
    ];
    for (at, expected) in rows {
        let uri = origin.uri(&format!("/{at}"));
        let before = large_files(&proxy.store());
        let part = format!("Range: bytes=0-{}\r\n", 2 * MIB - 1);
        assert_eq!(proxy.request("GET", &uri, &part).status, 206);
        let mut stored = None;
        wait_until("the part is stored", TIMEOUT, || {
            let new = |path: &PathBuf| !before.contains(path);
            stored = large_files(&proxy.store()).into_iter().find(new);
            stored.as_ref().is_some_and(|path| is_left_alone(path))
        });
        damage(&stored.unwrap(), |file| flip(file, at as u64));
        let asked = origin.count();
        let response = proxy.get(&uri);
        let received = origin.requests().split_off(asked);
        let ranges = received
            .iter()
            .map(|it| it.head.first("range").unwrap_or("").to_owned());
        assert_eq!(ranges.collect::<Vec<_>>(), expected, "{at}");
        assert_eq!(response.status, 200, "{at}");
        assert!(
            response.content == pattern(LENGTH),
            "{at}: {} bytes",
            response.content.len()
        );
        wait_until("all of it is stored", TIMEOUT, || proxy.get(&uri).is_hit());
        assert!(proxy.get(&uri).content == pattern(LENGTH), "{at}");
    }
}

//! Several stored parts of one representation (RFC 9111 §3.3, §3.4), as segmented downloads, players and zsync ask for them:
//! what was brought once isn't fetched again, whichever worker brought it, on each kind of store.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use super::common::byteranges::byteranges;
use super::common::conversation::{as_asked, served};
use super::common::origin::{Received, reply};
use super::common::postgres::Server;
use super::common::proxy::run;
use super::common::{Client, Origin, Proxy, Response, TIMEOUT, each, pattern, wait_until};

const TAG: &str = "ETag: \"a\"\r\nCache-Control: max-age=600\r\n";

/// A proxy with three workers on each kind of store.
fn proxies() -> [Proxy; 2] {
    let start = || Proxy::with("purge_allow = [\"127.0.0.1\"]\n").workers(3);
    let database = Server::shared().database();
    [start().start(), start().database(&database).start()]
}

/// Content, and who serves it in whole and in parts.
fn origin(content: &[u8]) -> Origin {
    let content = content.to_vec();
    Origin::answering(move |request| match request.method() {
        "POST" => reply("204 x", "", ""),
        _ => served(request, TAG, &content),
    })
}

fn fields_of(range: &Range<usize>) -> String {
    format!("Range: bytes={}-{}\r\n", range.start, range.end - 1)
}

fn ask(proxy: &Proxy, uri: &str, range: &Range<usize>) -> Response {
    Client::of(proxy).request("GET", uri, &fields_of(range))
}

/// Asks for a range until it is answered without the origin server.
fn wait_for(proxy: &Proxy, uri: &str, range: &Range<usize>) {
    let fields = format!("{}Cache-Control: only-if-cached\r\n", fields_of(range));
    wait_until("it is stored", TIMEOUT, || {
        Client::of(proxy).request("GET", uri, &fields).status == 206
    });
}

/// Has a range stored.
fn store(proxy: &Proxy, uri: &str, content: &[u8], range: Range<usize>) {
    let got = ask(proxy, uri, &range);
    assert!(
        got.status == 206 && got.content == content[range.clone()],
        "{range:?}"
    );
    wait_for(proxy, uri, &range);
}

/// Waits until the whole answers without the origin server.
fn wait_for_whole(proxy: &Proxy, uri: &str, content: &[u8]) {
    wait_until("the whole is stored", TIMEOUT, || {
        let got = proxy.request("GET", uri, "Cache-Control: only-if-cached\r\n");
        got.status == 200 && got.content == content
    });
}

fn asked_since(origin: &Origin, before: usize) -> Vec<String> {
    origin.requests()[before..].iter().map(as_asked).collect()
}

/// Sixteen connections, each with a part of its own, at the same time; and again.
#[test]
fn the_second_segmented_download_is_a_hit() {
    const SEGMENTS: usize = 16;
    const LEN: usize = 8_000_003;
    let content = pattern(LEN);
    let origin = origin(&content);
    each(proxies(), |proxy| {
        let uri = origin.uri(&format!("/{}", proxy.address().port()));
        let of_proxy = |request: &Received| uri.ends_with(request.target());
        let count = || origin.requests().iter().filter(|it| of_proxy(it)).count();
        let step = LEN.div_ceil(SEGMENTS);
        let segments: Vec<_> = (0..SEGMENTS)
            .map(|at| at * step..((at + 1) * step).min(LEN))
            .collect();
        for time in 0..3 {
            std::thread::scope(|scope| {
                for segment in &segments {
                    let (proxy, uri, content) = (&proxy, &uri, &content);
                    scope.spawn(move || {
                        let got = ask(proxy, uri, segment);
                        assert_eq!(got.status, 206, "{time} {segment:?}");
                        assert!(
                            got.content == content[segment.clone()],
                            "{time} {segment:?}"
                        );
                        assert_eq!(got.is_hit(), time > 0, "{time} {segment:?} {got:?}");
                    });
                }
            });
            segments
                .iter()
                .for_each(|segment| wait_for(&proxy, &uri, segment));
        }
        assert_eq!(count(), SEGMENTS);
        // All of it makes the whole, for whoever asks for that.
        let got = proxy.get(&uri);
        assert!(got.status == 200 && got.is_hit() && got.content == content);
        wait_for_whole(&proxy, &uri, &content);
        let got = proxy.request("HEAD", &uri, "Cache-Control: only-if-cached\r\n");
        let length = LEN.to_string();
        assert_eq!(
            got.first("content-length"),
            Some(length.as_str()),
            "{got:?}"
        );
        // Segments that lie otherwise.
        for range in [0..LEN, 1..LEN, 400_000..7_000_001, LEN - 1..LEN] {
            let got = ask(&proxy, &uri, &range);
            assert!(
                got.is_hit() && got.content == content[range.clone()],
                "{range:?}"
            );
        }
        assert_eq!(count(), SEGMENTS);
    });
}

/// The tail first, as of a video that has its index there, then seeks: only what lacks is asked for.
#[test]
fn a_player_seeks() {
    const LEN: usize = 6_000_000;
    let content = pattern(LEN);
    each(proxies(), |proxy| {
        let origin = origin(&content);
        let uri = origin.uri("/");
        store(&proxy, &uri, &content, LEN - 200_000..LEN);
        store(&proxy, &uri, &content, 1_200_000..2_400_000);
        store(&proxy, &uri, &content, 3_600_000..4_800_000);
        // Each of them is still there, and several at once.
        let before = origin.count();
        for range in [
            LEN - 100_000..LEN,
            1_300_000..2_400_000,
            3_600_000..3_600_001,
        ] {
            let got = ask(&proxy, &uri, &range);
            assert!(
                got.is_hit() && got.content == content[range.clone()],
                "{range:?}"
            );
        }
        let got = proxy.request(
            "GET",
            &uri,
            "Range: bytes=1300000-1300009,3700000-3700009,-5\r\n",
        );
        let places = [1_300_000..1_300_010, 3_700_000..3_700_010, LEN - 5..LEN];
        assert!(got.is_hit(), "{got:?}");
        for (part, place) in byteranges(&got).iter().zip(places) {
            assert!(part.content == content[place.clone()], "{place:?}");
        }
        assert_eq!(origin.count(), before);
        // Between them.
        let across = 2_000_000..4_000_000;
        let got = ask(&proxy, &uri, &across);
        assert!(got.status == 206 && got.content == content[across.clone()]);
        assert!(got.cache_status().contains("fwd=partial"), "{got:?}");
        assert_eq!(
            asked_since(&origin, before),
            ["bytes=2400000-3599999 if \"a\""]
        );
        wait_for(&proxy, &uri, &across);
        assert!(ask(&proxy, &uri, &(1_200_000..4_800_000)).is_hit());
        // The whole.
        let before = origin.count();
        let got = proxy.get(&uri);
        assert!(got.status == 200 && got.content == content);
        let expected = ["bytes=0-1199999 if \"a\"", "bytes=4800000-5799999 if \"a\""];
        assert_eq!(asked_since(&origin, before), expected);
        wait_for_whole(&proxy, &uri, &content);
    });
}

/// §3.4: what was changed isn't combined with what was before, however much of that there is.
#[test]
fn a_validator_changes_midway() {
    const LEN: usize = 300_000;
    const OTHER: &str = "ETag: \"b\"\r\nCache-Control: max-age=600\r\n";
    let old = pattern(LEN);
    let new: Vec<u8> = old.iter().map(|byte| !byte).collect();
    each(proxies(), |proxy| {
        let is_new = Arc::new(AtomicBool::new(false));
        let origin = Origin::answering({
            let (is_new, old, new) = (is_new.clone(), old.clone(), new.clone());
            move |request| match is_new.load(Relaxed) {
                true => served(request, OTHER, &new),
                false => served(request, TAG, &old),
            }
        });
        let uri = origin.uri("/");
        for range in [0..50_000, 100_000..150_000, 200_000..250_000] {
            store(&proxy, &uri, &old, range);
        }
        is_new.store(true, Relaxed);
        // One that nothing is held of.
        store(&proxy, &uri, &new, 260_000..270_000);
        for range in [0..50_000, 120_000..130_000, 200_000..200_001] {
            let got = ask(&proxy, &uri, &range);
            assert!(
                !got.is_hit() && got.content == new[range.clone()],
                "{range:?}"
            );
            wait_for(&proxy, &uri, &range);
        }
        let got = proxy.get(&uri);
        assert!(got.status == 200 && got.content == new);
        wait_for_whole(&proxy, &uri, &new);
        assert!(
            origin
                .requests()
                .iter()
                .all(|it| it.head.first("if-range") != Some("\"a\""))
        );
    });
}

/// RFC 9111 §4.4: all parts go, wherever they lie; and so do those that come late.
#[test]
fn all_parts_are_invalidated_and_purged() {
    const LEN: usize = 400_000;
    let content = pattern(LEN);
    let ranges = [0..10, 100_000..200_000, 300_000..400_000];
    each(proxies(), |proxy| {
        let origin = origin(&content);
        for method in ["POST", "PURGE"] {
            let uri = origin.uri(&format!("/{method}"));
            for again in 1..=2 {
                for range in &ranges {
                    store(&proxy, &uri, &content, range.clone());
                }
                let gets = origin.requests().into_iter();
                let gets = gets.filter(|it| it.method() == "GET" && uri.ends_with(it.target()));
                assert_eq!(gets.count(), ranges.len() * again, "{method}");
                proxy.request(method, &uri, "Content-Length: 0\r\n");
            }
        }
    });
}

/// As zsync does, hundreds of small ranges: no more parts are kept than can be looked through, and what touches is one.
#[test]
fn many_small_ranges() {
    const BLOCK: usize = 2_048;
    const BLOCKS: usize = 140;
    const LEN: usize = BLOCKS * BLOCK;
    let content = pattern(LEN);
    each(proxies(), |proxy| {
        let origin = origin(&content);
        let uri = origin.uri("/");
        let block = |at: usize| at * BLOCK..(at + 1) * BLOCK;
        let mut client = Client::of(&proxy);
        for at in (0..BLOCKS).step_by(2) {
            let got = client.request("GET", &uri, &fields_of(&block(at)));
            assert!(got.content == content[block(at)], "{at}");
        }
        wait_for(&proxy, &uri, &block(BLOCKS - 2));
        let held = || {
            let only = |at: &usize| {
                let fields = format!(
                    "{}Cache-Control: only-if-cached\r\n",
                    fields_of(&block(*at))
                );
                Client::of(&proxy).request("GET", &uri, &fields).status == 206
            };
            (0..BLOCKS).filter(only).count()
        };
        wait_until("as many as may be are kept", TIMEOUT, || held() == 48);
        // What lies between them.
        for at in (1..BLOCKS).step_by(2) {
            let got = client.request("GET", &uri, &fields_of(&block(at)));
            assert!(got.content == content[block(at)], "{at}");
        }
        wait_until("they are kept too", TIMEOUT, || held() >= 80);
        let got = proxy.get(&uri);
        assert!(got.status == 200 && got.content == content);
        wait_for_whole(&proxy, &uri, &content);
    });
}

/// Several ranges in one request: each of the parts that come is stored, however their types and sizes differ.
#[test]
fn several_ranges_of_one_response() {
    const LEN: usize = 1_000_000;
    let content = pattern(LEN);
    each(proxies(), |proxy| {
        let origin = Origin::answering({
            let content = content.clone();
            move |request| {
                let range = request.head.first("range").unwrap_or_default().to_owned();
                if !range.contains(',') {
                    return served(request, TAG, &content);
                }
                let mut parts = Vec::new();
                for range in range["bytes=".len()..].split(',') {
                    let (first, last) = range.split_once('-').unwrap();
                    let (first, last): (usize, usize) =
                        (first.parse().unwrap(), last.parse().unwrap());
                    let head = format!(
                        "--b d\r\nContent-Type: a/b\r\nContent-Range: bytes {first}-{last}/{LEN}\r\n\r\n"
                    );
                    parts.extend_from_slice(head.as_bytes());
                    parts.extend_from_slice(&content[first..=last]);
                    parts.extend_from_slice(b"\r\n");
                }
                // Without its end it is of no use.
                match request.target() {
                    "/cut" => parts.truncate(parts.len() - 100),
                    _ => parts.extend_from_slice(b"--b d--\r\n"),
                }
                let fields =
                    format!("{TAG}Content-Type: multipart/byteranges; boundary=\"b d\"\r\n");
                reply("206 x", &fields, parts)
            }
        });
        let specs = "bytes=0-9,100000-199999,500000-899999,950000-950001";
        let request = format!("Range: {specs}\r\n");
        let places = [0..10, 100_000..200_000, 500_000..900_000, 950_000..950_002];
        let (whole, cut) = (origin.uri("/whole"), origin.uri("/cut"));
        for uri in [&whole, &cut] {
            let got = proxy.request("GET", uri, &request);
            assert_eq!(got.status, 206);
        }
        wait_for(&proxy, &whole, &places[3]);
        let before = origin.count();
        let got = proxy.request("GET", &whole, &request);
        assert!(got.is_hit(), "{got:?}");
        for (part, place) in byteranges(&got).iter().zip(&places) {
            assert!(
                part.content == content[place.clone()] && part.media_type == "a/b",
                "{place:?}"
            );
        }
        for place in &places {
            let got = ask(&proxy, &whole, place);
            assert!(
                got.is_hit() && got.content == content[place.clone()],
                "{place:?}"
            );
            assert_eq!(got.first("content-type"), Some("a/b"));
        }
        assert_eq!(origin.count(), before);
        let got = ask(&proxy, &cut, &places[0]);
        assert!(!got.is_hit() && got.content == content[..10], "{got:?}");
        let got = proxy.get(&whole);
        assert!(got.status == 200 && got.content == content);
    });
}

/// Several parts, in words.
#[test]
fn several_parts_are_explained() {
    let content = pattern(400_000);
    let proxy = Proxy::start("");
    let origin = origin(&content);
    let uri = origin.uri("/");
    for range in [0..10, 100_000..200_000, 150_000..250_000, 300_000..400_000] {
        store(&proxy, &uri, &content, range);
    }
    let (store, runtime) = (proxy.store(), proxy.runtime_dir());
    let directories = [("--store", store), ("--runtime-dir", runtime)];
    let mut args = vec!["explain", uri.as_str()];
    let options = directories.iter();
    args.extend(options.flat_map(|(option, path)| [*option, path.to_str().unwrap()]));
    let told = String::from_utf8(run(&args).stdout).unwrap();
    for expected in [
        "Only a part of a response is stored for ",
        "of it are stored: bytes 0 to 9, 100000 to 249999 and 300000 to 399999 of 400000.",
        "asked for bytes 10 to 99999 and bytes 250000 to 299999 of it",
    ] {
        assert!(told.contains(expected), "{told}");
    }
}

//! An operator's work on stored responses: purging them, by command and by request.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs::Permissions;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use common::origin::{fresh, ok};
use common::other_user::other_user;
use common::proxy::run;
use common::{Client, Origin, Proxy};

/// A command's words about a store, and the proxy that runs on it.
#[track_caller]
fn said(command: &str, args: &[&str], store: &Path, runtime_dir: &Path) -> String {
    let mut all = vec![command];
    all.extend(args);
    all.extend(["--store", store.to_str().unwrap()]);
    all.extend(["--runtime-dir", runtime_dir.to_str().unwrap()]);
    let output = run(&all);
    let text = common::proxy::said(&output);
    assert!(output.status.success(), "{all:?}: {text}");
    text
}

/// The number of stored responses, as `list` says it.
fn stored(proxy: &Proxy) -> usize {
    let list = said("list", &[], &proxy.store(), &proxy.runtime_dir());
    let count = list.lines().last().and_then(|line| line.split(' ').next());
    count.unwrap().parse().unwrap()
}

#[track_caller]
fn wait_for_stored(proxy: &Proxy, count: usize) {
    common::wait_until("responses are stored", common::TIMEOUT, || {
        stored(proxy) == count
    });
}

#[test]
fn purge_removes_what_is_meant_and_nothing_else() {
    let proxy = Proxy::with("").workers(2).start();
    let origin = Origin::answering(|request| match request.target() {
        "/vary" => ok(
            "Cache-Control: max-age=60\r\nVary: Accept-Language\r\n",
            "v",
        ),
        _ => fresh("content"),
    });
    let other = Origin::answering(|_| fresh("other"));
    let fill = || {
        for path in ["/a/1", "/a/2", "/b", "/vary"] {
            proxy.get(&origin.uri(path));
        }
        proxy.request("GET", &origin.uri("/vary"), "Accept-Language: de\r\n");
        proxy.get(&other.uri("/"));
        wait_for_stored(&proxy, 6);
    };
    let (authority, below) = (origin.authority(), origin.uri("/a/"));
    let (one, vary, missing) = (origin.uri("/a/1"), origin.uri("/vary"), origin.uri("/none"));
    let rows: [(&[&str], usize, &str); 7] = [
        (&[&missing], 0, "nothing was stored"),
        (&[&one], 1, "removed 1 stored response, "),
        (&[&vary], 2, "removed 2 stored responses, "),
        (&[&one, &vary, &one], 3, "removed 3 stored responses"),
        (&["--prefix", &below], 2, "removed 2 stored responses, "),
        (&["--host", &authority], 5, "removed 5 stored responses"),
        (&["--host", "127.0.0.1"], 6, "removed 6 stored responses"),
    ];
    for (args, removed, words) in rows {
        fill();
        let text = said("purge", args, &proxy.store(), &proxy.runtime_dir());
        assert!(text.contains(words), "{args:?}: {text}");
        assert_eq!(stored(&proxy), 6 - removed, "{args:?}");
        let before = origin.count() + other.count();
        fill();
        // The two that were never purged are still hits, and so on.
        assert_eq!(origin.count() + other.count() - before, removed, "{args:?}");
    }
}

#[test]
fn purge_works_while_no_proxy_runs() {
    let mut proxy = Proxy::start("");
    let origin = Origin::answering(|_| fresh("content"));
    proxy.get(&origin.uri("/"));
    let dir = proxy.runtime_dir();
    proxy.stop();
    let text = said("purge", &[&origin.uri("/")], &proxy.store(), &dir);
    assert!(text.contains("removed 1"), "{text}");
    assert!(text.contains("no proxy runs in"), "{text}");
    proxy.start_again();
    assert_eq!(proxy.get(&origin.uri("/")).status, 200);
    assert_eq!(origin.count(), 2);
}

/// While clients of every worker ask on and on, with fetches under way at each moment.
#[test]
fn after_a_purge_no_worker_has_the_old_content() {
    let proxy = Proxy::with("").workers(3).start();
    proxy.wait_for_workers(3);
    let version = Arc::new(AtomicUsize::new(0));
    let origin = Origin::answering({
        let version = version.clone();
        move |_| {
            let version = version.load(SeqCst);
            std::thread::sleep(Duration::from_millis(5));
            fresh(version.to_string())
        }
    });
    let (floor, over) = (AtomicUsize::new(0), AtomicBool::new(false));
    let seen = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for client in 0..9 {
            let (proxy, floor, over, seen) = (&proxy, &floor, &over, &seen);
            let uri = origin.uri(&format!("/{}", client % 3));
            scope.spawn(move || {
                while !over.load(SeqCst) {
                    // Each connection may be given to another worker.
                    let mut client = Client::of(proxy);
                    for _ in 0..20 {
                        let least = floor.load(SeqCst);
                        let response = client.get(&uri);
                        let got: usize =
                            String::from_utf8_lossy(&response.content).parse().unwrap();
                        assert!(got >= least, "{uri}: {got} after the purge of {least}");
                        seen.fetch_add(1, SeqCst);
                    }
                }
            });
        }
        for round in 1..=12 {
            std::thread::sleep(Duration::from_millis(30));
            version.store(round, SeqCst);
            let (prefix, all): (String, Vec<String>) = (
                origin.uri("/"),
                (0..3).map(|n| origin.uri(&format!("/{n}"))).collect(),
            );
            let all: Vec<&str> = all.iter().map(String::as_str).collect();
            let args = if round % 2 == 0 {
                vec!["--prefix", &prefix]
            } else {
                all
            };
            said("purge", &args, &proxy.store(), &proxy.runtime_dir());
            floor.store(round, SeqCst);
        }
        over.store(true, SeqCst);
    });
    assert!(seen.load(SeqCst) > 100, "{seen:?}");
}

#[test]
fn who_may_not_is_told_so() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("none");
    let missing = missing.to_str().unwrap();
    let rows: [(&[&str], i32, &str); 4] = [
        (
            &["purge", "http://a/", "--store", missing],
            69,
            "there is no store at",
        ),
        (&["purge", "--store", missing], 64, "required"),
        (
            &["purge", "a", "--store", missing],
            64,
            "expected a whole URL",
        ),
        (
            &["purge", "http://a/", "--config", missing],
            78,
            "none: can't be read",
        ),
    ];
    for (args, code, words) in rows {
        let output = run(args);
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {text}");
        assert!(text.contains(words), "{args:?}: {text}");
    }
    // A store of somebody else's: root may, and everyone else can try on root's.
    if nix::unistd::geteuid().is_root() {
        return;
    }
    let output = run(&["purge", "http://a/", "--store", "/etc"]);
    assert_eq!(output.status.code(), Some(77));
    assert!(String::from_utf8_lossy(&output.stderr).contains("sudo"));
}

#[test]
fn purge_requests_are_for_those_allowed() {
    let socket = tempfile::tempdir().unwrap();
    let origin = Origin::answering(|_| fresh("content"));
    let uri = origin.uri("/");
    let here = "purge_allow = [\"127.0.0.1\"]\n";
    let elsewhere = "purge_allow = [\"192.0.2.0/24\"]\n";
    let path = socket.path().join("p.sock");
    // The configuration, whether on a Unix socket, and what PURGE is answered twice.
    let rows = [
        (here, false, [200, 404]),
        (elsewhere, false, [403, 403]),
        ("", false, [403, 403]),
        ("", true, [200, 404]),
    ];
    for (config, unix, expected) in rows {
        let setup = Proxy::with(config).workers(2);
        let proxy = setup.listen_also(path.to_str().unwrap()).start();
        let asked = origin.count();
        proxy.get(&uri);
        wait_for_stored(&proxy, 1);
        let statuses = [(); 2].map(|()| match unix {
            true => purge_through(&path, &uri),
            false => proxy.request("PURGE", &uri, "").status,
        });
        assert_eq!(statuses, expected, "{config} {unix}");
        // The method itself never gets to the origin server.
        proxy.get(&uri);
        let fetched = if expected[0] == 200 { 2 } else { 1 };
        assert_eq!(origin.count() - asked, fetched, "{config} {unix}");
        assert_eq!(origin.last().method(), "GET");
    }
}

#[test]
fn other_users_may_not_purge_through_a_unix_socket() {
    let socket = tempfile::tempdir().unwrap();
    let path = socket.path().join("p.sock");
    let origin = Origin::answering(|_| fresh("content"));
    let uri = origin.uri("/");
    let proxy = Proxy::with("").listen_also(path.to_str().unwrap()).start();
    proxy.get(&uri);
    wait_for_stored(&proxy, 1);
    let authority = origin.authority();
    let request = format!("PURGE {uri} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n");
    for path in [socket.path(), &path] {
        std::fs::set_permissions(path, Permissions::from_mode(0o777)).unwrap();
    }
    let Some(other) = other_user(&path, &request, 1) else {
        eprintln!("not root: no other user to try it as");
        return;
    };
    let said = other.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(
        said.contains("HTTP/1.1 403 ") && said.contains("cacheproxy purge"),
        "{said}"
    );
    assert!(proxy.get(&uri).is_hit());
    assert_eq!(purge_through(&path, &uri), 200);
}

/// The status of a PURGE on a Unix socket.
fn purge_through(socket: &Path, uri: &str) -> u16 {
    let mut stream = std::os::unix::net::UnixStream::connect(socket).unwrap();
    let authority = uri.trim_start_matches("http://").trim_end_matches('/');
    let request = format!("PURGE {uri} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

#[test]
fn commands_read_a_url_as_the_rules_do() {
    let origin = Origin::answering(|_| fresh("x"));
    let rule = |path, says| format!("[[rule]]\nmatch = \"{}*\"\n{says}\n", origin.uri(path));
    let rules = rule("/a", "ignore_query = [\"utm_*\"]") + &rule("/b", "bypass = true");
    let proxy = Proxy::start(&rules);
    proxy.get(&origin.uri("/a?x=1&utm_source=2"));
    wait_for_stored(&proxy, 1);
    let config = proxy.config_path();
    let other = origin.uri("/a?utm_medium=3&x=1");
    let bypassed = origin.uri("/b");
    let rows = [
        ("explain", &other, "One response"),
        ("explain", &other, "/a?x=1: a rule"),
        ("explain", &bypassed, "bypass the cache"),
        ("purge", &other, "removed 1 stored"),
        ("explain", &other, "Nothing is stored"),
    ];
    for (command, uri, words) in rows {
        let args = [uri, "--config", config.to_str().unwrap()];
        let text = said(command, &args, &proxy.store(), &proxy.runtime_dir());
        assert!(
            text.contains(words),
            "{command} {uri}: no {words:?} in {text}"
        );
    }
}

#[test]
fn list_and_explain_tell_what_is_stored_and_why() {
    let proxy = Proxy::start("");
    let origin = Origin::answering(|request| match request.target() {
        "/vary" => ok(
            "Cache-Control: max-age=600\r\nVary: Accept-Language\r\nETag: \"v1\"\r\n",
            "v",
        ),
        "/stale" => ok("Cache-Control: max-age=0\r\nETag: \"s1\"\r\n", "s"),
        _ => ok("Cache-Control: s-maxage=600\r\n", "plain"),
    });
    let (plain, vary, stale) = (origin.uri("/"), origin.uri("/vary"), origin.uri("/stale"));
    proxy.get(&plain);
    proxy.get(&stale);
    proxy.request("GET", &vary, "Accept-Language: de\r\n");
    proxy.get(&vary);
    wait_for_stored(&proxy, 4);
    for _ in 0..3 {
        assert!(proxy.get(&plain).is_hit());
    }
    proxy.get(&stale);
    let (store, dir) = (proxy.store(), proxy.runtime_dir());
    let rows: [(&str, &[&str], &[&str]); 11] = [
        (
            "list",
            &[],
            &[
                &plain,
                &stale,
                "[accept-language: de]",
                "[no accept-language]",
                "4 stored",
            ],
        ),
        (
            "list",
            &["--sort", "hits"],
            &[&format!("3  yes  {plain}"), "0   no"],
        ),
        ("explain", &[&plain], &["answered about 3 requests"]),
        (
            "list",
            &["--host", "other.example", "--sort", "size"],
            &["0 stored responses, 0 bytes"],
        ),
        (
            "explain",
            &[&plain],
            &[
                "One response",
                "sent s-maxage",
                "no validator",
                "1 answers it, since it is fresh",
            ],
        ),
        (
            "explain",
            &[&plain, "-H", "Cache-Control: max-age=0, no-cache"],
            &["fetched anew: the request has no-cache"],
        ),
        (
            "explain",
            &[&plain, "-H", "Cache-Control: no-store"],
            &["origin server whatever is stored"],
        ),
        (
            "explain",
            &[&vary, "-H", "Accept-Language: DE"],
            &["2 variants", ": \"v1\"", "2 answers it"],
        ),
        (
            "explain",
            &[&vary, "-H", "Accept-Language: fr"],
            &["select none of these variants"],
        ),
        (
            "explain",
            &[&stale],
            &["it is stale since", "1 is validated first: it is stale"],
        ),
        (
            "explain",
            &["http://none.example/"],
            &["Nothing is stored", "can't be known"],
        ),
    ];
    for (command, args, words) in rows {
        let text = said(command, args, &store, &dir);
        for word in words {
            assert!(
                text.contains(word),
                "{command} {args:?}: no {word:?} in {text}"
            );
        }
    }
}

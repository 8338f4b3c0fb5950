//! An operator's work on a proxy: check a configuration, start it where it can't work, ask how it
//! goes, reload it.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs::Permissions;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use common::origin::{fresh, ok};
use common::other_user::other_user;
use common::proxy::run;
use common::{Origin, Proxy};

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn status_tells_how_it_goes() {
    let proxy = Proxy::with("").workers(2).start();
    let origin = Origin::answering(|_| fresh("ok"));
    proxy.wait_for_workers(2);
    proxy.get(&origin.uri("/"));
    proxy.get(&origin.uri("/"));
    let dir = proxy.runtime_dir();
    let status = run(&["status", "--runtime-dir", dir.to_str().unwrap()]);
    assert!(status.status.success(), "{}", text(&status.stderr));
    let told = text(&status.stdout);
    for word in ["worker", "client", "request", "hit"] {
        assert!(told.to_lowercase().contains(word), "no {word} in {told}");
    }
    let reload = run(&["reload", "--runtime-dir", dir.to_str().unwrap()]);
    assert!(reload.status.success(), "{}", text(&reload.stderr));
    proxy.write_config("nonsense = 1\n");
    let reload = run(&["reload", "--runtime-dir", dir.to_str().unwrap()]);
    assert_eq!(reload.status.code(), Some(78), "{}", text(&reload.stderr));
    assert!(
        text(&reload.stderr).contains("nonsense"),
        "{}",
        text(&reload.stderr)
    );
}

#[test]
fn other_users_keep_nobody_from_the_control_socket() {
    let proxy = Proxy::start("");
    let dir = proxy.runtime_dir();
    let socket = dir.join("control.sock");
    let mut above = dir.clone();
    while above != std::env::temp_dir() {
        std::fs::set_permissions(&above, Permissions::from_mode(0o755)).unwrap();
        assert!(above.pop());
    }
    // More than have places, and all silent for as long as they may.
    let mut others = [(); 2].map(|()| other_user(&socket, "sta", 40));
    for other in &mut others {
        let Some(other) = other else {
            eprintln!("not root: no other user to try it as");
            return;
        };
        BufReader::new(other.stdout.as_mut().unwrap())
            .read_line(&mut String::new())
            .unwrap();
    }
    let runtime = ["--runtime-dir", dir.to_str().unwrap()];
    for command in ["reload", "status", "reload"] {
        let begun = Instant::now();
        let output = run(&[&[command], &runtime[..]].concat());
        assert!(output.status.success(), "{}", text(&output.stderr));
        assert!(begun.elapsed() < Duration::from_secs(5));
    }
    // One of them who asks is answered, too; orders are for others.
    for (request, answer) in [
        ("status\n", "ok\n"),
        ("reload\n", "error: a reload is for root"),
    ] {
        let output = other_user(&socket, request, 1)
            .unwrap()
            .wait_with_output()
            .unwrap();
        assert!(
            text(&output.stdout).contains(answer),
            "{}",
            text(&output.stdout)
        );
    }
    for other in others.iter_mut().flatten() {
        other.kill().unwrap();
        other.wait().unwrap();
    }
}

/// A configuration file, and what `check` says of it: exit code and words.
const CHECKED: [(&str, i32, &[&str]); 12] = [
    ("", 0, &["ok"]),
    ("workers = 2\nttl = \"10m\"\n", 0, &["ok", "10m"]),
    ("wrokers = 2\n", 78, &["the.toml:1", "wrokers", "workers"]),
    ("\n\nttl = \"soon\"\n", 78, &["the.toml:3", "ttl"]),
    ("ttl = 10\n", 78, &["the.toml:1", "ttl"]),
    ("allow = [\"127.0.0.1/99\"]\n", 78, &["the.toml:1", "allow"]),
    (
        "connect_ports = [70000]\n",
        78,
        &["the.toml:1", "connect_ports"],
    ),
    ("workers = 0\n", 78, &["the.toml:1", "workers"]),
    ("store = \"redis\"\n", 78, &["the.toml:1", "postgres"]),
    ("store_size = \"lots\"\n", 78, &["the.toml:1", "store_size"]),
    (
        "[timeouts]\nconnect = \"-1s\"\n",
        78,
        &["the.toml:2", "connect"],
    ),
    ("ttl = \"10m\nworkers = 2\n", 78, &["the.toml:1"]),
];

#[test]
fn check_tells_file_line_and_key() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("the.toml");
    let store = dir.path().join("store");
    std::fs::create_dir(&store).unwrap();
    for (config, code, words) in CHECKED {
        // With a store of its own, so that the machine's has no say.
        std::fs::write(&path, format!("{config}{}", own_store(config, &store))).unwrap();
        let output = run(&["check", "--config", path.to_str().unwrap()]);
        let said = text(&output.stdout) + &text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{config}: {said}");
        for word in words {
            assert!(said.contains(word), "{config}: no {word:?} in {said}");
        }
    }
    let output = run(&["check", "--config", "/nonexistent/file.toml"]);
    assert_eq!(output.status.code(), Some(78));
    assert!(text(&output.stderr).contains("/nonexistent/file.toml"));
}

fn own_store(config: &str, store: &std::path::Path) -> String {
    match config.starts_with('[') {
        true => String::new(),
        false => format!("store_path = \"{}\"\n", store.display()),
    }
}

#[test]
fn run_refuses_what_can_not_work() {
    let dir = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let store = dir.path().join("store");
    let store = store.to_str().unwrap();
    let bad = dir.path().join("bad.toml");
    std::fs::write(&bad, "nonsense = 1\n").unwrap();
    let rows: [(&[&str], &[i32], &str); 4] = [
        (&["--store", store, "--listen", &taken], &[69], &taken),
        (
            &["--store", store, "--config", "/nonexistent.toml"],
            &[78],
            "/nonexistent.toml",
        ),
        (
            &["--store", store, "--config", bad.to_str().unwrap()],
            &[78],
            "nonsense",
        ),
        (
            &["--store", "postgresql://user:hidden-word@host:x/db"],
            &[78],
            "port=x",
        ),
    ];
    for (args, codes, words) in rows {
        let mut all = vec!["run"];
        if !args.contains(&"--listen") {
            all.extend(["--listen", "127.0.0.1:0"]);
        }
        all.extend(args);
        let output = run(&all);
        let said = text(&output.stderr);
        let code = output.status.code();
        assert!(
            code.is_some_and(|code| codes.contains(&code)),
            "{args:?}: {code:?} {said}"
        );
        assert!(said.contains(words), "{args:?}: {said}");
        assert!(!said.contains("hidden-word"), "{said}");
    }
}

#[test]
fn commands_show_what_a_terminal_would_obey_as_text() {
    let odd = "a\u{9b}31m\u{202e}\u{200b}b";
    let fields = format!(
        "Cache-Control: public, max-age=60\r\nVary: X-Odd, Authorization\r\nETag: \"{odd}\"\r\n"
    );
    let origin = Origin::answering(move |_| ok(&fields, "x"));
    let proxy = Proxy::start("");
    let presented = format!("X-Odd: {odd}\r\nAuthorization: Basic secret\r\n");
    assert_eq!(
        proxy.request("GET", &origin.uri("/"), &presented).status,
        200
    );
    let uri = origin.uri("/");
    let (store, dir) = (proxy.store(), proxy.runtime_dir());
    let said = |command: &str, args: &[&str]| {
        let mut all = vec![command];
        all.extend(args);
        all.extend(["--store", store.to_str().unwrap()]);
        all.extend(["--runtime-dir", dir.to_str().unwrap()]);
        text(&run(&all).stdout)
    };
    let refused = run(&["explain", "http://h/ \u{9b}31m"]);
    assert!(text(&refused.stderr).contains("http://h/ \\u{9b}31m"));
    assert_eq!(refused.status.code(), Some(64));
    let unknown = said("explain", &["http://h/\u{9b}31m"]);
    assert!(unknown.contains("http://h/\\u{9b}31m"), "{unknown:?}");
    let stored = || said("list", &[]).contains(&uri);
    common::wait_until("it is stored", common::TIMEOUT, stored);
    for (command, args) in [("list", vec![]), ("explain", vec![uri.as_str()])] {
        let told = said(command, &args);
        assert!(told.contains("a\\u{9b}31m\\u{202e}\\u{200b}b"), "{told:?}");
        let unfit =
            |c: char| (c.is_control() && c != '\n') || ('\u{200b}'..='\u{202e}').contains(&c);
        assert!(!told.contains(unfit), "{told:?}");
        assert!(
            told.contains("authorization: ***") && !told.contains("secret"),
            "{told:?}"
        );
    }
}

#[test]
fn explain_takes_a_request_as_it_would_be_sent() {
    let origin = Origin::answering(|request| match request.target() {
        "/vary" => ok(
            "Cache-Control: max-age=600\r\nVary: Accept-Language\r\n",
            "x",
        ),
        _ => ok("ETag: \"a\"\r\n", "x"),
    });
    let proxy = Proxy::start("");
    let (vary, guess) = (origin.uri("/vary"), origin.uri("/guess"));
    proxy.request("GET", &vary, "Accept-Language: de\r\n");
    proxy.get(&guess);
    let (store, dir) = (proxy.store(), proxy.runtime_dir());
    let explained = |uri: &str, fields: &[&str]| {
        let mut all = vec!["explain", uri, "--store", store.to_str().unwrap()];
        all.extend(["--runtime-dir", dir.to_str().unwrap()]);
        all.extend(fields.iter().flat_map(|field| ["-H", field]));
        text(&run(&all).stdout)
    };
    let stored = || [&vary, &guess].map(|uri| explained(uri, &[]).contains("One response"));
    common::wait_until("they are stored", common::TIMEOUT, || stored() == [true; 2]);
    let (language, hop) = ("Accept-Language: de", "Connection: close, Accept-Language");
    #[rustfmt::skip]
    let rows: &[(&str, &[&str], &str)] = &[
        (&vary, &[language], "1 answers it"),
        (&vary, &[language, hop], "select none of these variants"),
        (&guess, &["Cache-Control: max-stale"], "neither the origin server nor a rule said for how long it is fresh"),
        (&guess, &[], "It doesn't answer if the origin server fails."),
    ];
    for (uri, fields, words) in rows {
        let told = explained(uri, fields);
        assert!(told.contains(words), "{fields:?}: {told}");
    }
}

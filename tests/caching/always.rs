//! A rule's `store = "always"`: what is stored in spite of no-store, private or Authorization answers its own client, and
//! others only with `public = true`.

use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use nix::sys::signal::Signal;

use crate::common::origin::{ok, reply};
use crate::common::proxy::{run, said};
use crate::common::{Client, Gate, Origin, Proxy, Response, TIMEOUT, wait_until};

pub const OWN: &str = "ttl = \"10m\"\n[[rule]]\nmatch = \"*\"\nstore = \"always\"\n";
pub const PUBLIC: &str =
    "ttl = \"10m\"\n[[rule]]\nmatch = \"*\"\nstore = \"always\"\npublic = true\n";

/// A client by the last number of its address, and the fields of its request.
pub type Who = (u8, &'static str);

pub const HOME: u8 = 1;
pub const ALICE: Who = (HOME, "Authorization: Basic YWxpY2U=\r\n");
pub const BOB: Who = (HOME, "Authorization: Basic Ym9i\r\n");

pub fn get(proxy: &Proxy, uri: &str, (address, fields): Who) -> Response {
    let address = IpAddr::from([127, 0, 0, address]);
    Client::from(address, proxy).request("GET", uri, fields)
}

/// Answers each request with these fields and a number of its own.
pub fn numbered(fields: &'static str) -> Origin {
    let count = AtomicUsize::new(0);
    Origin::answering(move |_| ok(fields, count.fetch_add(1, SeqCst).to_string()))
}

/// What is stored in spite of what, and others.
const ROWS: &[(&str, Who, &[Who])] = &[
    ("Cache-Control: no-store\r\n", (HOME, ""), &[(2, "")]),
    (
        "Cache-Control: private\r\n",
        (HOME, ""),
        &[(2, ""), (3, "Cookie: a=b\r\n")],
    ),
    (
        "Cache-Control: private, max-age=60\r\n",
        (HOME, "Cookie: a=1\r\n"),
        &[(HOME, "Cookie: a=2\r\n")],
    ),
    ("", ALICE, &[BOB, (2, ALICE.1)]),
    (
        "",
        (HOME, "Cache-Control: no-store\r\n"),
        &[
            (2, "Cache-Control: no-store\r\n"),
            (3, "Cache-Control: no-store\r\n"),
        ],
    ),
    (
        "Cache-Control: private, no-store\r\nVary: Accept\r\n",
        ALICE,
        &[BOB, (HOME, "")],
    ),
    (
        "Cache-Control: private\r\n",
        ALICE,
        &[(HOME, "Connection: :client\r\n"), BOB],
    ),
];

#[test]
fn it_answers_its_own_client_and_no_other() {
    let proxy = Proxy::start(OWN);
    for (fields, own, others) in ROWS {
        let origin = numbered(fields);
        let uri = origin.uri("/one");
        let first = get(&proxy, &uri, *own);
        assert!(
            first.cache_status().contains("stored"),
            "{fields}: {}",
            first.cache_status()
        );
        let hit = get(&proxy, &uri, *own);
        assert!(
            hit.is_hit() && hit.text() == "0",
            "{fields}: {}",
            hit.cache_status()
        );
        for (number, other) in others.iter().enumerate() {
            let response = get(&proxy, &uri, *other);
            let told = response.cache_status();
            assert!(!response.is_hit(), "{fields} {other:?}: {told}");
            assert_eq!(
                response.text(),
                (number + 1).to_string(),
                "{fields} {other:?}"
            );
        }
        // None has taken another's place, and the field that tells clients apart goes to nobody.
        let hit = get(&proxy, &uri, *own);
        assert!(
            hit.is_hit() && hit.text() == "0",
            "{fields}: {}",
            hit.cache_status()
        );
        for request in origin.requests() {
            assert!(!format!("{:?}", request.head).contains(":client"));
        }
    }
}

#[test]
fn with_public_it_answers_all() {
    let proxy = Proxy::start(PUBLIC);
    for (fields, own, others) in ROWS {
        let origin = numbered(fields);
        let uri = origin.uri("/one");
        get(&proxy, &uri, *own);
        for other in others.iter().chain([own]) {
            let response = get(&proxy, &uri, *other);
            let told = response.cache_status();
            assert!(
                response.is_hit() && response.text() == "0",
                "{fields} {other:?}: {told}"
            );
        }
    }
}

#[test]
fn without_it_none_of_it_is_stored() {
    let proxy = Proxy::start("ttl = \"10m\"\n[[rule]]\nmatch = \"*\"\nstore = \"rules\"\n");
    for (fields, own, _) in ROWS {
        let origin = numbered(fields);
        for number in ["0", "1"] {
            assert_eq!(
                get(&proxy, &origin.uri("/one"), *own).text(),
                number,
                "{fields}"
            );
        }
    }
}

#[test]
fn each_has_its_own_in_all_workers_and_after_a_restart() {
    let origin = Origin::answering(|request| {
        let fields = "Cache-Control: private\r\nETag: \"a\"\r\n";
        ok(
            fields,
            request.head.first("authorization").unwrap_or("none"),
        )
    });
    let mut proxy = Proxy::with(OWN).workers(3).start();
    // Too large for the memory of a worker it isn't, but each worker looks it up.
    let uri = origin.uri("/one");
    for round in 0..2 {
        for who in [ALICE, BOB, (HOME, ""), ALICE, BOB, (HOME, "")] {
            let expected = who.1.trim_end().rsplit(": ").next().unwrap();
            let expected = if expected.is_empty() {
                "none"
            } else {
                expected
            };
            wait_until("it is stored", TIMEOUT, || {
                let response = get(&proxy, &uri, who);
                assert_eq!(response.text(), expected);
                response.is_hit()
            });
        }
        if round == 0 {
            proxy.restart();
        }
    }
    let before = origin.count();
    for who in [ALICE, BOB] {
        assert!(get(&proxy, &uri, who).is_hit());
    }
    assert_eq!(origin.count(), before);
    // Without the rule it isn't selected any more, and what was for all still isn't there.
    proxy.write_config("ttl = \"10m\"\n");
    proxy.signal(Signal::SIGHUP);
    proxy.wait_for_line(&["reload"]);
    wait_until("the rule is gone", TIMEOUT, || {
        !get(&proxy, &uri, ALICE).is_hit()
    });
    assert!(!get(&proxy, &uri, BOB).is_hit());
}

/// RFC 9111 §4: who waits for the answer to another's request.
#[test]
fn who_waits_gets_nothing_of_anothers() {
    let gate = Gate::new();
    let count = AtomicUsize::new(0);
    let origin = Origin::gated(&gate, move |conn, _, gate| {
        gate.wait();
        let number = count.fetch_add(1, SeqCst);
        conn.send(ok("Cache-Control: private\r\n", number.to_string()));
    });
    gate.open_for_all();
    let proxy = Proxy::with(OWN).workers(2).start();
    for round in 0..3 {
        let uri = origin.uri(&format!("/{round}"));
        let clients = (1..=8).map(|number| {
            let address = IpAddr::from([127, 0, 0, number]);
            let mut client = Client::from(address, &proxy);
            client.ask("GET", &uri, "");
            client
        });
        let clients: Vec<Client> = clients.collect();
        let mut seen: Vec<String> = clients
            .into_iter()
            .map(|mut client| client.response("GET").text())
            .collect();
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), 8, "{seen:?}");
    }
}

#[test]
fn a_validation_keeps_it_its_own() {
    let origin = Origin::answering(|request| {
        let fields = "Cache-Control: private, max-age=1\r\nETag: \"a\"\r\n";
        match request.head.has("if-none-match") {
            true => reply("304 Not Modified", fields, ""),
            false => ok(
                fields,
                request.head.first("authorization").unwrap_or("none"),
            ),
        }
    });
    let proxy = Proxy::start(OWN);
    let uri = origin.uri("/one");
    get(&proxy, &uri, ALICE);
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let validated = get(&proxy, &uri, ALICE);
    assert_eq!(validated.text(), "Basic YWxpY2U=");
    assert_eq!(origin.last().head.first("if-none-match"), Some("\"a\""));
    assert!(get(&proxy, &uri, ALICE).is_hit());
    let other = get(&proxy, &uri, BOB);
    assert_eq!(other.text(), "Basic Ym9i");
    assert!(!origin.last().head.has("if-none-match"));
}

#[test]
fn explain_says_whose_it_is_and_by_which_rule() {
    let proxy = Proxy::start(&format!("{OWN}class = \"versioned\"\n"));
    let origin = numbered("Cache-Control: private\r\nETag: \"a\"\r\nAge: 90000\r\n");
    get(&proxy, &origin.uri("/one"), ALICE);
    let plain = numbered("ETag: \"a\"\r\nAge: 90000\r\n");
    get(&proxy, &plain.uri("/one"), (HOME, ""));
    let kept = Proxy::start("");
    let by_hash = numbered("Cache-Control: max-age=0\r\n");
    get(&kept, &by_hash.uri("/by-hash/SHA256/1"), (HOME, ""));
    let rows = [
        (
            &proxy,
            origin.uri("/one"),
            &[
                "for requests with one client's identity",
                "select none of these",
            ][..],
        ),
        (
            &proxy,
            plain.uri("/one"),
            &[
                "versioned, 30d",
                "always stored, for its client",
                "1 answers it and is validated in the background",
            ],
        ),
        (
            &kept,
            by_hash.uri("/by-hash/SHA256/1"),
            &[
                "never stale",
                "says that it never changes",
                "1 answers it, since it is fresh",
            ],
        ),
    ];
    for (proxy, uri, expected) in rows {
        let (config, runtime) = (proxy.config_path(), proxy.runtime_dir());
        let store = proxy.store();
        let paths = [
            ("--config", &config),
            ("--runtime-dir", &runtime),
            ("--store", &store),
        ];
        let mut args = vec!["explain", &uri];
        for (option, path) in &paths {
            args.extend([*option, path.to_str().unwrap()]);
        }
        let text = said(&run(&args));
        for words in expected {
            assert!(text.contains(words), "no {words:?} in {text}");
        }
    }
}

#[test]
fn cookies_are_as_ignore_cookies_says() {
    let proxy = Proxy::start(&format!("{OWN}ignore_cookies = true\n"));
    let origin = numbered("Cache-Control: private\r\nSet-Cookie: a=b\r\n");
    let uri = origin.uri("/one");
    assert!(
        get(&proxy, &uri, (HOME, "Cookie: a=1\r\n"))
            .head
            .has("set-cookie")
    );
    let hit = get(&proxy, &uri, (HOME, "Cookie: a=2\r\n"));
    assert!(hit.is_hit() && !hit.head.has("set-cookie"));
    assert!(!get(&proxy, &uri, (2, "Cookie: a=1\r\n")).is_hit());
}

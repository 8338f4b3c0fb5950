//! A rule's `store = "always"`: whom one client's is kept from, whatever it is put together of, and however a client is
//! told from others.

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;

use nix::sys::signal::Signal;

use super::always::{ALICE, BOB, HOME, OWN, PUBLIC, Who, get, numbered};
use crate::common::origin::{ok, reply};
use crate::common::other_user::other_user;
use crate::common::{Client, Gate, Origin, Proxy, TIMEOUT, wait_until};

/// The fields that an origin server sends with the part that begins so far into ten bytes.
type OfPart = fn(usize) -> &'static str;

const OWN_PART: &str = "Cache-Control: private\r\nETag: \"a\"\r\n";
const FOR_ALL: &str = "Cache-Control: max-age=60\r\nETag: \"a\"\r\n";

/// RFC 9111 §3.4: what is put together of parts is for those alone that may have all of it.
#[test]
fn what_is_put_together_is_for_whom_all_of_it_is() {
    let rows: [(&str, OfPart); 6] = [
        ("0-3", |first| if first == 0 { OWN_PART } else { FOR_ALL }),
        ("0-3", |first| if first == 4 { OWN_PART } else { FOR_ALL }),
        ("6-9", |first| if first == 6 { OWN_PART } else { FOR_ALL }),
        ("4-5", |first| if first == 4 { OWN_PART } else { FOR_ALL }),
        ("4-5", |first| if first == 0 { OWN_PART } else { FOR_ALL }),
        ("4-5", |first| if first == 6 { OWN_PART } else { FOR_ALL }),
    ];
    let proxy = Proxy::start(OWN);
    for (row, (part, fields)) in rows.into_iter().enumerate() {
        let origin = Origin::answering(move |request| {
            let range = request.head.first("range").unwrap_or("bytes=0-9");
            let (first, last) = range[6..].split_once('-').unwrap();
            let (first, last): (usize, usize) = (first.parse().unwrap(), last.parse().unwrap_or(9));
            let fields = fields(first);
            let fields = format!("{fields}Content-Range: bytes {first}-{last}/10\r\n");
            reply("206 Partial Content", &fields, &"0123456789"[first..=last])
        });
        let uri = origin.uri("/");
        let asked: &'static str = format!("Range: bytes={part}\r\n").leak();
        wait_until("the part is stored", TIMEOUT, || {
            get(&proxy, &uri, (HOME, asked)).is_hit()
        });
        let before = origin.count();
        assert_eq!(get(&proxy, &uri, (HOME, "")).text(), "0123456789", "{row}");
        let lacking = if part == "4-5" { 2 } else { 1 };
        assert_eq!(
            origin.count(),
            before + lacking,
            "{row}: it is put together"
        );
        wait_until("the whole is stored", TIMEOUT, || {
            get(&proxy, &uri, (HOME, "")).is_hit()
        });
        let other = get(&proxy, &uri, (2, "Range: bytes=0-8\r\n"));
        assert!(!other.is_hit(), "{row}: {}", other.cache_status());
    }
}

/// A reload that takes `public` back takes back what others had by it alone, and not what is theirs anyway.
#[test]
fn public_taken_back() {
    let rows: [(&'static str, Who, bool); 4] = [
        ("Cache-Control: no-store\r\n", (HOME, ""), false),
        ("Cache-Control: private, max-age=60\r\n", (HOME, ""), false),
        ("", ALICE, false),
        ("", (HOME, ""), true),
    ];
    for config in ["ttl = \"10m\"\n", OWN] {
        let proxy = Proxy::start(PUBLIC);
        let origins = rows.map(|(fields, who, _)| {
            let origin = numbered(fields);
            wait_until("it is stored", TIMEOUT, || {
                get(&proxy, &origin.uri("/"), who).is_hit()
            });
            origin
        });
        for (origin, (fields, who, _)) in origins.iter().zip(rows) {
            let other = get(&proxy, &origin.uri("/"), (2, who.1));
            assert!(other.is_hit(), "{fields} {}", other.cache_status());
        }
        proxy.write_config(config);
        proxy.signal(Signal::SIGHUP);
        proxy.wait_for_line(&["reload"]);
        let uri = origins[0].uri("/");
        wait_until("the rule is gone", TIMEOUT, || {
            !get(&proxy, &uri, (9, "")).is_hit()
        });
        for (origin, (fields, who, is_for_all)) in origins.iter().zip(rows) {
            for who in [(2, who.1), (3, ""), BOB] {
                let other = get(&proxy, &origin.uri("/"), who);
                let is_others = is_for_all || other.text() != "0";
                assert!(is_others, "{config}: {fields} {}", other.cache_status());
            }
        }
    }
}

#[test]
fn all_that_tells_who_asks_counts() {
    let proxy = Proxy::start(OWN);
    for name in ["X-Api-Key", "PRIVATE-TOKEN", "X-JFrog-Art-Api", "Cookie"] {
        for (fields, vary) in [("Cache-Control: private\r\n", ""), ("", "Vary: X-A\r\n")] {
            let origin = numbered(format!("{fields}{vary}Cache-Control: private\r\n").leak());
            let uri = origin.uri("/");
            let with = |value| (HOME, &*format!("{name}: {value}\r\n").leak());
            get(&proxy, &uri, with("one"));
            let again = format!("Accept: a/b\r\nUser-Agent: c\r\n{}", with("one").1);
            let again = get(&proxy, &uri, (HOME, again.leak()));
            assert!(again.is_hit(), "{name}: {}", again.cache_status());
            for other in [with("two"), (HOME, ""), (2, with("one").1)] {
                assert!(!get(&proxy, &uri, other).is_hit(), "{name} {other:?}");
            }
        }
    }
}

#[test]
fn cookies_are_no_reason_where_it_is_for_one_client() {
    for (config, is_stored) in [(OWN, true), (PUBLIC, false)] {
        let proxy = Proxy::start(config);
        for (fields, cookie) in [("", "Cookie: a=1\r\n"), ("Set-Cookie: a=1\r\n", "")] {
            let origin = numbered(fields);
            let uri = origin.uri("/");
            get(&proxy, &uri, (HOME, cookie));
            let again = get(&proxy, &uri, (HOME, cookie));
            assert_eq!(again.is_hit(), is_stored, "{}", again.cache_status());
            assert_eq!(
                again.head.has("set-cookie"),
                !is_stored && cookie.is_empty()
            );
            for other in [(2, cookie), (HOME, "Cookie: a=2\r\n")] {
                assert!(!get(&proxy, &uri, other).is_hit(), "{fields} {other:?}");
            }
        }
    }
}

fn get_through(socket: &Path, uri: &str) -> String {
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.write_all(asking(uri).as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn asking(uri: &str) -> String {
    format!("GET {uri} HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n")
}

#[test]
fn users_of_a_unix_socket_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let mode = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    mode(dir.path(), 0o755);
    let socket = dir.path().join("http.sock");
    let proxy = Proxy::with(OWN)
        .listen_also(socket.to_str().unwrap())
        .start();
    mode(&socket, 0o666);
    let origin = numbered("Cache-Control: private\r\n");
    let uri = origin.uri("/");
    let (first, again) = (get_through(&socket, &uri), get_through(&socket, &uri));
    assert!(first.ends_with('0') && again.ends_with('0'), "{again}");
    assert!(!get(&proxy, &uri, (HOME, "")).is_hit());
    // Nobody is whom the kernel takes for each of those that it can't tell apart.
    for _ in 0..2 {
        let Some(other) = other_user(&socket, &asking(&uri), 1) else {
            return;
        };
        let said = other.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        assert!(said.contains("200 OK") && !said.contains("hit"), "{said}");
        assert!(!said.contains("stored"), "{said}");
    }
    assert!(get_through(&socket, &uri).ends_with('0'));
}

/// Collapsed across workers, as without the rule.
#[test]
fn what_is_for_all_is_fetched_once() {
    let gate = Gate::new();
    let origin = Origin::gated(&gate, |conn, _, gate| {
        gate.wait();
        conn.send(ok("Cache-Control: max-age=60\r\n", "all"));
    });
    let proxy = Proxy::with(OWN).workers(4).start();
    let clients: Vec<Client> = (1..=20)
        .map(|_| Client::asking(&proxy, &origin.uri("/")))
        .collect();
    origin.wait_for(1);
    // Those that come to another worker are on their way.
    std::thread::sleep(std::time::Duration::from_millis(300));
    gate.open_for_all();
    for mut client in clients {
        assert_eq!(client.response("GET").text(), "all");
    }
    assert_eq!(origin.count(), 1);
}

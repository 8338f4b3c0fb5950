//! Targets as clients send them (RFC 9110 §7.1): bytes that should be percent-encoded go on and are keyed as they are, fragments
//! don't; and the Host field that the origin server gets is made of the target (RFC 9112 §3.2.2).

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::process::{Output, Stdio};

use crate::common::conversation::{octets, settle, text_of};
use crate::common::origin::fresh;
use crate::common::postgres::Server;
use crate::common::proxy::{command, said};
use crate::common::{Client, Origin, Proxy, Response};

/// Targets' ends after the first slash, as octets. All are different resources.
const RAW: [&str; 9] = [
    "\\xc3\\xa4/\\xe8\\xaa\\x9e?q=\\xf0\\x9f\\x98\\x80",
    "%C3%A4/%E8%AA%9E?q=%F0%9F%98%80",
    "%c3%a4/%e8%aa%9e?q=%f0%9f%98%80",
    "latin-1-\\xe4\\xff?\\xe4=\\x80",
    "\"<>\\\\^`{|}[]?\"<>\\\\^`{|}[]",
    "%22%3C%3E%5C%5E%60%7B%7C%7D",
    "100%?50%%zz%4",
    "nel\\xc2\\x85\\xc2\\xa0\\xe2\\x80\\xae",
    "a//b/../c/./",
];

fn asked(client: &mut Client, method: &str, target: &[u8], rest: &str) -> Response {
    let line = [method.as_bytes(), b" ", target, b" HTTP/1.1\r\n"].concat();
    client.send([&line, rest.as_bytes(), b"\r\n"].concat());
    client.response(method)
}

fn uri(origin: &Origin, end: &[u8]) -> Vec<u8> {
    [origin.uri("/").as_bytes(), end].concat()
}

#[test]
fn what_should_be_percent_encoded_goes_on_and_is_keyed_as_it_is() {
    let proxy = Proxy::start("");
    let origin = Origin::answering(|request| fresh(request.target()));
    let host = format!("Host: {}\r\n", origin.authority());
    let mut client = Client::of(&proxy);
    for end in RAW.map(octets) {
        let target = text_of(&[b"/", &end[..]].concat());
        for expected in ["fwd=uri-miss", "hit"] {
            let response = asked(&mut client, "GET", &uri(&origin, &end), &host);
            assert_eq!(response.text(), target);
            let status = response.cache_status();
            assert!(status.contains(expected), "{target}: {status}");
        }
        // A fragment changes nothing, and goes nowhere.
        let fragment = [&uri(&origin, &end)[..], b"#f#\xff"].concat();
        let response = asked(&mut client, "GET", &fragment, &host);
        assert!(response.cache_status().contains("hit"), "{target}");
    }
    let got: Vec<String> = (origin.requests().iter())
        .map(|request| request.target().to_owned())
        .collect();
    let expected = RAW.map(|end| format!("/{}", text_of(&octets(end))));
    assert_eq!(got, expected);
    let access = |what: &str| proxy.wait_for_line(&["GET http", what, "hit"]);
    access("/\u{e4}/\u{8a9e}?q=\u{1f600} 200");
    access("/latin-1-\\xe4\\xff?\\xe4=\\x80 200");
    access("/nel\\u{85}\u{a0}\\u{202e} 200");
}

#[test]
fn the_host_field_is_made_of_the_target() {
    let proxy = Proxy::start("");
    let origin = Origin::answering(|_| fresh("same"));
    let mut client = Client::of(&proxy);
    let hosts = [
        "Host: other.example\r\n",
        "Host:\r\n",
        "",
        "Host: 127.0.0.1\r\n",
        "Host: a_b.example:99\r\nX-Forwarded-Host: x\r\n",
    ];
    for (at, host) in hosts.into_iter().enumerate() {
        for method in ["GET", "POST"] {
            let response = asked(&mut client, method, &uri(&origin, b"x"), host);
            assert_eq!((response.status, response.text().as_str()), (200, "same"));
            let hit = response.cache_status().contains("hit");
            // One resource, whatever Host said; what POST did to it makes the next GET a miss.
            assert!(!hit, "{at} {method}");
        }
        let again = asked(&mut client, "GET", &uri(&origin, b"y"), host);
        assert_eq!(again.cache_status().contains("hit"), at > 0, "{host}");
    }
    for request in origin.requests() {
        let lines = request.head.all("host");
        assert_eq!(lines, [origin.authority()]);
    }
}

fn told(proxy: &Proxy, store: &[String], words: &[&[u8]]) -> Output {
    let dir = tempfile::tempdir().unwrap();
    command(dir.path())
        .args(words.iter().map(|word| OsStr::from_bytes(word)))
        .args(store)
        .arg("--config")
        .arg(proxy.config_path())
        .arg("--runtime-dir")
        .arg(proxy.runtime_dir())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .output()
        .unwrap()
}

/// Commands about stored responses whose URIs have such bytes, as an operator types them.
fn commands(proxy: &Proxy, store: &[String]) {
    let told = |words: &[&[u8]]| said(&told(proxy, store, words));
    let origin = Origin::answering(|request| fresh(request.target()));
    let mut client = Client::of(proxy);
    let host = format!("Host: {}\r\n", origin.authority());
    let ends = RAW.map(octets);
    for end in &ends {
        asked(&mut client, "GET", &uri(&origin, end), &host);
    }
    settle(proxy);
    let list = told(&[b"list"]);
    for shown in [
        "/\u{e4}/\u{8a9e}?q=\u{1f600}\n",
        "/latin-1-\\xe4\\xff?\\xe4=\\x80\n",
        "/%C3%A4/",
    ] {
        assert!(list.contains(shown), "{shown} in {list}");
    }
    for end in &ends {
        let explained = told(&[b"explain", &uri(&origin, end)]);
        assert!(explained.contains("One response is stored"), "{explained}");
    }
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("archive");
    let file = file.as_os_str().as_bytes();
    let exported = told(&[b"export", file]);
    let count = format!("exported {} stored", ends.len());
    assert!(exported.contains(&count), "{exported}");
    let removed = |words: &[&[u8]], count: &str| {
        let output = told(words);
        assert!(output.contains(count), "{words:?}: {output}");
    };
    removed(&[b"purge", &uri(&origin, &ends[0])], "removed 1 stored");
    removed(&[b"purge", &uri(&origin, &ends[3])], "removed 1 stored");
    let purged = asked(&mut client, "PURGE", &uri(&origin, &ends[4]), &host);
    assert_eq!(purged.status, 200, "{}", purged.text());
    let prefix = uri(&origin, "nel\u{85}".as_bytes());
    removed(&[b"purge", b"--prefix", &prefix], "removed 1 stored");
    removed(
        &[b"purge", b"--host", origin.authority().as_bytes()],
        "removed 5 stored",
    );
    let imported = told(&[b"import", file]);
    assert!(imported.contains("imported 9 stored"), "{imported}");
    for end in &ends {
        let response = asked(&mut client, "GET", &uri(&origin, end), &host);
        let target = text_of(&[b"/", &end[..]].concat());
        assert_eq!(response.text(), target);
        assert!(response.cache_status().contains("hit"), "{target}");
    }
}

#[test]
fn commands_take_them_as_they_were_sent() {
    let proxy = Proxy::start("purge_allow = [\"127.0.0.1\"]\n");
    let store = ["--store".to_owned(), proxy.store().display().to_string()];
    commands(&proxy, &store);
}

#[test]
fn a_database_keeps_them_as_they_were_sent() {
    let server = Server::shared();
    let setup = Proxy::with("purge_allow = [\"127.0.0.1\"]\n");
    commands(&setup.database(&server.database()).start(), &[]);
}

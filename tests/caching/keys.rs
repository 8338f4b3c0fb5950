//! The key of a stored response: the whole target URI, and the fields that Vary names.

use crate::common::origin::{fresh, ok};
use crate::common::proxy::command;
use crate::common::{Client, Origin, Proxy, TIMEOUT, wait_until};

#[test]
fn keys_are_whole_target_uris() {
    let proxy = Proxy::start("");
    let origin = Origin::answering(|request| fresh(request.target()));
    let paths = [
        "/", "/a", "/A", "/a/", "/a?", "/a?b", "/a?b=1", "/a?b=2", "/a%20", "//a", "/a/../a",
        "/a;b",
    ];
    for round in 0..2 {
        for path in paths {
            let response = proxy.get(&origin.uri(path));
            assert_eq!(
                (response.text().as_str(), response.is_hit()),
                (path, round == 1)
            );
        }
    }
    let port = origin.address().port();
    let other = Origin::answering(|_| fresh("other"));
    assert_eq!(
        proxy.get(&other.uri("/a")).text(),
        "other",
        "another origin"
    );
    assert!(
        !proxy.get(&format!("http://localhost:{port}/a")).is_hit(),
        "another name"
    );
    assert!(
        proxy.get(&format!("http://LOCALHOST:{port}/a")).is_hit(),
        "hosts are case-insensitive"
    );
}

#[test]
fn host_of_an_http_1_0_request_is_not_the_key() {
    // The target URI decides (RFC 9112 §3.2.2): a Host beside it must not poison another's object.
    let proxy = Proxy::start("");
    let origin = Origin::answering(|_| fresh("mine"));
    let victim = Origin::answering(|_| fresh("victim's"));
    let mut client = Client::of(&proxy);
    let (uri, host) = (origin.uri("/a"), victim.authority());
    client.send(format!("GET {uri} HTTP/1.0\r\nHost: {host}\r\n\r\n"));
    let _ = client.try_response("GET");
    assert_eq!(proxy.get(&victim.uri("/a")).text(), "victim's");
}

#[test]
fn variants_are_selected_by_vary() {
    let proxy = Proxy::start("");
    let origin = Origin::answering(|request| {
        let language = request.head.all("accept-language").join("+");
        ok(
            "Cache-Control: max-age=60\r\nVary: Accept-Language\r\n",
            format!("in {language}"),
        )
    });
    let uri = origin.uri("/");
    let asked = |fields: &str| proxy.request("GET", &uri, fields);
    let (english, french) = ("Accept-Language: en\r\n", "Accept-Language: fr\r\n");
    assert_eq!(asked(english).text(), "in en");
    assert_eq!(asked(french).text(), "in fr");
    assert_eq!(asked("").text(), "in ");
    assert_eq!(origin.count(), 3);
    for (fields, content) in [(english, "in en"), (french, "in fr"), ("", "in ")] {
        let hit = asked(fields);
        assert_eq!(
            (hit.text().as_str(), hit.is_hit()),
            (content, true),
            "{}",
            hit.cache_status()
        );
    }
    assert_eq!(
        asked("accept-language: en\r\nX-Other: 1\r\n").text(),
        "in en"
    );
    assert_eq!(origin.count(), 3);
}

/// What `list` says is stored.
fn listed(proxy: &Proxy) -> String {
    let dir = proxy.runtime_dir();
    let mut list = command(&dir);
    let list = list.args(["list", "--runtime-dir"]).arg(&dir);
    let list = list.output().unwrap();
    String::from_utf8_lossy(&list.stdout).into_owned()
}

/// Forty values that nobody else sends, each asked for twice.
#[test]
fn a_variant_that_is_of_use_outlives_many_that_are_not() {
    let proxy = Proxy::start("");
    // One after another they come into the store.
    let wait_for = |name: &str, value: &str| {
        let variant = format!("[{}: {value}]", name.to_ascii_lowercase());
        wait_until("it is stored", TIMEOUT * 2, || {
            listed(&proxy).contains(&variant)
        });
    };
    for (name, value, variant) in [
        ("Accept-Encoding", "gzip, br", "br, gzip"),
        ("User-Agent", "Mozilla/5.0", "Mozilla/5.0"),
    ] {
        let origin = Origin::answering(move |request| {
            let asked = request.head.first(&name.to_ascii_lowercase());
            let fields = format!("Cache-Control: max-age=60\r\nVary: {name}\r\n");
            ok(&fields, asked.unwrap_or_default())
        });
        let (mut client, uri) = (Client::of(&proxy), origin.uri("/"));
        let mut ask = |value: &str| {
            let reply = client.request("GET", &uri, &format!("{name}: {value}\r\n"));
            assert_eq!(reply.text(), value);
            reply
        };
        ask(value);
        wait_for(name, variant);
        (0..3).for_each(|_| drop(ask(value)));
        for junk in 0..80 {
            ask(&format!("junk-{}", junk / 2));
        }
        wait_for(name, "junk-39");
        let hit = ask(value);
        assert!(hit.is_hit(), "{name}: {}", hit.cache_status());
        // One for each value, and no more.
        assert_eq!(origin.count(), 41, "{name}");
    }
}

#[test]
fn variants_with_long_values_are_not_stored() {
    let proxy = Proxy::start("");
    let origin = Origin::answering(|_| ok("Cache-Control: max-age=60\r\nVary: X-Long\r\n", "a"));
    let mut client = Client::of(&proxy);
    for (length, is_hit) in [(16_300, true), (16_400, false)] {
        let fields = format!("X-Long: {}\r\n", "x".repeat(length));
        client.request("GET", &origin.uri("/"), &fields);
        let again = client.request("GET", &origin.uri("/"), &fields);
        let status = again.cache_status();
        assert_eq!(again.is_hit(), is_hit, "{length}: {status}");
        assert!(is_hit || status.contains("long-variant"), "{status}");
    }
}

#[test]
fn variants_of_one_uri_are_bounded() {
    let proxy = Proxy::start("");
    let origin = Origin::answering(|request| {
        let accept = request.head.first("accept").unwrap_or_default().to_owned();
        ok("Cache-Control: max-age=60\r\nVary: Accept\r\n", accept)
    });
    let mut client = Client::of(&proxy);
    for number in 0..300 {
        let accept = format!("Accept: a/{number}\r\n");
        for _ in 0..2 {
            let response = client.request("GET", &origin.uri("/"), &accept);
            assert_eq!(response.text(), format!("a/{number}"));
        }
    }
    let listed = listed(&proxy);
    let kept = listed
        .lines()
        .filter(|line| line.contains("[accept:"))
        .count();
    assert!(
        (1..=32).contains(&kept),
        "{kept} variants of one URI: {listed}"
    );
}

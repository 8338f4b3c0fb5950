//! `http://HTTPS///host/path`: for programs, not for browsers; redirects stay in that form, credentials go on as
//! Authorization, and what is stored is that of the https URI.

use crate::common::origin::{fresh, ok, reply};
use crate::common::proxy::{run, said};
use crate::common::{Client, Proxy, Response};
use crate::origin::{Authority, Origin, Version};
use crate::{common, fetch, get};

fn origin(answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> (Origin, Authority) {
    let authority = Authority::new();
    let server = authority.server(&["localhost", "127.0.0.1"], true, Version::Both);
    (Origin::answering(server, answer), authority)
}

/// A URI in that form.
fn through_http(origin: &Origin, path: &str) -> String {
    format!("http://HTTPS///localhost:{}{path}", origin.address.port())
}

/// A command about the proxy's store.
fn command(proxy: &Proxy, name: &str, words: &[&str]) -> String {
    let (store, runtime) = (proxy.store(), proxy.runtime_dir());
    let mut all = vec![name];
    all.extend(words);
    all.extend(["--store", store.to_str().unwrap()]);
    all.extend(["--runtime-dir", runtime.to_str().unwrap()]);
    said(&run(&all))
}

#[test]
fn browsers_are_refused_and_programs_are_not() {
    let (origin, authority) = origin(|_| fresh("secret"));
    let proxy = Proxy::start(&authority.config());
    let uri = through_http(&origin, "/a");
    let refused = [
        "Origin: http://https\r\n",
        "Cookie: a=b\r\n",
        "Referer: http://HTTPS///evil.example/\r\n",
        "sec-fetch-mode: cors\r\n",
        "Upgrade-Insecure-Requests: 1\r\n",
        "User-Agent: Mozilla/5.0 (X11)\r\n",
        "Accept: */*\r\nCOOKIE: \r\n",
    ];
    let check = |stored: bool| {
        for fields in refused {
            for method in ["GET", "HEAD", "PURGE", "DELETE"] {
                let response = proxy.request(method, &uri, fields);
                assert_eq!(response.status, 403, "{method} {fields} {stored}");
                assert_eq!(response.first("set-cookie"), None);
                let text = response.text();
                let says =
                    method == "HEAD" || text.contains("browsers") && text.contains("CONNECT");
                assert!(says, "{text}");
            }
            // The https URI itself comes by no browser.
            let mut client = Client::of(&proxy);
            let plain = origin.uri("localhost", "/plain");
            let host = plain["https://".len()..].trim_end_matches("/plain");
            client.send(format!(
                "GET {plain} HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n"
            ));
            assert_eq!(client.response("GET").status, 200, "{fields}");
        }
    };
    check(false);
    let heads = origin.heads.lock().unwrap().clone();
    assert!(
        heads.iter().all(|head| head.starts_with("GET /plain ")),
        "{heads:?}"
    );
    for agent in ["Debian APT-HTTP/1.3 (3.0.3)", "curl/8.14.1", "Wget/1.25.0"] {
        let response = proxy.request("GET", &uri, &format!("User-Agent: {agent}\r\n"));
        assert_eq!((response.status, response.text().as_str()), (200, "secret"));
    }
    check(true);
}

#[test]
fn redirects_stay_in_the_form() {
    let (origin, authority) = origin(|path| {
        let cached = "Cache-Control: max-age=60\r\nSet-Cookie: a=b\r\n";
        let found =
            |location: &str| reply("301 x", &format!("{cached}Location: {location}\r\n"), "");
        match path {
            "/relative" => found("/x?y#z"),
            "/below/relative" => found("../x"),
            "/other" => found("https://other.example/x"),
            "/plain" => found("http://other.example/x"),
            "/early" => [
                b"HTTP/1.1 103 x\r\nSet-Cookie: a=b\r\nLink: </x>\r\n\r\n".to_vec(),
                found("/x"),
            ]
            .concat(),
            "/passing" => reply("307 x", "Cache-Control: no-store\r\nLocation: y\r\n", ""),
            _ => ok(
                &format!("{cached}ETag: \"a\"\r\nContent-Location: /c\r\n"),
                "content",
            ),
        }
    });
    let proxy = Proxy::start(&authority.config());
    let own = through_http(&origin, "");
    let rows = [
        ("/relative", "/x?y#z", format!("{own}/x?y#z")),
        ("/below/relative", "../x", format!("{own}/x")),
        (
            "/other",
            "https://other.example/x",
            "http://HTTPS///other.example/x".to_owned(),
        ),
        (
            "/plain",
            "http://other.example/x",
            "http://other.example/x".to_owned(),
        ),
        ("/passing", "y", format!("{own}/y")),
    ];
    let location = |response: &Response| response.first("location").unwrap().to_owned();
    for (path, as_said, in_form) in rows {
        let uri = through_http(&origin, path);
        for (method, fields) in [
            ("GET", ""),
            ("GET", ""),
            ("HEAD", ""),
            ("GET", "Range: bytes=0-\r\n"),
        ] {
            let response = proxy.request(method, &uri, fields);
            assert_eq!(location(&response), in_form, "{method} {path} {fields}");
            assert_eq!(response.first("set-cookie"), None);
        }
        // What is stored is what the origin server said.
        let plain = fetch(&proxy, &origin.uri("localhost", path));
        assert_eq!(location(&plain), as_said, "{path}");
        assert_eq!(plain.is_hit(), path != "/passing", "{path}");
    }
    let mut client = Client::of(&proxy);
    client.ask("GET", &through_http(&origin, "/early"), "");
    let early = client.response_head("GET");
    assert_eq!((early.status, early.first("set-cookie")), (103, None));
    assert_eq!(location(&client.response("GET")), format!("{own}/x"));
    let uri = through_http(&origin, "/content");
    let in_form = format!("{own}/c");
    for (fields, status) in [
        ("", 200),
        ("", 200),
        ("If-None-Match: \"a\"\r\n", 304),
        ("Range: bytes=1-2\r\n", 206),
        ("Range: bytes=1-2,4-5\r\n", 206),
        ("Cache-Control: no-cache\r\n", 200),
        ("Authorization: x\r\nCache-Control: no-store\r\n", 200),
    ] {
        let response = proxy.request("GET", &uri, fields);
        assert_eq!(response.status, status, "{fields}");
        assert_eq!(
            response.first("content-location"),
            Some(in_form.as_str()),
            "{fields}"
        );
        assert_eq!(response.first("set-cookie"), None, "{fields}");
    }
    let mut client = Client::of(&proxy);
    client.send(format!("GET {uri} HTTP/1.0\r\n\r\n"));
    let old = client.response("GET");
    assert_eq!(
        (old.text().as_str(), old.first("set-cookie")),
        ("content", None)
    );
}

#[test]
fn credentials_go_on_and_are_shown_to_nobody() {
    let (origin, authority) = origin(|path| match path {
        "/public" => ok("Cache-Control: public, max-age=60\r\n", "for all"),
        _ => fresh("for one"),
    });
    let proxy = Proxy::with(&authority.config()).workers(2).start();
    let port = origin.address.port();
    let basic = "\r\nAuthorization: Basic dXNlcjpodW50ZXIy\r\n";
    let forms = [
        format!("http://HTTPS///user:hunter2@localhost:{port}"),
        format!("http://https:80///user:hunter%32@localhost:{port}"),
        format!("http://user:hunter2@HTTPS///localhost:{port}"),
    ];
    for form in &forms {
        for _ in 0..2 {
            let response = get(&proxy, &format!("{form}/own"), "https");
            assert!(response.text() == "for one" && !response.is_hit(), "{form}");
            let sent = origin.heads.lock().unwrap().last().unwrap().clone();
            assert!(sent.contains(basic) && !sent.contains("user"), "{sent}");
        }
        let host = "HTTPS\r\nAuthorization: Bearer t";
        assert_eq!(get(&proxy, &format!("{form}/own"), host).status, 200);
        let sent = origin.heads.lock().unwrap().last().unwrap().clone();
        assert!(
            sent.contains("Bearer t") && !sent.contains("Basic"),
            "{sent}"
        );
    }
    let uri = origin.uri("localhost", "/own");
    assert!(!fetch(&proxy, &uri).is_hit(), "it is for nobody else");
    // A response that is for all is one, whoever asked for it.
    assert_eq!(proxy.get(&format!("{}/public", forms[0])).text(), "for all");
    assert!(fetch(&proxy, &origin.uri("localhost", "/public")).is_hit());
    // Elsewhere userinfo isn't sent (RFC 9110 §4.2.4): clients that may write it have the field.
    let plain = common::Origin::answering(|_| fresh("plain"));
    let named = format!("http://user:hunter2@{}/own", plain.authority());
    assert_eq!(get(&proxy, &named, &plain.authority()).status, 200);
    assert!(!plain.last().head.has("authorization"));
    // Nearly that form, and refused: masked all the same.
    for path in ["/x", "", "?q"] {
        proxy.get(&format!(
            "http://HTTPS////user:hunter2@localhost:{port}{path}"
        ));
    }
    let trace = "TRACE http://user:hunter2@localhost/ HTTP/1.1\r\nHost: localhost\r\nMax-Forwards: 0\r\n\r\n";
    let mut client = Client::of(&proxy);
    client.send(trace);
    let traced = client.response("TRACE").text();
    assert!(
        traced.starts_with("TRACE http://***@localhost/ "),
        "{traced}"
    );
    proxy.wait_for_line(&["TRACE", "***@localhost"]);
    let log = proxy.log().join("\n");
    assert!(
        log.contains("http://HTTPS///***@localhost") && !log.contains("hunter"),
        "{log}"
    );
    for (name, words) in [("list", vec![]), ("explain", vec![forms[0].as_str()])] {
        let said = command(&proxy, name, &words);
        assert!(
            said.contains(&format!("https://localhost:{port}/")) && !said.contains("hunter"),
            "{said}"
        );
    }
}

#[test]
fn many_with_credentials_are_each_answered_whichever_worker_has_them() {
    let (origin, authority) = origin(|_| {
        std::thread::sleep(std::time::Duration::from_millis(100));
        fresh("for one")
    });
    let proxy = Proxy::with(&authority.config()).workers(2).start();
    proxy.wait_for_workers(2);
    let port = origin.address.port();
    let ask = |number: usize| {
        let mut client = Client::of(&proxy);
        let uri = format!("http://HTTPS///user{number}:x@localhost:{port}/own");
        client.ask("GET", &uri, "");
        client
    };
    let mut clients: Vec<Client> = (0..8).map(ask).collect();
    for client in &mut clients {
        assert_eq!(client.response("GET").text(), "for one");
    }
    let heads = origin.heads.lock().unwrap();
    let sent: std::collections::HashSet<&str> = (heads.iter())
        .filter_map(|head| head.split("Authorization: Basic ").nth(1)?.lines().next())
        .collect();
    assert_eq!((heads.len(), sent.len()), (8, 8), "each has its own");
}

#[test]
fn commands_and_purge_requests_know_the_form() {
    let (origin, authority) = origin(|_| fresh("content"));
    let config = format!("{}purge_allow = [\"127.0.0.1\"]\n", authority.config());
    let proxy = Proxy::start(&config);
    let port = origin.address.port();
    let uri = origin.uri("localhost", "/a/b");
    let upper = format!("http://HTTPS///localhost:{port}");
    let lower = format!("http://https///LOCALHOST:{port}");
    let host = format!("HTTPS///localhost:{port}");
    let is_hit = || fetch(&proxy, &uri).is_hit();
    let stored = || {
        is_hit();
        let told = || command(&proxy, "list", &["--host", &host]).contains(&uri);
        crate::common::wait_until("it is stored", crate::common::TIMEOUT, told);
    };
    for words in [
        vec![format!("{upper}/a/b")],
        vec![format!("{lower}/a/b")],
        vec!["--prefix".to_owned(), format!("{upper}/a/")],
        vec!["--host".to_owned(), host.clone()],
    ] {
        stored();
        assert!(is_hit(), "{words:?}");
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let told = command(&proxy, "purge", &words);
        assert!(
            told.starts_with("removed 1 stored response"),
            "{words:?}: {told}"
        );
        assert!(!is_hit(), "{words:?}");
    }
    for form in [&upper, &lower] {
        stored();
        let told = command(&proxy, "explain", &[&format!("{form}/a/b")]);
        assert!(
            told.contains(&format!("One response is stored for {uri}\n")),
            "{told}"
        );
        assert!(
            told.contains("number 1 answers it, since it is fresh"),
            "{told}"
        );
        let told = command(
            &proxy,
            "explain",
            &[&format!("{form}/a/b"), "-H", "Cookie: a"],
        );
        assert!(
            told.contains("refused with 403: ") && told.contains("Cookie"),
            "{told}"
        );
        assert_eq!(
            proxy.request("PURGE", &format!("{form}/a/b"), "").status,
            200
        );
        assert_eq!(
            proxy.request("PURGE", &format!("{form}/a/b"), "").status,
            404
        );
        assert!(!is_hit(), "{form}");
    }
    let told = command(&proxy, "list", &["--host", "ftp///localhost"]);
    assert!(told.contains("expected a host"), "{told}");
}

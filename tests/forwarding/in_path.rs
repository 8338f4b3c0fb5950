//! URIs named in the path of a request to the proxy itself, as apt-cacher-ng's users name them (`mirror_hosts`).

use crate::common::origin::{fresh, reply};
use crate::common::{Client, Origin, Proxy, Response};

fn answer(target: &str) -> Vec<u8> {
    match target {
        "/moved" => reply("302 Found", "Location: /x/y?z\r\nSet-Cookie: a=b\r\n", ""),
        "/away" => reply("302 Found", "Location: http://elsewhere.example/\r\n", ""),
        _ => fresh(target),
    }
}

fn ask(proxy: &Proxy, method: &str, path: &str, fields: &str) -> Response {
    let mut client = Client::of(proxy);
    let own = proxy.address();
    client.send(format!(
        "{method} {path} HTTP/1.1\r\nHost: {own}\r\n{fields}\r\n"
    ));
    client.response(method)
}

fn start(hosts: &str) -> Proxy {
    Proxy::start(&format!(
        "purge_allow = [\"127.0.0.1\"]\nmirror_hosts = [{hosts}]\n"
    ))
}

#[test]
fn a_host_that_is_named_is_served_in_a_path() {
    let origin = Origin::answering(|request| answer(request.target()));
    let authority = origin.authority();
    let proxy = start(&format!("\"a.example\", \"{authority}\""));
    let path = format!("/{authority}/a?b");
    let first = ask(&proxy, "GET", &path, "");
    assert_eq!((first.status, first.text().as_str()), (200, "/a?b"));
    assert_eq!(origin.last().head.all("host"), [authority.as_str()]);
    // It is the same resource in either form.
    assert!(proxy.get(&origin.uri("/a?b")).is_hit());
    assert!(ask(&proxy, "HEAD", &path, "").is_hit());
    let part = ask(&proxy, "GET", &path, "Range: bytes=1-2\r\n");
    assert_eq!((part.status, part.text().as_str()), (206, "a?"));
    assert!(part.is_hit());
    assert_eq!(origin.count(), 1);
    assert_eq!(
        ask(&proxy, "POST", &path, "Content-Length: 0\r\n").status,
        200
    );
    assert!(
        !ask(&proxy, "GET", &path, "").is_hit(),
        "POST made it invalid"
    );
    assert_eq!(ask(&proxy, "PURGE", &path, "").status, 200);
    assert!(!proxy.get(&origin.uri("/a?b")).is_hit());
    // What it is referred to stays in that form where it can.
    let moved = ask(&proxy, "GET", &format!("/{authority}/moved"), "");
    let location = format!("/{authority}/x/y?z");
    assert_eq!(moved.first("location"), Some(location.as_str()));
    assert_eq!(moved.first("set-cookie"), None);
    let away = ask(&proxy, "GET", &format!("/{authority}/away"), "");
    assert_eq!(away.first("location"), Some("http://elsewhere.example/"));
    // To a browser all hosts would be one.
    for field in [
        "Origin: null",
        "Cookie: a=b",
        "User-Agent: Mozilla/5.0 (X11)",
    ] {
        let refused = ask(&proxy, "GET", &path, &format!("{field}\r\n"));
        assert_eq!(refused.status, 403, "{field}: {}", refused.text());
    }
    assert_eq!(ask(&proxy, "GET", "/", "").status, 200);
}

#[test]
fn a_host_that_is_not_named_gets_a_page_that_says_how() {
    let origin = Origin::answering(|request| answer(request.target()));
    let authority = origin.authority();
    let proxy = start("\"a.example\"");
    let own = proxy.address();
    for method in ["GET", "HEAD", "POST"] {
        let path = format!("/{authority}/debian");
        let page = ask(&proxy, method, &path, "Content-Length: 0\r\n");
        assert_eq!(page.status, 404, "{method}");
        let expected = [
            format!("mirror_hosts = [\"{authority}\"]"),
            format!("http_proxy=http://{own} curl http://{authority}/debian\n"),
            format!("Acquire::http::Proxy \"http://{own}\";"),
        ];
        let text = page.text();
        let has_all = expected.iter().all(|words| text.contains(words));
        assert!(has_all || method == "HEAD", "{text}");
    }
    for path in ["/status", "/u:p@a.example/x"] {
        let page = ask(&proxy, "GET", path, "");
        assert_eq!(page.status, 404, "{path}");
        assert!(!page.text().contains("mirror_hosts"), "{path}");
    }
    proxy.wait_for_line(&["GET", "/debian", " 404 own-page "]);
    assert_eq!(origin.connections(), 0);
    // The guard on ports counts in this form, too.
    let refused = ask(&proxy, "GET", "/a.example:25/", "");
    assert_eq!(refused.status, 404);
    assert_eq!(
        ask(&start("\"*\""), "GET", "/a.example:25/", "").status,
        403
    );
}

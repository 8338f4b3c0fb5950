//! Requests that are not a plain GET: unsafe ones, HEAD, and only-if-cached.

use crate::common::origin::{fresh, reply};
use crate::common::{Client, Origin, Proxy};

#[test]
fn unsafe_methods_invalidate() {
    let proxy = Proxy::start("");
    let origin = Origin::answering(|request| match (request.method(), request.target()) {
        ("GET", path) => fresh(path),
        (_, "/refused") => reply("403 Forbidden", "", "no"),
        (_, "/elsewhere") => reply(
            "201 Created",
            "Location: /made\r\nContent-Location: /also\r\n",
            "",
        ),
        _ => reply("200 OK", "", "done"),
    });
    let hit = |path: &str| proxy.get(&origin.uri(path)).is_hit();
    for path in ["/made", "/also", "/elsewhere", "/other"] {
        hit(path);
    }
    for method in ["POST", "PUT", "DELETE", "PATCH", "UNKNOWN"] {
        let path = format!("/{method}");
        hit(&path);
        assert!(hit(&path), "{method}");
        proxy.request(method, &origin.uri(&path), "Content-Length: 0\r\n");
        assert!(!hit(&path), "{method} invalidates (RFC 9111 §4.4)");
    }
    hit("/refused");
    proxy.request("POST", &origin.uri("/refused"), "Content-Length: 0\r\n");
    assert!(hit("/refused"), "only a non-error response invalidates");
    proxy.request("POST", &origin.uri("/elsewhere"), "Content-Length: 0\r\n");
    for (path, expected) in [
        ("/elsewhere", false),
        ("/made", false),
        ("/also", false),
        ("/other", true),
    ] {
        assert_eq!(hit(path), expected, "{path}");
    }
    for method in ["HEAD", "OPTIONS", "GET"] {
        proxy.request(method, &origin.uri("/other"), "");
        assert!(hit("/other"), "{method} is safe");
    }
}

#[test]
fn only_if_cached_never_asks_the_origin() {
    let proxy = Proxy::start("");
    let origin = Origin::answering(|_| fresh("content"));
    let fields = "Cache-Control: only-if-cached\r\n";
    assert_eq!(proxy.request("GET", &origin.uri("/"), fields).status, 504);
    assert_eq!(origin.count(), 0);
    proxy.get(&origin.uri("/"));
    assert_eq!(
        proxy.request("GET", &origin.uri("/"), fields).text(),
        "content"
    );
    assert_eq!(origin.count(), 1);
}

#[test]
fn head_is_answered_from_a_stored_get_and_never_the_other_way() {
    let proxy = Proxy::start("");
    let origin = Origin::answering(|request| match request.method() {
        "HEAD" => {
            b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 7\r\n\r\n".to_vec()
        }
        _ => fresh("content"),
    });
    let uri = origin.uri("/");
    assert_eq!(proxy.request("HEAD", &uri, "").status, 200);
    assert_eq!(
        proxy.get(&uri).text(),
        "content",
        "a HEAD has no content to store"
    );
    let before = origin.count();
    let mut client = Client::of(&proxy);
    for _ in 0..2 {
        let head = client.request("HEAD", &uri, "");
        assert!(head.is_hit(), "{}", head.cache_status());
        assert_eq!(
            (head.status, head.first("content-length")),
            (200, Some("7"))
        );
        assert_eq!(client.get(&uri).text(), "content");
    }
    assert_eq!(origin.count(), before);
}

//! Which responses are stored and reused: by their fields, their status and the method.

use crate::common::origin::reply;
use crate::common::{Client, Origin, Proxy, date, dated, each};
use crate::numbered;
use crate::table::STORED;
use crate::table::Second::{Hit, Miss, Validates};

#[test]
fn responses_are_stored_and_reused_as_the_rfc_says() {
    let proxy = Proxy::start("");
    let origin = numbered(|path| {
        let row: usize = path.trim_start_matches('/').parse().unwrap();
        format!("{}\r\n", dated(STORED[row].2))
    });
    each(
        STORED.iter().enumerate(),
        |(number, (what, request, _, expected))| {
            let mut client = Client::of(&proxy);
            let path = format!("/{number}");
            let first = client.request("GET", &origin.uri(&path), request);
            assert!(!first.is_hit(), "{what}: {}", first.cache_status());
            assert!(
                first.cache_parameter("fwd").is_some(),
                "{what}: {}",
                first.cache_status()
            );
            let second = client.request("GET", &origin.uri(&path), request);
            let last = origin
                .requests()
                .into_iter()
                .rfind(|request| request.target() == path)
                .unwrap();
            let conditional = last.head.has("if-none-match") || last.head.has("if-modified-since");
            let got = match (origin.count_of(&path), conditional) {
                (1, _) => Hit,
                (_, true) => Validates,
                (_, false) => Miss,
            };
            assert_eq!(got, *expected, "{what}: {}", second.cache_status());
            assert_eq!(
                second.is_hit(),
                got == Hit,
                "{what}: {}",
                second.cache_status()
            );
            assert_eq!(second.content == first.content, got == Hit, "{what}");
            assert_eq!(second.status, 200, "{what}");
        },
    );
}

/// Status, fields, and whether the response is stored.
const STATUSES: [(u16, &str, bool); 22] = [
    (200, "Cache-Control: max-age=60", true),
    (203, "Cache-Control: max-age=60", true),
    (204, "Cache-Control: max-age=60", true),
    (
        206,
        "Cache-Control: max-age=60\r\nContent-Range: bytes 0-1/9",
        false,
    ),
    (206, "Cache-Control: max-age=60", false),
    (300, "Cache-Control: max-age=60", true),
    (301, "Cache-Control: max-age=60\r\nLocation: /x", true),
    (301, "Last-Modified: {-864000}\r\nLocation: /x", true),
    (302, "Cache-Control: max-age=60\r\nLocation: /x", true),
    (302, "Last-Modified: {-864000}\r\nLocation: /x", false),
    (307, "Cache-Control: max-age=60\r\nLocation: /x", true),
    (308, "Last-Modified: {-864000}\r\nLocation: /x", true),
    (404, "Cache-Control: max-age=60", true),
    (404, "Last-Modified: {-864000}", true),
    (404, "X-Nothing: said", false),
    (410, "Cache-Control: max-age=60", true),
    (414, "Last-Modified: {-864000}", true),
    (403, "Last-Modified: {-864000}", false),
    (500, "Last-Modified: {-864000}", false),
    (501, "Last-Modified: {-864000}", true),
    (503, "Cache-Control: no-store", false),
    (299, "Last-Modified: {-864000}", false),
];

#[test]
fn statuses_are_stored_as_the_rfc_says() {
    let proxy = Proxy::start("");
    let origin = Origin::answering(|request| {
        let row: usize = request.target().trim_start_matches('/').parse().unwrap();
        let (status, fields, _) = STATUSES[row];
        let fields = dated(fields);
        if status == 204 {
            return format!("HTTP/1.1 204 x\r\nDate: {}\r\n{fields}\r\n\r\n", date(0)).into_bytes();
        }
        reply(&format!("{status} x"), &format!("{fields}\r\n"), "content")
    });
    each(
        STATUSES.iter().enumerate(),
        |(number, (status, fields, stored))| {
            let mut client = Client::of(&proxy);
            let path = format!("/{number}");
            let first = client.get(&origin.uri(&path));
            let second = client.get(&origin.uri(&path));
            assert_eq!(
                (first.status, second.status),
                (*status, *status),
                "{fields}"
            );
            assert_eq!(first.content, second.content, "{status} {fields}");
            let hit = origin.count_of(&path) == 1;
            assert_eq!(hit, *stored, "{status} {fields}: {}", second.cache_status());
            assert_eq!(
                second.is_hit(),
                hit,
                "{status} {fields}: {}",
                second.cache_status()
            );
        },
    );
}

#[test]
fn only_get_is_stored() {
    let proxy = Proxy::start("");
    let origin = numbered(|_| "Cache-Control: max-age=60\r\n".to_owned());
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "PROPFIND"] {
        let uri = origin.uri(&format!("/{method}"));
        let first = proxy.request(method, &uri, "Content-Length: 0\r\n");
        let second = proxy.request(method, &uri, "Content-Length: 0\r\n");
        assert_ne!(first.content, second.content, "{method}");
        let get = proxy.get(&uri);
        assert!(
            !get.is_hit() && get.content != second.content,
            "{method}: {}",
            get.cache_status()
        );
    }
}

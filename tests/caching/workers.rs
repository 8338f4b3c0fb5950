//! One store for all workers, and over restarts.

use crate::common;
use crate::common::origin::{fresh, ok, reply};
use crate::common::{Client, Origin, Proxy, Response, TIMEOUT, wait_until};

#[test]
fn a_restart_finds_everything() {
    let mut proxy = Proxy::with("").workers(2).start();
    let origin = Origin::answering(|request| {
        match request
            .target()
            .trim_start_matches("/kib/")
            .parse::<usize>()
        {
            Ok(kib) => fresh(common::pattern(kib << 10)),
            Err(_) => ok(
                "Cache-Control: max-age=60\r\nVary: Accept\r\nETag: \"e\"\r\n",
                request.head.first("accept").unwrap_or("none"),
            ),
        }
    });
    let sizes = [0_usize, 1, 63, 64, 65, 200, 5000];
    for kib in sizes {
        proxy.get(&origin.uri(&format!("/kib/{kib}")));
    }
    for accept in ["a", "b"] {
        proxy.request(
            "GET",
            &origin.uri("/vary"),
            &format!("Accept: {accept}\r\n"),
        );
    }
    let asked = origin.count();
    for _ in 0..2 {
        proxy.restart();
        for kib in sizes {
            let response = proxy.get(&origin.uri(&format!("/kib/{kib}")));
            assert!(response.is_hit(), "{kib} KiB: {}", response.cache_status());
            assert!(response.content == common::pattern(kib << 10), "{kib} KiB");
        }
        for accept in ["a", "b"] {
            let response = proxy.request(
                "GET",
                &origin.uri("/vary"),
                &format!("Accept: {accept}\r\n"),
            );
            assert_eq!(
                (response.text().as_str(), response.is_hit()),
                (accept, true)
            );
            assert_eq!(response.first("etag"), Some("\"e\""));
        }
    }
    assert_eq!(origin.count(), asked);
}

#[test]
fn what_was_served_is_stored_even_when_the_proxy_stops_at_once() {
    let mut proxy = Proxy::start("");
    let origin =
        Origin::answering(|request| fresh(common::pattern(request.target().len() * 40_000)));
    for path in ["/a", "/bb", "/ccc", "/dddd", "/eeeee"] {
        let first = proxy.get(&origin.uri(path));
        proxy.restart();
        let second = proxy.get(&origin.uri(path));
        assert!(second.is_hit(), "{path}: {}", second.cache_status());
        assert!(second.content == first.content, "{path}");
    }
}

/// Asks so many times, each time on a new connection that stays, so that every worker has its turn.
fn asked_of_all(proxy: &Proxy, uri: &str, fields: &str) -> Vec<Response> {
    let mut clients: Vec<Client> = (0..12).map(|_| Client::of(proxy)).collect();
    clients
        .iter_mut()
        .map(|client| client.request("GET", uri, fields))
        .collect()
}

#[test]
fn workers_share_the_store() {
    let proxy = Proxy::with("").workers(2).start();
    proxy.wait_for_workers(2);
    proxy.wait_for_line(&["worker 1 is ready"]);
    proxy.wait_for_line(&["worker 2 is ready"]);
    let origin = Origin::answering(|request| match request.method() {
        "GET" => fresh(request.target()),
        _ => reply("200 OK", "", "done"),
    });
    let cached = "Cache-Control: only-if-cached\r\n";
    for path in ["/one", "/two"] {
        let uri = origin.uri(path);
        proxy.get(&uri);
        let all_have_it = || {
            asked_of_all(&proxy, &uri, cached)
                .iter()
                .all(Response::is_hit)
        };
        wait_until("every worker finds it", TIMEOUT, all_have_it);
        for worker in ["cacheproxy@1:", "cacheproxy@2:"] {
            proxy.wait_for_line(&[worker, path, " hit "]);
        }
        assert_eq!(origin.count_of(path), 1);
        // By now both have it in their memory; when one hears of a change, both know.
        proxy.request("POST", &uri, "Content-Length: 0\r\n");
        for response in asked_of_all(&proxy, &uri, cached) {
            assert_eq!(response.status, 504, "{path}: {}", response.cache_status());
        }
    }
}

#[test]
fn many_workers_and_clients_never_see_a_wrong_object() {
    let proxy = Proxy::with("store_size = \"2MiB\"\nmemory = \"256KiB\"\n")
        .workers(2)
        .start();
    let origin = Origin::answering(|request| {
        let mut content = request.target().as_bytes().to_vec();
        content.resize(20_000, b'.');
        let fields = [
            "Cache-Control: max-age=60\r\n",
            "Cache-Control: max-age=0\r\nETag: \"x\"\r\n",
        ];
        ok(fields[request.target().len() % 2], content)
    });
    std::thread::scope(|scope| {
        for number in 0..8_usize {
            let (proxy, origin) = (&proxy, &origin);
            scope.spawn(move || {
                let mut client = Client::of(proxy);
                for round in 0..120 {
                    let path = format!("/{}", (round * 7 + number * 13) % 150);
                    if round % 40 == 39 {
                        client.request("POST", &origin.uri(&path), "Content-Length: 0\r\n");
                        client = Client::of(proxy);
                    }
                    let response = client.get(&origin.uri(&path));
                    assert_eq!(response.content.len(), 20_000);
                    assert_eq!(response.text().trim_end_matches('.'), path);
                }
            });
        }
    });
}

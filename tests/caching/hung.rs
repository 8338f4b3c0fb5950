//! Origin servers that hang: what is stored answers, and at once while that is remembered; one request tries meanwhile.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::common::origin::{ok, reply};
use crate::common::proxy::{run, said};
use crate::common::{Client, Gate, Origin, Proxy, Response, TIMEOUT, each, wait_until};

const CONFIG: &str =
    "[timeouts]\norigin_hang = \"1s\"\nconnect = \"20s\"\norigin_response = \"20s\"\n";
const AT_ONCE: Duration = Duration::from_millis(800);
const STALE: &str = "Cache-Control: max-age=0\r\nETag: \"a\"\r\n";

/// An origin server that says old content until it is told to hang; then what the gate lets through is new.
fn hanging(gate: &Gate) -> (Origin, Arc<AtomicBool>) {
    let hangs = Arc::new(AtomicBool::new(false));
    let told = hangs.clone();
    let origin = Origin::gated(gate, move |conn, request, gate| {
        if told.load(Ordering::SeqCst) {
            gate.wait();
            conn.send(ok("Cache-Control: max-age=60\r\nETag: \"b\"\r\n", "new"));
            return;
        }
        let fields = match request.target() {
            "/fresh" => "Cache-Control: max-age=600\r\nETag: \"a\"\r\n",
            "/must" => "Cache-Control: max-age=0, must-revalidate\r\nETag: \"a\"\r\n",
            "/no-cache" => "Cache-Control: no-cache\r\nETag: \"a\"\r\n",
            "/short" => "Cache-Control: max-age=1\r\nETag: \"a\"\r\n",
            "/plain" => "Cache-Control: max-age=1\r\nAge: 5\r\n",
            "/behind" => "Cache-Control: max-age=0, stale-while-revalidate=60\r\nETag: \"a\"\r\n",
            _ => STALE,
        };
        conn.send(ok(fields, "old"));
    });
    (origin, hangs)
}

/// Has these stored, and the origin server hang from then on.
fn store(proxy: &Proxy, (origin, hangs): &(Origin, Arc<AtomicBool>), paths: &[&str]) {
    for path in paths {
        let stored = proxy.get(&origin.uri(path));
        assert!(stored.cache_status().contains("; stored"), "{path}");
    }
    hangs.store(true, Ordering::SeqCst);
}

/// The response of a request, and the time that it took.
fn timed(proxy: &Proxy, method: &str, uri: &str, fields: &str) -> (Response, Duration) {
    let begun = Instant::now();
    (proxy.request(method, uri, fields), begun.elapsed())
}

#[track_caller]
fn is_stale(response: &Response) {
    let status = response.cache_status();
    assert!(
        status.contains("hit") && status.contains("detail=origin-hung"),
        "{status}"
    );
}

#[test]
fn a_range_of_what_cannot_be_validated_is_answered_too() {
    let (gate, proxy) = (Gate::new(), Proxy::start(CONFIG));
    let hung = hanging(&gate);
    store(&proxy, &hung, &["/plain"]);
    let uri = hung.0.uri("/plain");
    for _ in 0..2 {
        let response = proxy.request("GET", &uri, "Range: bytes=1-1\r\n");
        assert_eq!((response.status, response.text().as_str()), (206, "l"));
        is_stale(&response);
    }
    gate.open_for_all();
}

/// One finds out that it hangs.
#[track_caller]
fn find_out(proxy: &Proxy, uri: &str) {
    let (found, took) = timed(proxy, "GET", uri, "");
    assert_eq!((found.status, found.text().as_str()), (200, "old"));
    is_stale(&found);
    assert!(
        (Duration::from_secs(1)..Duration::from_secs(3)).contains(&took),
        "{took:?}"
    );
}

fn explained(proxy: &Proxy, uri: &str) -> String {
    let (dir, store) = (proxy.runtime_dir(), proxy.store());
    let of = [
        "--runtime-dir",
        dir.to_str().unwrap(),
        "--store",
        store.to_str().unwrap(),
    ];
    said(&run(&[&["explain", uri][..], &of].concat()))
}

#[test]
fn what_may_be_served_stale_answers_at_once_when_one_has_found_out() {
    let (gate, proxy) = (Gate::new(), Proxy::start(CONFIG));
    let hung = hanging(&gate);
    let paths = [
        "/a",
        "/b",
        "/fresh",
        "/must",
        "/no-cache",
        "/plain",
        "/behind",
    ];
    store(&proxy, &hung, &paths);
    let (origin, asked) = (&hung.0, hung.0.count());
    find_out(&proxy, &origin.uri("/a"));
    #[rustfmt::skip]
    let at_once: &[(&str, &str, &str, u16)] = &[
        ("GET", "/b", "", 200),
        ("GET", "/a", "", 200),
        ("GET", "/plain", "", 200),
        ("GET", "/behind", "", 200),
        ("HEAD", "/b", "", 200),
        ("GET", "/b", "If-None-Match: \"a\"\r\n", 304),
        ("GET", "/b", "Range: bytes=1-1\r\n", 206),
        ("GET", "/plain", "Range: bytes=1-1\r\n", 206),
        ("GET", "/fresh", "Cache-Control: max-age=0\r\n", 200),
        ("GET", "/b", "Cookie: a=b\r\n", 200),
    ];
    each(at_once, |(method, path, fields, status)| {
        let (response, took) = timed(&proxy, method, &origin.uri(path), fields);
        assert_eq!(response.status, *status, "{path} {fields}");
        is_stale(&response);
        assert!(took < AT_ONCE, "{path} {fields}: {took:?}");
    });
    let told = explained(&proxy, &origin.uri("/b"));
    assert!(told.contains("didn't answer of late"), "{told}");
    proxy.wait_for_line(&["hangs, as nothing came from it"]);
    let (fresh, took) = timed(&proxy, "GET", &origin.uri("/fresh"), "");
    assert!(fresh.is_hit() && !fresh.cache_status().contains("detail") && took < AT_ONCE);
    let only = "Cache-Control: only-if-cached\r\n";
    assert_eq!(proxy.request("GET", &origin.uri("/b"), only).status, 504);
    // The one who found out, and one who tries.
    assert_eq!(origin.count() - asked, 2);
    // These ask, and wait.
    let no_cache = "Cache-Control: no-cache\r\n";
    let waiting = [
        ("/must", ""),
        ("/no-cache", ""),
        ("/b", no_cache),
        ("/never", ""),
    ];
    let mut waiting = waiting.map(|(path, fields)| {
        let mut client = Client::of(&proxy);
        client.ask("GET", &origin.uri(path), fields);
        client
    });
    origin.wait_for(asked + 6);
    for client in &mut waiting {
        assert!(client.is_quiet(Duration::from_millis(300)));
    }
    gate.open_for_all();
    for client in &mut waiting {
        assert_eq!(client.response("GET").text(), "new");
    }
    wait_until("it answers again", TIMEOUT, || {
        proxy.get(&origin.uri("/a")).text() == "new"
    });
    let again = proxy.get(&origin.uri("/plain"));
    assert_eq!(again.text(), "new");
    assert!(!again.cache_status().contains("detail=origin-hung"));
}

#[test]
fn a_slow_answer_replaces_what_is_stored_and_ends_the_memory() {
    let (gate, proxy) = (Gate::new(), Proxy::start(CONFIG));
    let hung = hanging(&gate);
    store(&proxy, &hung, &["/a", "/b"]);
    let (origin, asked) = (&hung.0, hung.0.count());
    find_out(&proxy, &origin.uri("/a"));
    gate.open();
    wait_until("the late answer is stored", TIMEOUT, || {
        let response = proxy.request(
            "GET",
            &origin.uri("/a"),
            "Cache-Control: only-if-cached\r\n",
        );
        response.status == 200 && response.text() == "new"
    });
    assert_eq!(origin.count() - asked, 1);
    gate.open();
    let (response, _) = timed(&proxy, "GET", &origin.uri("/b"), "");
    assert_eq!(response.text(), "new");
    assert!(
        response.cache_status().contains("fwd=stale"),
        "{}",
        response.cache_status()
    );
}

#[test]
fn all_workers_know_and_one_of_them_tries() {
    let gate = Gate::new();
    let proxy = Proxy::with(CONFIG).workers(3).start();
    let hung = hanging(&gate);
    let paths: Vec<String> = (0..12).map(|number| format!("/{number}")).collect();
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    store(&proxy, &hung, &paths);
    let (origin, asked) = (&hung.0, hung.0.count());
    find_out(&proxy, &origin.uri(paths[0]));
    let begun = Instant::now();
    std::thread::scope(|scope| {
        // The one that found out may have a turn of its own.
        for path in &paths[1..] {
            let (proxy, uri) = (&proxy, origin.uri(path));
            scope.spawn(move || is_stale(&proxy.get(&uri)));
        }
    });
    assert!(
        begun.elapsed() < Duration::from_secs(2),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(origin.count() - asked, 2);
    gate.open_for_all();
}

#[test]
fn an_update_of_all_indexes_waits_once() {
    let gate = Gate::new();
    let proxy = Proxy::with(CONFIG).workers(2).start();
    let hung = hanging(&gate);
    let paths = ["/fresh", "/a", "/b", "/plain", "/c", "/d", "/e", "/f"];
    store(&proxy, &hung, &paths);
    // As apt asks: one after the other on a connection, without waiting.
    let (mut client, begun) = (Client::of(&proxy), Instant::now());
    for path in paths {
        client.ask("GET", &hung.0.uri(path), "Cache-Control: max-age=0\r\n");
    }
    for path in paths {
        let response = client.response("GET");
        assert_eq!(response.text(), "old", "{path}");
        is_stale(&response);
    }
    assert!(
        begun.elapsed() < Duration::from_secs(2),
        "{:?}",
        begun.elapsed()
    );
    gate.open_for_all();
}

#[test]
fn who_waits_for_the_same_fetch_is_answered_with_it() {
    // (workers, when others ask too, the most that do)
    for (workers, wait, most) in [(1, "60s", 1), (3, "60s", 1), (2, "300ms", 3)] {
        let gate = Gate::new();
        let config = format!("{CONFIG}collapsed_wait = \"{wait}\"\n");
        let proxy = Proxy::with(&config).workers(workers).start();
        let hung = hanging(&gate);
        store(&proxy, &hung, &["/short"]);
        let (origin, asked) = (&hung.0, hung.0.count());
        // Others wait for what is of use to them: what is fresh for a moment.
        std::thread::sleep(Duration::from_millis(2100));
        let begun = Instant::now();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| is_stale(&proxy.get(&origin.uri("/short"))));
            }
        });
        let took = begun.elapsed();
        assert!(
            (Duration::from_secs(1)..Duration::from_secs(3)).contains(&took),
            "{took:?}"
        );
        assert!(
            origin.count() - asked <= most,
            "{workers} workers: {}",
            origin.count() - asked
        );
        gate.open_for_all();
    }
}

#[test]
fn interim_responses_and_a_head_in_pieces_are_no_hang() {
    for begin in ["HTTP/1.1 103 Early Hints\r\n\r\n", "HTTP/1.1 20"] {
        let (gate, proxy) = (Gate::new(), Proxy::start(CONFIG));
        let origin = Origin::gated(&gate, move |conn, _, gate| {
            if conn.number > 0 {
                conn.send(begin);
                gate.wait();
                let answer = ok("Cache-Control: max-age=60\r\n", "new");
                let is_begun = begin.ends_with("20");
                conn.send(&answer[if is_begun { begin.len() } else { 0 }..]);
            } else {
                conn.send(ok(&format!("{STALE}Connection: close\r\n"), "old"));
            }
        });
        proxy.get(&origin.uri("/"));
        let mut client = Client::asking(&proxy, &origin.uri("/"));
        origin.wait_for(2);
        std::thread::sleep(Duration::from_millis(1500));
        gate.open();
        let mut response = client.response("GET");
        while response.status < 200 {
            response = client.response("GET");
        }
        assert_eq!(response.text(), "new", "{begin:?}");
    }
}

/// An origin server that takes one connection, and then none: nor does it refuse them.
fn without_connections(answer: Vec<u8>) -> (SocketAddr, std::thread::JoinHandle<Vec<TcpStream>>) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    socket.bind(&any.into()).unwrap();
    socket.listen(0).unwrap();
    let listener = TcpListener::from(socket);
    let address = listener.local_addr().unwrap();
    let serving = std::thread::spawn(move || {
        use std::io::{Read, Write};
        let (mut first, _) = listener.accept().unwrap();
        let _ = first.read(&mut [0; 4096]);
        first.write_all(&answer).unwrap();
        drop(first);
        let wait = Duration::from_millis(200);
        let queued = (0..4).filter_map(|_| TcpStream::connect_timeout(&address, wait).ok());
        let queued = queued.collect();
        std::mem::forget(listener);
        queued
    });
    (address, serving)
}

#[test]
fn no_connection_is_a_hang() {
    let proxy = Proxy::start(CONFIG);
    let fields = format!("{STALE}Connection: close\r\n");
    let (address, serving) = without_connections(ok(&fields, "old"));
    proxy.get(&format!("http://{address}/"));
    let _queued = serving.join().unwrap();
    find_out(&proxy, &format!("http://{address}/"));
    let (again, took) = timed(&proxy, "GET", &format!("http://{address}/"), "");
    is_stale(&again);
    assert!(took < AT_ONCE, "{took:?}");
}

#[test]
fn a_server_that_refuses_is_asked_each_time() {
    let proxy = Proxy::start(CONFIG);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let uri = format!("http://{address}/");
    let fields = format!("{STALE}Connection: close\r\n");
    let origin = Origin::on(listener, move |mut conn| {
        let _ = conn.request();
        conn.send(ok(&fields, "old"));
    });
    proxy.get(&uri);
    drop(origin);
    for _ in 0..2 {
        let down = proxy.get(&uri);
        assert!(down.cache_status().contains("detail=origin-unreachable"));
    }
    let _back = Origin::on(TcpListener::bind(address).unwrap(), |mut conn| {
        let _ = conn.request();
        conn.send(reply("200 OK", "Cache-Control: max-age=0\r\n", "new"));
    });
    assert_eq!(proxy.get(&uri).text(), "new");
}

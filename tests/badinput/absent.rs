//! Origin servers that hang, drip, or aren't there.

use std::time::{Duration, Instant};

use crate::common::{Client, Origin, Proxy};

#[test]
fn origins_that_hang_are_504_in_bounded_time() {
    let proxy = Proxy::start("[timeouts]\norigin_response = \"1s\"\nbody_stall = \"1s\"\n");
    let silent = Origin::scripted(|mut conn| {
        let _ = conn.request();
        conn.hold();
    });
    let dripping = Origin::scripted(|mut conn| {
        let _ = conn.request();
        // Each byte comes in time; all of them together don't.
        for byte in b"HTTP/1.1 200 OK\r\nX-Drip: a very long and very slow field\r\n"
            .iter()
            .cycle()
        {
            std::thread::sleep(Duration::from_millis(50));
            if !conn.send([*byte]) {
                return;
            }
        }
    });
    let stalling = Origin::scripted(|mut conn| {
        let _ = conn.request();
        conn.send("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 10\r\n\r\nhalf");
        conn.hold();
    });
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for (what, origin) in [("silent", &silent), ("dripping", &dripping)] {
            let proxy = &proxy;
            scope.spawn(move || {
                let response = proxy.get(&origin.uri("/"));
                assert!(
                    [504, 502].contains(&response.status),
                    "{what}: {}",
                    response.status
                );
                assert!(
                    what == "dripping" || response.status == 504,
                    "{what}: {}",
                    response.status
                );
            });
        }
        scope.spawn(|| {
            // One client alone could wait for as long as it likes.
            let mut clients = [(); 2].map(|()| Client::asking(&proxy, &stalling.uri("/")));
            for client in &mut clients {
                let ended = client
                    .try_response("GET")
                    .expect_err("half the content isn't a response");
                assert!(ended.is_over(), "{ended:?}");
            }
        });
    });
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(10), "{took:?}");
}

#[test]
fn origins_that_are_not_there_are_502() {
    let proxy = Proxy::start("");
    let dead = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let response = proxy.get(&format!("http://{dead}/"));
    assert!([502, 503].contains(&response.status), "{}", response.status);
    assert!(!response.content.is_empty());
    for name in [
        "nonexistent.invalid",
        "a.very.long.name.that.does.not.exist.invalid",
        "-.invalid",
    ] {
        let response = proxy.get(&format!("http://{name}/"));
        assert!(
            [400, 502, 503, 504].contains(&response.status),
            "{name}: {}",
            response.status
        );
        assert!(!response.content.is_empty(), "{name}");
    }
    let long = "a".repeat(300);
    let response = proxy.get(&format!("http://{long}.invalid/"));
    assert!(
        [400, 502].contains(&response.status),
        "a name too long: {}",
        response.status
    );
}

#[test]
fn an_origin_whose_connection_is_never_made_is_504() {
    let proxy = Proxy::start("[timeouts]\nconnect = \"1s\"\n");
    // A queue that is full takes no more connections, and doesn't refuse them.
    let full = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    full.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into())
        .unwrap();
    full.listen(0).unwrap();
    let address = full.local_addr().unwrap().as_socket().unwrap();
    let wait = Duration::from_millis(200);
    let held: Vec<_> = (0..3)
        .filter_map(|_| std::net::TcpStream::connect_timeout(&address, wait).ok())
        .collect();
    let begun = Instant::now();
    let response = proxy.get(&format!("http://{address}/"));
    assert!([504, 502].contains(&response.status), "{}", response.status);
    assert!(
        begun.elapsed() < Duration::from_secs(8),
        "{:?}",
        begun.elapsed()
    );
    drop(held);
}

//! Origin servers that hang while two hosts share a database: nobody waits for the other host's lease longer than for an origin
//! server.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::stage::wait_until_stored;
use crate::common::origin::ok;
use crate::common::postgres::Server;
use crate::common::{Origin, Proxy, TIMEOUT, wait_until};

#[test]
fn hosts_answer_with_what_is_stored() {
    let server = Server::shared();
    let connection = server.database();
    let host = || {
        Proxy::with("[timeouts]\norigin_hang = \"1s\"\n")
            .database(&connection)
            .start()
    };
    let hosts = [host(), host()];
    let hangs = Arc::new(AtomicBool::new(false));
    let told = hangs.clone();
    let origin = Origin::scripted(move |mut conn| {
        while conn.request().is_ok() {
            if told.load(Ordering::SeqCst) {
                return conn.hold();
            }
            conn.send(ok("Cache-Control: max-age=1\r\nETag: \"a\"\r\n", "old"));
        }
    });
    for path in ["/a", "/b"] {
        assert_eq!(hosts[0].get(&origin.uri(path)).text(), "old");
        wait_until_stored(server, &connection, path, 1);
    }
    hangs.store(true, Ordering::SeqCst);
    std::thread::sleep(Duration::from_millis(1100));
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for host in &hosts {
            scope.spawn(|| {
                let response = host.get(&origin.uri("/a"));
                let status = response.cache_status();
                assert!(status.contains("detail=origin-hung"), "{status}");
            });
        }
    });
    let took = begun.elapsed();
    assert!(
        (Duration::from_secs(1)..Duration::from_secs(3)).contains(&took),
        "{took:?}"
    );
    // The one that waited for the other finds out for itself.
    for host in &hosts {
        wait_until("it answers at once", TIMEOUT, || {
            let begun = Instant::now();
            let response = host.get(&origin.uri("/b"));
            assert!(response.cache_status().contains("detail=origin-hung"));
            begun.elapsed() < Duration::from_millis(800)
        });
    }
}

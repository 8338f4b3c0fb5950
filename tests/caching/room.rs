//! The size limit, what goes first, and a full disk.

use std::os::unix::fs::MetadataExt;

use crate::common;
use crate::common::origin::fresh;
use crate::common::{Client, Origin, Proxy, TIMEOUT, wait_until};

/// The bytes that a store takes on disk.
fn used(store: &std::path::Path) -> u64 {
    let mut used = 0;
    let mut folders = vec![store.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(metadata) if metadata.is_dir() => folders.push(entry.path()),
                Ok(metadata) => used += metadata.blocks() * 512,
                Err(_) => {}
            }
        }
    }
    used
}

#[test]
fn the_size_limit_holds() {
    const LIMIT: u64 = 8 << 20;
    let mut proxy = Proxy::start("store_size = \"8MiB\"\n");
    let origin = Origin::answering(|_| fresh(common::pattern(500_000)));
    let mut client = Client::of(&proxy);
    for number in 0..60 {
        let response = client.get(&origin.uri(&format!("/{number}")));
        assert_eq!(response.content.len(), 500_000);
        let now = used(&proxy.store());
        assert!(
            now <= LIMIT + 1_000_000,
            "{now} bytes after {number} objects"
        );
    }
    wait_until("eviction", TIMEOUT, || used(&proxy.store()) <= LIMIT);
    let count = |proxy: &Proxy| {
        let asked = (0..60).map(|number| origin.uri(&format!("/{number}")));
        let fields = "Cache-Control: only-if-cached\r\n";
        asked
            .filter(|uri| proxy.request("GET", uri, fields).status == 200)
            .count()
    };
    // What is on its way into the store answers as well, until it is there or found no room.
    wait_until("nothing is on its way", TIMEOUT, || {
        count(&proxy) <= 16 && used(&proxy.store()) >= LIMIT / 4
    });
    let kept = count(&proxy);
    assert!((4..=16).contains(&kept), "{kept} objects kept");
    assert!(
        used(&proxy.store()) >= LIMIT / 4,
        "{} bytes kept",
        used(&proxy.store())
    );
    // The queue is rebuilt at a restart, and holds on.
    proxy.restart();
    assert!(count(&proxy) >= 4);
    for number in 100..130 {
        proxy.get(&origin.uri(&format!("/{number}")));
    }
    wait_until("eviction after a restart", TIMEOUT, || {
        used(&proxy.store()) <= LIMIT
    });
}

#[test]
fn lengths_that_are_announced_evict_nothing() {
    let proxy = Proxy::start("store_size = \"64MiB\"\nmemory = \"0B\"\n");
    let origin = Origin::scripted(|mut conn| {
        while let Ok(request) = conn.request() {
            match request.target().starts_with("/announced") {
                false => _ = conn.send(fresh(common::pattern(200_000))),
                true => {
                    let head = "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 30000000\r\n\r\n";
                    conn.send(head);
                    conn.send(common::pattern(400_000));
                    conn.hold();
                }
            }
        }
    });
    let stored = |count: usize| {
        let all = 0..count;
        all.filter(|number| {
            let uri = origin.uri(&format!("/{number}"));
            let fields = "Cache-Control: only-if-cached\r\n";
            proxy.request("GET", &uri, fields).status == 200
        })
        .count()
    };
    for number in 0..90 {
        proxy.get(&origin.uri(&format!("/{number}")));
    }
    wait_until("all are stored", TIMEOUT, || stored(90) == 90);
    let mut clients: Vec<Client> = (0..4)
        .map(|number| Client::asking(&proxy, &origin.uri(&format!("/announced{number}"))))
        .collect();
    for client in &mut clients {
        client.response_head("GET");
        client.wire.exactly(400_000).unwrap();
    }
    // Those that are stored meanwhile have the evictor look at what is used.
    for number in 90..95 {
        proxy.get(&origin.uri(&format!("/{number}")));
        wait_until("it is stored", TIMEOUT, || stored(number + 1) >= number);
    }
    assert_eq!(stored(95), 95);
}

#[test]
fn what_is_used_outlives_what_is_not() {
    let proxy = Proxy::start("store_size = \"4MiB\"\nmemory = \"0B\"\n");
    let origin = Origin::answering(|_| fresh(common::pattern(200_000)));
    for number in 0..60 {
        proxy.get(&origin.uri(&format!("/{number}")));
        proxy.get(&origin.uri("/popular"));
    }
    assert!(
        origin.count_of("/popular") <= 3,
        "{} fetches",
        origin.count_of("/popular")
    );
}

#[test]
fn a_full_disk_is_said_once_and_fails_no_request() {
    // No disk has so much room, so the floor of free space is hit from the start.
    let proxy = Proxy::start("min_free_disk = \"1000000TiB\"\nmemory = \"0B\"\n");
    let origin = Origin::answering(|request| match request.target() {
        "/long" => fresh(common::pattern(1_000_000)),
        _ => fresh("content"),
    });
    for _ in 0..3 {
        assert_eq!(proxy.get(&origin.uri("/")).text(), "content");
        assert!(proxy.get(&origin.uri("/long")).content == common::pattern(1_000_000));
    }
    assert!(
        used(&proxy.store()) < 100_000,
        "{} bytes stored",
        used(&proxy.store())
    );
    let said = |line: &&String| line.to_lowercase().contains("free");
    wait_until("a word about it", TIMEOUT, || {
        proxy.log().iter().filter(said).count() > 0
    });
    let log = proxy.log();
    assert!(log.iter().filter(said).count() <= 2, "{log:#?}");
}

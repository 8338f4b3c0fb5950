//! A store that was damaged, holds what is not its own, or vanishes: misses, and no failed request.

use crate::blocks::large_files;
use crate::common;
use crate::common::origin::{fresh, ok};
use crate::common::{Client, Ended, Origin, Proxy, TIMEOUT, wait_until};

/// Damages what the index has of something while the proxy is down: each place where these bytes are, at this offset.
fn damage_index(proxy: &Proxy, bytes: &[u8], at: usize) {
    let path = proxy.store().join("v3/index/data.mdb");
    let mut index = std::fs::read(&path).unwrap();
    let places: Vec<usize> = memchr::memmem::find_iter(&index, bytes).collect();
    assert!(!places.is_empty(), "it isn't in the index");
    places.iter().for_each(|place| index[place + at] ^= 0x20);
    std::fs::write(&path, index).unwrap();
}

#[test]
fn a_damaged_small_object_is_a_miss_and_the_others_are_hits() {
    const LENGTH: usize = 5_000;
    const TAG: &str = "\"the-entity-tag-of-";
    let content = |path: &str| [path.as_bytes(), &common::pattern(LENGTH)].concat();
    let origin = Origin::answering(move |request| {
        let path = request.target();
        let fields = format!("Cache-Control: max-age=600\r\nETag: {TAG}{path}\"\r\n");
        ok(&fields, content(path))
    });
    let mut proxy = Proxy::start("memory = \"0B\"\n");
    // (what is damaged, from where on these bytes, at which offset)
    let rows = ["first-byte", "middle", "last-byte", "fields", "whole"];
    let uri = |path: &str| origin.uri(&format!("/{path}"));
    for path in rows {
        proxy.get(&uri(path));
    }
    proxy.stop();
    for path in rows {
        let target = format!("/{path}");
        let (bytes, at) = match path {
            "first-byte" => (content(&target), 0),
            "middle" => (content(&target), LENGTH / 2),
            "last-byte" => (content(&target), target.len() + LENGTH - 1),
            "fields" => (format!("{TAG}{target}").into_bytes(), 5),
            _ => continue,
        };
        damage_index(&proxy, &bytes, at);
    }
    proxy.start_again();
    for path in rows {
        let response = proxy.get(&uri(path));
        assert_eq!(
            response.is_hit(),
            path == "whole",
            "{path}: {}",
            response.cache_status()
        );
        assert!(response.content == content(&format!("/{path}")), "{path}");
        wait_until("it is stored anew", TIMEOUT, || {
            proxy.get(&uri(path)).is_hit()
        });
    }
}

#[test]
fn what_does_not_belong_in_the_store_is_no_trouble() {
    let mut proxy = Proxy::start("");
    let origin = Origin::answering(|_| fresh(common::pattern(100_000)));
    proxy.get(&origin.uri("/"));
    proxy.stop();
    let path = large_files(&proxy.store()).pop().unwrap();
    let folder = path.parent().unwrap();
    std::fs::write(folder.join("README"), "what is this?").unwrap();
    std::fs::create_dir(folder.join("folder")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", folder.join("link")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", folder.join("ab".repeat(16))).unwrap();
    // A folder where the object was.
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    proxy.start_again();
    let response = proxy.get(&origin.uri("/"));
    assert!(!response.is_hit() && response.content == common::pattern(100_000));
    wait_until("it is stored anew", TIMEOUT, || {
        proxy.get(&origin.uri("/")).is_hit()
    });
}

#[test]
fn a_store_that_vanishes_fails_no_request() {
    let proxy = Proxy::start("memory = \"0B\"\n");
    let origin = Origin::answering(|_| fresh("content"));
    proxy.get(&origin.uri("/"));
    // What came is still on its way into it.
    wait_until("the store is gone", TIMEOUT, || {
        std::fs::remove_dir_all(proxy.store()).is_ok() || !proxy.store().exists()
    });
    for path in ["/", "/other", "/"] {
        let response = proxy.get(&origin.uri(path));
        assert_eq!(
            (response.status, response.text().as_str()),
            (200, "content"),
            "{path}"
        );
    }
    let mut client = Client::asking(&proxy, &origin.uri("/long"));
    assert!(!matches!(
        client.try_response("GET"),
        Err(Ended::Late | Ended::Reset)
    ));
}

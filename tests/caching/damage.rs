//! A store that was damaged, holds what is not its own, or vanishes: misses, and no failed request.

use crate::common;
use crate::common::origin::fresh;
use crate::common::{Client, Ended, Origin, Proxy, TIMEOUT, wait_until};
use crate::room::objects;

/// Damage to an object's file while the proxy is down: its name, and how it is done.
type Damage = (&'static str, fn(&mut Vec<u8>));

const DAMAGES: [Damage; 9] = [
    ("cut short by a byte", |file| {
        file.pop();
    }),
    ("cut in half", |file| file.truncate(file.len() / 2)),
    ("empty", Vec::clear),
    ("only the first bytes", |file| file.truncate(10)),
    ("longer", |file| file.extend_from_slice(b"more")),
    ("another first byte", |file| file[0] ^= 1),
    ("a bit flipped near the start", |file| file[40] ^= 1),
    ("all zero", |file| file.fill(0)),
    ("lengths of all ones", |file| {
        let end = file.len().min(64);
        file[8..end].fill(0xff);
    }),
];

fn damaged(length: usize, damages: &[Damage]) {
    let mut proxy = Proxy::start("");
    let origin = Origin::answering(move |_| fresh(common::pattern(length)));
    for (what, damage) in damages {
        let uri = origin.uri(&format!("/{}", what.replace(' ', "-")));
        let before = objects(&proxy.store());
        proxy.get(&uri);
        assert!(proxy.get(&uri).is_hit());
        let is_new = |object: &(std::path::PathBuf, u64)| {
            object.1 > length as u64 && !before.iter().any(|known| known.0 == object.0)
        };
        proxy.stop();
        let (path, _) = objects(&proxy.store())
            .into_iter()
            .find(is_new)
            .expect("an object's file");
        let mut bytes = std::fs::read(&path).unwrap();
        damage(&mut bytes);
        std::fs::write(&path, bytes).unwrap();
        proxy.start_again();
        // The supervisor looks through the store at first, and removes what is damaged, too.
        proxy.wait_for_line(&["the store holds"]);
        let asked = origin.count();
        let response = proxy.get(&uri);
        assert!(!response.is_hit(), "{what}: {}", response.cache_status());
        assert!(
            response.status == 200 && response.content == common::pattern(length),
            "{what}"
        );
        assert_eq!(origin.count(), asked + 1, "{what}");
        let again = proxy.get(&uri);
        assert!(again.is_hit(), "{what}: {}", again.cache_status());
        assert!(again.content == common::pattern(length), "{what}: replaced");
        // What is stored is in its file when the proxy has stopped.
        proxy.restart();
    }
}

#[test]
fn a_damaged_small_object_is_a_miss() {
    damaged(5_000, &DAMAGES);
    let flips: [Damage; 2] = [
        ("a bit flipped at the end", |file| {
            *file.last_mut().unwrap() ^= 1
        }),
        ("a bit flipped in the middle", |file| {
            let middle = file.len() / 2;
            file[middle] ^= 1;
        }),
    ];
    damaged(5_000, &flips);
}

#[test]
fn a_damaged_long_object_is_a_miss() {
    damaged(300_000, &DAMAGES);
}

#[test]
fn what_does_not_belong_in_the_store_is_no_trouble() {
    let mut proxy = Proxy::start("");
    let origin = Origin::answering(|_| fresh("content"));
    proxy.get(&origin.uri("/"));
    proxy.stop();
    let (path, _) = objects(&proxy.store())
        .into_iter()
        .find(|object| object.1 > 7)
        .unwrap();
    let folder = path.parent().unwrap();
    std::fs::write(folder.join("README"), "what is this?").unwrap();
    std::fs::create_dir(folder.join("folder")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", folder.join("link")).unwrap();
    // A folder where the object was.
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    proxy.start_again();
    let response = proxy.get(&origin.uri("/"));
    assert_eq!(
        (response.text().as_str(), response.is_hit()),
        ("content", false)
    );
    assert_eq!(proxy.get(&origin.uri("/")).text(), "content");
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

//! A store that can't be used, vanishes or is another proxy's: the proxy serves without it, says so, and has it again.

use std::fs;
use std::path::Path;

use crate::common::origin::fresh;
use crate::common::proxy::run;
use crate::common::{Origin, Proxy, TIMEOUT, pattern, wait_until};

fn status(proxy: &Proxy) -> String {
    let dir = proxy.runtime_dir();
    let said = run(&["status", "--runtime-dir", dir.to_str().unwrap()]);
    String::from_utf8(said.stdout).unwrap()
}

/// Waits until responses are stored, small ones and large ones.
#[track_caller]
fn stores_again(proxy: &Proxy, origin: &Origin, name: &str) {
    for large in ["small", "large"] {
        let uri = origin.uri(&format!("/{name}/{large}"));
        wait_until("a hit", TIMEOUT, || proxy.get(&uri).is_hit());
    }
}

fn origin() -> Origin {
    Origin::answering(|request| match request.target().ends_with("large") {
        true => fresh(pattern(700_000)),
        false => fresh(request.target()),
    })
}

/// Removes what is at this path, whatever it is.
fn clear(path: &Path) {
    let is_directory = path.symlink_metadata().is_ok_and(|it| it.is_dir());
    let _ = match is_directory {
        true => fs::remove_dir_all(path),
        false => fs::remove_file(path),
    };
}

/// What is there, and how it is put there.
type Place = (&'static str, fn(&Path));

#[test]
fn a_store_that_cannot_be_used_at_first_is_used_when_it_can() {
    let origin = origin();
    let mut proxy = Proxy::start("");
    let places: [Place; 3] = [
        ("a file in its place", |store| fs::write(store, "").unwrap()),
        ("a link to nowhere", |store| {
            std::os::unix::fs::symlink("/nowhere/at/all", store).unwrap();
        }),
        ("a file in the place of a part", |store| {
            fs::create_dir(store).unwrap();
            fs::write(store.join("v3"), "").unwrap();
        }),
    ];
    for (number, (what, put)) in places.into_iter().enumerate() {
        proxy.stop();
        clear(&proxy.store());
        put(&proxy.store());
        proxy.start_again();
        let uri = origin.uri(&format!("/without/{number}"));
        for _ in 0..2 {
            let answer = proxy.get(&uri);
            assert_eq!((answer.status, answer.is_hit()), (200, false), "{what}");
            let told = answer.cache_status().to_owned();
            assert!(!told.contains("stored"), "{what}: {told}");
        }
        proxy.wait_for_line(&["nothing is stored: ", "store"]);
        let said = status(&proxy);
        assert!(said.contains("store not in use: "), "{what}: {said}");
        clear(&proxy.store());
        proxy.wait_for_line(&["the store at ", "is back"]);
        stores_again(&proxy, &origin, &number.to_string());
        let said = status(&proxy);
        assert!(!said.contains("store"), "{what}: {said}");
        let complaints = proxy.log();
        let complaints = complaints
            .iter()
            .filter(|line| line.contains("nothing is stored"));
        assert_eq!(complaints.count(), 1, "{what}: {:#?}", proxy.log());
    }
}

#[test]
fn a_store_that_vanishes_is_made_anew() {
    let origin = origin();
    let proxy = Proxy::with("").workers(2).start();
    let away = proxy.store().with_file_name("away");
    let store = proxy.store();
    let losses: [(&str, &dyn Fn()); 3] = [
        ("emptied", &|| {
            for entry in fs::read_dir(&store).unwrap() {
                clear(&entry.unwrap().path());
            }
        }),
        ("moved", &|| fs::rename(&store, &away).unwrap()),
        ("removed", &|| clear(&store)),
    ];
    for (number, (what, lose)) in losses.into_iter().enumerate() {
        stores_again(&proxy, &origin, &format!("{what}-before"));
        lose();
        let count = || {
            let log = proxy.log();
            log.iter()
                .filter(|line| line.contains("is made anew"))
                .count()
        };
        wait_until("both workers to notice", TIMEOUT, || {
            count() == 2 * (number + 1)
        });
        stores_again(&proxy, &origin, what);
        assert!(store.join("v3/owner").exists(), "{what}");
    }
}

#[test]
fn a_store_is_one_proxys_at_a_time() {
    let origin = origin();
    let mut first = Proxy::start("");
    stores_again(&first, &origin, "first");
    // More than the other may have.
    let many: Vec<_> = (0..16).map(|it| format!("many{it}")).collect();
    (many.iter()).for_each(|name| stores_again(&first, &origin, name));
    let path = first.store();
    let config = format!("store_path = {path:?}\nstore_size = \"4MiB\"\n");
    let second = Proxy::with(&config)
        .workers(2)
        .storing_as_configured()
        .start();
    let line = second.wait_for_line(&["nothing is stored: ", "another proxy"]);
    assert!(
        line.contains(first.runtime_dir().to_str().unwrap()),
        "{line}"
    );
    let uri = origin.uri("/first/small");
    assert!(first.get(&uri).is_hit() && !second.get(&uri).is_hit());
    assert!(
        status(&second).contains("another proxy"),
        "{}",
        status(&second)
    );
    assert!(!status(&first).contains("another"), "{}", status(&first));
    let restarted = first.workers();
    crate::end(restarted[0]);
    crate::replaced(&first, restarted[0], 1);
    assert!(
        first.get(&uri).is_hit(),
        "its own new worker may not use it"
    );
    for name in &many {
        let uri = origin.uri(&format!("/{name}/large"));
        assert!(first.get(&uri).is_hit(), "the other evicts: {name}");
    }
    first.stop();
    second.wait_for_line(&["the store at ", "is back"]);
    stores_again(&second, &origin, "second");
}

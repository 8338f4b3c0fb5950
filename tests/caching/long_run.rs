//! Damage of what is stored that comes again and again, or that nobody asks for: none of it is sent, and it is found.

use std::fs::File;
use std::sync::RwLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use crate::blocks::{LENGTH, MIB, TAG, damage, flip, large_files, origin, store};
use crate::common::message::Response;
use crate::common::{Client, Proxy, pattern};

/// The scrub finds what nobody asks for.
#[test]
fn what_nobody_asks_for_is_found_in_the_background() {
    let mut proxy = Proxy::start("");
    let origin = origin(LENGTH, TAG);
    let (whole, other) = (origin.uri("/whole"), origin.uri("/other"));
    let file = store(&proxy, &whole);
    store(&proxy, &other);
    proxy.stop();
    damage(&file, |file| flip(file, 2 * MIB as u64));
    // The next pass would come in a week.
    std::fs::remove_file(proxy.store().join("v3/scrub")).unwrap();
    proxy.start_again();
    proxy.wait_for_line(&["removed from the store"]);
    proxy.wait_for_line(&["was read", "2 large", "1 were damaged"]);
    assert!(!file.exists());
    let asked = origin.count();
    assert!(proxy.get(&other).is_hit());
    assert_eq!(origin.count(), asked);
    assert!(!proxy.get(&whole).is_hit());
}

/// Damage that keeps the time, again and again, of which no answer has any.
#[test]
fn of_many_answers_none_has_damage() {
    const OBJECTS: usize = 5;
    const SIZE: usize = MIB + 5000;
    let proxy = Proxy::start("");
    let origin = origin(SIZE, TAG);
    let expected = pattern(SIZE);
    let uri = |number: usize| origin.uri(&format!("/{number}"));
    for number in 0..OBJECTS {
        store(&proxy, &uri(number));
    }
    let (answers, damaged) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let (is_over, sending) = (AtomicBool::new(false), RwLock::new(()));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut seed = 1_u64;
            while !is_over.load(SeqCst) {
                for path in large_files(&proxy.store()) {
                    seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    // Gone meanwhile, or damaged by somebody else.
                    let Ok(file) = File::options().read(true).write(true).open(&path) else {
                        continue;
                    };
                    // What was checked a moment ago and is being sent can't be looked at again.
                    let _alone = sending.write().unwrap();
                    let modified = file.metadata().unwrap().modified().unwrap();
                    flip(&file, (seed >> 20) % SIZE as u64);
                    let _ = file.set_modified(modified);
                    damaged.fetch_add(1, SeqCst);
                }
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
        });
        let clients = [0, 1, 2].map(|number: usize| {
            let (proxy, uri, expected) = (&proxy, &uri, &expected);
            let (answers, sending) = (&answers, &sending);
            scope.spawn(move || {
                let mut client = Client::of(proxy);
                for round in 0..150 {
                    let at = (round * 7919 + number * 104_729) % (SIZE - 20_000);
                    let fields = format!("Range: bytes={at}-{}\r\n", at + 9_999);
                    let _sending = sending.read().unwrap();
                    let response: Response = client.request("GET", &uri(round % OBJECTS), &fields);
                    assert_eq!(response.status, 206);
                    assert!(
                        response.content == expected[at..at + 10_000],
                        "{number} {round}"
                    );
                    answers.fetch_add(1, SeqCst);
                }
            })
        });
        for client in clients {
            let outcome = client.join();
            is_over.store(is_over.load(SeqCst) || outcome.is_err(), SeqCst);
            outcome.unwrap();
        }
        is_over.store(true, SeqCst);
    });
    let (answers, damaged) = (answers.into_inner(), damaged.into_inner());
    assert!(
        answers == 450 && damaged > 2,
        "{answers} answers, {damaged} damaged"
    );
}

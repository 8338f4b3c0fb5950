//! RFC 9111 §4.2.4, §4.3.3 and RFC 5861: stale responses served, and when not.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::common::conversation::{hold, settle, start};
use super::common::origin::ok;
use super::common::{Client, Gate, Origin, TIMEOUT, wait_until};

#[test]
fn section_4_2_4() {
    hold("", include_str!("stale.txt"));
}

#[test]
fn stale_while_revalidate_asks_once_and_holds_nobody_up() {
    let proxy = start("");
    let (gate, held) = (Gate::new(), Arc::new(AtomicBool::new(false)));
    let origin = Origin::answering({
        let (gate, held) = (gate.clone(), held.clone());
        move |_| {
            let first = !held.swap(true, Ordering::SeqCst);
            if !first {
                gate.wait();
            }
            let age = if first {
                "max-age=0, stale-while-revalidate=60"
            } else {
                "max-age=60"
            };
            ok(
                &format!("Cache-Control: {age}\r\n"),
                if first { "old" } else { "new" },
            )
        }
    });
    let uri = origin.uri("/");
    assert_eq!(proxy.get(&uri).text(), "old");
    settle(&proxy);
    let mut clients: Vec<_> = (0..8).map(|_| Client::of(&proxy)).collect();
    for client in &mut clients {
        client.ask("GET", &uri, "");
    }
    for client in &mut clients {
        let response = client.response("GET");
        assert!(response.is_hit(), "{}", response.cache_status());
        assert_eq!(response.text(), "old");
    }
    origin.wait_for(2);
    gate.open_for_all();
    wait_until("the new content", TIMEOUT, || {
        proxy.get(&uri).text() == "new"
    });
    assert_eq!(origin.count(), 2);
}

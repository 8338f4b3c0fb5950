//! Leases on keys, by which of many hosts one asks the origin server.

use std::sync::Barrier;
use std::thread;

use super::hosts::two;
use super::*;
use crate::store::LeaseNews;

#[test]
fn one_host_at_a_time_has_the_lease() {
    let (one, two) = two();
    let key = Key::new("GET http://hosts/lease");
    // The second host is told of the publishing, the release, the end of the first.
    let asks = || match two.store.lease(&key) {
        Lease::Theirs { news, left } => (news, left),
        other @ (Lease::None | Lease::Ours | Lease::Fetched) => panic!("{other:?}"),
    };
    assert!(matches!(one.store.lease(&key), Lease::Ours));
    assert!(
        matches!(one.store.lease(&key), Lease::Ours),
        "another worker of the same host"
    );
    let (news, left) = asks();
    assert!(
        left > Duration::from_secs(3) && left <= Duration::from_secs(5),
        "{left:?}"
    );
    publish(
        &one.store,
        &plain("GET http://hosts/lease"),
        &content(10, 1),
    );
    assert_eq!(news.blocking_recv(), Ok(LeaseNews::Changed));
    // Whoever had looked it up before that.
    assert!(matches!(two.store.lease(&key), Lease::Fetched));
    assert!(matches!(one.store.lease(&key), Lease::Ours));
    let (news, _) = asks();
    one.store.release(&key);
    assert_eq!(news.blocking_recv(), Ok(LeaseNews::Free));
    assert!(matches!(two.store.lease(&key), Lease::Ours));
    two.store.release(&key);
    two.store.release(&key);
    assert!(matches!(one.store.lease(&key), Lease::Ours));
    thread::sleep(Duration::from_secs(3));
    one.store.renew(&key);
    let (_, left) = asks();
    assert!(left > Duration::from_secs(4), "{left:?}");
    drop(one);
    thread::sleep(left + Duration::from_millis(50));
    assert!(
        matches!(two.store.lease(&key), Lease::Ours),
        "it has run out"
    );
}

#[test]
fn of_many_who_ask_at_once_one_host_gets_the_lease() {
    let database = Server::shared().database();
    let hosts: Vec<Bench> = (0..4).map(|_| bench(&database)).collect();
    for host in &hosts {
        until("it listens", || host.store.waiters.is_heard());
    }
    for round in 0..50 {
        let key = Key::new(format!("GET http://hosts/race/{round}"));
        let barrier = Barrier::new(hosts.len());
        let ours: usize = thread::scope(|scope| {
            let asking: Vec<_> = hosts
                .iter()
                .map(|host| {
                    let (barrier, key) = (&barrier, &key);
                    scope.spawn(move || {
                        barrier.wait();
                        match host.store.lease(key) {
                            Lease::Ours => 1,
                            Lease::Theirs { .. } => 0,
                            other @ (Lease::None | Lease::Fetched) => panic!("{other:?}"),
                        }
                    })
                })
                .collect();
            asking.into_iter().map(|asked| asked.join().unwrap()).sum()
        });
        assert_eq!(ours, 1, "round {round}");
    }
}

//! Look-ups as a test lets them hang and answer: who shares them, and who waits for whom.

use std::net::Ipv4Addr;
use std::rc::Rc;
use std::sync::{Condvar, Mutex};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::task::{LocalSet, spawn_local};
use tokio::time::timeout;

use super::super::turns::{MOST, MOST_FOR_CLIENT};
use super::*;

const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

/// A system whose name server answers nothing while it is silent, and else all but `hang…` and `no…`.
#[derive(Default)]
struct System {
    silent: Mutex<bool>,
    changed: Condvar,
    asked: Mutex<Vec<String>>,
}

impl System {
    fn resolver(self: &Arc<System>) -> Rc<Resolver> {
        let system = self.clone();
        Rc::new(Resolver::by(Arc::new(move |name| system.lookup(name))))
    }

    fn lookup(&self, name: &str) -> Result<Vec<IpAddr>, LookupError> {
        self.asked.lock().unwrap().push(name.to_owned());
        let mut silent = self.silent.lock().unwrap();
        while *silent || name.starts_with("hang") {
            silent = self.changed.wait(silent).unwrap();
        }
        match name.starts_with("no") {
            true => Err(LookupError::Absent("no such name".to_owned())),
            false => Ok(vec![ADDRESS]),
        }
    }

    fn set_silent(&self, silent: bool) {
        *self.silent.lock().unwrap() = silent;
        self.changed.notify_all();
    }

    fn count(&self, name: &str) -> usize {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|asked| *asked == name).count()
    }
}

fn remote(last: u8) -> Requester {
    Requester::Remote(Ipv4Addr::new(198, 51, 100, last).into())
}

async fn ask(resolver: &Resolver, name: &str, who: Requester) -> Result<Vec<IpAddr>, ResolveError> {
    let asked = timeout(Duration::from_secs(10), resolver.addresses(name, who)).await;
    asked.expect("an answer").map(|found| found.to_vec())
}

/// Begins look-ups of so many names that hang, each for a client that leaves.
async fn hang(resolver: &Resolver, prefix: &str, count: usize, who: Requester) {
    for number in 0..count {
        let name = format!("hang-{prefix}-{number}");
        let left = timeout(Duration::from_millis(1), resolver.addresses(&name, who)).await;
        assert!(left.is_err(), "{name} hangs");
    }
}

#[tokio::test(flavor = "current_thread")]
async fn all_who_ask_for_a_name_share_its_look_up() {
    let system = Arc::new(System::default());
    let resolver = system.resolver();
    system.set_silent(true);
    let local = LocalSet::new();
    let asking: Vec<_> = (0..100u8)
        .map(|number| {
            let resolver = resolver.clone();
            // One client more than once, too.
            local.spawn_local(async move { ask(&resolver, "shared", remote(number / 2)).await })
        })
        .collect();
    let waking = system.clone();
    let answers = local
        .run_until(async move {
            spawn_local(async move { waking.set_silent(false) });
            join_all(asking).await
        })
        .await;
    for answer in answers {
        assert_eq!(answer.unwrap().unwrap(), [ADDRESS]);
    }
    assert_eq!(system.count("shared"), 1);
    // What came is known for a while, the failure too.
    for _ in 0..3 {
        ask(&resolver, "shared", Requester::Local).await.unwrap();
        ask(&resolver, "none", Requester::Local).await.unwrap_err();
    }
    assert_eq!((system.count("shared"), system.count("none")), (1, 1));
}

#[tokio::test(flavor = "current_thread")]
async fn names_that_hang_hold_up_no_other() {
    let system = Arc::new(System::default());
    let resolver = system.resolver();
    hang(
        &resolver,
        "local",
        MOST - MOST_FOR_CLIENT - 1,
        Requester::Local,
    )
    .await;
    for number in 0..20 {
        let begun = Instant::now();
        let found = ask(&resolver, &format!("good-{number}"), Requester::Local).await;
        assert_eq!(found.unwrap(), [ADDRESS]);
        assert!(
            begun.elapsed() < Duration::from_secs(1),
            "{:?}",
            begun.elapsed()
        );
    }
    // A client of another machine has so many at once, whether it waits for them or not.
    let of = |text: &str| Requester::Remote(text.parse().unwrap());
    hang(&resolver, "remote", MOST_FOR_CLIENT - 1, of("2001:db8::1")).await;
    hang(&resolver, "its-other", 1, of("2001:db8::2")).await;
    let one = of("2001:db8::3");
    let refused = ask(&resolver, "more", one).await;
    assert!(
        matches!(refused, Err(ResolveError::Busy(Busy::Client))),
        "{refused:?}"
    );
    assert_eq!(system.count("more"), 0);
    ask(&resolver, "more", remote(2)).await.unwrap();
    // What is known, or being looked up, needs no turn.
    ask(&resolver, "more", one).await.unwrap();
    hang(&resolver, "last", 1, remote(2)).await;
    let refused = ask(&resolver, "even-more", remote(2)).await;
    assert!(
        matches!(refused, Err(ResolveError::Busy(Busy::All))),
        "{refused:?}"
    );
    ask(&resolver, "more", Requester::Local).await.unwrap();
}

#[tokio::test(flavor = "current_thread")]
async fn the_last_addresses_are_used_while_a_look_up_hangs() {
    let system = Arc::new(System::default());
    let resolver = system.resolver();
    ask(&resolver, "a", Requester::Local).await.unwrap();
    system.set_silent(true);
    resolver.doubt_all();
    // Once it is known that it takes long, nobody waits for it.
    let begun = Instant::now();
    for _ in 0..20 {
        assert_eq!(ask(&resolver, "a", remote(1)).await.unwrap(), [ADDRESS]);
    }
    assert!(
        begun.elapsed() < Duration::from_secs(2),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(system.count("a"), 2, "one look-up for all of them");
    system.set_silent(false);
    // The look-up that everybody has left is taken for what it brought.
    while resolver.names.borrow().running("a").is_some() {
        ask(&resolver, "a", remote(1)).await.unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    ask(&resolver, "a", remote(1)).await.unwrap();
    assert_eq!(system.count("a"), 2);
}

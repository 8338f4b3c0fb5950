//! Operations that are slow, hang and come back.

use std::sync::mpsc::{Sender, channel};

use super::*;

const LIMIT: Duration = Duration::from_millis(50);

fn operations(most: usize, limit: Duration) -> Operations {
    let news = HangNews::of(Path::new("/store"));
    Operations::new("test", &news, "testing", most, limit)
}

/// An operation that hangs until it is let go on.
fn stuck() -> (Sender<()>, impl FnOnce() -> u32 + Send) {
    let (open, gate) = channel::<()>();
    (open, move || {
        let _ = gate.recv();
        1
    })
}

async fn until(is_so: impl Fn() -> bool) {
    for _ in 0..2000 {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("waited in vain");
}

#[tokio::test(flavor = "current_thread")]
async fn nobody_waits_for_a_disk_that_hangs_until_it_is_back() {
    let operations = operations(4, LIMIT);
    assert_eq!(operations.run(|| 7).await.unwrap(), 7);
    let (open, one) = stuck();
    let refused = operations.run(one).await.unwrap_err();
    assert!(matches!(refused, StoreError::Hangs { .. }) && operations.hang());
    let begun = Instant::now();
    for _ in 0..1000 {
        assert!(operations.run(|| 7).await.is_err());
    }
    assert!(begun.elapsed() < 20 * LIMIT, "somebody waited");
    drop(open);
    until(|| !operations.hang()).await;
    assert_eq!(operations.run(|| 7).await.unwrap(), 7);
}

#[tokio::test(flavor = "current_thread")]
async fn one_that_never_comes_back_does_not_keep_the_others_out() {
    let operations = operations(2, LIMIT);
    let (_open, one) = stuck();
    assert!(operations.run(one).await.is_err() && operations.hang());
    *operations.hang.last_tried() = None;
    // It is tried, and nobody waits.
    assert!(operations.run(|| 7).await.is_err());
    until(|| !operations.hang()).await;
    assert_eq!(operations.run(|| 7).await.unwrap(), 7);
}

#[tokio::test(flavor = "current_thread")]
async fn stuck_operations_are_so_many_at_most() {
    let operations = operations(2, LIMIT);
    let stuck: Vec<_> = (0..40).map(|_| stuck()).collect();
    let (gates, stuck): (Vec<_>, Vec<_>) = stuck.into_iter().unzip();
    let pending: Vec<_> = stuck.into_iter().map(|one| operations.start(one)).collect();
    for pending in pending {
        assert!(pending.unwrap().outcome().await.is_err());
    }
    assert!(operations.hang());
    drop(gates);
    until(|| !operations.hang()).await;
}

//! The store's files, which a worker sees to for the supervisor: it orders and opens none of them, and believes an answer
//! no further than it must.

use std::time::Duration;

use cacheproxy::ipc::{
    Cleared, Evicted, Free, OrderChannel, Received, StoreOrder, StoreReply, Tidied, ToSupervisor,
};

use crate::stage::{self, Stage, TIMEOUT, Worker};

/// The channel of the worker that has been appointed.
fn orders(stage: &Stage, worker: &Worker) -> OrderChannel {
    stage::wait_for("an appointment", || {
        // It wakes the supervisor, which would look by itself a little later.
        stage.ask("status").unwrap();
        assert!(worker.listen(Duration::from_millis(1)).is_none());
        worker.orders.take()
    })
}

/// Answers orders until one is answered with nothing, and gives that one.
fn answer(
    channel: &OrderChannel,
    mut reply: impl FnMut(&StoreOrder) -> Option<StoreReply>,
) -> Option<StoreOrder> {
    loop {
        let Ok(Received::Message(order)) = channel.recv_within(Some(TIMEOUT)) else {
            return None;
        };
        match reply(&order) {
            Some(reply) => channel.send_waiting(&reply).ok()?,
            None => return Some(order),
        }
    }
}

fn free() -> StoreReply {
    StoreReply::Free {
        free: Free {
            bytes: 1 << 40,
            held: 0,
            inodes: 0,
            all_inodes: 0,
            directories: 0,
        },
    }
}

fn tidied() -> StoreReply {
    StoreReply::Tidied {
        tidied: Tidied {
            versions: Cleared::default(),
            unfinished: Cleared::default(),
            left: 0,
            is_done: true,
            failure: String::new(),
        },
    }
}

#[test]
fn it_orders_what_is_to_go_and_opens_no_file() {
    let (stage, worker) = Stage::with_worker("workers = 1\nstore_size = \"64MiB\"\n");
    let store = stage.dir.path().join("store");
    let channel = orders(&stage, &worker);
    // Exactly as much is stored as may be: a sixty-fourth is kept free.
    worker.shared().set_stored(64 << 20);
    let order = answer(&channel, |order| match order {
        StoreOrder::Free {} => Some(free()),
        StoreOrder::Tidy {} => Some(tidied()),
        StoreOrder::Evict { .. } | StoreOrder::Compact { .. } => None,
    });
    assert!(
        matches!(order, Some(StoreOrder::Evict { bytes, files: 0 }) if bytes == 1 << 20),
        "{order:?}"
    );
    assert_eq!(std::fs::read_dir(store).unwrap().count(), 0);
    // While nobody answers, all else goes on; and who drains is replaced.
    let _client = stage.client(b"x");
    worker.taken();
    worker.say(&ToSupervisor::Draining);
    stage.wait_for_status("0 workers");
}

#[test]
fn answers_that_make_no_sense_cost_the_one_who_gives_them_its_place() {
    type Reply = fn(&StoreOrder) -> StoreReply;
    let rows: [(&str, bool, Reply); 3] = [
        ("another kind", true, |_| StoreReply::Compacted { bytes: 0 }),
        ("the wrong one of them", true, |order| match order {
            StoreOrder::Tidy {} => tidied(),
            StoreOrder::Evict { .. } | StoreOrder::Compact { .. } | StoreOrder::Free {} => {
                StoreReply::Evicted {
                    evicted: Evicted::default(),
                }
            }
        }),
        ("all numbers too large", false, |order| match order {
            StoreOrder::Tidy {} => {
                let cleared = Cleared {
                    files: u64::MAX,
                    bytes: u64::MAX,
                };
                StoreReply::Tidied {
                    tidied: Tidied {
                        versions: cleared,
                        unfinished: cleared,
                        left: u64::MAX,
                        is_done: false,
                        failure: "\x1b[2J".repeat(4000),
                    },
                }
            }
            StoreOrder::Evict { .. } => StoreReply::Evicted {
                evicted: Evicted {
                    responses: u64::MAX,
                    bytes: u64::MAX,
                    files: u64::MAX,
                },
            },
            StoreOrder::Compact { .. } => StoreReply::Compacted { bytes: u64::MAX },
            StoreOrder::Free {} => StoreReply::Free {
                free: Free {
                    bytes: u64::MAX,
                    held: u64::MAX,
                    inodes: 0,
                    all_inodes: u64::MAX,
                    directories: u64::MAX,
                },
            },
        }),
    ];
    for (name, is_refused, reply) in rows {
        let mut stage = Stage::new("workers = 2\n");
        let nests = [stage.nest(1), stage.nest(2)];
        stage.start();
        let (evil, good) = (nests[0].greet(), nests[1].accept());
        let channel = orders(&stage, &evil);
        good.hello(0);
        let last = std::thread::scope(|scope| {
            let answering = scope.spawn(|| answer(&channel, |order| Some(reply(order))));
            if is_refused {
                orders(&stage, &good);
            }
            stage.wait_for_status("2 workers");
            drop(stage);
            answering.join().unwrap()
        });
        assert!(last.is_none(), "{name}");
    }
}

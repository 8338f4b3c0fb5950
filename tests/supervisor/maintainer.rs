//! The store's files, which a worker sees to for the supervisor: it orders and opens none of them, and believes an answer
//! no further than it must.

use std::time::Duration;

use cacheproxy::ipc::{
    Object, OrderChannel, Received, StoreOrder, StoreReply, StoredObject, ToSupervisor,
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

fn number(value: u64) -> StoreReply {
    StoreReply::Number { value }
}

fn object(n: u8) -> Object {
    Object {
        hash: [n; 16],
        variant: [0; 16],
        size: 16 << 20,
    }
}

#[test]
fn it_orders_what_is_to_go_and_opens_no_file() {
    let (stage, worker) = Stage::with_worker("workers = 1\nstore_size = \"64MiB\"\n");
    let store = stage.dir.path().join("store");
    let channel = orders(&stage, &worker);
    // Four are stored, more than may be: a little is always kept free.
    let found = |directory: &u8| StoreReply::Found {
        entries: match directory {
            1..=4 => vec![StoredObject {
                object: object(*directory),
                modified: 1000 + u64::from(*directory),
            }],
            _ => vec![],
        },
        is_last: true,
    };
    let order = answer(&channel, |order| match order {
        StoreOrder::Scan { directory } => Some(found(directory)),
        StoreOrder::Free {} => Some(number(1 << 40)),
        StoreOrder::RemoveLeftovers {} | StoreOrder::Directories {} => Some(number(0)),
        StoreOrder::Evict { .. } => None,
    });
    let Some(StoreOrder::Evict { object: oldest }) = order else {
        panic!("{order:?}");
    };
    assert_eq!(oldest, object(1));
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
    let rows: [(&str, Reply); 4] = [
        ("another kind", |_| StoreReply::Found {
            entries: vec![],
            is_last: true,
        }),
        ("a number for a list", |_| number(u64::MAX)),
        ("a list without an end", |order| {
            if !matches!(order, StoreOrder::Scan { .. }) {
                return number(0);
            }
            StoreReply::Found {
                entries: vec![],
                is_last: false,
            }
        }),
        ("all numbers too large", |order| {
            if !matches!(order, StoreOrder::Scan { .. }) {
                return number(u64::MAX);
            }
            let size = u64::MAX;
            let object = Object { size, ..object(1) };
            let modified = u64::MAX;
            StoreReply::Found {
                entries: vec![StoredObject { object, modified }; 1000],
                is_last: true,
            }
        }),
    ];
    for (name, reply) in rows {
        let mut stage = Stage::new("workers = 2\n");
        let nests = [stage.nest(1), stage.nest(2)];
        stage.start();
        let (evil, good) = (nests[0].greet(), nests[1].accept());
        let channel = orders(&stage, &evil);
        good.hello(0);
        let last = std::thread::scope(|scope| {
            let answering = scope.spawn(|| answer(&channel, |order| Some(reply(order))));
            if name != "all numbers too large" {
                orders(&stage, &good);
            }
            stage.wait_for_status("2 workers");
            drop(stage);
            answering.join().unwrap()
        });
        assert!(last.is_none(), "{name}");
    }
}

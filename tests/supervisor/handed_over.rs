//! A client that one worker hands over to another: who has it when that one takes it, has gone, or goes
//! before it has taken it.

use cacheproxy::ipc::{Assigned, Peer, Returned, ToSupervisor, ToWorker};

use crate::stage::{self, Stage, expect, stream};

fn hand_over(client: Assigned, worker: u16) -> ToSupervisor {
    ToSupervisor::HandOver {
        worker,
        clients: vec![Returned {
            token: 5,
            id: client.id,
            peer: Peer::Unix,
            read: b"GET".as_slice().into(),
            fd: client.fd,
        }],
    }
}

#[test]
fn it_goes_to_the_worker_that_is_named_or_to_any_if_that_one_dies() {
    let mut stage = Stage::new("workers = 2\n");
    let nests = [stage.nest(1), stage.nest(2)];
    stage.start();
    let [one, two] = nests.each_ref().map(stage::Nest::greet);
    stage.wait_for_status("2 workers");
    let clients = [stage.client(b"x"), stage.client(b"x")];
    let taken = one.taken();
    let other = two.taken();
    assert!(!taken.handed && !other.handed);

    // Worker 2 has as many clients as worker 1, and then more.
    one.say(&hand_over(taken, 2));
    let ToWorker::ReturnsTaken { tokens } = one.hear() else {
        panic!("not ReturnsTaken");
    };
    assert_eq!(tokens, [5]);
    let moved = two.assigned();
    assert!(moved.handed);
    assert_eq!(&moved.read[..], b"GET");

    drop((two, moved, other));
    let back = one.taken();
    assert!(back.handed, "it isn't to be handed over again");
    assert_eq!(&back.read[..], b"GET");
    expect(&stream(&back), b"x");
    drop(clients);
}

#[test]
fn it_stays_where_it_is_when_the_worker_named_takes_none() {
    // (the worker that is named)
    for named in [0, 1, 2, 3, u16::MAX] {
        let (stage, one) = Stage::with_worker("workers = 1\n");
        let _client = stage.client(b"x");
        let taken = one.taken();
        one.say(&hand_over(taken, named));
        let ToWorker::HandOverRefused { tokens } = one.hear() else {
            panic!("not refused: {named}");
        };
        assert_eq!(tokens, [5], "{named}");
        assert!(one.hears_nothing(), "{named}");
        stage.wait_for_status("1 clients (0 parked)");
    }
}

//! The supervisor process against workers played by the tests: who has a client at each moment, and
//! where it goes when a worker, a client or the supervisor ends.
#![allow(clippy::unwrap_used)]

mod handed_over;
mod maintainer;
mod stage;
mod taken_over;

use std::io::Write;
use std::net::Shutdown;
use std::thread::sleep;
use std::time::Duration;

use cacheproxy::ipc::{ToSupervisor, ToWorker};
use nix::sys::signal::Signal;
use stage::{A_WHILE, Stage, expect, is_at_end, stream, wait_for};

const ONE: &str = "workers = 1\n";
const TWO: &str = "workers = 2\n";

#[test]
fn a_client_is_assigned_parked_and_assigned_again() {
    let (stage, worker) = Stage::with_worker(ONE);
    let mut client = stage.client(b"");
    assert!(worker.hears_nothing(), "it has sent nothing");
    client.write_all(b"first").unwrap();
    let first = worker.taken();
    assert!(first.read.is_empty());
    expect(&stream(&first), b"first");
    stage.wait_for_status("1 clients (0 parked)");

    worker.give_back(first, b"");
    stage.wait_for_status("1 clients (1 parked)");
    assert!(worker.hears_nothing(), "it is idle");
    client.write_all(b"second").unwrap();
    let second = worker.taken();
    expect(&stream(&second), b"second");
    stream(&second).write_all(b"answer").unwrap();
    expect(&client, b"answer");

    worker.say(&ToSupervisor::Closed {
        ids: vec![second.id],
    });
    stage.wait_for_status("0 clients (0 parked)");
}

#[test]
fn bytes_already_read_come_back_at_once() {
    let (stage, worker) = Stage::with_worker(ONE);
    let _client = stage.client(b"one two");
    let client = worker.taken();
    expect(&stream(&client), b"one two");
    worker.give_back(client, b"two");
    let again = worker.taken();
    assert_eq!(&again.read[..], b"two");
}

#[test]
fn a_parked_client_that_closes_is_gone() {
    let (stage, worker) = Stage::with_worker(ONE);
    let client = stage.client(b"x");
    worker.give_back_after_reading(b"x");
    stage.wait_for_status("1 clients (1 parked)");
    drop(client);
    stage.wait_for_status("0 clients (0 parked)");
    assert!(worker.hears_nothing());
}

#[test]
fn a_client_that_only_finishes_sending_is_served() {
    let (stage, worker) = Stage::with_worker(ONE);
    let silent = stage.client(b"");
    silent.shutdown(Shutdown::Write).unwrap();
    assert!(is_at_end(&silent), "it will never ask for anything");
    let asking = stage.client(b"request");
    asking.shutdown(Shutdown::Write).unwrap();
    expect(&stream(&worker.taken()), b"request");
}

#[test]
fn a_worker_that_dies_loses_only_what_it_took() {
    let mut stage = Stage::new(TWO);
    let nests = [stage.nest(1), stage.nest(2)];
    stage.start();
    let workers = nests.each_ref().map(stage::Nest::greet);
    stage.wait_for_status("2 workers");
    let [one, two] = workers;

    // The least loaded worker is chosen, so each has two of four.
    let clients = [0, 1, 2, 3].map(|_| stage.client(b"x"));
    let taken = one.taken();
    expect(&stream(&taken), b"x");
    let _untaken = one.assigned();
    let [_a, _b] = [two.taken(), two.taken()];

    drop((one, taken));
    let moved = two.taken();
    expect(&stream(&moved), b"x");
    assert!(two.hears_nothing(), "the one it took is lost with it");
    let ends = clients.iter().filter(|client| {
        client.set_read_timeout(Some(A_WHILE)).unwrap();
        is_at_end(client)
    });
    assert_eq!(ends.count(), 1);

    let successor = nests[0].greet();
    let _client = stage.client(b"y");
    expect(&stream(&successor.taken()), b"y");
}

#[test]
fn a_worker_that_drains_gets_no_more_and_has_a_successor() {
    let mut stage = Stage::new(ONE);
    let nest = stage.nest(1);
    stage.start();
    let old = nest.greet();
    let _first = stage.client(b"1");
    let kept = old.taken();
    expect(&stream(&kept), b"1");
    let _second = stage.client(b"2");
    let _untaken = old.assigned();
    old.say(&ToSupervisor::Draining);

    let new = nest.greet();
    expect(&stream(&new.taken()), b"2");
    let _third = stage.client(b"3");
    expect(&stream(&new.taken()), b"3");
    stage.wait_for_status("3 clients");

    old.give_back(kept, b"");
    stage.wait_for_status("3 clients (1 parked)");
    drop(old);
    stage.wait_for_status("1 workers, 3 clients (1 parked)");
}

#[test]
fn clients_wait_until_a_worker_is_there() {
    let mut stage = Stage::new(ONE);
    stage.start();
    let _client = stage.client(b"patient");
    stage.wait_for_status("0 workers, 1 clients");
    let nest = stage.nest(1);
    expect(&stream(&nest.greet().taken()), b"patient");
}

#[test]
fn a_worker_that_breaks_the_protocol_is_connected_anew() {
    let mut stage = Stage::new(ONE);
    let nest = stage.nest(1);
    stage.start();
    let worker = nest.accept();
    worker.say(&ToSupervisor::Hello {
        version: cacheproxy::ipc::VERSION,
        pid: 1,
        worker: 2,
        clients: 0,
    });
    worker.wait_closed();
    let _client = stage.client(b"x");
    let worker = nest.greet();
    let untaken = worker.assigned();
    // Junk instead of Taken: the worker may well have the client, so nobody else gets it.
    nix::sys::socket::send(
        std::os::fd::AsRawFd::as_raw_fd(&std::os::fd::AsFd::as_fd(&worker.channel)),
        b"\xffjunk",
        nix::sys::socket::MsgFlags::empty(),
    )
    .unwrap();
    worker.wait_closed();
    let successor = nest.greet();
    assert!(successor.hears_nothing());
    expect(&stream(&untaken), b"x");
}

#[test]
fn a_supervisor_that_is_told_to_stop_hands_its_clients_over() {
    let (mut stage, worker) = Stage::with_worker(ONE);
    let clients: Vec<_> = (0..40).map(|_| stage.client(b"")).collect();
    let mut asking = stage.client(b"x");
    let parked = worker.taken();
    expect(&stream(&parked), b"x");
    worker.give_back(parked, b"");
    stage.wait_for_status("41 clients (41 parked)");

    stage.signal(Signal::SIGTERM);
    let mut handed = Vec::new();
    while handed.len() < clients.len() + 1 {
        let ToWorker::Assign { clients } = worker.hear() else {
            panic!("not an Assign");
        };
        handed.extend(clients);
    }
    assert!(handed.iter().all(|client| client.read.is_empty()));
    worker.say(&ToSupervisor::Taken {
        ids: handed.iter().map(|client| client.id).collect(),
    });
    assert!(stage.ended());
    // Nothing was closed on the way.
    asking.write_all(b"y").unwrap();
    let reads = handed.iter().any(|client| {
        let stream = stream(client);
        stream.set_nonblocking(true).unwrap();
        std::io::Read::read(&mut &stream, &mut [0]).is_ok()
    });
    assert!(reads);
}

#[test]
fn a_new_supervisor_takes_the_clients_of_a_live_worker() {
    let mut stage = Stage::new(ONE);
    let nest = stage.nest(1);
    stage.start();
    let worker = nest.greet();
    let mut client = stage.client(b"x");
    let held = worker.taken();
    expect(&stream(&held), b"x");
    stage.signal(Signal::SIGKILL);
    assert!(!stage.ended());
    worker.wait_closed();

    std::fs::remove_file(stage.dir.path().join("client.sock")).unwrap();
    stage.start();
    let worker = nest.accept();
    worker.hello(1);
    stage.wait_for_status("1 clients (0 parked)");
    worker.give_back(held, b"");
    stage.wait_for_status("1 clients (1 parked)");
    client.write_all(b"y").unwrap();
    expect(&stream(&worker.taken()), b"y");
}

#[test]
fn a_reload_is_all_or_nothing() {
    let (stage, worker) = Stage::with_worker(ONE);
    stage.configure("workers = 1\nno_such_key = 3\n");
    let answer = stage.ask("reload").unwrap();
    assert!(answer.starts_with("error: "), "{answer}");
    assert!(answer.contains("no_such_key"), "{answer}");
    assert!(worker.hears_nothing());

    stage.configure("workers = 1\nmax_clients = 100\n");
    let rows = [
        (ToSupervisor::SettingsApplied, "ok\n"),
        (
            ToSupervisor::SettingsRefused {
                reason: "no".to_owned(),
            },
            "error: worker 1: no\n",
        ),
    ];
    for (answer, expected) in rows {
        std::thread::scope(|scope| {
            let asked = scope.spawn(|| stage.ask("reload").unwrap());
            assert!(matches!(worker.hear(), ToWorker::Settings { .. }));
            worker.say(&answer);
            assert_eq!(asked.join().unwrap(), expected);
        });
    }
}

#[test]
fn fewer_workers_after_a_reload_stop_and_more_are_connected() {
    let mut stage = Stage::new(ONE);
    let nests = [stage.nest(1), stage.nest(2)];
    stage.start();
    let one = nests[0].greet();
    stage.configure(TWO);
    stage.signal(Signal::SIGHUP);
    assert!(matches!(one.hear(), ToWorker::Settings { .. }));
    let two = nests[1].greet();
    stage.wait_for_status("2 workers");
    stage.configure(ONE);
    stage.signal(Signal::SIGHUP);
    assert!(matches!(two.hear(), ToWorker::Settings { .. }));
    assert!(matches!(two.hear(), ToWorker::Stop));
}

#[test]
fn no_more_clients_than_there_may_be() {
    let (stage, worker) = Stage::with_worker("workers = 1\nmax_clients = 2\n");
    let _clients = [stage.client(b"1"), stage.client(b"2")];
    let first = worker.taken();
    let _second = worker.taken();
    let _third = stage.client(b"3");
    assert!(worker.hears_nothing(), "it waits in the kernel's queue");
    let id = first.id;
    drop(first);
    worker.say(&ToSupervisor::Closed { ids: vec![id] });
    expect(&stream(&worker.taken()), b"3");
}

#[test]
fn without_fds_it_pauses_instead_of_spinning() {
    let (stage, worker) = Stage::with_worker(ONE);
    stage.wait_for_status("1 workers");
    stage.limit_fds(32);
    let clients: Vec<_> = (0..60).map(|_| stage.client(b"")).collect();
    let before = stage.busy();
    sleep(Duration::from_secs(1));
    assert!(stage.busy() - before < Duration::from_millis(200));
    drop(clients);
    let _last = stage.client(b"last");
    expect(&stream(&worker.taken()), b"last");
    wait_for("room", || stage.ask("status").ok());
}

impl stage::Worker {
    fn give_back_after_reading(&self, bytes: &[u8]) {
        let client = self.taken();
        expect(&stream(&client), bytes);
        self.give_back(client, b"");
    }
}

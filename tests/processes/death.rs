//! Workers and supervisors that are killed or stopped: who loses what, and who comes after them.

use std::time::Duration;

use crate::common::origin::{fresh, passing};
use crate::common::proxy::is_alive;
use crate::common::{Client, Gate, Origin, Proxy, TIMEOUT, wait_until};
use crate::{PARKING, end, holding, replaced};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

#[test]
fn a_killed_worker_takes_only_what_it_had_in_flight() {
    let proxy = Proxy::with(PARKING).workers(2).start();
    proxy.wait_for_workers(2);
    let gate = Gate::new();
    let origin = holding(&gate);
    let mut parked: Vec<Client> = (0..20).map(|_| Client::of(&proxy)).collect();
    for client in &mut parked {
        client.get(&origin.uri("/"));
    }
    for client in &parked {
        proxy.wait_until_parked(client);
    }
    let before = origin.count();
    let mut one = Client::asking(&proxy, &origin.uri("/hold"));
    origin.wait_for(before + 1);
    let mut two = Client::asking(&proxy, &origin.uri("/hold/too"));
    origin.wait_for(before + 2);
    let worker = |client: &Client| {
        let pids = proxy.holders(client.port());
        pids.into_iter()
            .find(|pid| *pid != proxy.pid())
            .expect("a worker has it")
    };
    let (killed, spared) = (worker(&one), worker(&two));
    assert_ne!(killed, spared, "two busy clients are on two workers");
    end(killed);
    assert!(
        one.try_response("GET")
            .expect_err("its worker is gone")
            .is_over()
    );
    let now = replaced(&proxy, killed, 2);
    assert!(now.contains(&spared), "the other worker lives on");
    gate.open_for_all();
    assert_eq!(
        two.response("GET").text(),
        "content",
        "what the other worker had in flight"
    );
    for client in &mut parked {
        assert_eq!(
            client.get(&origin.uri("/")).text(),
            "content",
            "a parked client"
        );
    }
}

#[test]
fn workers_that_die_again_and_again_are_replaced() {
    let proxy = Proxy::start(PARKING);
    let origin = Origin::answering(|_| fresh("ok"));
    let mut client = Client::of(&proxy);
    for _ in 0..5 {
        assert_eq!(client.get(&origin.uri("/")).text(), "ok");
        proxy.wait_until_parked(&client);
        let [worker] = proxy.wait_for_workers(1)[..] else {
            unreachable!("one worker")
        };
        end(worker);
        // Not waited for: what comes while there is no worker is queued.
    }
    assert_eq!(client.get(&origin.uri("/")).text(), "ok");
    assert_eq!(origin.count(), 1, "the store outlives workers");
}

#[test]
fn a_stopped_worker_drains() {
    let proxy = Proxy::with(PARKING).workers(2).start();
    proxy.wait_for_workers(2);
    let gate = Gate::new();
    let origin = holding(&gate);
    let mut busy = Client::asking(&proxy, &origin.uri("/hold"));
    origin.wait_for(1);
    let pids = proxy.holders(busy.port());
    let worker = pids
        .into_iter()
        .find(|pid| *pid != proxy.pid())
        .expect("a worker has it");
    kill(Pid::from_raw(worker), Signal::SIGTERM).unwrap();
    for _ in 0..10 {
        assert_eq!(
            proxy.get(&origin.uri("/")).text(),
            "content",
            "the others are served"
        );
    }
    assert!(is_alive(worker), "it has a request to finish");
    gate.open_for_all();
    assert_eq!(busy.response("GET").text(), "content");
    wait_until("the drained worker's end", TIMEOUT, || !is_alive(worker));
    proxy.wait_for_workers(2);
    // Its idle client has moved, not closed.
    assert_eq!(busy.get(&origin.uri("/")).text(), "content");
}

#[test]
fn no_request_fails_while_workers_are_stopped_under_load() {
    let proxy = Proxy::with("[timeouts]\nworker_idle = \"5ms\"\n")
        .workers(2)
        .start();
    let origin = Origin::answering(|request| match request.target() {
        "/stored" => fresh("stored"),
        other => passing(other),
    });
    proxy.wait_for_workers(2);
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (proxy, origin, done) = (&proxy, &origin, &done);
        let clients: Vec<_> = (0..4_usize)
            .map(|number| {
                scope.spawn(move || {
                    let mut client = Client::of(proxy);
                    let mut count = 0;
                    while !done.load(std::sync::atomic::Ordering::SeqCst) {
                        let path = if count % 2 == 0 {
                            "/stored".to_owned()
                        } else {
                            format!("/{number}/{count}")
                        };
                        let response = client.get(&origin.uri(&path));
                        assert_eq!(response.text(), path.replace("/stored", "stored"));
                        if response.head.has_element("connection", "close") {
                            // Announced: an ordinary end of a connection.
                            client = Client::of(proxy);
                        }
                        if count % 10 == 9 {
                            std::thread::sleep(Duration::from_millis(8));
                        }
                        count += 1;
                    }
                    count
                })
            })
            .collect();
        for _ in 0..4 {
            let worker = proxy.wait_for_workers(2)[0];
            kill(Pid::from_raw(worker), Signal::SIGTERM).unwrap();
            wait_until("the worker's end", TIMEOUT, || !is_alive(worker));
        }
        done.store(true, std::sync::atomic::Ordering::SeqCst);
        for client in clients {
            assert!(client.join().unwrap() > 0);
        }
    });
}

#[test]
fn a_supervisor_that_is_killed_leaves_no_workers_behind() {
    let mut proxy = Proxy::with("").workers(2).start();
    let workers = proxy.wait_for_workers(2);
    proxy.signal(Signal::SIGKILL);
    proxy.wait_for_exit(TIMEOUT);
    // They have ten seconds in which another supervisor might have come.
    wait_until("the workers' end", Duration::from_secs(25), || {
        !workers.iter().any(|pid| is_alive(*pid))
    });
}

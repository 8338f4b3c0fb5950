//! Supervisor and workers as processes: parking, death, signals, reload, and the command line.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeSet;
use std::process::Stdio;
use std::time::{Duration, Instant};

use common::origin::{fresh, passing};
use common::proxy::{children, command, descriptors, is_alive, memory};
use common::{Client, Ended, Gate, Origin, PATIENCE, Proxy, wait_until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A short stay of idle clients with their worker, so that tests needn't wait for it.
const PARKING: &str = "[timeouts]\nworker_idle = \"50ms\"\n";

fn end(pid: i32) {
    kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
}

fn replaced(proxy: &Proxy, old: i32, count: usize) -> Vec<i32> {
    let all = || proxy.workers();
    wait_until("a new worker", PATIENCE, || {
        all().len() == count && !all().contains(&old)
    });
    all()
}

/// An origin whose answer to `/hold` waits for the gate.
fn holding(gate: &Gate) -> Origin {
    Origin::gated(gate, |conn, request, gate| {
        if request.target().starts_with("/hold") {
            gate.wait();
        }
        conn.send(passing("content"));
    })
}

#[test]
fn a_new_client_stays_with_the_supervisor_until_it_speaks() {
    let proxy = Proxy::start("");
    let origin = Origin::answering(|_| passing("ok"));
    let mut client = Client::of(&proxy);
    proxy.wait_until_parked(&client);
    assert_eq!(client.get(&origin.uri("/")).text(), "ok");
}

#[test]
fn an_idle_client_is_parked_and_served_again() {
    let proxy = Proxy::with(PARKING).workers(2).start();
    let origin = Origin::answering(|request| passing(request.target()));
    let mut clients: Vec<Client> = (0..10).map(|_| Client::of(&proxy)).collect();
    for round in 0..3 {
        for (number, client) in clients.iter_mut().enumerate() {
            let path = format!("/{round}/{number}");
            assert_eq!(client.get(&origin.uri(&path)).text(), path);
        }
        for client in &clients {
            proxy.wait_until_parked(client);
        }
    }
    assert_eq!(origin.count(), 30);
}

#[test]
fn what_a_client_sends_while_it_moves_is_not_lost() {
    // A request in pieces, sent right when the client goes back to the supervisor and comes again.
    let proxy = Proxy::with("[timeouts]\nworker_idle = \"1ms\"\n")
        .workers(2)
        .start();
    let origin = Origin::answering(|request| {
        passing([request.target().as_bytes(), &request.content].concat())
    });
    let mut client = Client::of(&proxy);
    for round in 0..150_u64 {
        let (uri, authority) = (origin.uri(&format!("/{round}")), origin.authority());
        let request =
            format!("POST {uri} HTTP/1.1\r\nHost: {authority}\r\nContent-Length: 5\r\n\r\nhello");
        let cut = (round as usize * 7) % request.len();
        std::thread::sleep(Duration::from_micros(round * 37 % 3000));
        client.send(&request[..cut]);
        std::thread::sleep(Duration::from_micros(round * 101 % 3000));
        client.send(&request[cut..]);
        assert_eq!(client.response("POST").text(), format!("/{round}hello"));
    }
}

#[test]
fn pipelined_requests_survive_moves() {
    let proxy = Proxy::with("[timeouts]\nworker_idle = \"1ms\"\n")
        .workers(2)
        .start();
    let origin = Origin::answering(|request| passing(request.target()));
    let mut client = Client::of(&proxy);
    for round in 0..40 {
        let one = |number: usize| {
            let (uri, authority) = (
                origin.uri(&format!("/{round}/{number}")),
                origin.authority(),
            );
            format!("GET {uri} HTTP/1.1\r\nHost: {authority}\r\n\r\n")
        };
        let last = one(2);
        // The third one's head comes in two parts, with a pause in which the client may move.
        client.send(format!("{}{}{}", one(0), one(1), &last[..20]));
        for number in 0..2 {
            assert_eq!(client.response("GET").text(), format!("/{round}/{number}"));
        }
        std::thread::sleep(Duration::from_millis(round as u64 % 6));
        client.send(&last[20..]);
        assert_eq!(client.response("GET").text(), format!("/{round}/2"));
    }
}

#[test]
fn many_idle_clients_cost_little() {
    let proxy = Proxy::with(PARKING).workers(2).start();
    let origin = Origin::answering(|_| fresh("ok"));
    proxy.get(&origin.uri("/"));
    proxy.wait_for_workers(2);
    let before = memory(proxy.pid(), "VmRSS:");
    let mut clients: Vec<Client> = (0..2000).map(|_| Client::of(&proxy)).collect();
    for client in &mut clients {
        client.ask("GET", &origin.uri("/"), "");
    }
    for client in &mut clients {
        assert_eq!(client.response("GET").text(), "ok");
    }
    for client in clients.iter().rev().take(20) {
        proxy.wait_until_parked(client);
    }
    let grown = memory(proxy.pid(), "VmRSS:").saturating_sub(before);
    assert!(
        grown < 8 << 20,
        "the supervisor grew by {} KiB",
        grown >> 10
    );
    for client in clients.iter_mut().step_by(100) {
        assert_eq!(client.get(&origin.uri("/")).text(), "ok");
    }
}

#[test]
fn idle_clients_are_closed_in_time() {
    let proxy = Proxy::start("[timeouts]\nclient_idle = \"1s\"\nworker_idle = \"50ms\"\n");
    let origin = Origin::answering(|_| passing("ok"));
    let mut silent = Client::of(&proxy);
    let mut idle = Client::of(&proxy);
    idle.get(&origin.uri("/"));
    for client in [&mut idle, &mut silent] {
        assert_eq!(client.rest(), (Vec::new(), Ended::Closed));
    }
}

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
    let mut one = Client::of(&proxy);
    one.ask("GET", &origin.uri("/hold"), "");
    origin.wait_for(before + 1);
    let mut two = Client::of(&proxy);
    two.ask("GET", &origin.uri("/hold/too"), "");
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
    let mut busy = Client::of(&proxy);
    busy.ask("GET", &origin.uri("/hold"), "");
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
    wait_until("the drained worker's end", PATIENCE, || !is_alive(worker));
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
            wait_until("the worker's end", PATIENCE, || !is_alive(worker));
        }
        done.store(true, std::sync::atomic::Ordering::SeqCst);
        for client in clients {
            assert!(client.join().unwrap() > 0);
        }
    });
}

#[test]
fn sigterm_finishes_what_is_in_flight() {
    let mut proxy = Proxy::with(PARKING).workers(2).start();
    let gate = Gate::new();
    let origin = holding(&gate);
    let mut idle = Client::of(&proxy);
    idle.get(&origin.uri("/"));
    proxy.wait_until_parked(&idle);
    let mut busy = Client::of(&proxy);
    busy.ask("GET", &origin.uri("/hold"), "");
    origin.wait_for(2);
    proxy.signal(Signal::SIGTERM);
    assert_eq!(idle.rest().1, Ended::Closed);
    gate.open_for_all();
    assert_eq!(busy.response("GET").text(), "content");
    let status = proxy.wait_for_exit(PATIENCE);
    assert!(status.success(), "{status}");
}

#[test]
fn sigterm_ends_in_bounded_time() {
    let mut proxy = Proxy::start("");
    let gate = Gate::new();
    let origin = holding(&gate);
    let mut busy = Client::of(&proxy);
    busy.ask("GET", &origin.uri("/hold"), "");
    origin.wait_for(1);
    let workers = proxy.workers();
    let begun = Instant::now();
    proxy.signal(Signal::SIGTERM);
    proxy.wait_for_exit(Duration::from_secs(10));
    assert!(
        begun.elapsed() < Duration::from_secs(8),
        "{:?}",
        begun.elapsed()
    );
    wait_until("the workers' end", PATIENCE, || {
        !workers.iter().any(|pid| is_alive(*pid))
    });
    assert!(busy.rest().1.is_over());
    gate.open_for_all();
}

#[test]
fn sigint_is_as_sigterm() {
    let mut proxy = Proxy::start("");
    proxy.signal(Signal::SIGINT);
    let status = proxy.wait_for_exit(PATIENCE);
    assert!(status.success(), "{status}");
}

#[test]
fn a_supervisor_that_is_killed_leaves_no_workers_behind() {
    let mut proxy = Proxy::with("").workers(2).start();
    let workers = proxy.wait_for_workers(2);
    proxy.signal(Signal::SIGKILL);
    proxy.wait_for_exit(PATIENCE);
    // They have ten seconds in which another supervisor might have come.
    wait_until("the workers' end", Duration::from_secs(25), || {
        !workers.iter().any(|pid| is_alive(*pid))
    });
}

#[test]
fn a_reload_reaches_every_worker() {
    let proxy = Proxy::with("connect_ports = [443]\n").workers(2).start();
    let origin = Origin::answering(|_| passing("ok"));
    let authority = origin.authority();
    let connect = || Client::of(&proxy).request("CONNECT", &authority, "").status;
    proxy.wait_for_workers(2);
    let workers = proxy.workers();
    for _ in 0..4 {
        assert_eq!(connect(), 403);
    }
    proxy.write_config(&format!("connect_ports = [{}]\n", origin.address().port()));
    proxy.signal(Signal::SIGHUP);
    wait_until("the new settings", PATIENCE, || connect() == 200);
    for _ in 0..6 {
        assert_eq!(connect(), 200, "in every worker at once");
    }
    assert_eq!(proxy.workers(), workers, "the same processes");
}

#[test]
fn a_bad_file_is_refused_and_the_old_settings_stay() {
    let proxy = Proxy::with("allow = [\"127.0.0.0/8\"]\n")
        .workers(2)
        .start();
    let origin = Origin::answering(|_| passing("ok"));
    proxy.wait_for_workers(2);
    for (bad, words) in [
        ("allow = [\"10.0.0.0/8\"]\nnonsense = 1\n", "nonsense"),
        ("allow = [\"10.0.0.0/33\"]\n", "allow"),
        ("allow = [\n", "cacheproxy.toml"),
    ] {
        proxy.write_config(bad);
        proxy.signal(Signal::SIGHUP);
        let line = proxy.wait_for_line(&[words]);
        assert!(line.contains("cacheproxy.toml"), "{line}");
        for _ in 0..4 {
            assert_eq!(proxy.get(&origin.uri("/")).text(), "ok", "{bad}");
        }
    }
    std::fs::remove_file(proxy.config_path()).unwrap();
    proxy.signal(Signal::SIGHUP);
    assert_eq!(proxy.get(&origin.uri("/")).text(), "ok", "without the file");
    // And a good one is taken after all.
    proxy.write_config("allow = [\"10.0.0.0/8\"]\n");
    proxy.signal(Signal::SIGHUP);
    wait_until("the new settings", PATIENCE, || {
        proxy.get(&origin.uri("/")).status == 403
    });
}

#[test]
fn a_reload_disturbs_no_client() {
    let proxy = Proxy::with(PARKING).workers(2).start();
    let gate = Gate::new();
    let origin = holding(&gate);
    let mut idle = Client::of(&proxy);
    idle.get(&origin.uri("/"));
    let mut busy = Client::of(&proxy);
    busy.ask("GET", &origin.uri("/hold"), "");
    origin.wait_for(2);
    proxy.write_config("ttl = \"5m\"\n");
    for _ in 0..5 {
        proxy.signal(Signal::SIGHUP);
        assert_eq!(proxy.get(&origin.uri("/")).text(), "content");
    }
    gate.open_for_all();
    assert_eq!(busy.response("GET").text(), "content");
    assert_eq!(idle.get(&origin.uri("/")).text(), "content");
}

#[test]
fn descriptors_do_not_leak() {
    let proxy = Proxy::with(PARKING).workers(2).start();
    let origin = Origin::answering(|request| match request.target() {
        "/stored" => fresh(common::pattern(100_000)),
        other => passing(other),
    });
    let churn = || {
        let mut kept = Vec::new();
        for number in 0..40 {
            let mut client = Client::of(&proxy);
            match number % 4 {
                0 => drop(client.get(&origin.uri("/stored"))),
                1 => client.send("GET nonsense\r\n\r\n"),
                2 => client.ask("GET", &origin.uri("/left"), ""),
                _ => {
                    client.get(&origin.uri("/parked"));
                    kept.push(client);
                }
            }
        }
        for client in &kept {
            proxy.wait_until_parked(client);
        }
    };
    let sockets = |pid: i32| {
        descriptors(pid)
            .iter()
            .filter(|name| name.starts_with("socket:"))
            .count()
    };
    let others = |pid: i32| {
        descriptors(pid)
            .iter()
            .filter(|name| !name.starts_with("socket:"))
            .count()
    };
    let all = || -> Vec<(usize, usize)> {
        let mut pids = proxy.workers();
        pids.push(proxy.pid());
        pids.into_iter()
            .map(|pid| (sockets(pid), others(pid)))
            .collect()
    };
    churn();
    let mut before = Vec::new();
    let settled = |last: &mut Vec<(usize, usize)>, since: &mut Instant| {
        let now = all();
        if now != *last {
            (*last, *since) = (now, Instant::now());
        }
        since.elapsed() > Duration::from_millis(400)
    };
    let mut since = Instant::now();
    wait_until("quiet", PATIENCE, || settled(&mut before, &mut since));
    for _ in 0..5 {
        churn();
    }
    // Pooled connections to the origin may differ by a few; two hundred clients may not be among them.
    let few = 6;
    wait_until("as many descriptors as before", PATIENCE, || {
        let now = all();
        now.iter()
            .zip(&before)
            .all(|(now, before)| now.0 <= before.0 + few && now.1 <= before.1 + few)
    });
    let was = before.pop().unwrap();
    wait_until("the supervisor has its own alone", PATIENCE, || {
        all().pop().unwrap() == was
    });
}

#[test]
fn sent_descriptors_are_in_one_process_at_a_time() {
    let proxy = Proxy::start("");
    let gate = Gate::new();
    let origin = holding(&gate);
    let mut client = Client::of(&proxy);
    client.ask("GET", &origin.uri("/hold"), "");
    origin.wait_for(1);
    let holders = || proxy.holders(client.port());
    wait_until("the worker alone has it", PATIENCE, || {
        holders() == proxy.workers()
    });
    gate.open_for_all();
}

#[test]
fn children_have_only_what_they_need() {
    let proxy = Proxy::with("").workers(2).start();
    for worker in proxy.wait_for_workers(2) {
        assert_eq!(children(worker), Vec::<i32>::new());
    }
    let listening = |pid: i32| -> BTreeSet<String> {
        let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
        let port = format!(":{:04X}", proxy.address().port());
        let is_listener = |line: &&str| {
            let mut columns = line.split_whitespace();
            columns.nth(1).is_some_and(|local| local.ends_with(&port))
                && columns.nth(1).is_some_and(|state| state == "0A")
        };
        let inodes = table
            .lines()
            .filter(is_listener)
            .filter_map(|line| line.split_whitespace().nth(9));
        let sockets: BTreeSet<String> = inodes.map(|inode| format!("socket:[{inode}]")).collect();
        descriptors(pid)
            .into_iter()
            .filter(|name| sockets.contains(name))
            .collect()
    };
    assert_eq!(listening(proxy.pid()).len(), 1);
    for worker in proxy.workers() {
        assert!(listening(worker).is_empty(), "a worker holds the listener");
    }
}

#[test]
fn it_listens_on_several_addresses() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("proxy.sock");
    let origin = Origin::answering(|_| passing("ok"));
    let proxy = Proxy::with("")
        .listen("[::1]:0")
        .listen_also(path.to_str().unwrap())
        .start();
    assert!(proxy.address().is_ipv6());
    assert_eq!(proxy.get(&origin.uri("/")).text(), "ok");
    wait_until("the socket", PATIENCE, || path.exists());
    let mut client = std::os::unix::net::UnixStream::connect(&path).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
        origin.uri("/"),
        origin.authority()
    );
    std::io::Write::write_all(&mut client, request.as_bytes()).unwrap();
    let mut answer = String::new();
    std::io::Read::read_to_string(&mut client, &mut answer).unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("ok"),
        "{answer}"
    );
}

#[test]
fn more_clients_than_allowed_wait() {
    let proxy = Proxy::start("max_clients = 5\n");
    let origin = Origin::answering(|_| passing("ok"));
    let idle: Vec<Client> = (0..5).map(|_| Client::of(&proxy)).collect();
    for client in &idle {
        proxy.wait_until_parked(client);
    }
    let mut waiting = Client::of(&proxy);
    waiting.ask("GET", &origin.uri("/"), "");
    assert!(waiting.is_quiet(Duration::from_millis(300)));
    drop(idle);
    assert_eq!(waiting.response("GET").text(), "ok");
}

#[test]
fn two_proxies_do_not_share_a_store_by_accident() {
    // Either the second refuses the store with the reason, or both work on it without a wrong object.
    let first = Proxy::start("");
    let origin = Origin::answering(|request| fresh(request.target()));
    first.get(&origin.uri("/a"));
    let dir = tempfile::tempdir().unwrap();
    let mut child = command(dir.path())
        .args([
            "run",
            "--listen",
            "127.0.0.1:0",
            "--workers",
            "1",
            "--store",
        ])
        .arg(first.store())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(2) && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(first.get(&origin.uri("/a")).is_hit());
    let _ = kill(Pid::from_raw(child.id() as i32), Signal::SIGTERM);
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        assert!(said.contains("store"), "{said}");
    }
    assert!(first.get(&origin.uri("/a")).is_hit());
}

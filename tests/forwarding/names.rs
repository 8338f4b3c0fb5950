//! The resolution of names by the system's own means, with a name server that doesn't answer for some.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::common::nameserver::NameServer;
use crate::common::namespace::is_inside;
use crate::common::origin::passing;
use crate::common::{Client, Origin, Proxy, TIMEOUT, each, wait_until};

const SOON: Duration = Duration::from_secs(1);

#[test]
fn names_that_hang_hold_up_no_other() {
    if !is_inside("names::names_that_hang_hold_up_no_other") {
        return;
    }
    let names = NameServer::start();
    let origin = Origin::answering(|_| passing("ok"));
    let port = origin.address().port();
    let proxy = Proxy::start("[timeouts]\nconnect = \"3s\"\n");
    let uri = |name: &str| format!("http://{name}:{port}/");
    // 60 names at once, and 20 clients that ask for one of them.
    let hanging: Vec<Client> = (0..60)
        .map(|number| format!("hang-{number}.test"))
        .chain((0..20).map(|_| "hang.test".to_owned()))
        .map(|name| Client::asking(&proxy, &uri(&name)))
        .collect();
    wait_until("all are looked up", TIMEOUT, || {
        (0..60).all(|number| names.count(&format!("hang-{number}.test")) == 1)
    });
    for number in 0..10 {
        let begun = Instant::now();
        let response = proxy.get(&uri(&format!("good-{number}.test")));
        assert_eq!(response.text(), "ok");
        assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    }
    each(hanging, |mut client| {
        let response = client.response("GET");
        assert_eq!(response.status, 504);
        assert!(
            response.text().contains("name server"),
            "{}",
            response.text()
        );
    });
    assert_eq!(names.count("hang.test"), 1);
    // The answers, also that there is none, are known for a while.
    for name in ["none.test", "good-1.test"] {
        let statuses = [(); 3].map(|()| proxy.get(&uri(name)).status);
        assert_eq!(statuses, [if name == "none.test" { 502 } else { 200 }; 3]);
        assert_eq!(names.count(name), 1, "{name}");
    }
    assert_eq!(proxy.get(&uri("broken.test")).status, 502);
}

#[test]
fn the_last_address_is_used_while_the_name_server_is_silent() {
    if !is_inside("names::the_last_address_is_used_while_the_name_server_is_silent") {
        return;
    }
    let names = NameServer::start();
    let origin = Origin::answering(|_| passing("ok"));
    let uri = format!("http://good.test:{}/", origin.address().port());
    let proxy = Proxy::start("");
    assert_eq!(proxy.get(&uri).text(), "ok");
    names.fall_silent();
    // A reload has names looked up anew, as time would.
    proxy.signal(Signal::SIGHUP);
    wait_until("it is looked up again", TIMEOUT, || {
        // On a new connection, for which an address is needed.
        assert_eq!(proxy.request("POST", &uri, "").text(), "ok");
        names.count("good.test") == 2
    });
    let begun = Instant::now();
    for _ in 0..20 {
        assert_eq!(proxy.request("POST", &uri, "").text(), "ok");
    }
    assert!(begun.elapsed() < 2 * SOON, "{:?}", begun.elapsed());
    assert_eq!(names.count("good.test"), 2);
}

#[test]
fn a_client_of_another_machine_has_its_own_share_of_look_ups() {
    if !is_inside("names::a_client_of_another_machine_has_its_own_share_of_look_ups") {
        return;
    }
    let names = NameServer::start();
    let origin = Origin::answering(|_| passing("ok"));
    let port = origin.address().port();
    let proxy = Proxy::with(&format!(
        "allow = [\"0.0.0.0/0\"]\nown_destinations = [\"127.0.0.1:{port}\"]\n"
    ))
    .listen("0.0.0.0:0")
    .start();
    let of = |address: [u8; 4]| Client::to((address, proxy.address().port()).into());
    let (one, other) = ([198, 51, 100, 1], [192, 0, 2, 1]);
    for number in 0..8 {
        let name = format!("hang-{number}.test");
        let mut client = of(one);
        client.ask("GET", &format!("http://{name}:{port}/"), "");
        wait_until("it is looked up", TIMEOUT, || names.count(&name) == 1);
        // It leaves, and its look-up goes on.
    }
    let uri = format!("http://good.test:{port}/");
    let refused = of(one).get(&uri);
    assert_eq!(refused.status, 503);
    assert!(refused.text().contains("8 names"), "{}", refused.text());
    let begun = Instant::now();
    assert_eq!(of(other).get(&uri).text(), "ok");
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    // The name is known now.
    assert_eq!(of(one).get(&uri).text(), "ok");
}

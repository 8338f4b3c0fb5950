//! The proxy's way to its database: passwords, TLS with verification, several servers.

use std::time::Duration;

use super::stage::{
    BOUND, Load, name, proxy, stored, stored_within, wait_until_stored, wait_until_storing,
};
use crate::common::origin::fresh;
use crate::common::postgres::{Authority, Login, Server};
use crate::common::{Origin, Proxy, TIMEOUT, each};

fn origin() -> Origin {
    Origin::answering(|request| fresh(request.target()))
}

/// Checks that a proxy with this configuration stores; where it doesn't, that it says a line with these words.
#[track_caller]
fn check(server: &Server, at: &str, proxy: &Proxy, refused: Option<&[&str]>) {
    let origin = origin();
    assert_eq!(proxy.get(&origin.uri("/connected")).status, 200);
    match refused {
        None => wait_until_storing(proxy, server, at, &origin.uri("/connected")),
        Some(words) => {
            let line = proxy.wait_for_line(words);
            eprintln!("it said {line}");
            assert_eq!(stored(server, at, "/connected"), 0);
            assert_eq!(proxy.get(&origin.uri("/connected")).status, 200);
        }
    }
}

#[test]
fn a_password_comes_from_a_file() {
    let server = Server::with()
        .tcp()
        .login(Login::Password("se cret".to_owned()))
        .start();
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        std::fs::write(dir.path().join(name), text).unwrap();
        format!("database_password_file = {:?}\n", dir.path().join(name))
    };
    let rows = [
        ("right", file("right", "se cret\n"), None),
        ("wrong", file("wrong", "guess\n"), Some(&["password"][..])),
        ("none", String::new(), Some(&["password"][..])),
    ];
    each(rows, |(what, config, refused)| {
        let connection = server.database();
        let by_tcp = server.connection_by("127.0.0.1", name(&connection));
        eprintln!("password: {what}");
        let proxy = Proxy::with(&config).database(&by_tcp).start();
        check(&server, &connection, &proxy, refused);
        assert!(
            !proxy.log().iter().any(|line| line.contains("se cret")),
            "the password is in the log"
        );
    });
}

#[test]
fn tls_is_verified() {
    let (authority, other) = (Authority::new(), Authority::new());
    let server = Server::with().tls(&authority, &["localhost"]).start();
    let (right, wrong) = (authority.file(), other.file());
    let (right, wrong) = (right.display(), wrong.display());
    let certificate = Some(&["certificate"][..]);
    let rows = [
        (
            "localhost",
            format!("sslmode=verify-full sslrootcert={right}"),
            None,
        ),
        (
            "localhost",
            format!("sslmode=verify-full sslrootcert={wrong}"),
            certificate,
        ),
        (
            "127.0.0.1",
            format!("sslmode=verify-full sslrootcert={right}"),
            certificate,
        ),
        (
            "127.0.0.1",
            format!("sslmode=verify-ca sslrootcert={right}"),
            None,
        ),
        (
            "127.0.0.1",
            format!("sslmode=verify-ca sslrootcert={wrong}"),
            certificate,
        ),
        ("127.0.0.1", "sslmode=require".to_owned(), None),
        (
            "127.0.0.1",
            "sslmode=disable".to_owned(),
            Some(&["pg_hba"][..]),
        ),
    ];
    each(rows, |(host, tls, refused)| {
        let connection = server.database();
        let by_tcp = server.connection_by(host, name(&connection));
        eprintln!("TLS: {host} {tls}");
        let proxy = proxy(&format!("{by_tcp} {tls}"));
        check(&server, &connection, &proxy, refused);
    });
}

#[test]
fn the_second_server_takes_over() {
    let mut first = Server::with().tcp().start();
    let second = Server::with().tcp().start();
    let connections = [first.database(), second.database()];
    assert_eq!(name(&connections[0]), name(&connections[1]));
    let both = format!(
        "host=127.0.0.1,127.0.0.1 port={},{} user=cacheproxy dbname={} sslmode=disable",
        first.port(),
        second.port(),
        name(&connections[0])
    );
    let origin = origin();
    let proxy = proxy(&both);
    let load = Load::start(proxy.address(), &origin.uri("/over"), 4);
    wait_until_storing(&proxy, &first, &connections[0], &origin.uri("/first"));
    assert_eq!(stored_within(&second, &connections[1], "first"), 0);
    first.kill();
    wait_until_storing(&proxy, &second, &connections[1], &origin.uri("/second"));
    load.finish_well("failover by kill", BOUND);
    first.start_again();
    // A server that only reads, as a standby does, isn't the one to use.
    second.read_only(true);
    second.sql(
        "postgres",
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'cacheproxy'",
    );
    let load = Load::start(proxy.address(), &origin.uri("/back"), 4);
    wait_until_storing(&proxy, &first, &connections[0], &origin.uri("/third"));
    load.finish_well("failover from a standby", BOUND);
}

#[test]
fn a_far_database_is_slower_but_works() {
    let server = Server::with().tcp().start();
    let connection = server.database();
    let relay = super::relay::Relay::to(server.port());
    let port = relay.port();
    let far = format!(
        "host=127.0.0.1 port={port} user=cacheproxy dbname={} sslmode=disable",
        name(&connection)
    );
    let origin = origin();
    let proxy = proxy(&far);
    wait_until_storing(&proxy, &server, &connection, &origin.uri("/near"));
    relay.delay(Duration::from_millis(50));
    assert_eq!(proxy.get(&origin.uri("/far")).status, 200);
    wait_until_stored(&server, &connection, "/far", 1);
    let load = Load::start(proxy.address(), &origin.uri("/slow"), 4);
    std::thread::sleep(Duration::from_secs(2));
    load.finish_well("slow", BOUND);
    // So slow that no lookup is done in time.
    relay.delay(Duration::from_secs(3));
    let load = Load::start(proxy.address(), &origin.uri("/slower"), 4);
    std::thread::sleep(Duration::from_secs(6));
    load.finish_well("too slow", BOUND);
    relay.open();
    wait_until_storing(&proxy, &server, &connection, &origin.uri("/near-again"));
    assert!(TIMEOUT > BOUND);
}

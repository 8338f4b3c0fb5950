//! The test's own server does what tests will ask of it.

use std::time::{Duration, Instant};

use crate::common::postgres::{Login, Server};
use crate::common::proxy::is_alive;

#[test]
fn a_server_lives_as_long_as_its_test_lets_it() {
    let mut server = Server::start();
    let processes = server.processes();
    assert!(processes.len() > 3, "{processes:?}");
    let connection = server.database();
    let name = connection.rsplit('=').next().unwrap();
    server.sql(
        name,
        "CREATE TABLE kept (number int); INSERT INTO kept VALUES (1), (2)",
    );
    assert_eq!(server.sql(name, "SELECT sum(number) FROM kept"), "3");
    server.kill();
    assert!(!processes.iter().any(|pid| is_alive(*pid)));
    server.start_again();
    assert_eq!(server.sql(name, "SELECT sum(number) FROM kept"), "3");
    server.restart();
    assert_eq!(server.sql(name, "SELECT sum(number) FROM kept"), "3");
    let processes = server.processes();
    let dir = server.socket_dir();
    drop(server);
    assert!(!processes.iter().any(|pid| is_alive(*pid)) && !dir.exists());
}

#[test]
fn a_server_can_be_read_only_locked_and_paused() {
    let server = Server::start();
    let connection = server.database();
    let name = connection.rsplit('=').next().unwrap();
    server.sql(name, "CREATE TABLE kept (number int)");
    server.read_only(true);
    assert_eq!(server.sql(name, "SHOW transaction_read_only"), "on");
    server.read_only(false);
    server.sql(name, "INSERT INTO kept VALUES (1)");
    let mut session = server.session(name);
    session.run("BEGIN; LOCK TABLE kept IN ACCESS EXCLUSIVE MODE;");
    assert_eq!(session.run("SELECT number FROM kept;"), "1\n");
    let waiting = "SET lock_timeout = 50; SELECT number FROM kept";
    assert!(server.try_sql(name, waiting).is_err());
    drop(session);
    assert_eq!(server.sql(name, waiting), "1");
    server.pause();
    let before = Instant::now();
    std::thread::scope(|scope| {
        let answer = scope.spawn(|| server.sql(name, "SELECT 7"));
        std::thread::sleep(Duration::from_millis(300));
        assert!(!answer.is_finished());
        server.resume();
        assert_eq!(answer.join().unwrap(), "7");
    });
    assert!(before.elapsed() >= Duration::from_millis(300));
}

#[test]
fn a_server_can_ask_for_a_password_by_tcp() {
    let server = Server::with()
        .tcp()
        .login(Login::Password("secret".to_owned()))
        .start();
    let by_tcp = server.connection_by("127.0.0.1", "postgres");
    let ask = |password: &str| {
        let mut psql = std::process::Command::new("/usr/bin/psql");
        psql.args(["-X", "-c", "SELECT 1", "-d", &by_tcp])
            .env("PGPASSWORD", password);
        psql.output().unwrap().status.success()
    };
    assert!(ask("secret") && !ask("wrong"));
}

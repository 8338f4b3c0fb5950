//! The proxy that commands are about where none is named: the one that this user has started, by what it was started with.

use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Output, Stdio};

use crate::common::origin::fresh;
use crate::common::postgres::Server;
use crate::common::proxy::{command, said};
use crate::common::{Origin, Proxy, TIMEOUT, wait_until};

/// What a command says, in an environment with the runtime directories of these proxies and no options but its own.
fn found(proxies: &[&Proxy], words: &[&str]) -> Output {
    let places = proxies.iter().map(|proxy| proxy.runtime_dir());
    let mut places = places.map(|dir| dir.parent().unwrap().to_owned());
    let home = tempfile::tempdir().unwrap();
    command(&places.next().unwrap())
        .env("TMPDIR", places.next().unwrap_or(home.path().to_owned()))
        .env("HOME", home.path())
        .args(words)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .output()
        .unwrap()
}

/// True where this user's commands are about the installed service.
fn has_service() -> bool {
    let has_service = Path::new("/run/cacheproxy").exists();
    if has_service {
        eprintln!("the service is installed: commands are about that");
    }
    has_service
}

#[test]
fn commands_are_about_the_one_proxy_that_this_user_runs() {
    if has_service() {
        return;
    }
    let origin = Origin::answering(|_| fresh("x"));
    let uri = origin.uri("/found");
    let server = Server::shared();
    for proxy in [
        Proxy::start("ttl = \"77m\"\n"),
        Proxy::with("ttl = \"77m\"\n")
            .database(&server.database())
            .start(),
    ] {
        // One that was killed has left this.
        let left = proxy.runtime_dir().with_file_name("cacheproxy-1.0");
        std::fs::create_dir(&left).unwrap();
        drop(UnixListener::bind(left.join("control.sock")).unwrap());
        proxy.get(&uri);
        wait_until("it is listed", TIMEOUT, || {
            said(&found(&[&proxy], &["list"])).contains(&uri)
        });
        let config = proxy.config_path();
        let config = config.to_str().unwrap();
        // It goes on with what it was started with.
        let before = std::fs::read_to_string(config).unwrap();
        proxy.write_config("nonsense = 1\n");
        let archive = tempfile::NamedTempFile::new().unwrap();
        let archive = archive.path().to_str().unwrap();
        let table: [(&[&str], &str); 7] = [
            (&["explain", &uri], "fresh for"),
            (&["status"], "1 workers"),
            (&["export", archive], "exported 1 stored"),
            (&["purge", &uri], "removed 1 stored"),
            (&["import", archive], "imported 1 stored"),
            (&["purge", "--host", "127.0.0.1"], "removed 1 stored"),
            (&["list"], "0 stored"),
        ];
        for (words, expected) in table {
            let told = found(&[&proxy], words);
            assert!(told.status.success(), "{words:?}: {}", said(&told));
            let told = said(&told);
            assert!(told.contains(expected), "{words:?}: {told}");
            assert!(!told.contains("no proxy runs"), "{words:?}: {told}");
        }
        assert!(!proxy.get(&uri).is_hit(), "the workers were told");
        let wrong = found(&[&proxy], &["check"]);
        assert_eq!(wrong.status.code(), Some(78), "{}", said(&wrong));
        proxy.write_config(&before);
        for (words, expected) in [
            (["check"], config),
            (["check"], "1h 17min"),
            (["reload"], "reloaded"),
        ] {
            let told = said(&found(&[&proxy], &words));
            assert!(told.contains(expected), "{words:?}: {told}");
        }
        std::fs::remove_dir_all(left).unwrap();
    }
}

#[test]
fn of_several_proxies_of_a_user_one_has_to_be_named() {
    if has_service() {
        return;
    }
    let (one, other) = (Proxy::start(""), Proxy::start(""));
    let told = found(&[&one, &other], &["status"]);
    assert_eq!(told.status.code(), Some(64), "{}", said(&told));
    for proxy in [&one, &other] {
        let (dir, store) = (proxy.runtime_dir(), proxy.store());
        let line = format!(
            "--runtime-dir {}    storing in {}",
            dir.display(),
            store.display()
        );
        assert!(said(&told).contains(&line), "{}", said(&told));
        let dir = dir.to_str().unwrap();
        let told = found(&[&one, &other], &["list", "--runtime-dir", dir]);
        assert!(told.status.success(), "{}", said(&told));
        // By its store the one is found that uses it.
        let purge = ["purge", "http://h/", "--store", store.to_str().unwrap()];
        let told = said(&found(&[&one, &other], &purge));
        assert_eq!(told, "nothing was stored\n");
    }
    let gone = one.runtime_dir();
    drop(one);
    let told = found(
        &[&other],
        &["list", "--runtime-dir", gone.to_str().unwrap()],
    );
    assert_eq!(told.status.code(), Some(69), "{}", said(&told));
    assert!(said(&told).contains("no proxy runs in"), "{}", said(&told));
    // Nobody's at all: the service's.
    let empty = tempfile::tempdir().unwrap();
    let mut status = command(empty.path());
    let told = status.env("TMPDIR", empty.path()).arg("status");
    let told = told.stdout(Stdio::piped()).stderr(Stdio::piped()).output();
    let told = said(&told.unwrap());
    assert!(told.contains("/run/cacheproxy/control.sock"), "{told}");
}

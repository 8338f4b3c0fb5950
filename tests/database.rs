//! The commands on a database: what `check` says is wrong with one, `db init`, looking into it, purging it, moving
//! what is stored into it and out of it.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use cacheproxy::store::Checksum;
use cacheproxy::store::archive::{ArchiveReader, Verdict};
use common::contents;
use common::postgres::{Login, Server};
use common::proxy::{command, said};
use common::{Proxy, TIMEOUT, wait_until};

/// A configuration with this database, in a directory of its own.
struct Configured {
    dir: tempfile::TempDir,
}

impl Configured {
    fn on(connection: &str) -> Configured {
        let dir = tempfile::tempdir().unwrap();
        let spool = dir.path().join("spool");
        std::fs::create_dir(&spool).unwrap();
        let config =
            format!("store = \"postgres\"\ndatabase = \"{connection}\"\nstore_path = {spool:?}\n");
        std::fs::write(dir.path().join("the.toml"), config).unwrap();
        Configured { dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn perform(&self, words: &[&str]) -> Output {
        command(self.dir.path())
            .args(words)
            .arg("--config")
            .arg(self.path("the.toml"))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .output()
            .unwrap()
    }

    /// Its output, when it succeeds.
    #[track_caller]
    fn say(&self, words: &[&str]) -> String {
        let output = self.perform(&[words, &["--runtime-dir", "/nonexistent"]].concat());
        assert!(output.status.success(), "{words:?}: {}", said(&output));
        said(&output)
    }
}

/// The name of the database in a connection string of the server's.
fn name(connection: &str) -> &str {
    connection.rsplit("dbname=").next().unwrap()
}

#[track_caller]
fn checked(connection: &str, code: i32, words: &[&str]) {
    let output = Configured::on(connection).perform(&["check"]);
    let said = said(&output);
    assert_eq!(output.status.code(), Some(code), "{connection}: {said}");
    for word in words {
        assert!(said.contains(word), "{connection}: no {word:?} in {said}");
    }
    assert!(!said.contains("hidden"), "{said}");
}

#[test]
fn check_says_what_is_wrong_with_the_database() {
    let server = Server::shared();
    let good = server.database();
    checked(
        &good,
        0,
        &["ok: ", "no schema \"cacheproxy\" yet", "PostgreSQL: host="],
    );
    assert!(
        Configured::on(&good)
            .say(&["db", "init"])
            .contains("made the schema")
    );
    checked(&good, 0, &["ok: "]);

    let nowhere = "host=/nonexistent/socket dbname=cacheproxy";
    checked(
        nowhere,
        69,
        &[
            "cacheproxy on /nonexistent/socket",
            "systemctl status postgresql",
        ],
    );
    checked(
        "host=127.0.0.1 port=1 dbname=x password=hidden",
        69,
        &["x on 127.0.0.1"],
    );
    let no_role = good.replace("user=", "user=no-");
    checked(&no_role, 69, &["role \"no-", "does not exist"]);
    let no_database = format!("{good}none");
    checked(
        &no_database,
        69,
        &["none\" does not exist", "create the database"],
    );

    server.create_role("stranger");
    let stranger = |connection: &str| {
        let words = connection
            .split(' ')
            .map(|word| match word.starts_with("user=") {
                true => "user=stranger",
                false => word,
            });
        words.collect::<Vec<_>>().join(" ")
    };
    checked(
        &stranger(&good),
        77,
        &["user stranger may not change", "connect as its owner"],
    );
    let empty = stranger(&server.database());
    checked(
        &empty,
        77,
        &[
            "user stranger may not make one",
            "AUTHORIZATION \"stranger\"",
        ],
    );
    let refused = Configured::on(&empty).perform(&["db", "init"]);
    assert_eq!(refused.status.code(), Some(77), "{}", said(&refused));

    let newer = server.database();
    Configured::on(&newer).say(&["db", "init"]);
    server.sql(
        name(&newer),
        "UPDATE cacheproxy.state SET value = '99' WHERE name = 'version'",
    );
    checked(&newer, 69, &["of version 99", "newer cacheproxy"]);
    let refused = Configured::on(&newer).perform(&["db", "init"]);
    assert_eq!(refused.status.code(), Some(69), "{}", said(&refused));
    let frozen = server.database();
    server.sql(
        "postgres",
        &format!(
            "ALTER DATABASE {} SET default_transaction_read_only = on",
            name(&frozen)
        ),
    );
    checked(&frozen, 69, &["takes no writes"]);
}

#[test]
fn a_wrong_password_is_told_from_a_missing_one() {
    let server = Server::with()
        .login(Login::Password("right".to_owned()))
        .start();
    let good = server.database();
    let wrong = format!("{good} password=hidden");
    checked(
        &wrong,
        69,
        &[
            "password authentication failed",
            "see the user and password",
        ],
    );
    checked(&good, 69, &["password"]);
    let configured = Configured::on(&good);
    let file = configured.path("password");
    let config = std::fs::read_to_string(configured.path("the.toml")).unwrap();
    let config = format!("{config}database_password_file = {file:?}\n");
    std::fs::write(configured.path("the.toml"), config).unwrap();
    let missing = configured.perform(&["check"]);
    assert!(
        said(&missing).contains("can't be read from"),
        "{}",
        said(&missing)
    );
    std::fs::write(&file, "right\n").unwrap();
    let found = configured.perform(&["check"]);
    assert!(found.status.success(), "{}", said(&found));
    let given = format!("{good} password=right");
    checked(
        &given,
        0,
        &["the password stands in the configuration", "password=…"],
    );
}

/// Everybody sees it in the list of processes.
#[test]
fn a_password_on_the_command_line_is_warned_of_and_never_shown() {
    let server = Server::with().tcp().start();
    let configured = Configured::on(&server.database());
    let (port, other) = (server.port(), server.database());
    let name = name(&other);
    for (login, warned) in [("cacheproxy:hidden", true), ("cacheproxy", false)] {
        let url = format!("postgresql://{login}@127.0.0.1:{port}/{name}?sslmode=disable");
        for command in [&["db", "init"][..], &["list"]] {
            let output = configured.perform(&[command, &["--store", &url]].concat());
            let said = said(&output);
            assert!(output.status.success(), "{said}");
            assert_eq!(said.contains("database_password_file"), warned, "{said}");
            assert!(!said.contains("hidden"), "{said}");
        }
    }
}

#[test]
fn any_number_may_make_the_schema_at_once() {
    let server = Server::shared();
    let connection = server.database();
    let all: Vec<_> = (0..6)
        .map(|_| {
            let connection = connection.clone();
            std::thread::spawn(move || Configured::on(&connection).say(&["db", "init"]))
        })
        .collect();
    let outcomes: Vec<String> = all.into_iter().map(|it| it.join().unwrap()).collect();
    let made = outcomes.iter().filter(|it| it.contains("made the schema"));
    assert_eq!(made.count(), 1, "{outcomes:?}");
    let status = Configured::on(&connection).say(&["db", "status"]);
    for word in ["of version 4, unlogged", "0 stored responses"] {
        assert!(status.contains(word), "{status}");
    }
}

/// Everything in an archive: the key, the variant and the first byte, the rest of the metadata, the content.
type Archive = BTreeMap<(Vec<u8>, Vec<u8>, u64), (String, Vec<u8>)>;

fn archive(file: &Path) -> Archive {
    let bytes = std::fs::read(file).unwrap();
    let mut reader = ArchiveReader::open(&bytes[..]).unwrap();
    let mut all = Archive::new();
    while let Some(archived) = reader.next_response().unwrap() {
        let mut content = Vec::new();
        let read = reader.content(archived, &mut |part| content.extend_from_slice(part));
        let (meta, verdict) = read.unwrap();
        assert_eq!(verdict, Verdict::Whole);
        let first = meta.extent.first();
        let place = (
            meta.key.text().to_vec(),
            meta.variant.text().to_vec(),
            first,
        );
        let fields: Vec<_> = meta.fields.iter().chain(meta.trailers.iter()).collect();
        let times = (meta.request_time, meta.response_time);
        let known = (meta.extent, &meta.provenance);
        let rest = format!(
            "{times:?} {} {:?} {known:?} {fields:?}",
            meta.status, meta.reason
        );
        all.insert(place, (rest, content));
    }
    all
}

/// An archive of these responses: a head in lines, and the content.
fn archive_of(responses: &[(String, &[u8])]) -> Vec<u8> {
    let mut bytes = b"cacheproxy archive, version 4\n".to_vec();
    for (head, content) in responses {
        let all = [head.as_bytes(), content].concat();
        bytes.extend(format!("response {} {}\n", head.len(), content.len()).bytes());
        bytes.extend_from_slice(&all);
        bytes.extend(format!("whole {:032x}\n", Checksum::of(&all)).bytes());
    }
    bytes.extend(format!("end {}\n", responses.len()).bytes());
    bytes
}

#[test]
fn parts_of_one_key_and_all_that_is_known_go_through_both_stores() {
    let digest = "3c".repeat(32);
    let known = format!(
        "request-time 1000\nresponse-time 2000\nboot-time 5 {:032x}\ndigest sha256 {digest}\n\
        access authorized\nclass kept\n",
        7
    );
    let part = |first: usize, content: &'static [u8]| {
        let last = first + content.len() - 1;
        let head = format!(
            "key GET-part http://a.example/x\n{known}part {first} of 1000\nstatus 206 Partial Content\n\
            field ETag: \"1\"\nfield Content-Range: bytes {first}-{last}/1000\n"
        );
        (head, content)
    };
    let apart = "key GET http://a.example/y\nvariant :client: all\n";
    let plain = "key GET http://a.example/y\n";
    let whole = |key: &str| format!("{key}{known}status 200 OK\nfield ETag: \"1\"\n");
    let responses = [
        part(0, b"first"),
        part(500, b"third"),
        part(100, b"second"),
        (whole(apart), &b"apart"[..]),
        (whole(plain), b"plain"),
    ];
    let database = Configured::on(&Server::shared().database());
    let path = |name: &str| database.path(name).display().to_string();
    let (first, second, third) = (path("first"), path("second"), path("third"));
    std::fs::write(&first, archive_of(&responses)).unwrap();
    let expected = archive(Path::new(&first));
    assert_eq!(expected.len(), 5);
    let said = database.say(&["import", &first]);
    assert!(said.contains("imported 5 stored"), "{said}");
    database.say(&["export", &second]);
    assert_eq!(archive(Path::new(&second)), expected, "in the database");
    let to = path("directory");
    database.say(&["import", &second, "--store", &to]);
    database.say(&["export", &third, "--store", &to]);
    assert_eq!(archive(Path::new(&third)), expected, "in a directory");
}

#[test]
fn what_goes_through_a_database_comes_out_the_same() {
    let origin = contents::origin();
    let proxy = Proxy::start("");
    contents::fetch(&proxy, &origin);
    let database = Configured::on(&Server::shared().database());
    let path = |name: &str| database.path(name).display().to_string();
    let (first, second, third) = (path("first"), path("second"), path("third"));
    let (from, to) = (proxy.store().display().to_string(), path("directory"));
    wait_until("all to be stored", TIMEOUT, || {
        let exported = database.say(&["export", &first, "--store", &from]);
        exported.contains("exported 6 stored")
    });
    assert!(
        database
            .say(&["import", &first])
            .contains("imported 6 stored")
    );
    assert!(
        database
            .say(&["import", &first])
            .contains("imported 0 stored")
    );
    database.say(&["export", &second]);
    database.say(&["import", &second, "--store", &to]);
    database.say(&["export", &third, "--store", &to]);
    let expected = archive(Path::new(&first));
    assert_eq!(expected.len(), 6);
    assert!(archive(Path::new(&second)) == expected, "in the database");
    assert!(archive(Path::new(&third)) == expected, "out of it again");

    // Looked into and purged as a directory is.
    let list = database.say(&["list", "--sort", "size"]);
    assert!(list.contains("6 stored responses"), "{list}");
    assert!(list.lines().nth(1).unwrap().ends_with("/large"), "{list}");
    let told = database.say(&["explain", &origin.uri("/vary"), "-H", "Accept-Language: de"]);
    for word in ["2 variants are stored", "number 2 answers it"] {
        assert!(told.contains(word), "{told}");
    }
    let purged = database.say(&["purge", &origin.uri("/vary")]);
    assert!(purged.contains("removed 2 stored responses"), "{purged}");
    let purged = database.say(&["purge", "--prefix", &origin.uri("/m")]);
    assert!(purged.contains("removed 1 stored response,"), "{purged}");
    let host = origin.authority();
    let purged = database.say(&["purge", "--host", &host]);
    assert!(purged.contains("removed 3 stored responses"), "{purged}");
    let purged = database.say(&["purge", "--host", &host]);
    assert!(purged.contains("nothing was stored"), "{purged}");
    let again = database.say(&["import", &first]);
    assert!(again.contains("imported 6 stored"), "{again}");
}

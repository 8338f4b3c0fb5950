//! Values that are accepted, texts that come together, and the shipped file, which is the defaults.

#![allow(clippy::unwrap_used)]

mod refusals;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::ConfigError;
use super::parse::{self, parse};
use super::rules::Rules;
use super::settings::{Ports, Times};
use super::text::ConfigText;
use super::*;
use crate::cache::policy::{RuleTtl, Ttl};

const SHIPPED: &str = include_str!("../../../packaging/cacheproxy.toml");

fn text(role: Role, path: &str, toml: &str) -> ConfigText {
    ConfigText {
        role,
        path: PathBuf::from(path),
        toml: toml.to_string(),
    }
}

fn main_file(toml: &str) -> Result<Settings, ConfigError> {
    parse(&[text(Role::Main, "f.toml", toml)])
}

#[test]
fn good_values_are_taken() {
    let settings = main_file(
        r#"
        workers = 3
        allow = ["192.168.1.7/24", "10.0.0.1", "2001:db8::/32"]
        purge_allow = []
        http_ports = [80, "3000 - 3999"]
        connect_ports = [443, "8000-8999"]
        own_destinations = ["192.0.2.1:3141", "[2001:db8::1]:80", "[::ffff:192.0.2.2]:80"]
        store = "filesystem"
        store_path = "/srv/cache"
        store_size = "2GB"
        min_free_disk = "0B"
        largest_object = "100MiB"
        memory = "0B"
        ttl = "10m"
        max_ttl = "7d"
        stale_while_revalidate = "30s"
        stale_if_error = "1d"
        access_log = false
        max_clients = 1_00
        max_clients_per_address = 50
        timeouts = { connect = "3s", worker_idle = "1s" }
        [[rule]]
        match = "*.iso"
        ttl = "1w"
        override = true
        stale_if_error = "none"
        [[rule]]
        match = ["http://a/*", "http://b/*"]
        bypass = true
        ignore_query = ["utm_*"]
        ignore_cookies = true
        stale_while_revalidate = "1m"
        stale_if_error = "1h"
        "#,
    )
    .unwrap();
    let networks = ["192.168.1.0/24", "10.0.0.1/32", "2001:db8::/32"];
    let destinations = ["192.0.2.1:3141", "[2001:db8::1]:80", "192.0.2.2:80"];
    let ttl = RuleTtl {
        seconds: 7 * 86_400,
        force: true,
    };
    let expected = Settings {
        workers: 3,
        allow: networks.map(|network| network.parse().unwrap()).to_vec(),
        purge_allow: Vec::new(),
        http_ports: Ports(vec![80..=80, 3000..=3999]),
        connect_ports: Ports(vec![443..=443, 8000..=8999]),
        own_destinations: destinations.map(|it| it.parse().unwrap()).to_vec(),
        store: StoreChoice {
            kind: StoreKind::Filesystem,
            path: PathBuf::from("/srv/cache"),
            size: 2_000_000_000,
            min_free: 0,
        },
        largest_object: 100 << 20,
        memory: 0,
        rules: Rules(vec![
            Rule {
                globs: vec!["*.iso".to_string()],
                ttl: Some(ttl),
                stale_if_error: Some(None),
                ..Rule::default()
            },
            Rule {
                globs: vec!["http://a/*".to_string(), "http://b/*".to_string()],
                bypass: Some(true),
                ignore_query: Some(vec!["utm_*".to_string()]),
                ignore_cookies: Some(true),
                stale_while_revalidate: Some(60),
                stale_if_error: Some(Some(3600)),
                ..Rule::default()
            },
        ]),
        ttl: Ttl::Fixed(600),
        max_ttl: Some(7 * 86_400),
        stale_while_revalidate: 30,
        stale_if_error: Some(86_400),
        times: Times {
            connect: Duration::from_secs(3),
            worker_idle: Duration::from_secs(1),
            ..Times::default()
        },
        access_log: false,
        max_clients: 100,
        max_clients_per_address: 50,
        ..Settings::default()
    };
    assert_eq!(settings, expected);
}

#[test]
fn an_address_has_a_quarter_of_all_places() {
    for (text, expected) in [
        ("", 5000),
        ("max_clients = 100", 25),
        ("max_clients = 3", 1),
        ("max_clients_per_address = \"auto\"\nmax_clients = 40", 10),
        ("max_clients_per_address = 90\nmax_clients = 40", 90),
    ] {
        let settings = main_file(text).unwrap();
        assert_eq!(settings.max_clients_per_address, expected, "{text}");
    }
}

#[test]
fn a_database_is_a_store_too() {
    let postgres = |database: &str, password_file: Option<&str>, logged| {
        let kind = StoreKind::Postgres(DatabaseSettings {
            database: Database::parse(database).unwrap(),
            password_file: password_file.map(PathBuf::from),
            logged,
        });
        StoreChoice {
            kind,
            ..Settings::default().store
        }
    };
    let default = "host=/run/postgresql dbname=cacheproxy";
    let table = [
        ("store = \"postgres\"", postgres(default, None, false)),
        (
            "store = \"postgres\"\ndatabase = \"host=b,c user=d\"\ndatabase_logged = true\ndatabase_password_file = \"/x\"",
            postgres("host=b,c user=d", Some("/x"), true),
        ),
        (
            "database = \"host=b\"\nstore = \"filesystem\"",
            Settings::default().store,
        ),
    ];
    for (toml, expected) in table {
        assert_eq!(main_file(toml).unwrap().store, expected, "{toml}");
    }
    // The last one who says which store it is counts.
    let given = ConfigSource {
        overrides: Overrides {
            database: Some("postgresql://u:secret@h/d".to_owned()),
            ..Overrides::default()
        },
        default_store: Some(PathBuf::from("/home/x")),
        ..ConfigSource::default()
    };
    let loaded = load(&given).unwrap();
    let store = &loaded.settings.store;
    assert!(
        matches!(&store.kind, StoreKind::Postgres(settings) if settings.database.value("password") == Some("secret"))
    );
    assert_eq!(store.path, Path::new("/home/x"));
    assert!(!format!("{store:?}").contains("secret"));
    assert_eq!(decode(&loaded.encode()).unwrap(), loaded.settings);
}

#[test]
fn clients_are_allowed_by_network() {
    let settings = main_file(r#"allow = ["127.0.0.0/8", "192.168.0.0/16", "::1"]"#).unwrap();
    let table = [
        ("127.0.0.5", true),
        ("192.168.9.9", true),
        ("::ffff:192.168.9.9", true),
        ("::1", true),
        ("10.0.0.1", false),
        ("::2", false),
        ("::ffff:10.0.0.1", false),
    ];
    for (client, allowed) in table {
        assert_eq!(
            settings.allows(client.parse().unwrap()),
            allowed,
            "{client}"
        );
    }
}

#[test]
fn an_object_is_never_larger_than_the_store() {
    let settings = main_file("store_size = \"1GiB\"").unwrap();
    assert_eq!(settings.largest_object, 1 << 30);
}

#[test]
fn later_texts_count_and_their_rules_come_first() {
    let rule = |glob: &str| format!("[[rule]]\nmatch = \"{glob}\"\nttl = \"1h\"\n");
    let globs = |texts: &[ConfigText]| -> Vec<String> {
        let rules = parse(texts).unwrap().rules.0;
        rules.iter().map(|rule| rule.globs[0].clone()).collect()
    };
    let main = text(
        Role::Main,
        "m",
        &format!(
            "max_clients = 1\nttl = \"1s\"\n{}{}",
            rule("m1"),
            rule("m2")
        ),
    );
    let bare = text(Role::Main, "m", "max_clients = 1");
    let none = text(Role::Main, "m", "rule = []");
    let first = text(
        Role::Dropin,
        "1",
        &format!("max_clients = 2\n{}", rule("d1")),
    );
    let second = text(Role::Dropin, "2", &rule("d2"));
    let built_in = "*.deb";

    let settings = parse(&[main.clone(), first.clone(), second.clone()]).unwrap();
    assert_eq!((settings.max_clients, settings.ttl), (2, Ttl::Fixed(1)));
    assert_eq!(
        globs(&[main.clone(), first.clone(), second.clone()]),
        ["d2", "d1", "m1", "m2"]
    );
    assert_eq!(globs(&[main]), ["m1", "m2"]);
    assert_eq!(
        globs(&[bare, first.clone(), second]),
        ["d2", "d1", built_in]
    );
    assert_eq!(globs(std::slice::from_ref(&none)), [""; 0]);
    assert_eq!(globs(&[none, first]), ["d1"]);
}

#[test]
fn the_shipped_file_is_the_defaults_and_shows_every_key() {
    assert_eq!(
        main_file(SHIPPED).unwrap(),
        Settings::default(),
        "as shipped"
    );
    let shown = SHIPPED
        .lines()
        .filter(|line| !line.starts_with("# ") && *line != "#")
        .map(|line| format!("{}\n", line.strip_prefix('#').unwrap_or(line)))
        .collect::<Vec<_>>()
        .concat();
    assert_eq!(
        main_file(&shown).unwrap(),
        Settings::default(),
        "every default uncommented"
    );
    for key in parse::all_keys() {
        let line = format!("\n{key} = ");
        let table = format!("[{key}]");
        assert!(
            shown.contains(&line) || shown.contains(&table),
            "{key} isn't shown"
        );
    }
}

#[test]
fn every_known_key_is_one_that_is_read() {
    for key in parse::all_keys() {
        for toml in [
            format!("{key} = 1.5"),
            format!("timeouts.{key} = 1.5"),
            format!("[[rule]]\n{key} = 1.5"),
        ] {
            let message = main_file(&toml).unwrap_err().to_string();
            if message.contains(": expected") && !message.contains("unknown key") {
                break;
            }
            assert!(!toml.starts_with("[["), "{key} is never read: {message}");
        }
    }
}

fn write(directory: &Path, name: &str, toml: &str) -> PathBuf {
    let path = directory.join(name);
    fs::write(&path, toml).unwrap();
    path
}

#[test]
fn files_are_read_in_order_and_the_command_line_counts_most() {
    let dir = tempfile::tempdir().unwrap();
    let main = write(
        dir.path(),
        "main",
        "max_clients = 1\nmemory = \"1MiB\"\nworkers = 2",
    );
    write(dir.path(), "20-b.toml", "max_clients = 20");
    write(
        dir.path(),
        "10-a.toml",
        "max_clients = 10\nmemory = \"2MiB\"",
    );
    write(dir.path(), "30-c.toml.dpkg-old", "max_clients = 30");
    write(dir.path(), ".hidden.toml", "max_clients = 40");
    let source = ConfigSource {
        main: Some(main.clone()),
        default_store: Some(PathBuf::from("/home/x/a \"quoted\"\\path")),
        dropins: Some(dir.path().to_path_buf()),
        overrides: Overrides {
            workers: Some(Workers::Exactly(5)),
            ..Overrides::default()
        },
    };
    let loaded = load(&source).unwrap();
    let settings = &loaded.settings;
    assert_eq!(
        (settings.max_clients, settings.memory, settings.workers),
        (20, 2 << 20, 5)
    );
    assert_eq!(settings.store.kind, StoreKind::Filesystem);
    assert_eq!(settings.store.path, Path::new("/home/x/a \"quoted\"\\path"));
    assert_eq!(decode(&loaded.encode()).unwrap(), *settings);

    fs::write(&main, "store_path = \"/file\"").unwrap();
    let from_file = load(&source).unwrap().settings;
    assert_eq!(from_file.store.kind, StoreKind::Filesystem);
    assert_eq!(from_file.store.path, Path::new("/file"));
    let given = ConfigSource {
        overrides: Overrides {
            store_path: Some(PathBuf::from("/given")),
            workers: Some(Workers::Exactly(99)),
            ..Overrides::default()
        },
        ..source
    };
    assert_eq!(
        load(&given).unwrap_err().to_string(),
        "command line:1: workers = 99: expected \"auto\" or a number from 1 to 16"
    );
}

#[test]
fn what_cannot_be_read_is_named_with_the_reason() {
    let dir = tempfile::tempdir().unwrap();
    let binary = dir.path().join("binary.toml");
    fs::write(&binary, b"ttl = \"\xff\"").unwrap();
    let good = write(dir.path(), "good", "");
    let missing = dir.path().join("missing");
    let table = [
        (
            Some(missing.clone()),
            None,
            missing.clone(),
            "there is no such file",
        ),
        (
            Some(dir.path().to_path_buf()),
            None,
            dir.path().to_path_buf(),
            "Is a directory (os error 21)",
        ),
        (
            Some(binary.clone()),
            None,
            binary.clone(),
            "it is not text in UTF-8",
        ),
        (
            Some(good.clone()),
            Some(good.clone()),
            good.clone(),
            "Not a directory (os error 20)",
        ),
        (
            Some(good.clone()),
            Some(dir.path().to_path_buf()),
            binary,
            "it is not text in UTF-8",
        ),
    ];
    for (main, dropins, path, reason) in table {
        let source = ConfigSource {
            main,
            dropins,
            ..ConfigSource::default()
        };
        let message = load(&source).unwrap_err().to_string();
        assert_eq!(
            message,
            format!("{}: can't be read: {reason}", path.display())
        );
    }
    let no_dropins = ConfigSource {
        main: Some(good),
        dropins: Some(missing),
        ..ConfigSource::default()
    };
    assert!(load(&no_dropins).is_ok());
}

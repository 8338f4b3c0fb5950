//! Texts that come together, and the shipped file, which is the defaults.

#![allow(clippy::unwrap_used)]

mod refusals;
mod values;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::ConfigError;
use super::parse::{self, parse};
use super::rules::Rules;
use super::settings::{Ports, Times};
use super::text::ConfigText;
use super::*;
use crate::cache::policy::{RuleFreshness, RuleTtl, StoreRule, Ttl};
use crate::http::parse::HeadLimits;

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

    let settings = parse(&[main.clone(), first.clone(), second.clone()]).unwrap();
    assert_eq!((settings.max_clients, settings.ttl), (2, Ttl::Fixed(1)));
    assert_eq!(
        globs(&[main.clone(), first.clone(), second.clone()]),
        ["d2", "d1", "m1", "m2"]
    );
    assert_eq!(globs(&[main]), ["m1", "m2"]);
    assert_eq!(
        globs(&[bare, first.clone(), second]),
        ["d2", "d1", "*/by-hash/*", "*.deb"]
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

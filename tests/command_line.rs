//! The command line as a person meets it: exit codes, and words that say what to do.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn cacheproxy(words: &[&str], home: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_cacheproxy"))
        .args(words)
        .env_clear()
        .env("HOME", home)
        .output()
        .unwrap()
}

#[test]
fn exit_codes_and_messages() {
    let home = tempfile::tempdir().unwrap();
    let path = |name: &str| home.path().join(name).display().to_string();
    let (good, bad, missing) = (path("good.toml"), path("bad.toml"), path("missing.toml"));
    let (no_directory, file_as_store) = (path("none"), path("file_as_store.toml"));
    fs::write(&good, format!("store_path = \"{}\"", home.path().display())).unwrap();
    fs::write(&file_as_store, format!("store_path = {good:?}")).unwrap();
    fs::write(&bad, "\nttl = \"soon\"").unwrap();
    let table: [(&[&str], i32, &str); 15] = [
        (&["--version"], 0, "cacheproxy 0."),
        (&["--help"], 0, "Usage: cacheproxy <COMMAND>"),
        (&["run", "--help"], 0, "Examples:"),
        (&[], 64, "Usage: cacheproxy <COMMAND>"),
        (&["serve"], 64, "unrecognized subcommand 'serve'"),
        (&["run", "--listen", "3128"], 64, "expected 127.0.0.1:3128"),
        (
            &["run", "--workers", "99"],
            64,
            "expected auto or a number from 1 to 16",
        ),
        (
            &[
                "run",
                "--store",
                "postgresql://u:secret@h/db?sslmod=require",
            ],
            78,
            "--store: at its byte 28: unknown parameter: did you mean \"sslmode\"?",
        ),
        (
            &["check", "--config", &file_as_store],
            69,
            "can't be used: ",
        ),
        (
            &["run", "--config", &bad],
            78,
            "bad.toml:2: ttl = \"soon\": expected \"heuristic\"",
        ),
        (&["check", "--config", &good], 0, "ok: "),
        (
            &["check", "--config", &bad],
            78,
            "bad.toml:2: ttl = \"soon\": expected \"heuristic\"",
        ),
        (
            &["check", "--config", &missing],
            78,
            "missing.toml: can't be read: there is no such file",
        ),
        (
            &["status", "--runtime-dir", &no_directory],
            69,
            "is it running?",
        ),
        (
            &["reload", "--runtime-dir", &no_directory],
            69,
            "is it running?",
        ),
    ];
    for (words, code, says) in table {
        let output = cacheproxy(words, home.path());
        let printed = [output.stdout, output.stderr].concat();
        let printed = String::from_utf8_lossy(&printed);
        assert_eq!(output.status.code(), Some(code), "{words:?}: {printed}");
        assert!(printed.contains(says), "{words:?}: {printed}");
        assert!(!printed.contains("secret"), "{words:?}: {printed}");
    }
}

#[test]
fn manual_pages_are_written() {
    let home = tempfile::tempdir().unwrap();
    let output = cacheproxy(&["man", &home.path().display().to_string()], home.path());
    assert!(output.status.success());
    for page in ["cacheproxy.1", "cacheproxy-run.1", "cacheproxy-check.1"] {
        assert!(home.path().join(page).exists(), "{page}");
    }
}

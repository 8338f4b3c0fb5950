//! `cacheproxy export` and `import`: what one proxy stored is a hit on another, and damage is refused.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use common::contents::{self, PATHS};
use common::proxy::{BINARY, command, said};
use common::{Proxy, TIMEOUT, pattern, wait_until};

fn perform(command: &str, proxy: &Proxy, file: &Path) -> Output {
    let dir = tempfile::tempdir().unwrap();
    self::command(dir.path())
        .arg(command)
        .arg(file)
        .arg("--config")
        .arg(proxy.config_path())
        .arg("--store")
        .arg(proxy.store())
        .arg("--runtime-dir")
        .arg(proxy.runtime_dir())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .output()
        .unwrap()
}

/// Exports, once so many responses are stored.
fn export(proxy: &Proxy, count: usize, file: &Path) {
    wait_until("all to be stored", TIMEOUT, || {
        let exported = perform("export", proxy, file);
        assert!(exported.status.success(), "{}", said(&exported));
        said(&exported).contains(&format!("exported {count} stored"))
    });
}

#[test]
fn what_one_proxy_stored_is_a_hit_on_another() {
    let origin = contents::origin();
    let (one, other) = (
        Proxy::start(""),
        Proxy::start("largest_object = \"4MiB\"\n"),
    );
    contents::fetch(&one, &origin);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("archive");
    export(&one, 6, &file);
    // What is as new in the other stays as it is.
    other.get(&origin.uri("/small"));
    export(&other, 1, &dir.path().join("other"));
    let imported = perform("import", &other, &file);
    assert!(imported.status.success(), "{}", said(&imported));
    for words in [
        "imported 4 stored",
        "; 1 left out, as the store has",
        "; 1 left out, as they are larger",
    ] {
        assert!(said(&imported).contains(words), "{}", said(&imported));
    }
    let before = origin.count();
    for (path, size) in &PATHS[..3] {
        let response = other.get(&origin.uri(path));
        assert_eq!(response.content, pattern(*size), "{path}");
    }
    for language in ["de", "en"] {
        let response = other.request(
            "GET",
            &origin.uri("/vary"),
            &format!("Accept-Language: {language}\r\n"),
        );
        assert_eq!(response.text(), language);
    }
    assert_eq!(origin.count(), before);
    let again = perform("import", &other, &file);
    assert!(
        said(&again).contains("imported 0 stored"),
        "{}",
        said(&again)
    );
}

#[test]
fn a_damaged_archive_is_refused_and_what_is_whole_is_kept() {
    let origin = contents::origin();
    let (one, other) = (Proxy::start(""), Proxy::start(""));
    for (path, _) in PATHS {
        one.get(&origin.uri(path));
    }
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("archive");
    export(&one, 4, &file);
    let whole = std::fs::read(&file).unwrap();
    let flipped = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        bytes
    };
    let large = whole
        .windows(8)
        .position(|bytes| bytes == b" 5000000")
        .unwrap();
    let rows = [
        (flipped(3), "no archive that `cacheproxy export` made"),
        (
            flipped(large + 600_000),
            "1 responses of the archive were damaged",
        ),
        (whole[..whole.len() - 1].to_vec(), "cut short"),
        (flipped(large), "the archive is damaged at byte"),
    ];
    for (bytes, words) in rows {
        std::fs::write(&file, bytes).unwrap();
        let imported = perform("import", &other, &file);
        assert_eq!(imported.status.code(), Some(65), "{}", said(&imported));
        assert!(said(&imported).contains(words), "{}", said(&imported));
    }
    let before = origin.count();
    for (path, size) in PATHS {
        assert_eq!(
            other.get(&origin.uri(path)).content,
            pattern(size),
            "{path}"
        );
    }
    assert_eq!(origin.count(), before, "whole ones are stored");
}

#[test]
fn without_a_proxy_and_through_a_pipe() {
    let origin = contents::origin();
    let mut proxy = Proxy::start("");
    proxy.get(&origin.uri("/middle"));
    proxy.stop();
    let dir = tempfile::tempdir().unwrap();
    let line = format!(
        "{BINARY} export --store {} | {BINARY} import --store {}",
        proxy.store().display(),
        dir.path().join("new").display()
    );
    let done = Command::new("sh").arg("-c").arg(&line).output().unwrap();
    assert!(
        said(&done).contains("imported 1 stored response"),
        "{}",
        said(&done)
    );
    let listed = Command::new(BINARY)
        .args(["list", "--store"])
        .arg(dir.path().join("new"))
        .output()
        .unwrap();
    assert!(said(&listed).contains("/middle"), "{}", said(&listed));
}

#[test]
fn an_exported_file_is_for_its_owner_alone() {
    let proxy = Proxy::start("");
    let origin = contents::origin();
    proxy.get(&origin.uri("/small"));
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let (file, other) = (path("archive"), path("other"));
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o7777;
    export(&proxy, 1, &file);
    assert_eq!(mode(&file), 0o600);
    // One that was there for all to read goes, with its other name and whoever has it open.
    fs::write(&file, "old").unwrap();
    fs::set_permissions(&file, Permissions::from_mode(0o666)).unwrap();
    fs::hard_link(&file, path("linked")).unwrap();
    export(&proxy, 1, &file);
    assert_eq!((mode(&file), mode(&path("linked"))), (0o600, 0o666));
    assert_eq!(fs::read(path("linked")).unwrap(), b"old");
    // Nothing is written through a link, nor to anything else that isn't a file.
    fs::write(&other, "other").unwrap();
    symlink(&other, path("link")).unwrap();
    symlink(path("nowhere"), path("dangling")).unwrap();
    for name in ["link", "dangling", ".", "/dev/null"] {
        let refused = perform("export", &proxy, &path(name));
        assert_eq!(
            refused.status.code(),
            Some(64),
            "{name}: {}",
            said(&refused)
        );
        assert!(
            said(&refused).contains("isn't a plain file"),
            "{}",
            said(&refused)
        );
    }
    assert_eq!(fs::read(&other).unwrap(), b"other");
    assert!(!path("nowhere").exists());
}

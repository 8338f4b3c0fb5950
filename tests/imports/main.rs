//! Holds what ARCHITECTURE.md says of the source's shape: who may use what, where unsafe code may be,
//! and how long a file may get, of tests too. It reads the text of the files under src/ and tests/.
#![allow(clippy::unwrap_used)]

mod circles;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src");
const TESTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests");

/// Each top-level module and the others that it may use.
const MAY_USE: [(&str, &[&str]); 10] = [
    ("http", &[]),
    ("cache", &["http"]),
    ("config", &["cache", "http"]),
    ("sys", &["http"]),
    ("store", &["sys", "cache", "http", "config"]),
    ("ipc", &["sys", "cache", "http", "config"]),
    (
        "supervisor",
        &["store", "ipc", "sys", "cache", "http", "config"],
    ),
    (
        "worker",
        &["store", "ipc", "sys", "cache", "http", "config"],
    ),
    (
        "cli",
        &[
            "supervisor",
            "worker",
            "store",
            "ipc",
            "sys",
            "cache",
            "http",
            "config",
        ],
    ),
    ("main", &["cli"]),
];

/// No file is longer.
const LONGEST: usize = 400;

/// All source files under a folder, with the path there and the text.
fn files(root: &str) -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    let mut folders = vec![PathBuf::from(root)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                files.push((path.strip_prefix(root).unwrap().to_owned(), text));
            }
        }
    }
    files.sort();
    assert!(!files.is_empty());
    files
}

/// The top-level module that a file is part of.
fn module_of(path: &Path) -> String {
    let first = path
        .components()
        .next()
        .unwrap()
        .as_os_str()
        .to_string_lossy()
        .into_owned();
    first.trim_end_matches(".rs").to_owned()
}

/// The text without comments, and without what is within string literals on one line.
fn code(text: &str) -> String {
    let without_comment = |line: &str| {
        let mut quoted = false;
        let mut kept = String::new();
        let mut chars = line.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '"' => quoted = !quoted,
                '\\' if quoted => {
                    chars.next();
                }
                '/' if !quoted && chars.peek() == Some(&'/') => break,
                _ if quoted => {}
                _ => kept.push(c),
            }
        }
        kept
    };
    text.lines()
        .map(without_comment)
        .collect::<Vec<_>>()
        .join("\n")
}

/// The top-level modules that follow `crate::` (or the crate's name) anywhere in the code.
fn used(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for prefix in ["crate::", "cacheproxy::"] {
        for (at, _) in code.match_indices(prefix) {
            let rest = &code[at + prefix.len()..];
            match rest.strip_prefix('{') {
                Some(group) => found.extend(group_heads(group)),
                None => found.extend(head(rest)),
            }
        }
    }
    found
}

/// The identifier at the start of a path.
fn head(path: &str) -> Option<String> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let word: String = path
        .trim_start()
        .chars()
        .take_while(|c| is_word(*c))
        .collect();
    (!word.is_empty()).then_some(word)
}

/// The first identifiers of the elements of a `{…}` group whose opening brace is already passed.
fn group_heads(group: &str) -> Vec<String> {
    let mut depth = 0_usize;
    let mut start = 0;
    let mut heads = Vec::new();
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                heads.extend(head(&group[start..at]));
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                heads.extend(head(&group[start..at]));
                start = at + 1;
            }
            _ => {}
        }
    }
    heads
}

#[test]
fn imports_point_down_only() {
    let modules: Vec<&str> = MAY_USE.iter().map(|row| row.0).collect();
    for (path, text) in files(SOURCE) {
        let module = module_of(&path);
        if module == "lib" {
            continue;
        }
        let may = MAY_USE.iter().find(|row| row.0 == module);
        let may =
            may.unwrap_or_else(|| panic!("{}: a module that isn't in the list", path.display()));
        for other in used(&code(&text)) {
            let allowed = other == module || may.1.contains(&other.as_str());
            assert!(
                allowed || !modules.contains(&other.as_str()),
                "{}: {module} may not use {other}",
                path.display()
            );
        }
    }
}

#[test]
fn the_reader_of_imports_sees_them() {
    let rows: [(&str, &[&str]); 6] = [
        ("use crate::http::date;", &["http"]),
        (
            "use crate::{cache::Key, http::{self, date}, sys};",
            &["cache", "http", "sys"],
        ),
        (
            "let a = crate::worker::serve(crate::store::x());",
            &["store", "worker"],
        ),
        ("use cacheproxy::cli;", &["cli"]),
        ("// use crate::worker;", &[]),
        (r#"let a = "crate::worker";"#, &[]),
    ];
    for (text, expected) in rows {
        let found: Vec<String> = used(&code(text)).into_iter().collect();
        assert_eq!(found, expected, "{text}");
    }
}

#[test]
fn unsafe_code_is_in_sys_only() {
    for (path, text) in files(SOURCE) {
        let module = module_of(&path);
        if module == "sys" {
            continue;
        }
        let code = code(&text);
        let words = code.split(|c: char| !(c.is_alphanumeric() || c == '_'));
        assert!(
            !words.clone().any(|word| word == "unsafe"),
            "{}",
            path.display()
        );
        let is_root =
            path.file_name().is_some_and(|name| name == "mod.rs") && path.components().count() == 2;
        if is_root {
            let forbids = text.contains("#![forbid(unsafe_code)]");
            assert!(
                forbids,
                "{}: forbid(unsafe_code) is missing",
                path.display()
            );
        }
    }
}

#[test]
fn every_file_says_what_it_is_for() {
    for (path, text) in files(SOURCE) {
        assert!(
            text.starts_with("//! "),
            "{}: begins without a //! doc",
            path.display()
        );
    }
}

#[test]
fn no_file_is_too_long() {
    let length = |text: &str| text.lines().count();
    let all = files(SOURCE).into_iter().chain(files(TESTS));
    let long = all.filter(|file| length(&file.1) > LONGEST);
    let long: Vec<_> = long.map(|(path, text)| (path, length(&text))).collect();
    assert!(long.is_empty(), "more than {LONGEST} lines: {long:?}");
}

//! Hostile requests and responses, sent raw to the whole binary, and what the scripted peer on the other
//! side got of them. A row names its clause; what passes must pass as exactly the listed requests, what is
//! refused must reach nobody, and the next request or response is read right in either case.
//!
//! Rows are text, `clause | what | outcome | bytes`, in the .txt files. In the bytes `\r`, `\n`, `\t`, `\0`,
//! `\\` and `\xNN` are octets, and `{300 x}` is 300 times `x`; `{a}` is the origin's authority, `{u}` its
//! URI `/`, `{o}` another origin's authority, `{get}` and `{post}` a request's first two lines, `{c}` the
//! head of a POST with chunked content, `{pause}` a moment, `{close}` the end of the connection.
#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;
mod requests;
mod responses;

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::Mutex;

/// One row of a table.
struct Row {
    name: String,
    outcome: String,
    bytes: String,
}

/// The rows of a table's text.
fn rows(text: &str) -> VecDeque<Row> {
    let lines = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    let row = |line: &str| {
        let mut parts = line.splitn(4, " | ");
        let mut part = || {
            parts
                .next()
                .unwrap_or_else(|| panic!("too few parts: {line}"))
        };
        let (clause, what) = (part(), part());
        Row {
            name: format!("{clause}: {what}"),
            outcome: part().to_owned(),
            bytes: part().to_owned(),
        }
    };
    lines.map(row).collect()
}

/// Checks all rows, several at a time because most of it is waiting, and tells of all that fail.
fn each(rows: VecDeque<Row>, check: impl Fn(&Row) + Sync) {
    assert!(rows.len() > 50, "the table has its rows");
    let rows = Mutex::new(rows);
    let failed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                loop {
                    let Some(row) = rows.lock().unwrap().pop_front() else {
                        return;
                    };
                    if std::panic::catch_unwind(AssertUnwindSafe(|| check(&row))).is_err() {
                        failed.lock().unwrap().push(row.name);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(
        failed.is_empty(),
        "{} rows failed: {failed:#?}",
        failed.len()
    );
}

/// Replaces `{300 x}` by 300 times `x`, the innermost first.
fn repeated(mut text: String) -> String {
    let begins = |text: &str| {
        let at = |(at, _): &(usize, &str)| text[at + 1..].starts_with(|c: char| c.is_ascii_digit());
        text.rmatch_indices('{').find(at).map(|(at, _)| at)
    };
    while let Some(start) = begins(&text) {
        let end = start + text[start..].find('}').expect("a closing brace");
        let (count, what) = text[start + 1..end]
            .split_once(' ')
            .expect("a count and a text");
        let run = what.repeat(count.parse().expect("a count"));
        text.replace_range(start..=end, &run);
    }
    text
}

/// The octets that an escaped text stands for.
fn octets(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        bytes.push(match rest.next() {
            Some(b'r') => b'\r',
            Some(b'n') => b'\n',
            Some(b't') => b'\t',
            Some(b'0') => 0,
            Some(b'\\') => b'\\',
            Some(b'x') => {
                let digits = [rest.next().unwrap(), rest.next().unwrap()];
                u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
            }
            other => panic!("an unknown escape: {other:?}"),
        });
    }
    bytes
}

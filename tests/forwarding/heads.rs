//! Long heads: as much of them as the settings allow passes both ways, and is stored.

use crate::common::long_heads::{long_heads_are_stored, numbered};
use crate::common::origin::ok;
use crate::common::{Client, Origin, Proxy, each};

#[test]
fn long_heads_pass_both_ways_and_are_stored() {
    long_heads_are_stored(Proxy::start(""), || {});
}

#[test]
fn settings_limit_heads() {
    let proxy = Proxy::start(
        "max_header_line = \"1KiB\"\nmax_header_size = \"4KiB\"\nmax_header_fields = 20\n",
    );
    let origin = Origin::answering(|request| {
        let length = request.head.first("length").unwrap_or("0");
        let lines = request.head.first("lines").unwrap_or("0");
        let value = "v".repeat(length.parse().unwrap());
        ok(
            &format!("X: {value}\r\n{}", numbered(lines.parse().unwrap())),
            "ok",
        )
    });
    let rows = [
        (
            "a target",
            "/".to_owned() + &"t".repeat(900),
            String::new(),
            200,
        ),
        (
            "a longer target",
            "/".to_owned() + &"t".repeat(1024),
            String::new(),
            414,
        ),
        (
            "a line",
            "/a".into(),
            format!("X: {}\r\n", "x".repeat(1021)),
            200,
        ),
        (
            "a longer line",
            "/b".into(),
            format!("X: {}\r\n", "x".repeat(1022)),
            431,
        ),
        ("lines", "/c".into(), numbered(17), 200),
        ("more lines", "/d".into(), numbered(20), 431),
        (
            "a head",
            "/e".into(),
            format!("X: {}\r\n", "x".repeat(900)).repeat(4),
            200,
        ),
        (
            "a longer head",
            "/f".into(),
            format!("X: {}\r\n", "x".repeat(900)).repeat(5),
            431,
        ),
        (
            "a line of a response",
            "/g".into(),
            "Length: 1021\r\n".into(),
            200,
        ),
        (
            "a longer line of a response",
            "/h".into(),
            "Length: 1022\r\n".into(),
            502,
        ),
        (
            "lines of a response",
            "/i".into(),
            "Lines: 17\r\n".into(),
            200,
        ),
        (
            "more lines of a response",
            "/j".into(),
            "Lines: 21\r\n".into(),
            502,
        ),
    ];
    each(rows, |(what, path, fields, expected)| {
        let response = Client::of(&proxy).request("GET", &origin.uri(&path), &fields);
        assert_eq!(response.status, expected, "{what}: {}", response.text());
    });
}

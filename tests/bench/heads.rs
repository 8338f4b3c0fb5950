//! The time that rules take for heads of the largest size, and of an eighth of it: eight times the bytes may take some
//! eight times as long, never sixty-four times. `cargo bench --bench heads` prints both and their ratio.
#![allow(missing_docs)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};

use cacheproxy::cache::directives::{RequestDirectives, ResponseDirectives, TargetList};
use cacheproxy::cache::stored::storable;
use cacheproxy::cache::{range, validation, vary};
use cacheproxy::http::chunked::write_last;
use cacheproxy::http::connection::HopByHop;
use cacheproxy::http::fields::Fields;
use cacheproxy::http::forward::via_has_loop;
use cacheproxy::http::head::{Method, RequestHead, Version};
use cacheproxy::http::parse::{HeadLimits, SectionScan, parse_response};
use cacheproxy::http::validator::{EntityTag, EntityTags};

/// The lines of one field of many members, to so many bytes.
fn list(name: &str, wrap: [&str; 2], members: &[String], bytes: usize) -> Vec<(String, String)> {
    let mut lines = vec![(name.to_owned(), String::new())];
    let mut left = bytes;
    for member in members.iter().cycle() {
        if left < member.len() + 1 {
            break;
        }
        left -= member.len() + 1;
        if lines.last().is_none_or(|(_, line)| line.len() > 50_000) {
            lines.push((name.to_owned(), String::new()));
        }
        if let Some((_, line)) = lines.last_mut() {
            line.push_str(if line.is_empty() { "" } else { "," });
            line.push_str(member);
        }
    }
    let wrapped = lines.into_iter();
    wrapped
        .map(|(name, line)| (name, [wrap[0], &line, wrap[1]].concat()))
        .collect()
}

/// A head whose size is an eighth of this many eighths of the largest: half a list, half other fields.
fn head(name: &str, wrap: [&str; 2], member: fn(usize) -> String, eighths: usize) -> Fields {
    let members: Vec<String> = (0..20_000).map(member).collect();
    let mut lines = list(name, wrap, &members, eighths * 24_000);
    lines.extend((0..eighths * 100).map(|number| (format!("X-Field-{number}"), "1".to_owned())));
    let lines = lines.iter();
    lines
        .map(|(name, value)| (name.as_bytes(), value.as_bytes()))
        .collect()
}

type Rule = fn(&Fields);
/// The field, what stands around each line of members, a member, and the rule that reads them.
type Row = (&'static str, [&'static str; 2], fn(usize) -> String, Rule);

fn request(fields: &Fields) -> RequestHead {
    RequestHead {
        method: Method::Get,
        target: Bytes::from_static(b"/"),
        version: Version::Http11,
        fields: fields.clone(),
    }
}

const NONE: TargetList = TargetList::NONE;

fn main() {
    let name: fn(usize) -> String = |number| format!("n{number:x}");
    let one: fn(usize) -> String = |_| "a".to_owned();
    let tag: fn(usize) -> String = |number| format!("\"{number:x}\"");
    let weighed: fn(usize) -> String = |number| format!("x{number:x};q=0.5");
    #[rustfmt::skip]
    let table: &[Row] = &[
        ("Connection", ["", ""], name, |fields| { black_box(storable(fields, &NONE)); }),
        ("Connection", ["", ""], one, |fields| {
            let hop = HopByHop::of(fields);
            black_box(fields.iter().filter(|(name, _)| hop.drops(name)).count());
        }),
        ("Cache-Control", ["private=\"", "\""], name, |fields| { black_box(storable(fields, &NONE)); }),
        ("Cache-Control", ["no-cache=\"", "\""], one, |fields| { black_box(storable(fields, &NONE)); }),
        ("Cache-Control", ["", ""], name, |fields| {
            black_box((RequestDirectives::of(fields), ResponseDirectives::of(fields, &NONE)));
        }),
        ("Cache-Control", ["", ""], |_| "private=a".to_owned(), |fields| {
            black_box((ResponseDirectives::of(fields, &NONE), storable(fields, &NONE)));
        }),
        ("X", ["", ""], name, |fields| { black_box(validation::update(fields, fields, &NONE)); }),
        ("Vary", ["", ""], name, |fields| { black_box(vary::names(fields)); }),
        ("Vary", ["", ""], one, |fields| { black_box(vary::names(fields)); }),
        ("Accept-Encoding", ["", ""], weighed, |fields| { black_box(vary::variant_of(&["accept-encoding"], fields)); }),
        ("Accept-Language", ["", ""], one, |fields| { black_box(vary::variant_of(&["accept-language"], fields)); }),
        ("If-None-Match", ["", ""], tag, |fields| {
            let (tags, ours) = (EntityTags::of(fields, "if-none-match"), EntityTag::parse(b"\"x\""));
            black_box(tags.zip(ours).map(|(tags, ours)| tags.weak_match(&ours)));
        }),
        ("If-None-Match", ["", ""], |_| "\"a\"  x".to_owned(), |fields| {
            black_box(EntityTags::of(fields, "if-none-match"));
        }),
        ("Via", ["", ""], |_| "1.1 a".to_owned(), |fields| { black_box(via_has_loop(fields, "me")); }),
        ("Range", ["bytes=", ""], |number| format!("{number}-{number}"), |fields| {
            black_box(range::is_there(&request(fields), None, 5));
        }),
        ("X", ["", ""], name, |fields| { write_last(&mut BytesMut::new(), fields); }),
        // A folded line of this size.
        ("X", ["", ""], name, |fields| {
            let folds = b"\r\n c".repeat(fields.text().len() / 4);
            let mut head = BytesMut::from(&b"HTTP/1.1 200 OK\r\nA: b"[..]);
            head.extend_from_slice(&[&folds, &b"\r\n\r\n"[..]].concat());
            assert!(parse_response(&mut head, &mut SectionScan::default(), &HeadLimits::default()).is_ok());
        }),
    ];
    for (field, wrap, member, rule) in table {
        let [small, large] = [1, 8].map(|eighths| head(field, *wrap, *member, eighths));
        let [small, large] = [small, large].map(|fields| least(|| rule(&fields)));
        let ratio = large.as_secs_f64() / small.as_secs_f64();
        let example = format!("{field}: {}{}", wrap[0], member(1));
        println!("{small:>12.1?} {large:>12.1?} {ratio:>6.1}  {example:?}");
    }
}

/// The least time of many.
fn least(rule: impl Fn()) -> Duration {
    let times = (0..50).map(|_| {
        let begun = Instant::now();
        rule();
        begun.elapsed()
    });
    times.min().unwrap_or_default()
}

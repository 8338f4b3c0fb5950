//! The texts that decisions are read from: Cache-Control, dates, validators; and the configuration.

use std::path::PathBuf;

use cacheproxy::cache::directives::{RequestDirectives, ResponseDirectives, TargetList};
use cacheproxy::cache::parts::{self, HeldParts, Lacking, PartUse};
use cacheproxy::cache::range::{self, ByteRange, Selection};
use cacheproxy::cache::vary;
use cacheproxy::config::encoding::{decode, encode};
use cacheproxy::config::parse::parse;
use cacheproxy::config::text::{ConfigText, Role};
use cacheproxy::http::date;
use cacheproxy::http::fields::Fields;
use cacheproxy::http::head::{Method, RequestHead, ResponseHead, Version};
use cacheproxy::http::syntax::elements;
use cacheproxy::http::validator::{EntityTag, EntityTags};

use crate::fuzz;

const TOKENS: &[&[u8]] = &[
    b"max-age=",
    b"s-maxage=",
    b"no-cache=\"a, b\"",
    b"private",
    b"stale-while-revalidate=1",
    b"4294967296",
    b"99999999999999999999",
    b"W/\"a\"",
    b"\\\"",
    b" GMT",
    b"Sun, 06 Nov 1994 08:49:37 GMT",
];

#[test]
fn cache_fields() {
    fuzz("fields", Vec::new(), TOKENS, |input| {
        let two = input.split_at(input.len() / 2);
        let all = [two.0, two.1, input];
        let names: [&[u8]; 5] = [
            b"Cache-Control",
            b"CDN-Cache-Control",
            b"Vary",
            b"If-None-Match",
            b"Pragma",
        ];
        let lines = names
            .iter()
            .flat_map(|name| all.map(|value| (*name, value)));
        let fields: Fields = lines.collect();
        for targets in [Vec::new(), vec!["CDN-Cache-Control".to_owned()]] {
            let targets = TargetList::new(targets);
            let once = ResponseDirectives::of(&fields, &targets);
            assert_eq!(once, ResponseDirectives::of(&fields, &targets));
        }
        let _ = RequestDirectives::of(&fields);
        if let Some(names) = vary::names(&fields) {
            let variant = vary::variant_of(&names, &fields);
            assert_eq!(variant.text(), vary::variant_of(&names, &fields).text());
        }
        for element in elements(input) {
            assert!(!element.is_empty(), "no empty element");
        }
        if let Some(tag) = EntityTag::parse(input) {
            assert!(tag.weak_eq(&tag), "a tag is itself");
        }
        EntityTags::of(&fields, "if-none-match").is_some()
    });
}

/// Range on the first line, Content-Range on the second: what they select lies where they say.
#[test]
fn ranges() {
    let tokens: &[&[u8]] = &[
        b"bytes=",
        b"bytes ",
        b"0-",
        b"-1",
        b"18446744073709551615",
        b"/*",
    ];
    fuzz("ranges", Vec::new(), tokens, |input| {
        let mut lines = input.splitn(2, |byte| *byte == b'\n');
        let mut line = || lines.next().unwrap_or_default();
        let request = RequestHead {
            method: Method::Get,
            target: "http://a.example/".into(),
            version: Version::Http11,
            fields: [(&b"Range"[..], line())].into_iter().collect(),
        };
        let tag = (&b"ETag"[..], &b"\"a\""[..]);
        let response = ResponseHead {
            status: 206,
            version: Version::Http11,
            reason: "Partial Content".into(),
            fields: [(&b"Content-Range"[..], line()), tag].into_iter().collect(),
            has_lost_field: false,
        };
        let mut selected = false;
        for length in [0, 1, 100, u64::MAX] {
            let parts = match range::select(&request, 200, &response.fields, length) {
                Selection::Part(part) => vec![part],
                Selection::Parts(parts) => parts,
                Selection::Whole | Selection::Unsatisfiable => continue,
            };
            selected = true;
            assert!(parts.len() <= range::MOST);
            assert!(
                parts
                    .iter()
                    .all(|part| part.len > 0 && part.end() <= length)
            );
            let apart = |one: &ByteRange, other: &ByteRange| {
                one == other || one.end() < other.first || other.end() < one.first
            };
            assert!(
                parts
                    .iter()
                    .all(|one| parts.iter().all(|other| apart(one, other)))
            );
        }
        for content in [1, 10, u64::MAX] {
            let Some(held) = parts::received(&response, Some(content)) else {
                continue;
            };
            selected = true;
            assert!(held.part.len == content && held.part.end() <= held.length);
            // One byte in the middle of what is lacking is held too.
            let between = held.part.end().midpoint(held.length);
            let more = (between < held.length).then_some(ByteRange {
                first: between,
                len: 1,
            });
            let held = HeldParts::new([held.part].into_iter().chain(more), held.length);
            if let PartUse::Ask(lacking) = parts::part_use(&request, &held, &response.fields, true)
            {
                let Lacking { of, first, then } = lacking;
                for more in [Some(first), then].into_iter().flatten() {
                    assert!(more.len > 0 && of.first <= more.first && more.end() <= of.end());
                }
                assert!(then.is_none_or(|then| first.end() < then.first));
                assert!(lacking.amount() < of.len && of.end() <= held.length());
            }
        }
        selected
    });
}

#[test]
fn dates() {
    fuzz("date", Vec::new(), TOKENS, |input| {
        let now = 1_700_000_000;
        let near = date::parse_at(input, now);
        let Some(at) = date::parse(input) else {
            return false;
        };
        assert_eq!(date::parse(&date::format(at)), Some(at), "written anew");
        let near = near.map(|near| (near, date::parse(&date::format(near))));
        assert!(near.is_none_or(|(near, again)| again == Some(near)));
        true
    });
}

#[test]
fn configurations() {
    let shipped = include_bytes!("../../packaging/cacheproxy.toml").to_vec();
    fuzz(
        "config",
        vec![shipped],
        &[b"\"\"\"", b"[[rule]]\n", b"[timeouts]\n", b"-1", b"1e999"],
        |input| {
            // Bytes that came over the channel, and the text of a file.
            let _ = decode(input);
            let Ok(toml) = std::str::from_utf8(input) else {
                return false;
            };
            let text = ConfigText {
                role: Role::Main,
                path: PathBuf::from("fuzz.toml"),
                toml: toml.to_owned(),
            };
            let texts = [text];
            let parsed = parse(&texts);
            let sent = decode(&encode(&texts, 3));
            assert_eq!(parsed.is_ok(), sent.is_ok(), "sent over the channel");
            match parsed {
                Ok(mut settings) => {
                    settings.workers = 3;
                    assert_eq!(format!("{settings:?}"), format!("{:?}", sent.unwrap()));
                    true
                }
                Err(error) => {
                    assert!(!error.to_string().is_empty(), "it says why");
                    false
                }
            }
        },
    );
}

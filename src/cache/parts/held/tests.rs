//! The use of stored parts as tables, one row per clause (RFC 9111 §3.3, §3.4).

use super::*;
use crate::cache::testing::{fields, request};

const MIB: u64 = 1 << 20;

fn part(first: u64, len: u64) -> ByteRange {
    ByteRange { first, len }
}

fn held(first: u64, len: u64, length: u64) -> HeldParts {
    HeldParts::new([part(first, len)], length)
}

/// A use, with the ranges that are asked for.
#[derive(Debug, PartialEq, Eq)]
enum Use {
    Answer,
    Validate,
    Ask(ByteRange, Option<ByteRange>),
    Nothing,
}

fn ask(first: u64, len: u64) -> Use {
    Use::Ask(part(first, len), None)
}

fn both(first: (u64, u64), then: (u64, u64)) -> Use {
    Use::Ask(part(first.0, first.1), Some(part(then.0, then.1)))
}

fn use_of(held: &HeldParts, lines: &[(&str, &str)], ours: &Fields, fresh: bool) -> Use {
    match part_use(&request("GET", lines), held, ours, fresh) {
        PartUse::Answer => Use::Answer,
        PartUse::Validate => Use::Validate,
        PartUse::Ask(lacking) => {
            let Lacking { of, first, then } = lacking;
            // All else is held, and the ranges lie within it in order.
            let asked = [Some(first), then].into_iter().flatten();
            let filled = HeldParts::new(held.runs.iter().copied().chain(asked), held.length);
            assert!(filled.has(of), "{held:?} {lines:?}");
            let after = then.map_or(of.end(), |then| then.first);
            assert!(
                of.first <= first.first && first.end() <= after,
                "{held:?} {lines:?}"
            );
            Use::Ask(first, then)
        }
        PartUse::Nothing => Use::Nothing,
    }
}

#[test]
fn what_stored_parts_are_good_for() {
    let (begin, middle, end) = (held(0, 50, 100), held(25, 50, 100), held(50, 50, 100));
    let of = |parts: &[(u64, u64)]| {
        HeldParts::new(parts.iter().map(|(first, len)| part(*first, *len)), 100)
    };
    let whole = of(&[(70, 30), (0, 40), (30, 40)]);
    let touching = of(&[(0, 10), (10, 10), (15, 15)]);
    let apart = of(&[(0, 20), (40, 20), (90, 10)]);
    let many = of(&[(0, 10), (20, 1), (40, 20), (69, 1), (90, 10)]);
    #[rustfmt::skip]
    let table: &[(&HeldParts, &[(&str, &str)], bool, Use)] = &[
        // RFC 9111 §3.3: ranges wholly within it
        (&begin, &[("Range", "bytes=0-49")], true, Use::Answer),
        (&middle, &[("Range", "bytes=30-40")], true, Use::Answer),
        (&end, &[("Range", "bytes=-50")], true, Use::Answer),
        (&end, &[("Range", "bytes=50-")], true, Use::Answer),
        (&begin, &[("Range", "bytes=0-1,40-49")], true, Use::Answer),
        (&begin, &[("Range", "bytes=0-1,40-50")], true, Use::Nothing),
        (&begin, &[("Range", "bytes=100-")], true, Use::Answer),
        (&begin, &[("Range", "bytes=0-49"), ("If-Range", "\"a\"")], true, Use::Answer),
        // a stale one is validated first
        (&begin, &[("Range", "bytes=0-49")], false, Use::Validate),
        (&begin, &[("Range", "bytes=0-1,40-49")], false, Use::Validate),
        (&begin, &[("Range", "bytes=100-")], false, Use::Validate),
        (&begin, &[("Range", "bytes=0-49"), ("If-Range", "\"a\"")], false, Use::Nothing),
        // §3.3: completed by a range request
        (&begin, &[], true, ask(50, 50)),
        (&begin, &[], false, ask(50, 50)),
        (&end, &[], true, ask(0, 50)),
        (&middle, &[], true, both((0, 25), (75, 25))),
        (&middle, &[], false, both((0, 25), (75, 25))),
        (&middle, &[("Range", "bytes=0-")], true, both((0, 25), (75, 25))),
        (&begin, &[("Range", "bytes=1-0")], true, ask(50, 50)),
        (&begin, &[("Range", "bytes=0-49"), ("If-Range", "\"b\"")], true, ask(50, 50)),
        // §3.4: what the range lacks
        (&begin, &[("Range", "bytes=40-")], true, ask(50, 50)),
        (&begin, &[("Range", "bytes=40-59")], true, ask(50, 10)),
        (&begin, &[("Range", "bytes=50-59")], true, ask(50, 10)),
        (&begin, &[("Range", "bytes=51-59")], true, Use::Nothing),
        (&end, &[("Range", "bytes=40-59")], true, ask(40, 10)),
        (&end, &[("Range", "bytes=40-49")], true, ask(40, 10)),
        (&end, &[("Range", "bytes=40-48")], true, Use::Nothing),
        (&end, &[("Range", "bytes=-60")], true, ask(40, 10)),
        (&middle, &[("Range", "bytes=70-79")], true, ask(75, 5)),
        (&middle, &[("Range", "bytes=20-30")], true, ask(20, 5)),
        (&middle, &[("Range", "bytes=20-80")], true, both((20, 5), (75, 6))),
        (&middle, &[("Range", "bytes=-76")], true, both((24, 1), (75, 25))),
        (&middle, &[("Range", "bytes=75-80")], true, ask(75, 6)),
        (&middle, &[("Range", "bytes=76-80")], true, Use::Nothing),
        (&middle, &[("Range", "bytes=0-24")], true, ask(0, 25)),
        (&middle, &[("Range", "bytes=0-23")], true, Use::Nothing),
        (&middle, &[("Range", "bytes=0-1,70-80")], true, Use::Nothing),
        (&whole, &[], true, Use::Answer),
        (&whole, &[], false, Use::Validate),
        (&whole, &[("Range", "bytes=0-")], true, Use::Answer),
        // several parts: within what touches, in one place or two
        (&touching, &[("Range", "bytes=10-29")], true, Use::Answer),
        (&touching, &[("Range", "bytes=10-30")], true, ask(30, 1)),
        (&apart, &[("Range", "bytes=0-19,40-59,90-99")], true, Use::Answer),
        (&apart, &[("Range", "bytes=0-19,40-60")], true, Use::Nothing),
        (&apart, &[("Range", "bytes=10-49")], true, ask(20, 20)),
        (&apart, &[("Range", "bytes=20-39")], true, ask(20, 20)),
        (&apart, &[("Range", "bytes=21-39")], true, ask(21, 19)),
        (&apart, &[("Range", "bytes=25-30")], true, Use::Nothing),
        (&apart, &[("Range", "bytes=30-69")], true, both((30, 10), (60, 10))),
        (&apart, &[], true, both((20, 20), (60, 30))),
        (&apart, &[], false, both((20, 20), (60, 30))),
        (&apart, &[("Range", "bytes=0-")], true, both((20, 20), (60, 30))),
        (&apart, &[("Range", "bytes=50-69")], false, ask(60, 10)),
        // lacking in many places: the least is asked for again
        (&many, &[], true, both((10, 30), (60, 30))),
        (&many, &[("Range", "bytes=5-")], true, both((10, 30), (60, 30))),
        (&many, &[("Range", "bytes=0-69")], true, both((10, 30), (60, 9))),
        (&many, &[("Range", "bytes=0-39")], true, both((10, 10), (21, 19))),
    ];
    let tag = fields(&[("ETag", "\"a\"")]);
    for (held, lines, fresh, expected) in table {
        let got = use_of(held, lines, &tag, *fresh);
        assert_eq!(got, *expected, "{held:?} {lines:?} {fresh}");
        if lines.iter().any(|(name, _)| *name == "If-Range") {
            continue;
        }
        // Without a strong validator nothing is added to them.
        let weak = fields(&[("ETag", "W/\"a\"")]);
        let got = use_of(held, lines, &weak, *fresh);
        let is_asked = matches!(expected, Use::Ask(..));
        let expected = if is_asked { &Use::Nothing } else { expected };
        assert_eq!(got, *expected, "{held:?} {lines:?} {fresh}");
    }
}

/// Beyond what is wanted little is copied, or little beside what is asked for where that makes it whole.
#[test]
fn a_long_part_is_not_copied_for_a_little_more() {
    let all = 100 * MIB;
    let from = |first: u64| part(first, all - first);
    #[rustfmt::skip]
    let table = [
        (MIB, "bytes=1048576-1048576", Some((part(0, MIB + 1), part(MIB, 1)))),
        (MIB + 8, "bytes=1048584-1048584", None),
        (8 * MIB, "bytes=8388608-9437183", None),
        // what is wanted of it is copied
        (8 * MIB, "bytes=8388600-9437183", Some((part(8 * MIB - 8, MIB + 8), part(8 * MIB, MIB)))),
        // it becomes whole
        (8 * MIB, "bytes=8388608-", Some((part(0, all), from(8 * MIB)))),
        (90 * MIB, "bytes=94371840-", None),
        (all - 1, "bytes=-1", None),
        (all - 1, "bytes=-2", Some((from(all - 2), from(all - 1)))),
        (all - 1, "bytes=0-", Some((part(0, all), from(all - 1)))),
    ];
    for (len, range, expected) in table {
        let request = request("GET", &[("Range", range)]);
        let fields = fields(&[("ETag", "\"a\"")]);
        let got = part_use(&request, &held(0, len, all), &fields, true);
        let then = None;
        let expected = expected.map_or(PartUse::Nothing, |(of, first)| {
            PartUse::Ask(Lacking { of, first, then })
        });
        assert_eq!(got, expected, "{len} {range}");
    }
}

#[test]
fn what_is_asked_for_makes_all() {
    let (of, first, then) = (part(10, 50), part(20, 5), Some(part(40, 10)));
    let lacking = Lacking { of, first, then };
    let makes = |first, len| PartialContent {
        part: part(first, len),
        length: 100,
    };
    assert_eq!(lacking.amount(), 15);
    let gap = lacking.first_gap(100);
    assert_eq!((gap.asked, gap.makes), (first, makes(10, 30)));
    let gap = lacking.second_gap(100).unwrap();
    assert_eq!((gap.asked, gap.makes), (part(40, 10), makes(10, 50)));
    let lacking = Lacking {
        then: None,
        ..lacking
    };
    assert_eq!(lacking.amount(), 5);
    assert_eq!(lacking.first_gap(100).makes, makes(10, 50));
    assert_eq!(lacking.second_gap(100), None);
}

#[test]
fn what_is_held_from_first_to_last() {
    let of = |parts: &[(u64, u64)]| {
        HeldParts::new(parts.iter().map(|(first, len)| part(*first, *len)), 100)
    };
    assert_eq!(of(&[]).extent(), None);
    let held = of(&[(50, 10), (10, 5), (12, 8)]);
    assert_eq!(
        held.extent().map(|it| (it.part, it.length)),
        Some((part(10, 50), 100))
    );
    assert_eq!(held.runs(), [part(10, 10), part(50, 10)]);
}

//! Plans for versioned files.

use super::*;

/// A part of a versioned file is validated behind its answer, as all of it is.
#[test]
fn a_part_of_a_versioned_file() {
    use crate::cache::policy::{RuleFreshness, RuleTtl};
    let policy = Policy {
        rule: Some(RuleFreshness::Versioned(RuleTtl::VERSIONED)),
        ..Policy::default()
    };
    #[rustfmt::skip]
    let table: &[(&str, bool, Option<u64>, &[(&str, &str)], Behind)] = &[
        ("200000", false, None, &[], Behind::Validate),
        ("200000", false, Some(90_000), &[], Behind::Validate),
        ("200000", false, Some(60), &[], Behind::Nothing),
        ("200000", true, None, &[], Behind::Nothing),
        ("200000", false, None, &[("Cache-Control", "only-if-cached")], Behind::Nothing),
        ("5", false, None, &[], Behind::Nothing),
    ];
    for (age, origin_hangs, validated, lines, expected) in table {
        let lines = [&[("Range", "bytes=60-69")], *lines].concat();
        let head = request("GET", &lines);
        let meta = stored(206, &[("Age", age), ("ETag", "\"a\"")]);
        let facts = Facts::of(&meta, &policy);
        let presented = Presented {
            head: &head,
            directives: RequestDirectives::of(&head.fields),
            bypass: None,
            is_local: false,
            remembered: Remembered {
                asked: Some(NOW.seconds()),
                validated: validated.map(|span| NOW.seconds() - span),
            },
            origin_hangs: *origin_hangs,
        };
        let part = Candidate {
            facts: &facts,
            fields: &meta.fields,
            local: false,
        };
        let held = HeldParts::new([SECOND_HALF.part], SECOND_HALF.length);
        let candidates = Candidates {
            parts: Some((part, &held)),
            ..Candidates::default()
        };
        let Plan::Answer(reused) = plan(&presented, &candidates, NOW) else {
            panic!("{age} {lines:?}");
        };
        assert_eq!(reused.from, CandidateSource::Parts);
        assert_eq!(reused.behind, *expected, "{age} {validated:?} {lines:?}");
    }
}

/// What is whole but not yet in the store is as what is stored.
#[test]
fn asking_again_is_of_what_is_on_its_way_into_the_store_too() {
    let head = request("GET", &[]);
    let (facts, fields) = response(FRESH);
    let facts = Facts {
        versioned: true,
        ..facts
    };
    for (asked, is_whole, expected) in [
        (None, true, true),
        (Some(NOW.seconds() - 5), true, false),
        (Some(NOW.seconds() - 5), false, true),
    ] {
        let presented = Presented {
            head: &head,
            directives: RequestDirectives::of(&head.fields),
            bypass: None,
            is_local: false,
            remembered: Remembered {
                asked,
                validated: None,
            },
            origin_hangs: false,
        };
        let candidates = Candidates {
            stored: None,
            other_variants: false,
            parts: None,
            growing: Some(Growing {
                facts: &facts,
                selected: Selected {
                    status: 200,
                    fields: &fields,
                    response_time: NOW,
                },
                length: Some(100),
                ready: if is_whole { 100 } else { 50 },
                is_whole,
            }),
        };
        let got = plan(&presented, &candidates, NOW);
        let is_answered = got == answers(CandidateSource::Growing, 60);
        assert_eq!(is_answered, expected, "{asked:?} {is_whole}: {got:?}");
    }
}

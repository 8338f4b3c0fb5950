//! Plans as tables: a request, what there is, and what becomes of it.

mod versioned;

use super::*;
use crate::cache::parts::PartialContent;
use crate::cache::policy::Policy;
use crate::cache::range::ByteRange;
use crate::cache::testing::{NOW, request, stored};

const FRESH: &str = "max-age=60";
const STALE: &str = "max-age=0";

/// Facts and fields of a response with an ETag and this Cache-Control.
fn response(cache_control: &str) -> (Facts, Fields) {
    let meta = stored(200, &[("Cache-Control", cache_control), ("ETag", "\"a\"")]);
    (Facts::of(&meta, &Policy::default()), meta.fields)
}

/// The candidates, of 100 bytes: each by its Cache-Control; "" is none.
struct There {
    stored: &'static str,
    local: bool,
    part: &'static str,
    /// The first bytes that are there of what grows.
    growing: (&'static str, u64),
    /// Its length, if that is known.
    length: Option<u64>,
    method: &'static str,
    origin_hangs: bool,
}

const NOTHING: There = There {
    stored: "",
    local: false,
    part: "",
    growing: ("", 0),
    length: None,
    method: "GET",
    origin_hangs: false,
};

/// What the stored part has.
const SECOND_HALF: PartialContent = PartialContent {
    part: ByteRange { first: 50, len: 50 },
    length: 100,
};

fn planned(lines: &[(&str, &str)], there: &There, bypassed_by_rule: bool) -> Plan {
    let head = request(there.method, lines);
    let presented = Presented {
        head: &head,
        directives: RequestDirectives::of(&head.fields),
        bypass: bypassed_by_rule.then_some(Bypass::Rule),
        is_local: false,
        remembered: Remembered::default(),
        origin_hangs: there.origin_hangs,
    };
    let some = |cache_control: &str| (!cache_control.is_empty()).then(|| response(cache_control));
    let (whole, part, growing) = (some(there.stored), some(there.part), some(there.growing.0));
    let candidate = |(facts, fields)| Candidate {
        facts,
        fields,
        local: there.local,
    };
    let held = HeldParts::new([SECOND_HALF.part], SECOND_HALF.length);
    let candidates = Candidates {
        stored: whole
            .as_ref()
            .map(|(facts, fields)| candidate((facts, fields))),
        other_variants: false,
        parts: (part.as_ref()).map(|(facts, fields)| (candidate((facts, fields)), &held)),
        growing: growing.as_ref().map(|(facts, fields)| Growing {
            facts,
            selected: Selected {
                status: 200,
                fields,
                response_time: NOW,
            },
            length: there.length,
            ready: there.growing.1,
            is_whole: there.growing.1 == 100,
        }),
    };
    plan(&presented, &candidates, NOW)
}

fn range(first: u64, len: u64) -> ByteRange {
    ByteRange { first, len }
}

/// The age and the freshness left of what was stale when it came.
const NOTHING_LEFT: (Duration, FreshnessLeft) = (
    Duration::ZERO,
    FreshnessLeft::of(Duration::ZERO, Duration::ZERO),
);

fn answers(from: CandidateSource, ttl: u64) -> Plan {
    let left = FreshnessLeft::of(Duration::from_secs(ttl), Duration::ZERO);
    answer(from, (Duration::ZERO, left), Behind::Nothing)
}

fn fetch(scope: Scope) -> Plan {
    obtain(Question::Fetch, Forward::UriMiss, scope)
}

fn complete(first: u64, len: u64, scope: Scope) -> Plan {
    let question = Question::Complete(Lacking {
        of: ByteRange::between(first, SECOND_HALF.length),
        first: range(first, len),
        then: None,
    });
    obtain(question, Forward::UriMiss, scope)
}

fn validate(why: ValidateReason, forward: Forward, on_error: OnError) -> Plan {
    obtain(Question::Validate { why, on_error }, forward, Scope::Whole)
}

#[test]
fn requests_and_what_there_is() {
    use Scope::{AsPresented, Whole};
    let no_cache = ("Cache-Control", "no-cache");
    let only = ("Cache-Control", "only-if-cached");
    let condition = ("If-None-Match", "\"b\"");
    let far = ("Range", "bytes=2000000-");
    let whole = |stored| There { stored, ..NOTHING };
    let part = |part| There { part, ..NOTHING };
    let grows = |ready| There {
        growing: (FRESH, ready),
        ..NOTHING
    };
    let both = |stored, ready| There {
        stored,
        ..grows(ready)
    };
    let stale = validate(ValidateReason::Stale, Forward::Stale, OnError::Disconnected);
    let asked = validate(
        ValidateReason::RequestNoCache,
        Forward::Request,
        OnError::No,
    );
    let refused = |why| Plan::Refuse(why);
    let why = ValidateReason::Stale;
    let part_validated = obtain(Question::ValidateParts { why }, Forward::Stale, AsPresented);
    #[rustfmt::skip]
    let table: &[(&[(&str, &str)], There, Plan)] = &[
        // RFC 9111 §4: fresh, or the origin server is asked
        (&[], NOTHING, fetch(Whole)),
        (&[], whole(FRESH), answers(CandidateSource::Stored, 60)),
        (&[], whole(STALE), stale),
        (&[no_cache], whole(FRESH), asked),
        // §5.2.1.7
        (&[only], NOTHING, refused(PlanRefusal::OnlyIfCached)),
        (&[only], whole(FRESH), answers(CandidateSource::Stored, 60)),
        (&[only], whole(STALE), refused(PlanRefusal::OnlyIfCached)),
        (&[only, ("If-Match", "\"a\"")], whole(FRESH), refused(PlanRefusal::OnlyIfCached)),
        // RFC 5861 §3; only-if-cached asks nobody
        (&[], whole("max-age=0, stale-while-revalidate=9"), answer(CandidateSource::Stored, NOTHING_LEFT, Behind::Validate)),
        (&[only], whole("max-age=0, stale-while-revalidate=9"), answer(CandidateSource::Stored, NOTHING_LEFT, Behind::Nothing)),
        // what only the origin server may evaluate
        (&[("If-Match", "\"a\"")], whole(FRESH), Plan::Bypass(Bypass::Precondition)),
        // what came from this machine's own addresses
        (&[], There { local: true, ..whole(FRESH) }, fetch(Whole)),
        (&[only], There { local: true, ..whole(FRESH) }, refused(PlanRefusal::OnlyIfCached)),
        // RFC 9110 §14.2: a range near the beginning is worth the whole, a distant one isn't
        (&[("Range", "bytes=10-")], NOTHING, fetch(Whole)),
        (&[far], NOTHING, fetch(AsPresented)),
        (&[("Range", "bytes=10-19")], NOTHING, fetch(AsPresented)),
        (&[("Range", "bytes=10-"), condition], NOTHING, fetch(AsPresented)),
        // RFC 9111 §3.4: a stored part answers, is completed, or isn't of use
        (&[("Range", "bytes=60-69")], part(FRESH), answers(CandidateSource::Parts, 60)),
        (&[("Range", "bytes=-10")], part(FRESH), answers(CandidateSource::Parts, 60)),
        (&[], part(FRESH), complete(0, 50, Whole)),
        (&[("Range", "bytes=40-59")], part(FRESH), complete(40, 10, AsPresented)),
        (&[("Range", "bytes=40-")], part(FRESH), fetch(Whole)),
        (&[condition], part(FRESH), fetch(Whole)),
        (&[("Range", "bytes=60-69"), condition], part(STALE), fetch(AsPresented)),
        (&[only], part(FRESH), refused(PlanRefusal::OnlyIfCached)),
        (&[("Range", "bytes=60-69")], part(STALE), part_validated),
        (&[("Range", "bytes=60-69"), only], part(STALE), refused(PlanRefusal::OnlyIfCached)),
        // what is being received, from its head on
        (&[], grows(0), answers(CandidateSource::Growing, 60)),
        (&[("Range", "bytes=0-9")], grows(10), answers(CandidateSource::Growing, 60)),
        (&[("Range", "bytes=0-9")], grows(9), fetch(AsPresented)),
        (&[("Range", "bytes=10-")], grows(0), answers(CandidateSource::Growing, 60)),
        (&[far], grows(0), fetch(AsPresented)),
        (&[far], grows(100), answers(CandidateSource::Growing, 60)),
        (&[condition], grows(100), answers(CandidateSource::Growing, 60)),
        (&[no_cache], grows(100), fetch(Whole)),
        // what is whole comes before what is growing
        (&[], both(FRESH, 50), answers(CandidateSource::Stored, 60)),
        (&[], both(FRESH, 100), answers(CandidateSource::Growing, 60)),
        (&[], both(STALE, 50), answers(CandidateSource::Growing, 60)),
        (&[no_cache], both(STALE, 50), validate(ValidateReason::RequestNoCache, Forward::Stale, OnError::No)),
    ];
    for (at, (lines, there, expected)) in table.iter().enumerate() {
        let got = planned(lines, there, false);
        assert_eq!(got, *expected, "row {at}: {lines:?}");
    }
}

#[test]
fn what_is_being_received_is_an_entry_from_its_head_on() {
    use Scope::AsPresented;
    let only = ("Cache-Control", "only-if-cached");
    let has_it = ("If-None-Match", "\"a\"");
    let has_another = ("If-None-Match", "\"b\"");
    let since = ("If-Modified-Since", "Sun, 06 Nov 2094 08:49:37 GMT");
    let grows = |method| There {
        growing: (FRESH, 10),
        length: Some(100),
        method,
        ..NOTHING
    };
    let answered = answers(CandidateSource::Growing, 60);
    #[rustfmt::skip]
    let table: &[(&str, &[(&str, &str)], Plan)] = &[
        ("GET", &[has_it], answered),
        ("GET", &[since], answered),
        ("GET", &[has_another], answered),
        ("GET", &[has_it, ("Range", "bytes=50-59")], answered),
        ("GET", &[only], answered),
        ("GET", &[only, has_it], answered),
        ("GET", &[only, ("Range", "bytes=50-59")], Plan::Refuse(PlanRefusal::OnlyIfCached)),
        ("GET", &[("Range", "bytes=2-9")], answered),
        ("GET", &[("Range", "bytes=2-10")], fetch(AsPresented)),
        ("GET", &[("Range", "bytes=-10")], fetch(AsPresented)),
        ("GET", &[("Range", "bytes=100-")], answered),
        ("HEAD", &[], answered),
        ("HEAD", &[only], answered),
        ("HEAD", &[has_it], answered),
        ("HEAD", &[("Range", "bytes=50-59")], answered),
        // What holds now is for the origin server to say.
        ("GET", &[has_it, ("Cache-Control", "no-cache")], fetch(Scope::Whole)),
    ];
    for (method, lines, expected) in table {
        let got = planned(lines, &grows(method), false);
        assert_eq!(got, *expected, "{method} {lines:?}");
    }
}

#[test]
fn an_origin_server_that_hangs_is_as_one_that_is_disconnected() {
    let stale = answer(CandidateSource::Stored, NOTHING_LEFT, Behind::TryOrigin);
    let left = FreshnessLeft::of(Duration::from_secs(60), Duration::ZERO);
    let minute = answer(
        CandidateSource::Stored,
        (Duration::ZERO, left),
        Behind::TryOrigin,
    );
    let behind = "max-age=0, stale-while-revalidate=9";
    let refused = Plan::Refuse(PlanRefusal::OnlyIfCached);
    let asked = |why, forward| validate(why, forward, OnError::No);
    let max_age = ("Cache-Control", "max-age=0");
    #[rustfmt::skip]
    let table: &[(&[(&str, &str)], &str, Plan)] = &[
        // RFC 9111 §4.2.4
        (&[], STALE, stale),
        (&[max_age], STALE, stale),
        (&[("Cache-Control", "min-fresh=100")], FRESH, minute),
        (&[("Range", "bytes=2000000-")], STALE, stale),
        (&[("If-None-Match", "\"a\"")], STALE, stale),
        (&[], "max-age=0, stale-if-error=9", stale),
        (&[], behind, stale),
        // what is fresh answers without it
        (&[], FRESH, answers(CandidateSource::Stored, 60)),
        // what may never be served stale
        (&[], "max-age=0, must-revalidate", asked(ValidateReason::MustRevalidate, Forward::Stale)),
        (&[], "max-age=0, proxy-revalidate", asked(ValidateReason::MustRevalidate, Forward::Stale)),
        (&[], "no-cache", asked(ValidateReason::NoCache, Forward::Stale)),
        (&[max_age], "max-age=9, no-cache", asked(ValidateReason::NoCache, Forward::Stale)),
        (&[("Cache-Control", "no-cache")], STALE, asked(ValidateReason::RequestNoCache, Forward::Stale)),
        (&[("Cache-Control", "no-cache")], FRESH, asked(ValidateReason::RequestNoCache, Forward::Request)),
        // §5.2.1.7
        (&[("Cache-Control", "only-if-cached")], STALE, refused),
        (&[("Cache-Control", "only-if-cached")], behind, answers(CandidateSource::Stored, 0)),
        // nothing is stored: it is asked as ever
        (&[], "", fetch(Scope::Whole)),
    ];
    for (lines, stored, expected) in table {
        let there = There {
            stored,
            origin_hangs: true,
            ..NOTHING
        };
        let got = planned(lines, &there, false);
        assert_eq!(got, *expected, "{lines:?} {stored}");
    }
}

#[test]
fn a_rule_bypasses() {
    let whole = There {
        stored: FRESH,
        ..NOTHING
    };
    let only: &[(&str, &str)] = &[("Cache-Control", "only-if-cached")];
    let post = ("If-Match", "*");
    assert_eq!(planned(&[], &whole, true), Plan::Bypass(Bypass::Rule));
    // The request's own reason comes first.
    let said = Plan::Bypass(Bypass::Precondition);
    assert_eq!(planned(&[post], &whole, true), said);
    let refused = Plan::Refuse(PlanRefusal::OnlyIfCached);
    assert_eq!(planned(only, &whole, true), refused);
}

#[test]
fn without_a_validator_a_distant_range_is_asked_for_as_it_is() {
    let meta = stored(200, &[("Cache-Control", STALE)]);
    let facts = Facts::of(&meta, &Policy::default());
    for (lines, expected) in [
        (&[("Range", "bytes=2000000-")][..], true),
        (&[("Range", "bytes=0-")], false),
        (&[], false),
    ] {
        let head = request("GET", lines);
        let presented = Presented {
            head: &head,
            directives: RequestDirectives::default(),
            bypass: None,
            is_local: true,
            remembered: Remembered::default(),
            origin_hangs: false,
        };
        let candidates = Candidates {
            stored: Some(Candidate {
                facts: &facts,
                fields: &meta.fields,
                local: true,
            }),
            ..Candidates::default()
        };
        let on_error = OnError::Disconnected;
        let question = Question::FetchRange { on_error };
        let fetched = obtain(question, Forward::Stale, Scope::AsPresented);
        let got = plan(&presented, &candidates, NOW);
        assert_eq!(got == fetched, expected, "{lines:?}: {got:?}");
    }
}

#[test]
fn details_and_statuses() {
    // RFC 9111 §5.2.1.7
    assert_eq!(PlanRefusal::OnlyIfCached.status(), 504);
    let detail = |question, scope| match obtain(question, Forward::UriMiss, scope) {
        Plan::Obtain(obtain) => obtain.detail(),
        other @ (Plan::Bypass(_) | Plan::Refuse(_) | Plan::Answer { .. }) => panic!("{other:?}"),
    };
    let why = ValidateReason::RequestNoCache;
    let on_error = OnError::No;
    let reason = Some(why.into());
    for scope in [Scope::Whole, Scope::AsPresented] {
        assert_eq!(detail(Question::Validate { why, on_error }, scope), reason);
        assert_eq!(detail(Question::ValidateParts { why }, scope), reason);
    }
    assert_eq!(detail(Question::Fetch, Scope::AsPresented), Some("range"));
    assert_eq!(detail(Question::Fetch, Scope::Whole), None);
}

#[test]
fn what_is_used_where_asking_fails() {
    let on_error = OnError::Disconnected;
    let why = ValidateReason::Stale;
    let table = [
        (Question::Validate { why, on_error }, Some(on_error)),
        (Question::FetchRange { on_error }, Some(on_error)),
        (Question::ValidateParts { why }, None),
        (Question::Fetch, None),
    ];
    for (question, expected) in table {
        let asked = Obtain {
            question,
            forward: Forward::Stale,
            scope: Scope::Whole,
        };
        assert_eq!(asked.on_error(), expected, "{question:?}");
    }
}

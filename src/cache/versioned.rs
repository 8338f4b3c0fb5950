//! Files whose name tells their version (a rule's `class = "versioned"`): fresh for long, though some are published anew
//! under the same name. So they are validated now and then while they are fresh.
//!
//! What is remembered of requests and validations is a hint, which workers keep in shared memory.

use super::directives::RequestDirectives;
use super::freshness::Facts;
use super::range;
use super::reuse::{OnError, Reuse, ValidateReason};
use super::time::Timestamp;
use crate::http::date::UnixSeconds;
use crate::http::head::{Method, RequestHead};

/// Older than this it is validated behind the answer, and not again for so long.
const DAY: u64 = 24 * 60 * 60;
/// A client that asks again within this has no use for what it got before, as when its hash is wrong.
const AGAIN: u64 = 10 * 60;
/// For so long after such a validation there is no other.
const PAUSE: u64 = 60;

/// The memory of a versioned file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Remembered {
    /// When the same client asked for all of it before.
    pub asked: Option<UnixSeconds>,
    /// When it was last validated though it was fresh.
    pub validated: Option<UnixSeconds>,
}

impl Remembered {
    /// True when this client got it a while ago, and nobody was made to ask about it since.
    pub fn is_again(self, now: Timestamp) -> bool {
        is_within(self.asked, AGAIN, now) && !is_within(self.validated, PAUSE, now)
    }
}

/// True for a request that counts as asking for a file: for all of it, where a download that is resumed, or split between
/// several connections, asks for ranges.
pub fn asks(head: &RequestHead) -> bool {
    head.method == Method::Get && !range::is_asked(head)
}

/// True when the same client asks again for a file that is fresh, so that it is asked about before it answers.
pub(super) fn asks_again(
    head: &RequestHead,
    directives: &RequestDirectives,
    facts: &Facts,
    remembered: Remembered,
    now: Timestamp,
) -> bool {
    // Without a validator it would have to be fetched anew, however large it is.
    facts.versioned
        && facts.has_validator
        && !directives.only_if_cached
        && asks(head)
        && remembered.is_again(now)
}

/// True for a time less than so many seconds from now, after it too, as the clock may have been set back.
fn is_within(time: Option<UnixSeconds>, span: u64, now: Timestamp) -> bool {
    time.is_some_and(|time| now.seconds().abs_diff(time) < span)
}

/// The use of a stored response for this request, where without its class it would be `reuse`.
pub(super) fn with_class(
    reuse: Reuse,
    head: &RequestHead,
    directives: &RequestDirectives,
    facts: &Facts,
    remembered: Remembered,
    now: Timestamp,
) -> Reuse {
    let Reuse::Fresh { age, left } = reuse else {
        return reuse;
    };
    let is_due = facts.versioned
        && facts.has_validator
        && !directives.only_if_cached
        && age.as_secs() >= DAY
        && !is_within(remembered.validated, DAY, now);
    let why = if asks_again(head, directives, facts, remembered, now) {
        ValidateReason::AskedAgain
    } else if is_due {
        ValidateReason::Versioned
    } else {
        return reuse;
    };
    Reuse::Validate {
        why,
        age,
        left,
        meanwhile: why == ValidateReason::Versioned,
        on_error: OnError::Refused,
    }
}

/// True where what would be used so is to be validated behind the answer.
pub(super) fn is_due(
    used: Reuse,
    head: &RequestHead,
    directives: &RequestDirectives,
    facts: &Facts,
    remembered: Remembered,
    now: Timestamp,
) -> bool {
    let with_class = with_class(used, head, directives, facts, remembered, now);
    let why = ValidateReason::Versioned;
    matches!(with_class, Reuse::Validate { why: it, .. } if it == why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::policy::{Policy, RuleFreshness, RuleTtl};
    use crate::cache::testing::{NOW, request, stored};

    /// A response of this age, in seconds, to whose rule the class belongs.
    fn facts(age: u64, lines: &[(&str, &str)], is_versioned: bool) -> Facts {
        let rule = match is_versioned {
            true => RuleFreshness::Versioned(RuleTtl::VERSIONED),
            false => RuleFreshness::Ttl(RuleTtl::VERSIONED),
        };
        let policy = Policy {
            rule: Some(rule),
            ..Policy::default()
        };
        let age = age.to_string();
        let lines = [&[("Age", age.as_str())], lines].concat();
        Facts::of(&stored(200, &lines), &policy)
    }

    #[test]
    fn a_fresh_one_is_validated_now_and_then() {
        use ValidateReason::{AskedAgain, Versioned};
        let tag = ("ETag", "\"a\"");
        let modified = ("Last-Modified", "Sun, 06 Nov 1994 07:49:37 GMT");
        let ago = |span: u64| Some(NOW.seconds() - span);
        type Row<'a> = (
            &'a str,
            (u64, &'a [(&'a str, &'a str)]),
            (Option<u64>, Option<u64>),
            Option<ValidateReason>,
        );
        #[rustfmt::skip]
        let table: &[Row<'_>] = &[
            ("GET", (5, &[tag]), (None, None), None),
            ("GET", (5, &[tag]), (ago(0), None), Some(AskedAgain)),
            ("GET", (5, &[modified]), (ago(599), None), Some(AskedAgain)),
            ("GET", (5, &[tag]), (ago(600), None), None),
            ("GET", (5, &[tag]), (Some(NOW.seconds() + 599), None), Some(AskedAgain)),
            ("GET", (5, &[tag]), (Some(NOW.seconds() + 600), None), None),
            ("GET", (5, &[tag]), (ago(5), ago(59)), None),
            ("GET", (5, &[tag]), (ago(5), ago(60)), Some(AskedAgain)),
            ("HEAD", (5, &[tag]), (ago(5), None), None),
            ("range", (5, &[tag]), (ago(5), None), None),
            ("only-if-cached", (5, &[tag]), (ago(5), None), None),
            // Without a validator it would be fetched.
            ("GET", (5, &[]), (ago(5), None), None),
            ("GET", (90_000, &[]), (None, None), None),
            ("GET", (86_399, &[tag]), (None, None), None),
            ("GET", (86_400, &[tag]), (None, None), Some(Versioned)),
            ("HEAD", (86_400, &[tag]), (None, None), Some(Versioned)),
            ("range", (86_400, &[tag]), (ago(5), None), Some(Versioned)),
            ("only-if-cached", (86_400, &[tag]), (None, None), None),
            ("GET", (90_000, &[tag]), (None, ago(86_399)), None),
            ("GET", (90_000, &[tag]), (None, ago(86_400)), Some(Versioned)),
            ("GET", (90_000, &[tag]), (ago(5), None), Some(AskedAgain)),
            ("GET", (90_000, &[tag]), (ago(5), ago(5)), None),
            ("GET", (90_000, &[tag]), (ago(5), ago(90_000)), Some(AskedAgain)),
            // Whoever said for how long it is fresh, but not where the origin server said that it doesn't change.
            ("GET", (5, &[tag, ("Cache-Control", "max-age=60")]), (ago(5), None), Some(AskedAgain)),
            ("GET", (90_000, &[tag, ("Cache-Control", "max-age=900000")]), (None, None), Some(Versioned)),
            ("GET", (90_000, &[tag, ("Cache-Control", "max-age=900000, immutable")]), (ago(5), None), None),
        ];
        for (asked, (age, lines), (again, validated), expected) in table {
            let fields: &[(&str, &str)] = match *asked {
                "range" => &[("Range", "bytes=0-9")],
                "only-if-cached" => &[("Cache-Control", "only-if-cached")],
                _ => &[],
            };
            let method = if *asked == "HEAD" { "HEAD" } else { "GET" };
            let head = request(method, fields);
            let directives = RequestDirectives::of(&head.fields);
            let remembered = Remembered {
                asked: *again,
                validated: *validated,
            };
            for is_versioned in [true, false] {
                let facts = facts(*age, lines, is_versioned);
                let plain = crate::cache::reuse::reuse(&directives, &facts, NOW);
                let got = with_class(plain, &head, &directives, &facts, remembered, NOW);
                let why = match got {
                    Reuse::Validate {
                        why,
                        meanwhile,
                        on_error,
                        ..
                    } => {
                        assert_eq!(meanwhile, why == Versioned);
                        assert_eq!(on_error, OnError::Refused);
                        Some(why)
                    }
                    Reuse::Fresh { .. } | Reuse::Stale { .. } => None,
                };
                let expected = expected.filter(|_| is_versioned);
                assert_eq!(why, expected, "{asked} {age} {lines:?} {remembered:?}");
            }
        }
    }

    /// One that is stale, or that the request refuses, is validated for that reason.
    #[test]
    fn other_reasons_come_first() {
        let facts = facts(5, &[("ETag", "\"a\"")], true);
        let remembered = Remembered {
            asked: Some(NOW.seconds()),
            validated: None,
        };
        let head = request("GET", &[("Cache-Control", "no-cache")]);
        let directives = RequestDirectives::of(&head.fields);
        let plain = crate::cache::reuse::reuse(&directives, &facts, NOW);
        let got = with_class(plain, &head, &directives, &facts, remembered, NOW);
        assert_eq!(got, plain);
    }
}

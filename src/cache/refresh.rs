//! The use of storing a response again after a 304 (RFC 9111 §3.2), which gave it new metadata.

use super::freshness::Facts;
use super::stored::Meta;
use crate::http::fields::Fields;
use crate::http::syntax::is_one_of;

/// True when a stored response is of more use with the metadata that a validation gave it, of which these are the facts
/// (RFC 9111 §3.2). One that each use validates again gains nothing by a later time, and is left as it is where only its
/// Date differs.
pub fn is_worth_storing(stored: &Meta, refreshed: &Meta, facts: &Facts) -> bool {
    let is_never_fresh =
        facts.lifetime.seconds == 0 && facts.stale_while_revalidate == 0 && facts.must_revalidate;
    let is_dated = |name: &[u8]| is_one_of(name, &["date", "age"]);
    let rest = |meta: &Meta| -> Fields {
        let lines = meta.fields.iter().filter(|(name, _)| !is_dated(name));
        lines.collect()
    };
    let is_validated_always = facts.no_cache || is_never_fresh;
    !is_validated_always || stored.variant != refreshed.variant || rest(stored) != rest(refreshed)
}

#[cfg(test)]
#[allow(clippy::type_complexity)]
mod tests {
    use super::*;
    use crate::cache::policy::Policy;
    use crate::cache::testing::{DATE, stored};

    type Lines<'a> = &'a [(&'a str, &'a str)];

    const LATER: &str = "Sun, 06 Nov 1994 09:00:00 GMT";

    #[test]
    fn what_gains_nothing_is_left_as_it_is() {
        let date = ("Date", DATE);
        let later = ("Date", LATER);
        let cc = |value| ("Cache-Control", value);
        #[rustfmt::skip]
        let table: &[(Lines, Lines, bool)] = &[
            (&[date, cc("no-cache")], &[later, cc("no-cache")], false),
            (&[date, cc("max-age=60, no-cache")], &[later, cc("max-age=60, no-cache")], false),
            (&[date, cc("max-age=0, must-revalidate")], &[later, cc("max-age=0, must-revalidate")], false),
            (&[date, ("Age", "5"), cc("no-cache")], &[later, cc("no-cache")], false),
            // It is fresh for longer.
            (&[date, cc("max-age=60")], &[later, cc("max-age=60")], true),
            (&[date, cc("max-age=60, must-revalidate")], &[later, cc("max-age=60, must-revalidate")], true),
            // It may be served stale for longer.
            (&[date, cc("max-age=0")], &[later, cc("max-age=0")], true),
            (&[date, cc("max-age=0, must-revalidate, stale-while-revalidate=9")],
             &[later, cc("max-age=0, must-revalidate, stale-while-revalidate=9")], true),
            // It says something else.
            (&[date, cc("no-cache")], &[later, cc("no-cache"), ("A", "1")], true),
            (&[date, cc("no-cache"), ("ETag", "\"1\"")], &[later, cc("no-cache"), ("ETag", "W/\"1\"")], true),
            (&[date, cc("max-age=60")], &[later, cc("no-cache")], true),
        ];
        for (old, new, expected) in table {
            let (old, new) = (stored(200, old), stored(200, new));
            let facts = Facts::of(&new, &Policy::default());
            assert_eq!(is_worth_storing(&old, &new, &facts), *expected, "{new:?}");
        }
    }
}

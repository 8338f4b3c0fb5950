//! Stored responses that can't answer any more go: stale by their own account for a day, without anything
//! by which they could be validated, and not used for a day, which an operator's rule may have allowed.
//!
//! They are looked through a few at a time, by whoever does the maintenance.

use postgres::Error;

use super::row;
use super::session::Session;
use crate::cache::freshness::Facts;
use crate::cache::policy::Policy;
use crate::cache::sound;
use crate::cache::stored::Meta;
use crate::cache::time::Timestamp;

/// The last row of this look; nothing at the end.
const TO: &str = "SELECT pg_catalog.max(id) FROM (SELECT id FROM cacheproxy.response WHERE id > $1 ORDER BY id LIMIT 500) r";
const LOOK: &str = concat!(
    row::columns!(),
    ", id, extract(epoch FROM pg_catalog.now())::bigint FROM cacheproxy.response WHERE id > $1 AND id <= $2 \
    AND etag IS NULL AND last_modified IS NULL AND coalesce(last_used, stored) < pg_catalog.now() - interval '1 day'"
);
const REMOVE: &str = "SELECT cacheproxy.evict($1)";
/// The most that go at once.
const AT_ONCE: usize = 200;

const DAY: u64 = 24 * 60 * 60;

/// True when a response has been of no use for a day.
fn is_over(meta: &Meta, now: Timestamp) -> bool {
    let facts = Facts::of(meta, &Policy::default());
    let stale = facts
        .stale_while_revalidate
        .max(facts.stale_if_error.unwrap_or(0));
    !facts.has_validator
        && facts.current_age(now).as_secs()
            > facts
                .lifetime
                .seconds
                .saturating_add(stale)
                .saturating_add(DAY)
}

/// Looks through some responses after this one; the last of them, or 0 to begin again.
pub fn remove_some(session: &mut Session, after: i64) -> Result<i64, Error> {
    let row = session.query_first(TO, &[&after])?;
    let Some(to) = row.and_then(|row| row.get::<_, Option<i64>>(0)) else {
        return Ok(0);
    };
    let mut over = Vec::new();
    for row in session.query(LOOK, &[&after, &to])? {
        let now = row
            .try_get::<_, i64>(row::NEXT + 1)?
            .try_into()
            .unwrap_or(0);
        let now = Timestamp::from_seconds(now);
        let meta = row::meta(&row)?;
        if sound::check(&meta).is_err() || is_over(&meta, now) {
            over.push(row.try_get::<_, i64>(row::NEXT)?);
        }
    }
    for some in over.chunks(AT_ONCE) {
        session.execute(REMOVE, &[&some])?;
    }
    Ok(to)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::fields::Fields;
    use crate::store::suite::meta;

    #[test]
    fn what_is_of_no_use() {
        const LATER: u64 = 1_000_000_000;
        // (fields, seconds since it was received, whether it goes)
        let rows = [
            ("max-age=100", 100 + DAY - 10, false),
            ("max-age=100", 100 + DAY + 10, true),
            ("max-age=100, stale-if-error=500", 100 + DAY + 10, false),
            (
                "max-age=100, stale-while-revalidate=500",
                600 + DAY + 10,
                true,
            ),
            ("max-age=31536000", 2 * DAY, false),
        ];
        for (directives, since, goes) in rows {
            for (validator, goes) in [("X-None", goes), ("ETag", false)] {
                let fields = [("Cache-Control", directives), (validator, "\"1\"")];
                let mut meta = meta("GET http://a/", &fields, &Fields::default());
                let at = Timestamp::from_seconds;
                meta.request_time = at(LATER);
                meta.response_time = at(LATER);
                assert_eq!(
                    is_over(&meta, at(LATER + since)),
                    goes,
                    "{directives} {validator}"
                );
            }
        }
    }
}

//! The use of another's fetch to a request that waited for it (RFC 9111 §4): only what may be reused for it too, of the
//! variant that it selects.

use std::rc::Rc;

use crate::cache::directives::RequestDirectives;
use crate::cache::freshness::Facts;
use crate::cache::reuse::reuse;
use crate::cache::vary;
use crate::http::fields::Fields;
use crate::store::spool::SpoolReader;
use crate::worker::state::now;
use crate::worker::stored::Stored;
use crate::worker::waiting_list::{Answer, FetchOutcome, Ticket, Validated, Wanted};

/// A request that waited.
pub(super) struct Joiner<'a> {
    pub(super) fields: &'a Fields,
    pub(super) directives: RequestDirectives,
    pub(super) is_local: bool,
}

/// The outcome of another's fetch, as this request may use it.
pub(super) enum Usable {
    Fetched(Rc<Answer>, SpoolReader, Ticket),
    Stored(Rc<Stored>),
}

/// The next step where an outcome is of no use.
pub(super) enum Unusable {
    /// To wait on, for another of those that ask.
    WaitOn,
    /// To ask for itself: another's answer will be of no use either.
    Alone,
}

impl Joiner<'_> {
    /// The use of an outcome; of `wanted` it is learned which variant it selects.
    pub(super) fn usable(
        &self,
        outcome: FetchOutcome,
        ticket: Ticket,
        wanted: &mut Wanted,
    ) -> Result<Usable, Unusable> {
        let mut directives = self.directives;
        if wanted.since.is_some() {
            // It is what holds now: it was asked for after this request came.
            directives.no_cache = false;
            directives.max_age = None;
        }
        // As of when it came, which this request was waiting for: however late it hears of it.
        let is_reusable = |facts: &Facts| {
            let came = facts.response_time;
            reuse(&directives, facts, came).answers().is_some()
        };
        match outcome {
            FetchOutcome::Answer(answer) => {
                let Ok(shareable) = &answer.sharing else {
                    return Err(Unusable::Alone);
                };
                let variant = vary::variant_of(&shareable.selecting, self.fields);
                if variant != shareable.variant {
                    wanted.variant = Some(variant);
                    return Err(Unusable::WaitOn);
                }
                if !is_reusable(&shareable.facts) {
                    return Err(Unusable::Alone);
                }
                let reader = answer.spool.reader().ok_or(Unusable::Alone)?;
                Ok(Usable::Fetched(answer, reader, ticket))
            }
            FetchOutcome::Validated(Validated { shared: Err(_), .. }) => Err(Unusable::Alone),
            // It was there before: what this request says of freshness counts.
            FetchOutcome::Stored(stored)
                if reuse(&self.directives, &stored.facts, now())
                    .answers()
                    .is_none() =>
            {
                Err(Unusable::Alone)
            }
            FetchOutcome::Validated(Validated {
                shared: Ok(stored), ..
            })
            | FetchOutcome::Stored(stored) => {
                let meta = &stored.object.meta;
                let names = meta.selecting().ok_or(Unusable::Alone)?;
                let variant = vary::variant_of(&names, self.fields);
                if variant != meta.variant {
                    wanted.variant = Some(variant);
                    return Err(Unusable::WaitOn);
                }
                let is_allowed = self.is_local || !meta.local;
                match is_allowed && is_reusable(&stored.facts) {
                    true => Ok(Usable::Stored(stored)),
                    false => Err(Unusable::Alone),
                }
            }
            FetchOutcome::Failed(_) | FetchOutcome::Switched(_) => Err(Unusable::WaitOn),
        }
    }
}

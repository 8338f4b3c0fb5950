//! Joining a fetch that another client's request began (collapsed forwarding): before its response's
//! head is there, as one request; afterwards, as a stored response that is still growing.

use super::validate::Fallback;
use super::{After, Exchange};
use crate::cache::directives::RequestDirectives;
use crate::cache::key::Key;
use crate::cache::range;
use crate::cache::reuse::reuse;
use crate::cache::status::{CacheStatus, Forward};
use crate::cache::vary::{names, variant_of};
use crate::worker::fetch::{Answer, News, Outcome, Ticket, is_hit_for_miss};
use crate::worker::state::now;
use crate::worker::stored::Stored;

impl Exchange<'_> {
    /// Joins another client's fetch of the same key; `None` when there is none, or its response
    /// isn't, or won't be, for this request too.
    pub(super) async fn join(
        &mut self,
        key: &Key,
        why: Forward,
        fallback: Option<&Fallback>,
    ) -> Option<After> {
        if is_hit_for_miss(self.worker, key, &self.head.fields) {
            self.collapsing_tried = true;
            return None;
        }
        let running = self.worker.fetches.borrow().get(key).cloned();
        // One that was made invalid is nobody's any more, and no reason not to begin another for all.
        let running = running.filter(|running| running.is_valid(self.worker, key))?;
        self.collapsing_tried = true;
        let directives = RequestDirectives::of(&self.head.fields);
        let near = match running.answer() {
            Some(answer) => {
                let ready = answer.spool.len();
                let there = answer.spool.is_whole() || range::is_there(&self.head, ready);
                there || self.wants_whole(ready)
            }
            None => self.wants_whole(0),
        };
        if self.is_conditional()
            || !near
            || directives.no_cache
            || running.local_allowed() != self.client.is_local()
        {
            return None;
        }
        if let Some(answer) = running.answer() {
            // It came before this request did, as what is stored.
            return self.join_late(&answer, running.ticket()).await;
        }
        let mut ticket = running.ticket();
        let mut status = CacheStatus::forwarded(why);
        status.set_collapsed();
        let outcome = loop {
            if let News::Outcome(outcome) = ticket.news().await {
                break outcome;
            }
        };
        match outcome {
            Outcome::Answer(answer) => {
                if let Some(fallback) = fallback.filter(|it| it.covers_answer(&answer)) {
                    return Some(self.stale_for_error(fallback, &answer, status).await);
                }
                // RFC 9111 §4: only what may be reused for this request too.
                let facts = answer.facts.as_ref().filter(|_| self.shares(&answer))?;
                reuse(&directives, facts, now()).answers()?;
                let reader = answer.spool.reader()?;
                self.record.outcome = "collapsed";
                status.set_received(answer.received);
                Some(self.answer_fetched(&answer, reader, &status, None).await)
            }
            Outcome::Validated(stored) | Outcome::Stored(stored) => {
                if !self.selects(&stored) {
                    return None;
                }
                self.record.outcome = "collapsed";
                let (age, _) = reuse(&directives, &stored.facts, now()).answers()?;
                Some(self.answer_stored(&stored, age, &status).await)
            }
            Outcome::Failed(trouble) => Some(match fallback {
                Some(fallback) if fallback.covers(&trouble) => {
                    self.stale_instead(fallback, &trouble).await
                }
                _ => self.in_trouble(&trouble),
            }),
            Outcome::Switched(_) => None,
        }
    }

    /// Reads a large response that is whole and on its way into the store, where the one that it
    /// replaces still is.
    pub(super) async fn join_whole(&mut self, key: &Key) -> Option<After> {
        let running = self.worker.fetches.borrow().get(key).cloned()?;
        let answer = running.answer()?;
        let usable = running.is_publishing()
            && running.whole(self.worker, &self.head.fields).is_none()
            && running.is_valid(self.worker, key)
            && !self.is_conditional()
            && running.local_allowed() == self.client.is_local();
        if !usable {
            return None;
        }
        self.join_late(&answer, running.ticket()).await
    }

    /// Reads a response that is being stored, if it may be reused.
    async fn join_late(&mut self, answer: &Answer, ticket: Ticket) -> Option<After> {
        let directives = RequestDirectives::of(&self.head.fields);
        let (age, ttl) = reuse(&directives, answer.facts.as_ref()?, now()).answers()?;
        let reader = answer.spool.reader().filter(|_| self.shares(answer))?;
        self.hit("hit");
        let status = CacheStatus::hit(ttl);
        let after = self.answer_fetched(answer, reader, &status, Some(age));
        let after = after.await;
        drop(ticket);
        Some(after)
    }

    /// Whether a stored response that came of another client's request may answer this one.
    fn selects(&self, stored: &Stored) -> bool {
        let meta = &stored.object.meta;
        let variant = names(&meta.fields).map(|names| variant_of(&names, &self.head.fields));
        variant.as_ref() == Some(&meta.variant) && (self.client.is_local() || !meta.local)
    }

    fn shares(&self, answer: &Answer) -> bool {
        answer.not_stored.is_none()
            && variant_of(&answer.selecting, &self.head.fields) == answer.variant
    }
}

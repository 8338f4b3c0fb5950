//! Nothing whole is stored, but perhaps a part (RFC 9111 §3.3, §3.4): it answers a range within it, or the
//! origin server is asked for what it lacks.

use super::{After, Exchange};
use crate::cache::directives::RequestDirectives;
use crate::cache::key::Key;
use crate::cache::parts::{self, Plan};
use crate::cache::reuse::{Reuse, reuse};
use crate::cache::status::{CacheStatus, Forward};
use crate::http::head::Method;
use crate::http::target::Uri;
use crate::worker::fetch::StoredPart;
use crate::worker::state::now;

use super::cached::Known;

impl Exchange<'_> {
    /// Answers from a stored part, or asks the origin server.
    pub(super) async fn without_whole(
        &mut self,
        uri: Uri,
        key: Key,
        why: Forward,
        directives: &RequestDirectives,
    ) -> After {
        let mut beside = self.look_up_part(&key, &uri).await;
        let mut validate = None;
        if let Some(part) = &mut beside {
            let fields = &part.stored.object.meta.fields;
            let usable = reuse(directives, &part.stored.facts, now());
            let fresh = usable.answers().is_some();
            match (parts::plan(&self.head, part.held, fields, fresh), usable) {
                (Plan::Answer, Reuse::Fresh { age, ttl } | Reuse::Stale { age, ttl }) => {
                    self.hit("hit");
                    let status = CacheStatus::hit(ttl);
                    return self.answer_stored(&part.stored, age, &status).await;
                }
                (Plan::Ask(lacking), _) if !self.is_conditional() => part.ask = Some(lacking),
                (Plan::Validate, Reuse::Validate { why, ttl, .. }) if !self.is_conditional() => {
                    validate = Some((why.forward(ttl), why.token()));
                }
                _ => {}
            }
        }
        if directives.only_if_cached {
            return self.not_cached();
        }
        match validate {
            Some((why, detail)) => {
                // Asked for under the condition that what is stored isn't valid any more.
                let stored = beside.as_ref().map(|part| part.stored.clone());
                let mut order = self.order(uri, None, stored);
                order.key = Some(key);
                order.beside = beside;
                self.record.outcome = "expired";
                self.forward(order, why, detail).await
            }
            None => self.miss(uri, key, why, beside).await,
        }
    }

    /// The stored part that this request selects.
    async fn look_up_part(&mut self, key: &Key, uri: &Uri) -> Option<StoredPart> {
        if self.head.method != Method::Get {
            return None;
        }
        let Known::Stored(stored) = self.look_up(&key.part(), uri).await else {
            return None;
        };
        let held = parts::stored(&stored.object.meta, stored.object.content.len());
        let allowed = !stored.object.meta.local || self.client.is_local();
        (allowed && !held.is_whole()).then_some(StoredPart {
            stored,
            held,
            ask: None,
        })
    }
}

//! The candidates for an answer: the only place that looks. First what is at hand, without waiting: the memory tier
//! and this worker's running fetches; then the store, off the event loop.
//!
//! The decision between them is `cache::plan`'s.

use std::rc::Rc;

use super::Exchange;
use crate::cache::key::Key;
use crate::cache::plan::{self, Behind, Candidate, Plan};
use crate::http::head::Method;
use crate::http::target::Uri;
use crate::store::Found;
use crate::store::spool::SpoolReader;
use crate::sys::shared::Shared;
use crate::worker::fetch;
use crate::worker::state::cache_uri;
use crate::worker::stored::Stored;
use crate::worker::stored_parts::StoredParts;
use crate::worker::waiting_list::{Answer, Ticket};

/// The candidates, and the key under which the request would be fetched.
pub(super) struct CandidateSet {
    pub(super) key: Key,
    /// The key's generation before it was looked up.
    generation: u32,
    /// For HEAD, which what is stored for GET may answer: GET's key and generation.
    of_get: Option<(Key, u32)>,
    pub(super) stored: Option<Rc<Stored>>,
    other_variants: bool,
    pub(super) parts: Option<Rc<StoredParts>>,
    pub(super) growing: Option<GrowingResponse>,
}

/// A response that a running fetch receives, which goes on as long as this is kept.
pub(super) struct GrowingResponse {
    pub(super) answer: Rc<Answer>,
    pub(super) reader: SpoolReader,
    _ticket: Ticket,
}

/// The result of a lookup.
enum LookedUp {
    Stored(Rc<Stored>),
    OtherVariants,
    Nothing,
}

impl CandidateSet {
    fn of(key: Key, generation: u32) -> CandidateSet {
        CandidateSet {
            key,
            generation,
            of_get: None,
            stored: None,
            other_variants: false,
            parts: None,
            growing: None,
        }
    }

    fn take(&mut self, found: LookedUp) {
        match found {
            LookedUp::Stored(stored) => self.stored = Some(stored),
            LookedUp::OtherVariants => self.other_variants = true,
            LookedUp::Nothing => {}
        }
    }

    /// True when what is stored under this key has changed since it was looked up.
    pub(super) fn are_outdated(&self, shared: &Shared, key: &Key) -> bool {
        self.key == *key && shared.generation(key.hash()) != self.generation
    }

    /// True when anything that was looked up has changed since.
    pub(super) fn have_changed(&self, shared: &Shared) -> bool {
        let of_get = self
            .of_get
            .as_ref()
            .map(|(key, generation)| (key, *generation));
        let mut keys = [Some((&self.key, self.generation)), of_get]
            .into_iter()
            .flatten();
        keys.any(|(key, generation)| shared.generation(key.hash()) != generation)
    }

    /// The key of GET, whose response may answer.
    pub(super) fn key_of_get(&self) -> &Key {
        self.of_get.as_ref().map_or(&self.key, |(key, _)| key)
    }

    /// The candidates as far as the plan needs to know them.
    pub(super) fn view(&self) -> plan::Candidates<'_> {
        let growing = self
            .growing
            .as_ref()
            .and_then(|GrowingResponse { answer, .. }| {
                Some(plan::Growing {
                    facts: &answer.sharing.as_ref().ok()?.facts,
                    selected: answer.selected()?,
                    length: answer.framing.length(),
                    ready: answer.spool.len(),
                    is_whole: answer.spool.is_whole(),
                })
            });
        plan::Candidates {
            stored: self.stored.as_ref().map(candidate),
            other_variants: self.other_variants,
            parts: (self.parts.as_ref()).map(|parts| (candidate(&parts.recent), &parts.held)),
            growing,
        }
    }
}

impl GrowingResponse {
    fn is_whole(&self) -> bool {
        self.answer.spool.is_whole()
    }
}

fn candidate(stored: &Rc<Stored>) -> Candidate<'_> {
    Candidate {
        facts: &stored.facts,
        fields: &stored.object.meta.fields,
        local: stored.object.meta.local,
    }
}

impl Exchange<'_> {
    /// The stored response if it is at hand.
    pub(super) fn at_hand(&self, uri: &Uri) -> CandidateSet {
        let uri = &cache_uri(&self.settings, uri);
        // Answered at once or looked for again, so that the generation is of no use.
        let mut candidates = CandidateSet::of(Key::of(uri), 0);
        candidates.stored = self.worker.at_hand(&candidates.key, &self.head.fields);
        if candidates.stored.is_none() && self.head.method == Method::Head {
            candidates.stored = self.worker.at_hand(&Key::of_head(uri), &self.head.fields);
        }
        candidates
    }

    /// The stored response under this key, where the store tells without waiting and nothing newer is on its way.
    pub(super) fn stored_now(&mut self, key: &Key, uri: &Uri) -> Option<Rc<Stored>> {
        let worker = self.worker;
        if self.bypass.is_some() || worker.waiting_lists.has(key) {
            return None;
        }
        let generation = worker.shared.generation(key.hash());
        let store = worker.store.get()?;
        match store.lookup_now(key, &self.head.fields)? {
            Ok(Found::Object(object)) => {
                let policy = self.settings.policy(uri.as_bytes());
                Some(fetch::remember(worker, &policy, *object))
            }
            Ok(Found::Nothing) => {
                self.nothing_in = Some(generation);
                None
            }
            // Said by who looks again.
            Ok(Found::OtherVariants) | Err(_) => None,
        }
    }

    fn no_candidates(&self, key: Key) -> CandidateSet {
        let generation = self.worker.shared.generation(key.hash());
        CandidateSet::of(key, generation)
    }

    /// All candidates, in this worker and in the store; none where the cache has no part in the request.
    pub(super) async fn gather(&mut self, uri: &Uri) -> CandidateSet {
        let key_uri = cache_uri(&self.settings, uri);
        let mut candidates = self.no_candidates(Key::of(&key_uri));
        if matches!(self.plan(&candidates), Plan::Bypass(_)) {
            return candidates;
        }
        candidates.growing = self
            .growing(&candidates.key)
            .filter(GrowingResponse::is_whole);
        if candidates.growing.is_some() && self.is_answered(&candidates) {
            return candidates;
        }
        let found = self.look_up(&candidates.key, uri).await;
        candidates.take(found);
        if self.head.method == Method::Head && !self.is_answered(&candidates) {
            let mut of_head = self.no_candidates(Key::of_head(&key_uri));
            of_head.of_get = Some((candidates.key.clone(), candidates.generation));
            let found = self.look_up(&of_head.key, uri).await;
            of_head.take(found);
            // Else GET's is what HEAD validates (RFC 9111 §4.3.5).
            if candidates.stored.is_some() && !self.is_answered(&of_head) {
                of_head.stored = candidates.stored;
            }
            candidates = of_head;
        }
        if candidates.stored.is_none() && self.head.method == Method::Get {
            candidates.parts = self.look_up_parts(&candidates.key, uri).await;
        }
        // What came into memory while the store was asked.
        if !self.is_answered(&candidates) {
            let at_hand = (self.worker).at_hand(candidates.key_of_get(), &self.head.fields);
            candidates.stored = at_hand.or(candidates.stored);
        }
        self.leave_damaged_out(&mut candidates).await;
        let growing = self.growing(candidates.key_of_get());
        candidates.growing = growing.or_else(|| self.growing(&candidates.key));
        candidates
    }

    /// True when one of them answers without being validated.
    fn is_answered(&self, candidates: &CandidateSet) -> bool {
        matches!(self.plan(candidates), Plan::Answer(reused) if reused.behind == Behind::Nothing)
    }

    /// The response that the latest fetch of this key receives, if this request may share it.
    fn growing(&self, key: &Key) -> Option<GrowingResponse> {
        let worker = self.worker;
        let patience = self.settings.times.collapsed_wait;
        let latest = worker.waiting_lists.latest(&worker.shared, key, |fetch| {
            let answer = fetch.answer();
            // One that is small and whole is at hand as what will be stored, which knows of more than one range.
            fetch.local_allowed() == self.client.is_local()
                && !fetch.is_at_hand()
                && !fetch.is_stuck(patience)
                && answer.is_some_and(|answer| answer.shared_with(&self.head.fields).is_some())
        })?;
        let answer = latest.answer()?;
        Some(GrowingResponse {
            reader: answer.spool.reader()?,
            answer,
            _ticket: latest.ticket(),
        })
    }

    /// The memory tier first, then the store, off the event loop.
    async fn look_up(&self, key: &Key, uri: &Uri) -> LookedUp {
        let worker = self.worker;
        let fields = &self.head.fields;
        if let Some(stored) = worker.at_hand(key, fields) {
            return LookedUp::Stored(stored);
        }
        let Some(store) = worker.store.get() else {
            return LookedUp::Nothing;
        };
        if !store.may_have(key) && !worker.memory.borrow().has_variants(key) {
            return LookedUp::Nothing;
        }
        let is_of_get = !key.is_for_head() && !key.is_for_part();
        let has_nothing =
            is_of_get && self.nothing_in == Some(worker.shared.generation(key.hash()));
        let at_once = match has_nothing {
            true => Some(Ok(Found::Nothing)),
            false => store.lookup_now(key, fields),
        };
        let found = match at_once {
            Some(found) => found,
            None => store.lookup(key, fields).await,
        };
        match found {
            Ok(Found::Object(object)) => {
                let policy = self.settings.policy(uri.as_bytes());
                LookedUp::Stored(fetch::remember(worker, &policy, *object))
            }
            Ok(Found::OtherVariants) => LookedUp::OtherVariants,
            // It may be on its way into the store.
            Ok(Found::Nothing) if worker.memory.borrow().has_variants(key) => {
                LookedUp::OtherVariants
            }
            Ok(Found::Nothing) => LookedUp::Nothing,
            Err(failure) => {
                worker.warn_of_failure(&failure);
                LookedUp::Nothing
            }
        }
    }

    /// The stored parts that this request selects, and may have. They are never in the memory tier, which has one response
    /// of a variant.
    async fn look_up_parts(&self, key: &Key, uri: &Uri) -> Option<Rc<StoredParts>> {
        let (worker, key) = (self.worker, key.part());
        let store = worker.store.get().filter(|store| store.may_have(&key))?;
        let fields = &self.head.fields;
        if matches!(store.lookup_now(&key, fields), Some(Ok(Found::Nothing))) {
            return None;
        }
        let found = store.parts(&key, fields).await;
        let mut parts = match found {
            Ok(parts) => parts,
            Err(failure) => {
                worker.warn_of_failure(&failure);
                return None;
            }
        };
        parts.retain(|part| !part.meta.local || self.client.is_local());
        let policy = self.settings.policy(uri.as_bytes());
        StoredParts::of(parts, &policy, &worker.pseudonym).map(Rc::new)
    }
}

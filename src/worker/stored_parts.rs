//! The stored parts of one representation, as a lookup found them (RFC 9111 §3.4): they have a strong validator in common,
//! so that the most recent of them speaks for all, and are sent as one content.

use std::rc::Rc;
use std::sync::Arc;

use super::stored::Stored;
use crate::cache::extent::Extent;
use crate::cache::parts::{self, HeldParts, KeptPart, PartialContent};
use crate::cache::policy::Policy;
use crate::cache::provenance::Access;
use crate::cache::range::{self, Selection};
use crate::cache::stored::Meta;
use crate::http::fields::Fields;
use crate::http::head::{RequestHead, Version};
use crate::store::{Content, JoinedContent, Object};

/// Stored parts of one representation, one at least.
pub struct PartObjects {
    /// By first byte.
    objects: Vec<Object>,
    recent: Object,
    /// What they have between the first byte of one of them and the last: something may be lacking within.
    extent: PartialContent,
}

impl PartObjects {
    /// Those of the most recent representation among these.
    pub fn of(mut parts: Vec<Object>) -> Option<PartObjects> {
        parts.retain(|part| !held(part).is_whole());
        let (places, recent) = parts::of_the_most_recent(&kept(&parts))?;
        let mut recent = parts[recent].clone();
        let of_one = places.iter().map(|at| parts[*at].clone());
        let mut objects: Vec<Object> = of_one.collect();
        objects.sort_by_key(|part| held(part).part.first);
        // Nobody may have more of them than of each.
        recent.meta.local = objects.iter().any(|part| part.meta.local);
        let is_authorized = |part: &Object| part.meta.provenance.access == Access::Authorized;
        if objects.iter().any(is_authorized) {
            recent.meta.provenance.access = Access::Authorized;
        }
        let extent = held_by(&objects).extent()?;
        Some(PartObjects {
            objects,
            recent,
            extent,
        })
    }

    /// The parts as the store has them, by first byte.
    pub fn objects(&self) -> &[Object] {
        &self.objects
    }

    /// The content from the first byte that is held to the last one, and its place.
    pub fn content(&self) -> (Content, PartialContent) {
        if let [one] = &self.objects[..] {
            return (one.content.clone(), held(one));
        }
        let place = |part: &Object| (held(part).part, part.content.clone());
        let joined = JoinedContent::of(self.objects.iter().map(place).collect());
        (Content::Pieces(Arc::new(joined)), self.extent)
    }

    /// The metadata of all of them together.
    pub fn meta(&self) -> Meta {
        extended(&self.recent.meta, self.extent)
    }
}

/// The stored parts that may answer a request.
pub struct StoredParts {
    /// The most recent one.
    pub recent: Rc<Stored>,
    /// All that they have.
    pub held: HeldParts,
    all: PartObjects,
}

impl StoredParts {
    /// Those of the most recent representation among these.
    pub fn of(parts: Vec<Object>, policy: &Policy, pseudonym: &str) -> Option<StoredParts> {
        let all = PartObjects::of(parts)?;
        Some(StoredParts {
            recent: Rc::new(Stored::new(all.recent.clone(), policy, pseudonym)),
            held: held_by(&all.objects),
            all,
        })
    }

    pub fn meta(&self) -> &Meta {
        &self.recent.object.meta
    }

    pub fn fields(&self) -> &Fields {
        &self.meta().fields
    }

    /// The content from the first byte that is held to the last one, and its place.
    pub fn content(&self) -> (Content, PartialContent) {
        self.all.content()
    }

    /// What answers a request that the plan has them answer, with this metadata of the most recent one: one of them where
    /// that has all that is wanted, else all together.
    pub fn answer(&self, request: &RequestHead, meta: &Meta) -> Object {
        let wanted = match range::select(request, 200, &meta.fields, self.held.length()) {
            Selection::Part(part) => Some(part),
            Selection::Whole | Selection::Parts(_) | Selection::Unsatisfiable => None,
        };
        let has = |part: &&Object| wanted.is_some_and(|wanted| held(part).has(wanted));
        let (content, has) = match self.all.objects.iter().find(has) {
            Some(part) => (part.content.clone(), held(part)),
            None => self.all.content(),
        };
        Object {
            meta: extended(meta, has),
            content,
            ..self.recent.object.clone()
        }
    }
}

/// The metadata of as much of a representation as that.
fn extended(meta: &Meta, has: PartialContent) -> Meta {
    let head = parts::head(&meta.fields, has, Version::Http11);
    Meta {
        status: head.status,
        reason: head.reason,
        extent: Extent::of(head.status, &head.fields),
        fields: head.fields,
        ..meta.clone()
    }
}

/// What a stored part has of its representation.
pub fn held(part: &Object) -> PartialContent {
    parts::stored(&part.meta, part.content.len())
}

fn held_by(parts: &[Object]) -> HeldParts {
    let length = parts.first().map_or(0, |part| held(part).length);
    HeldParts::new(parts.iter().map(|part| held(part).part), length)
}

/// Stored parts as far as it counts for which of them are kept.
pub fn kept(parts: &[Object]) -> Vec<KeptPart<'_>> {
    parts.iter().map(kept_part).collect()
}

fn kept_part(part: &Object) -> KeptPart<'_> {
    KeptPart {
        fields: &part.meta.fields,
        received: part.meta.response_time,
        held: held(part),
    }
}

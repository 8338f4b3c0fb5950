//! The changes that a new part makes among those of its variant, in the store's thread. Several workers may be at it: what
//! was looked at before is looked at again, and a join of parts that have changed meanwhile isn't made.

use bytes::{Bytes, BytesMut};

use super::partial::split;
use crate::cache::extent::Extent;
use crate::cache::key::Key;
use crate::cache::parts::{self, Entry, KeptPart, Tidying, enters, tidying};
use crate::cache::stored::Meta;
use crate::http::fields::Fields;
use crate::store::{Checksum, Content, Object, SMALL, Store, StoreError, Whole};
use crate::worker::stored_parts::{PartObjects, held, kept};

/// The parts of one variant.
pub struct VariantParts {
    /// Their key, and that of the whole.
    pub part: Key,
    pub whole: Key,
    /// The fields of a request that selects them.
    pub presented: Fields,
    /// The most bytes that a stored response may have.
    pub most: u64,
    /// How often the keys had been made invalid when the last part was asked for.
    pub epoch: Option<u32>,
    pub epoch_of_whole: Option<u32>,
}

/// The state of the parts after a new one.
pub enum Entered {
    Tidy,
    /// There is a step to be made.
    Untidy,
}

/// A step towards fewer parts, prepared as far as it takes time.
pub enum Step {
    Join(Box<Join>),
    Remove(Box<Object>),
}

/// Parts that are to become one, and that.
pub struct Join {
    of: Vec<Object>,
    meta: Meta,
    content: Whole,
}

impl VariantParts {
    /// Stores a part beside the others, or each of several; nothing where those have all of it.
    pub fn enter(
        &self,
        store: &dyn Store,
        meta: Meta,
        content: Whole,
    ) -> Result<Option<Entered>, StoreError> {
        if meta.extent != Extent::Whole {
            return self.enter_one(store, &meta, content);
        }
        let mut entered = None;
        for (meta, content) in split(&meta, &in_memory(content)?) {
            let one = self.enter_one(store, &meta, Whole::Memory(vec![content]))?;
            entered = one.or(entered);
        }
        Ok(entered)
    }

    fn enter_one(
        &self,
        store: &dyn Store,
        meta: &Meta,
        content: Whole,
    ) -> Result<Option<Entered>, StoreError> {
        let stored = store.parts(&self.part, &self.presented)?;
        let new = KeptPart {
            fields: &meta.fields,
            received: meta.response_time,
            held: parts::stored(meta, content.len()),
        };
        let kept = kept(&stored);
        let Entry::Stored(gone) = enters(&kept, &new) else {
            return Ok(None);
        };
        store.publish(meta, content, self.epoch)?;
        // One that began with the same byte was replaced.
        let replaced = |part: &Object| held(part).part.first == new.held.part.first;
        for part in gone.iter().map(|at| &stored[*at]) {
            if !replaced(part) {
                store.remove_part(part)?;
            }
        }
        let stay = (0..stored.len()).filter(|at| !gone.contains(at) && !replaced(&stored[*at]));
        let mut parts: Vec<_> = stay.map(|at| kept[at].held).chain([new.held]).collect();
        parts.sort_by_key(|held| held.part.first);
        Ok(Some(match tidying(&parts, self.most) {
            None => Entered::Tidy,
            Some(_) => Entered::Untidy,
        }))
    }

    /// The next step towards fewer parts. What is joined is copied here.
    pub fn next_step(&self, store: &dyn Store) -> Result<Option<Step>, StoreError> {
        let stored = store.parts(&self.part, &self.presented)?;
        let Some(parts) = PartObjects::of(stored) else {
            return Ok(None);
        };
        let places: Vec<_> = parts.objects().iter().map(held).collect();
        match tidying(&places, self.most) {
            None => Ok(None),
            Some(Tidying::Remove(at)) => {
                let part = parts.objects()[at].clone();
                Ok(Some(Step::Remove(Box::new(part))))
            }
            Some(Tidying::Join(of)) => {
                let of = of.into_iter().map(|at| parts.objects()[at].clone());
                self.join(store, of.collect()).map(Some)
            }
        }
    }

    fn join(&self, store: &dyn Store, of: Vec<Object>) -> Result<Step, StoreError> {
        let parts = PartObjects::of(of).ok_or(StoreError::Gone)?;
        let (content, makes) = parts.content();
        let mut meta = parts.meta();
        if makes.is_whole() {
            meta.key = self.whole.clone();
        }
        let content = copied(store, &meta, &content)?;
        let of = parts.objects().to_vec();
        Ok(Step::Join(Box::new(Join { of, meta, content })))
    }

    /// Makes a step, unless what it is about has changed meanwhile: then there is another.
    pub fn carry_out(&self, store: &dyn Store, step: Step) -> Result<(), StoreError> {
        let Join { of, meta, content } = match step {
            Step::Remove(part) => return store.remove_part(&part),
            Step::Join(join) => *join,
        };
        if !self.has_all(store, &of)? {
            return Ok(());
        }
        if !meta.key.is_for_part() {
            return store.publish(&meta, content, self.epoch_of_whole).map(drop);
        }
        store.publish(&meta, content, self.epoch)?;
        let first = meta.extent.first();
        let mut others = of.iter().filter(|part| part.meta.extent.first() != first);
        others.try_for_each(|part| store.remove_part(part))
    }

    /// True when these parts are still stored.
    fn has_all(&self, store: &dyn Store, parts: &[Object]) -> Result<bool, StoreError> {
        let stored = store.parts(&self.part, &self.presented)?;
        let is_there = |part: &Object| {
            let is_it = |it: &Object| held(it) == held(part) && it.checksum == part.checksum;
            stored.iter().any(is_it)
        };
        Ok(parts.iter().all(is_there))
    }
}

/// All of the content, which is short.
fn in_memory(content: Whole) -> Result<Bytes, StoreError> {
    match content {
        Whole::Memory(parts) => Ok(parts.concat().into()),
        Whole::Draft { draft, len, .. } => draft.read(len),
    }
}

/// The content copied to where it can be stored anew.
fn copied(store: &dyn Store, meta: &Meta, content: &Content) -> Result<Whole, StoreError> {
    let len = content.len();
    let mut at = 0;
    if len <= SMALL {
        let mut all = BytesMut::with_capacity(len as usize);
        while at < len {
            all.extend_from_slice(&content.piece(at)?);
            at = all.len() as u64;
        }
        return Ok(Whole::Memory(vec![all.freeze()]));
    }
    let draft = store.begin(meta, Some(len))?;
    let mut checksum = Checksum::new();
    while at < len {
        let piece = content.piece(at)?;
        draft.write_at(&piece, at)?;
        checksum.update(&piece);
        at += piece.len() as u64;
    }
    Ok(Whole::Draft {
        draft,
        len,
        checksum,
    })
}

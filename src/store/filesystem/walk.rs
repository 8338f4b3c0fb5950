//! Walks over the index for commands: a range of entries, some hundred at a time. They are copied within a transaction, and
//! looked at outside of it, so that no walk keeps others from freeing what they don't need any more.

use std::ops::{Bound, ControlFlow};

use bytes::Bytes;
use heed::RoTxn;

use super::FilesystemStore;
use super::entry::MOST_TEXT;
use super::environment::Environment;
use super::lookup::record;
use super::read_ahead::ReadAhead;
use super::unload::Unload;
use crate::store::StoreError;

/// The most entries that are copied in one transaction, and about the most bytes.
const AT_ONCE: usize = 1000;
const BYTES: usize = 1 << 20;

/// The part of entries' values that is copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// What the index has of a record, or a list.
    Value,
    /// The record itself, or a list.
    Record,
}

/// An entry, copied.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) key: Bytes,
    pub(super) value: Bytes,
}

/// The outcome of a visit of some entries.
pub(super) type Went = Result<ControlFlow<()>, StoreError>;

impl FilesystemStore {
    /// Visits the entries of all keys whose texts begin with `text`, as far as entries' keys have them, in their order.
    pub(super) fn walk(
        &self,
        text: &[u8],
        part: Part,
        visit: &mut dyn FnMut(Vec<Entry>) -> Went,
    ) -> Went {
        self.walk_from(&text[..text.len().min(MOST_TEXT)], part, visit)
    }

    /// Visits what the index has of all keys, in their order.
    pub(super) fn walk_all(&self, visit: &mut dyn FnMut(Vec<Entry>) -> Went) -> Went {
        ReadAhead::of(self, |ahead| {
            self.walk_from(b"", Part::Value, &mut |entries| {
                if let Some(last) = entries.last() {
                    ahead.reached(&last.key);
                }
                visit(entries)
            })
        })
    }

    /// Visits all entries whose keys begin so, in their order.
    pub(super) fn walk_from(
        &self,
        beginning: &[u8],
        part: Part,
        visit: &mut dyn FnMut(Vec<Entry>) -> Went,
    ) -> Went {
        let mut after: Option<Bytes> = None;
        loop {
            let (entries, has_more) = self.some(|environment, txn, copies| {
                let start = match &after {
                    None if beginning.is_empty() => Bound::Unbounded,
                    None => Bound::Included(beginning),
                    Some(after) => Bound::Excluded(&after[..]),
                };
                let range = (start, Bound::Unbounded);
                for entry in environment.objects.range(txn, &range)? {
                    let (key, value) = entry?;
                    if copies.is_full() || !key.starts_with(beginning) {
                        break;
                    }
                    let value = match part {
                        Part::Value => value,
                        Part::Record => record(environment, txn, value)?,
                    };
                    copies.add(key, value);
                }
                Ok(copies.is_full())
            })?;
            after = entries.last().map(|last| last.key.clone());
            let went = visit(entries)?;
            if went.is_break() || !has_more {
                return Ok(went);
            }
        }
    }

    /// What the index has of the records with these numbers, as far as they are there.
    pub(super) fn numbered(&self, orders: &[u64]) -> Result<Vec<Entry>, StoreError> {
        let (entries, ()) = self.some(|environment, txn, copies| {
            for order in orders {
                let key = environment.order.get(txn, order)?;
                let Some(key) = key else {
                    continue;
                };
                if let Some(value) = environment.objects.get(txn, key)? {
                    copies.add(key, value);
                }
            }
            Ok(())
        })?;
        Ok(entries)
    }

    /// Copies that are made in one transaction, and what that came to besides.
    fn some<T>(
        &self,
        look: impl FnOnce(&Environment, &RoTxn<'_>, &mut Copies) -> Result<T, heed::Error>,
    ) -> Result<(Vec<Entry>, T), StoreError> {
        let environment = self.environment()?;
        self.noting_damage(&environment, |txn| {
            let mut copies = Copies::default();
            let outcome = look(&environment, txn, &mut copies)?;
            Ok((copies.entries(), outcome))
        })
    }
}

/// Copies of entries, one behind the other.
#[derive(Default)]
struct Copies {
    bytes: Vec<u8>,
    /// Where the keys end, and where the values do.
    ends: Vec<(usize, usize)>,
    unload: Unload,
}

impl Copies {
    fn is_full(&self) -> bool {
        self.ends.len() >= AT_ONCE || self.bytes.len() >= BYTES
    }

    fn add(&mut self, key: &[u8], value: &[u8]) {
        self.bytes.extend_from_slice(key);
        let end = self.bytes.len();
        self.bytes.extend_from_slice(value);
        self.ends.push((end, self.bytes.len()));
        self.unload.read(value);
    }

    fn entries(self) -> Vec<Entry> {
        drop(self.unload);
        let bytes = Bytes::from(self.bytes);
        let mut start = 0;
        let entry = |(key, end): (usize, usize)| {
            let entry = Entry {
                key: bytes.slice(start..key),
                value: bytes.slice(key..end),
            };
            start = end;
            entry
        };
        self.ends.into_iter().map(entry).collect()
    }
}

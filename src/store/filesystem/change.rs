//! A change of what is stored: one transaction in which records come and go, with their places in the queue, what they
//! take, and the lists of keys' variants. What it took out of the index leaves the disk once it has been committed.
//!
//! Which records go with which isn't decided here.

use bytes::Bytes;
use heed::{MdbError, PutFlags, RwTxn};

#[cfg(doc)]
use super::FilesystemStore;
use super::brief::Brief;
use super::entry::{EntryKey, RecordPlace, list_of};
use super::environment::{Environment, Numbered};
use super::lookup::record;
use super::state::State;
use crate::cache::key::{Hash, Key};
use crate::store::Published;
use crate::store::StoreError;
use crate::store::record::head::{self, ContentPlace, FileId, RecordHead};
use crate::store::record::variants::VariantList;

pub(super) struct Change<'a> {
    environment: &'a Environment,
    txn: RwTxn<'a>,
    pub(super) state: State,
    /// Large files that no record names any more, with what they take.
    pub(super) released: Vec<(FileId, u64)>,
    /// Hashes of the keys under which something has changed.
    pub(super) changed: Vec<Hash>,
    /// Something was put.
    has_put: bool,
    leaves_records: bool,
}

/// What a change came to, once it is committed.
pub(super) struct Committed {
    pub(super) released: Vec<(FileId, u64)>,
    pub(super) changed: Vec<Hash>,
    /// The bytes that all takes, as was told before, and as it turned out.
    pub(super) told: u64,
    pub(super) stored: u64,
}

impl<'a> Change<'a> {
    /// Begins a change, when those of others are done. None when the environment has been moved.
    pub(super) fn begin(environment: &'a Environment) -> Result<Option<Change<'a>>, StoreError> {
        let failed = |error| environment.failure(error);
        let txn = environment.write().map_err(failed)?;
        let state = environment.state(&txn).map_err(failed)?;
        if state.moved {
            return Ok(None);
        }
        Ok(Some(Change {
            environment,
            txn,
            state,
            released: Vec::new(),
            changed: Vec::new(),
            has_put: false,
            leaves_records: false,
        }))
    }

    pub(super) fn environment(&self) -> &'a Environment {
        self.environment
    }

    fn failed(&self) -> impl Fn(heed::Error) -> StoreError + use<'a> {
        let environment = self.environment;
        move |error| environment.failure(error)
    }

    /// Commits it; `settle` is told what all takes, while nobody else can change it.
    pub(super) fn commit(mut self, settle: impl FnOnce(u64, u64)) -> Result<Committed, StoreError> {
        let environment = self.environment;
        let failed = |error| environment.failure(error);
        let before = environment.size();
        if self.has_put {
            let size = std::mem::replace(&mut self.state.size, before);
            self.deflate(before.saturating_sub(size))?;
        }
        environment
            .set_state(&mut self.txn, &self.state)
            .map_err(failed)?;
        let in_use = environment.in_use(&self.txn).map_err(failed)?;
        // What it takes is known when it is committed, and then others may change it: so it is told before, by what it
        // took until now.
        let slack = before.saturating_sub(in_use);
        let State {
            file_bytes, holes, ..
        } = self.state;
        let stored = |size: u64| file_bytes.saturating_add(size.saturating_sub(holes));
        let told = stored(before.max(in_use));
        settle(told, slack);
        self.txn.commit().map_err(failed)?;
        Ok(Committed {
            released: self.released,
            changed: self.changed,
            told,
            stored: stored(environment.size().max(in_use)),
        })
    }

    /// Something of the environment's own, beside its state.
    pub(super) fn own(&self, key: &[u8]) -> Result<Option<&[u8]>, StoreError> {
        let found = self.environment.state.get(&self.txn, key);
        found.map_err(self.failed())
    }

    /// The first of it from this key on, and its length.
    pub(super) fn first_own(&self, key: &[u8]) -> Result<Option<(Vec<u8>, u64)>, StoreError> {
        let state = self.environment.state;
        let found = state.get_greater_than_or_equal_to(&self.txn, key);
        let found = found.map_err(self.failed())?;
        Ok(found.map(|(key, value)| (key.to_vec(), value.len() as u64)))
    }

    pub(super) fn put_own(&mut self, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        let put = self.environment.state.put(&mut self.txn, key, value);
        put.map_err(self.failed())
    }

    pub(super) fn delete_own(&mut self, key: &[u8]) -> Result<(), StoreError> {
        let deleted = self.environment.state.delete(&mut self.txn, key);
        deleted.map(drop).map_err(self.failed())
    }

    pub(super) fn get(&self, key: &[u8]) -> Result<Option<&[u8]>, StoreError> {
        let found = self.environment.objects.get(&self.txn, key);
        found.map_err(self.failed())
    }

    /// The list of a key's variants; None where there is none that checks.
    pub(super) fn list(&self, key: &Key) -> Result<Option<VariantList>, StoreError> {
        let found = self.get(EntryKey::of_list(key).as_bytes())?;
        Ok(found.and_then(|bytes| VariantList::decode_of(bytes, key)))
    }

    /// Puts the list of a key's variants, or takes it out where it says nothing.
    pub(super) fn put_list(
        &mut self,
        list: &[u8],
        variants: &VariantList,
    ) -> Result<(), StoreError> {
        let bytes = match !variants.is_needless() {
            true => variants.encode(),
            false => None,
        };
        let objects = self.environment.objects;
        match bytes {
            Some(bytes) => objects.put(&mut self.txn, list, &bytes),
            None => objects.delete(&mut self.txn, list).map(drop),
        }
        .map_err(self.failed())
    }

    /// Takes the list of a key's variants out.
    pub(super) fn delete_list(&mut self, list: &[u8]) -> Result<(), StoreError> {
        let deleted = self.environment.objects.delete(&mut self.txn, list);
        deleted.map(drop).map_err(self.failed())
    }

    /// The brief at this key; None where there is none that checks.
    pub(super) fn brief(&self, key: &[u8]) -> Result<Option<Brief>, StoreError> {
        Ok(self.get(key)?.and_then(Brief::decode))
    }

    /// The record that is found at this key, or what else lies there; None where there is nothing.
    pub(super) fn record(&self, key: &[u8]) -> Result<Option<&[u8]>, StoreError> {
        let value = self.get(key)?;
        let found = value.map(|value| record(self.environment, &self.txn, value));
        found.transpose().map_err(self.failed())
    }

    /// Puts a record, which has this head, in place of the one that has its key, and of its number in the queue.
    pub(super) fn put(
        &mut self,
        key: &EntryKey,
        head: &RecordHead,
        record: &mut [u8],
    ) -> Result<(), StoreError> {
        let failed = self.failed();
        let environment = self.environment;
        let mut brief = Brief::of(head, record.len());
        let replaced = self.replaced(key, &brief)?;
        brief.order = replaced.unwrap_or(self.state.next);
        head::set_order(record, brief.order);
        self.count(&brief, true);
        self.has_put = true;
        let (order, records) = (environment.order, environment.records);
        let put = match replaced {
            Some(number) => records.put(&mut self.txn, &number, record),
            None => {
                self.state.next += 1;
                append(order, &mut self.txn, brief.order, key.as_bytes())
                    .and_then(|()| append(records, &mut self.txn, brief.order, record))
            }
        };
        put.map_err(&failed)?;
        let value = brief.encode(&head.meta.key, &head.meta.variant);
        let put = environment
            .objects
            .put(&mut self.txn, key.as_bytes(), &value);
        put.map_err(&failed)?;
        if let Some(place) = RecordPlace::parse(key.as_bytes()) {
            self.changed.push(place.hash);
        }
        Ok(())
    }

    /// Releases what the record at this key has, which is being replaced by the one of `new`; its number in the queue.
    fn replaced(&mut self, key: &EntryKey, new: &Brief) -> Result<Option<u64>, StoreError> {
        let Some(old) = self.brief(key.as_bytes())? else {
            return Ok(None);
        };
        self.count(&old, false);
        if old.place != new.place {
            self.release(&old);
        }
        // A number whose entry was lost would never be found again.
        let is_its = self.is_number_of(old.order, key.as_bytes())?;
        Ok(is_its.then_some(old.order))
    }

    /// True when the queue has this key at this number.
    fn is_number_of(&self, number: u64, key: &[u8]) -> Result<bool, StoreError> {
        let named = self.environment.order.get(&self.txn, &number);
        Ok(named.map_err(self.failed())? == Some(key))
    }

    fn count(&mut self, brief: &Brief, more: bool) {
        let size = brief.file_size();
        if size == 0 {
            return;
        }
        let State {
            file_bytes, files, ..
        } = &mut self.state;
        (*file_bytes, *files) = match more {
            true => (file_bytes.saturating_add(size), files.saturating_add(1)),
            false => (file_bytes.saturating_sub(size), files.saturating_sub(1)),
        };
    }

    /// Keeps the file of a record that was taken out, for one that is put.
    pub(super) fn keep(&mut self, place: &ContentPlace) {
        if let ContentPlace::File(id) = place {
            self.released.retain(|(released, _)| released != id);
        }
    }

    fn release(&mut self, brief: &Brief) {
        if let ContentPlace::File(id) = brief.place {
            self.released.push((id, brief.file_size()));
        }
    }

    /// Takes a record out, and its variant off the list where none of it is left; None where there is none.
    pub(super) fn remove(&mut self, key: &[u8]) -> Result<Option<Published>, StoreError> {
        let removed = self.take_out(key)?;
        if let Some(place) = RecordPlace::parse(key) {
            self.unlist(key, &place.variant)?;
        }
        Ok(removed)
    }

    /// Has what is taken out from now on leave its record, with its place in the queue, to [`FilesystemStore::sweep`]: many
    /// records lie in many pages.
    pub(super) fn leave_records(&mut self) {
        (self.state.sweep_at, self.state.sweep_end) = (0, self.state.next);
        self.leaves_records = true;
    }

    /// Takes a record out, and leaves the list alone.
    pub(super) fn take_out(&mut self, key: &[u8]) -> Result<Option<Published>, StoreError> {
        let Some(place) = RecordPlace::parse(key) else {
            return Ok(None);
        };
        let Some(brief) = self.get(key)?.map(Brief::decode) else {
            return Ok(None);
        };
        if let Some(brief) = brief {
            if !self.leaves_records && self.is_number_of(brief.order, key)? {
                self.forget_number(brief.order)?;
            }
            self.count(&brief, false);
            self.release(&brief);
        }
        let deleted = self.environment.objects.delete(&mut self.txn, key);
        deleted.map_err(self.failed())?;
        self.changed.push(place.hash);
        Ok(Some(Published {
            hash: place.hash,
            variant: place.variant,
            size: brief.map_or(0, |it| it.size()),
            generation: 0,
        }))
    }

    /// Takes a variant off its key's list, unless a part of it is left.
    fn unlist(&mut self, record: &[u8], variant: &Hash) -> Result<(), StoreError> {
        let list = list_of(record).to_vec();
        let Some(variants) = self.get(&list)?.map(Bytes::copy_from_slice) else {
            return Ok(());
        };
        let mut of_variant = list.clone();
        of_variant.extend_from_slice(variant);
        if self
            .first_from(&of_variant)?
            .is_some_and(|key| key.starts_with(&of_variant))
        {
            return Ok(());
        }
        let Some(mut variants) = VariantList::decode(&variants) else {
            return Ok(());
        };
        if variants.remove(variant) {
            self.put_list(&list, &variants)?;
        }
        Ok(())
    }

    /// The first key from this on.
    pub(super) fn first_from(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let found = (self.environment.objects).get_greater_than_or_equal_to(&self.txn, key);
        let found = found.map_err(self.failed())?;
        Ok(found.map(|(key, _)| key.to_vec()))
    }

    /// The keys of all entries that begin with this one, `most` of them.
    pub(super) fn keys_from(&self, prefix: &[u8], most: usize) -> Result<Vec<Vec<u8>>, StoreError> {
        let entries = self.environment.objects.prefix_iter(&self.txn, prefix);
        let keys = entries.map_err(self.failed())?.take(most);
        let keys = keys.map(|entry| entry.map(|(key, _)| key.to_vec()));
        keys.collect::<Result<_, _>>().map_err(self.failed())
    }

    /// The next in the queue from this number on, and its number.
    pub(super) fn in_queue_from(&self, number: u64) -> Result<Option<(u64, Vec<u8>)>, StoreError> {
        let found = (self.environment.order).get_greater_than_or_equal_to(&self.txn, &number);
        let found = found.map_err(self.failed())?;
        Ok(found.map(|(number, key)| (number, key.to_vec())))
    }

    /// Takes a number out of the queue, with its record; the bytes of that.
    pub(super) fn forget_number(&mut self, number: u64) -> Result<u64, StoreError> {
        let (environment, failed) = (self.environment, self.failed());
        let record = environment.record(&self.txn, number).map_err(&failed)?;
        let length = record.map_or(0, |record| record.len() as u64);
        let deleted = environment.order.delete(&mut self.txn, &number);
        deleted.map_err(&failed)?;
        let deleted = environment.records.delete(&mut self.txn, &number);
        deleted.map_err(&failed)?;
        Ok(length)
    }

    /// What finds the record with this number under this key, which the queue has for it.
    pub(super) fn found(&self, number: u64, key: &[u8]) -> Result<Option<Brief>, StoreError> {
        Ok(self.brief(key)?.filter(|it| it.order == number))
    }
}

/// Puts a value behind all others, so that pages get full: one that is put somewhere splits a page in two halves.
fn append(
    database: Numbered,
    txn: &mut RwTxn,
    number: u64,
    value: &[u8],
) -> Result<(), heed::Error> {
    match database.put_with_flags(txn, PutFlags::APPEND, &number, value) {
        // A damaged queue has a greater number.
        Err(heed::Error::Mdb(MdbError::KeyExist)) => database.put(txn, &number, value),
        put => put,
    }
}

//! Lookups: the stored response that a request selects, by one look into the index, in the event loop where that waits
//! for no disk.
//!
//! What is small is copied out and its checksums are verified each time; large content is checked block by block as it is
//! sent. What doesn't check is a miss, and goes.

use std::time::{Duration, Instant};

use bytes::Bytes;
use heed::RoTxn;

use super::FilesystemStore;
use super::brief::Brief;
use super::directory::NO_VARIANT;
use super::entry::EntryKey;
use super::environment::Environment;
use super::hints;
use crate::cache::key::{Hash, Key, Variant};
use crate::http::fields::Fields;
use crate::store::record::head::{self, ContentPlace, RecordHead};
use crate::store::record::variants::VariantList;
use crate::store::{Checksum, Content, Found, Object, SMALL, StoreError, place};
use crate::sys::faults::InUse;
use crate::sys::lmdb;

/// A look that took longer has waited for something.
const LONG: Duration = Duration::from_micros(200);

/// The bytes of a record, with the variant that it is to be of.
struct Candidate {
    variant: Variant,
    /// Its key has a list of variants.
    is_listed: bool,
    bytes: Bytes,
}

/// What a look into the index found.
enum Looked {
    Nothing,
    /// Variants, of which the request selects none.
    OtherVariants,
    Found(Candidate),
    /// The same, which would have to wait for the disk.
    NotResident,
}

impl Looked {
    /// The only record of a key, as far as that can be read without a wait.
    fn plain(bytes: Option<Bytes>) -> Looked {
        Looked::of(Variant::none(), false, bytes)
    }

    fn of(variant: Variant, is_listed: bool, bytes: Option<Bytes>) -> Looked {
        let candidate = |bytes| Candidate {
            variant,
            is_listed,
            bytes,
        };
        bytes.map_or(Looked::NotResident, |bytes| Looked::Found(candidate(bytes)))
    }
}

/// The wait that a look may make.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wait {
    /// For the disk.
    Disk,
    /// For nothing.
    No,
}

impl FilesystemStore {
    /// Looks in the event loop; None where that would wait, or where something is to be removed.
    pub(super) fn lookup_now(
        &self,
        key: &Key,
        request: &Fields,
    ) -> Option<Result<Found, StoreError>> {
        if !self.residency.is_likely() {
            return None;
        }
        self.residency.begin();
        let begun = Instant::now();
        let found = self.look(key, request, Wait::No);
        if begun.elapsed() > LONG {
            self.residency.note_wait();
        }
        found.transpose()
    }

    pub(super) fn lookup(&self, key: &Key, request: &Fields) -> Result<Found, StoreError> {
        let before = lmdb::major_faults();
        let found = self.look(key, request, Wait::Disk);
        self.residency.note(lmdb::major_faults() == before);
        found.map(|found| found.unwrap_or(Found::Nothing))
    }

    /// None where the look would wait longer than it may.
    fn look(&self, key: &Key, request: &Fields, wait: Wait) -> Result<Option<Found>, StoreError> {
        // Read first: a change while this lookup goes on then makes copies of its outcome stale.
        let generation = self.shared.generation(key.hash());
        let environment = self.environment()?;
        let hint = match wait {
            Wait::No => hints::number(environment.id, key, generation),
            Wait::Disk => None,
        };
        let candidate = match self.noting_damage(&environment, |txn| match hint {
            Some(number) => look_at(&environment, txn, number),
            None => look_into(&environment, txn, key, request, wait),
        })? {
            Looked::Nothing => return Ok(Some(Found::Nothing)),
            Looked::OtherVariants => return Ok(Some(Found::OtherVariants)),
            Looked::NotResident => return Ok(None),
            Looked::Found(found) => found,
        };
        let (is_listed, variant) = (candidate.is_listed, &candidate.variant);
        match read(candidate.bytes, key, variant) {
            Ok(Some((head, content))) => {
                if wait == Wait::No && matches!(head.place, ContentPlace::File(_)) {
                    return Ok(None);
                }
                if wait == Wait::No && hint.is_none() && !is_listed {
                    hints::note(environment.id, key, generation, head.order);
                }
                if let Some(object) = self.object(head, content, generation)? {
                    self.shared.visit(&place(key.hash(), variant.hash()));
                    return Ok(Some(Found::Object(Box::new(object))));
                }
            }
            Ok(None) | Err(_) if wait == Wait::No => return Ok(None),
            Ok(None) => {}
            Err(why) => self.discard(key, variant, 0, why)?,
        }
        Ok(Some(match is_listed {
            true => Found::OtherVariants,
            false => Found::Nothing,
        }))
    }

    /// The stored response that a record is; None where its file is gone, and with it the record.
    pub(super) fn object(
        &self,
        head: RecordHead,
        content: Bytes,
        generation: u32,
    ) -> Result<Option<Object>, StoreError> {
        let content = match &head.place {
            ContentPlace::Here => Content::Memory(content),
            ContentPlace::File(id) => match self.open_content(*id, &head)? {
                Some(content) => content,
                None => {
                    let (key, variant) = (&head.meta.key, &head.meta.variant);
                    let first = head.meta.extent.first();
                    self.discard(key, variant, first, "its file is missing")?;
                    return Ok(None);
                }
            },
            ContentPlace::ByDigest => return Ok(None),
        };
        Ok(Some(Object {
            checksum: head.content_checksum,
            meta: head.meta,
            content,
            generation,
        }))
    }

    /// All stored parts of a key that the request selects, by where they begin.
    pub(super) fn parts(&self, key: &Key, request: &Fields) -> Result<Vec<Object>, StoreError> {
        let generation = self.shared.generation(key.hash());
        let environment = self.environment()?;
        let (variant, found) = self.noting_damage(&environment, |txn| {
            parts_in(&environment, txn, key, request)
        })?;
        let mut parts = Vec::new();
        for (first, bytes) in found {
            match read(bytes, key, &variant) {
                Ok(Some((head, content))) => {
                    parts.extend(self.object(head, content, generation)?);
                }
                Ok(None) => {}
                Err(why) => self.discard(key, &variant, first, why)?,
            }
        }
        if !parts.is_empty() {
            self.shared.visit(&place(key.hash(), variant.hash()));
        }
        Ok(parts)
    }

    /// Reads the index; one that turns out to be damaged is made anew.
    pub(super) fn noting_damage<T>(
        &self,
        environment: &Environment,
        look: impl FnOnce(&RoTxn<'_>) -> Result<T, heed::Error>,
    ) -> Result<T, StoreError> {
        let in_use = InUse::begin();
        let outcome = match environment.read() {
            Ok(txn) => look(&txn),
            Err(error) => Err(error),
        };
        drop(in_use);
        let outcome = outcome.map_err(|error| environment.failure(error));
        self.mending(environment, outcome)
    }

    /// Removes a record that doesn't check, after a second look under the lock.
    fn discard(
        &self,
        key: &Key,
        variant: &Variant,
        first: u64,
        why: &'static str,
    ) -> Result<(), StoreError> {
        let entry = EntryKey::of_record(key, variant.hash(), first);
        let removed = self.change(|change| {
            let Some(bytes) = change.record(entry.as_bytes())? else {
                return Ok(None);
            };
            let bytes = Bytes::copy_from_slice(bytes);
            let is_sound = match read(bytes, key, variant) {
                Ok(Some((head, _))) => self.has_file(&head.place),
                Ok(None) => true,
                Err(_) => false,
            };
            match is_sound {
                true => Ok(None),
                false => change.remove(entry.as_bytes()),
            }
        })?;
        if removed.is_some() {
            let key = crate::sys::printable::printable(key.text());
            log::warn!("{key}: {why}; removed from the store");
        }
        Ok(())
    }

    fn has_file(&self, place: &ContentPlace) -> bool {
        match place {
            ContentPlace::File(id) => self.directory.file(id).exists(),
            ContentPlace::Here | ContentPlace::ByDigest => true,
        }
    }
}

/// The record in these bytes, and its content where it is here; None where it is another key's or variant's.
pub(super) fn read(
    bytes: Bytes,
    key: &Key,
    variant: &Variant,
) -> Result<Option<(RecordHead, Bytes)>, &'static str> {
    let (head, end) = match head::decode_of(&bytes, key) {
        // One that checks is another key's.
        Err(why) => return head::decode(&bytes).map_or(Err(why), |_| Ok(None)),
        Ok(found) => found,
    };
    let content = content_behind(&head, bytes.slice(end..))?;
    let is_its = head.meta.variant == *variant;
    Ok(is_its.then_some((head, content)))
}

/// The record in these bytes, and its content where it is here.
pub(super) fn decode(bytes: Bytes) -> Result<(RecordHead, Bytes), &'static str> {
    let (head, end) = head::decode(&bytes)?;
    let content = content_behind(&head, bytes.slice(end..))?;
    Ok((head, content))
}

/// What follows a head, where that is its content and checks.
fn content_behind(head: &RecordHead, content: Bytes) -> Result<Bytes, &'static str> {
    if matches!(head.place, ContentPlace::Here) {
        if content.len() as u64 != head.content {
            return Err("it is truncated");
        }
        if Checksum::of(&content) != head.content_checksum {
            return Err("its content does not check");
        }
    }
    Ok(content)
}

/// The record with this number, of a key without variants.
fn look_at(environment: &Environment, txn: &RoTxn<'_>, number: u64) -> Result<Looked, heed::Error> {
    let found = environment.record(txn, number)?;
    let bytes = found.and_then(|record| copied(record, Wait::No));
    Ok(Looked::plain(bytes))
}

fn look_into(
    environment: &Environment,
    txn: &RoTxn<'_>,
    key: &Key,
    request: &Fields,
    wait: Wait,
) -> Result<Looked, heed::Error> {
    let list = EntryKey::of_list(key);
    let first = (environment.objects).get_greater_than_or_equal_to(txn, list.as_bytes())?;
    let Some((entry, value)) = first else {
        return Ok(Looked::Nothing);
    };
    if list.has_record(entry) {
        // A record without a list has no variant: others lie behind it.
        let is_plain = entry[list.as_bytes().len()..].starts_with(&NO_VARIANT);
        if !is_plain {
            return Ok(Looked::Nothing);
        }
        let bytes = copied(record(environment, txn, value)?, wait);
        return Ok(Looked::plain(bytes));
    }
    if entry != list.as_bytes() {
        return Ok(Looked::Nothing);
    }
    // The first that is there; the next is for where this one doesn't check.
    for variant in selected(value, key, request) {
        let place = EntryKey::of_record(key, variant.hash(), 0);
        if let Some(value) = environment.objects.get(txn, place.as_bytes())? {
            let bytes = copied(record(environment, txn, value)?, wait);
            return Ok(Looked::of(variant, true, bytes));
        }
    }
    Ok(Looked::OtherVariants)
}

/// The variants that a list says the request selects, where it is this key's.
fn selected(list: &[u8], key: &Key, request: &Fields) -> Vec<Variant> {
    VariantList::decode_of(list, key).map_or_else(Vec::new, |list| list.selected(request))
}

/// The hashes of the variants that a list has, most recent first.
pub(super) fn variants_of(list: &[u8], key: &Key) -> Vec<Hash> {
    VariantList::decode_of(list, key)
        .map_or_else(Vec::new, |list| list.variants().copied().collect())
}

/// The parts in the index, by where they begin, of the variant that the request selects.
fn parts_in(
    environment: &Environment,
    txn: &RoTxn<'_>,
    key: &Key,
    request: &Fields,
) -> Result<(Variant, Vec<(u64, Bytes)>), heed::Error> {
    let list = EntryKey::of_list(key);
    let list = environment.objects.get(txn, list.as_bytes())?;
    let variants = match list {
        Some(list) => selected(list, key, request),
        None => vec![Variant::none()],
    };
    for variant in variants {
        let prefix = EntryKey::of_variant(key, variant.hash());
        let mut found = Vec::new();
        for entry in environment.objects.prefix_iter(txn, prefix.as_bytes())? {
            let (entry, value) = entry?;
            let first = super::entry::RecordPlace::parse(entry).map_or(0, |place| place.first);
            let record = record(environment, txn, value)?;
            found.push((first, Bytes::copy_from_slice(record)));
        }
        if !found.is_empty() {
            return Ok((variant, found));
        }
    }
    Ok((Variant::none(), Vec::new()))
}

/// The record that an entry of this value finds, nothing where it isn't there; any other value, as a list, itself.
pub(super) fn record<'t>(
    environment: &Environment,
    txn: &'t RoTxn<'_>,
    value: &'t [u8],
) -> Result<&'t [u8], heed::Error> {
    match Brief::decode(value) {
        Some(brief) => Ok(environment.record(txn, brief.order)?.unwrap_or_default()),
        None => Ok(value),
    }
}

/// A copy of what is mapped; None where that would wait for the disk, and may not.
fn copied(value: &[u8], wait: Wait) -> Option<Bytes> {
    /// Less than this lies in the page that was just looked at.
    const IN_PAGE: usize = 2048;
    const MOST: usize = head::MOST_HEAD + SMALL as usize;
    // Of a damaged page it may say anything.
    let value = &value[..value.len().min(MOST)];
    let may_read = wait == Wait::Disk || value.len() < IN_PAGE || lmdb::is_resident(value);
    may_read.then(|| Bytes::copy_from_slice(value))
}

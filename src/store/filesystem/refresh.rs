//! New metadata for stored content, after a 304 (RFC 9111 §3.2): the record is put anew. Small content is in it; the file of
//! large content stays as it is.

use bytes::Bytes;

use super::FilesystemStore;
use super::change::Change;
use super::entry::EntryKey;
use super::lookup::decode;
use super::publish::{Prepared, record_of};
use crate::cache::stored::Meta;
use crate::store::record::head::RecordHead;
use crate::store::{Object, Published, StoreError};

/// A record's place is where its content is: the new one keeps it.
struct Current {
    head: RecordHead,
    content: Bytes,
}

impl FilesystemStore {
    pub(super) fn refresh(
        &self,
        object: &Object,
        meta: &Meta,
        invalidation_epoch: Option<u32>,
    ) -> Result<Published, StoreError> {
        let at = EntryKey::of_meta(&object.meta);
        let is_same_place = meta.variant == object.meta.variant
            && meta.selecting() == object.meta.selecting()
            && at.as_bytes() == EntryKey::of_meta(meta).as_bytes();
        let size = self.change(|change| {
            let Some(bytes) = change.record(at.as_bytes())? else {
                return Ok(None);
            };
            let Some(current) = current(Bytes::copy_from_slice(bytes), object) else {
                return Err(StoreError::Gone);
            };
            let epoch = self.shared.invalidations(meta.key.hash());
            if invalidation_epoch.is_some_and(|it| it != epoch) {
                return Err(StoreError::Gone);
            }
            match is_same_place {
                true => put_again(change, &at, current, meta).map(Some),
                false => self.move_to(change, &at, current, meta).map(Some),
            }
        })?;
        let Some(size) = size else {
            // Its content at hand is stored anew.
            return self.publish(meta, object.content.to_whole()?, invalidation_epoch);
        };
        Ok(Published {
            hash: *meta.key.hash(),
            variant: *meta.variant.hash(),
            size,
            generation: self.shared.next_generation(meta.key.hash()),
        })
    }

    /// Enters it under another name, where it takes the place of others.
    fn move_to(
        &self,
        change: &mut Change<'_>,
        at: &EntryKey,
        current: Current,
        meta: &Meta,
    ) -> Result<u64, StoreError> {
        change.remove(at.as_bytes())?;
        let Current { head, content } = current;
        change.keep(&head.place);
        let meta = meta.clone();
        let mut prepared = Prepared::again(RecordHead { meta, ..head }, content)?;
        self.enter(change, &mut prepared)?;
        Ok(prepared.record.len() as u64)
    }
}

/// The record that is there, when it has this object's content.
fn current(bytes: Bytes, object: &Object) -> Option<Current> {
    let (head, content) = decode(bytes).ok()?;
    let is_same = head.meta.key == object.meta.key
        && head.content_checksum == object.checksum
        && head.content == object.content.len();
    is_same.then_some(Current { head, content })
}

fn put_again(
    change: &mut Change<'_>,
    at: &EntryKey,
    current: Current,
    meta: &Meta,
) -> Result<u64, StoreError> {
    let Current { mut head, content } = current;
    head.meta = meta.clone();
    let mut record = record_of(&head, &[content])?;
    change.put(at, &head, &mut record)?;
    Ok(record.len() as u64)
}

//! Publishing: whole responses are entered into the index, those that wait together in one transaction, and what they
//! replace goes with it. Large content has its file before.
//!
//! The epoch of invalidation is compared within the transaction: whoever makes a key invalid counts first and removes in
//! a transaction then, so that one of the two sees the other.

use bytes::Bytes;

use super::FilesystemStore;
use super::brief::size_at;
use super::change::Change;
use super::directory::NO_VARIANT;
use super::displaced::{bound_parts, remove_all, remove_parts_of, remove_variant};
use super::entry::EntryKey;
use crate::cache::key::{Key, Variant};
use crate::cache::stored::Meta;
use crate::store::draft::Reservation;
use crate::store::record::head::{self, ContentPlace, RecordHead};
use crate::store::record::variants::VariantList;
use crate::store::{Checksum, Publication, Published, SMALL, StoreError, Whole, place};

/// A record that is ready to be entered.
pub(super) struct Prepared {
    head: RecordHead,
    names: Vec<String>,
    pub(super) record: Vec<u8>,
    invalidation_epoch: Option<u32>,
    /// Held until the record counts as stored.
    reservation: Option<Reservation>,
}

impl Prepared {
    /// The bytes that it takes.
    fn size(&self) -> u64 {
        self.record.len() as u64 + size_at(&self.head.place, self.head.content)
    }

    /// The record with this head, of content that is stored already.
    pub(super) fn again(head: RecordHead, content: Bytes) -> Result<Prepared, StoreError> {
        Ok(Prepared {
            names: head.meta.selecting().ok_or(StoreError::Unselectable)?,
            record: record_of(&head, &[content])?,
            head,
            invalidation_epoch: None,
            reservation: None,
        })
    }
}

impl FilesystemStore {
    pub(super) fn publish_all(
        &self,
        publications: Vec<Publication>,
    ) -> Vec<Result<Published, StoreError>> {
        let prepared = publications.into_iter().map(|it| self.prepare(it));
        let mut prepared: Vec<_> = prepared.collect();
        let ready = prepared.iter_mut().filter_map(|it| it.as_mut().ok());
        let mut ready: Vec<_> = ready.collect();
        let entered = self.enter_all(&mut ready);
        drop(ready);
        let failed = match entered {
            Ok(outcomes) => return self.published(prepared, outcomes),
            Err(failed) => failed,
        };
        // The files of those that were not entered have no use.
        let mut failed = Some(failed);
        let outcome = |it: Result<Prepared, StoreError>| match it {
            Err(own) => Err(own),
            Ok(prepared) => {
                self.abandon(&prepared.head.place);
                Err(failed.take().unwrap_or(StoreError::Gone))
            }
        };
        prepared.into_iter().map(outcome).collect()
    }

    pub(super) fn publish(
        &self,
        meta: &Meta,
        whole: Whole,
        invalidation_epoch: Option<u32>,
    ) -> Result<Published, StoreError> {
        let publication = Publication {
            meta: meta.clone(),
            whole,
            invalidation_epoch,
        };
        let mut outcomes = self.publish_all(vec![publication]);
        outcomes.pop().unwrap_or(Err(StoreError::Gone))
    }

    /// Makes a record of a response, and the file of its content where that is large.
    fn prepare(&self, publication: Publication) -> Result<Prepared, StoreError> {
        let Publication {
            meta,
            whole,
            invalidation_epoch,
        } = publication;
        let names = meta.selecting().ok_or(StoreError::Unselectable)?;
        if names.is_empty() != (meta.variant == Variant::none()) {
            return Err(StoreError::Unselectable);
        }
        let (content, large) = match whole {
            whole if whole.len() > SMALL => (Vec::new(), Some(whole)),
            Whole::Memory(parts) => (parts, None),
            Whole::Draft { draft, len, .. } => (vec![draft.read(len)?], None),
        };
        let mut head = RecordHead {
            meta,
            order: 0,
            content: content.iter().map(|part| part.len() as u64).sum(),
            content_checksum: sum_of(&content),
            place: ContentPlace::Here,
        };
        let reservation = match large {
            None => None,
            Some(whole) => Some(self.write_file(&mut head, whole)?),
        };
        let record = record_of(&head, &content)?;
        let reservation = match reservation {
            None => Some(self.reserve_record(record.len() as u64)?),
            given => given,
        };
        Ok(Prepared {
            head,
            names,
            record,
            invalidation_epoch,
            reservation,
        })
    }

    fn enter_all(
        &self,
        prepared: &mut [&mut Prepared],
    ) -> Result<Vec<Result<(), StoreError>>, StoreError> {
        if prepared.is_empty() {
            return Ok(Vec::new());
        }
        self.change(|change| {
            let mut outcomes = Vec::with_capacity(prepared.len());
            for prepared in prepared.iter_mut() {
                let hash = prepared.head.meta.key.hash();
                let epoch = prepared.invalidation_epoch;
                let is_valid = epoch.is_none_or(|it| it == self.shared.invalidations(hash));
                let entered = match is_valid {
                    true => self.enter(change, prepared),
                    false => Err(StoreError::Gone),
                };
                // A transaction in which something failed isn't to be committed.
                if is_of_transaction(&entered) {
                    entered?;
                    continue;
                }
                if let (Ok(()), Some(reservation)) = (&entered, &prepared.reservation) {
                    reservation.hand_over();
                }
                outcomes.push(entered);
            }
            Ok(outcomes)
        })
    }

    /// What became of each, in the order in which they came.
    fn published(
        &self,
        prepared: Vec<Result<Prepared, StoreError>>,
        outcomes: Vec<Result<(), StoreError>>,
    ) -> Vec<Result<Published, StoreError>> {
        let mut outcomes = outcomes.into_iter();
        let published = prepared.into_iter().map(|it| {
            let prepared = it?;
            let entered = outcomes.next().unwrap_or(Err(StoreError::Gone));
            if let Err(failed) = entered {
                self.abandon(&prepared.head.place);
                return Err(failed);
            }
            let meta = &prepared.head.meta;
            let (hash, variant) = (*meta.key.hash(), *meta.variant.hash());
            Ok(Published {
                hash,
                variant,
                size: prepared.size(),
                // After the commit, so that who looks from now on finds it.
                generation: self.shared.next_generation(&hash),
            })
        });
        published.collect()
    }

    /// Enters a record in place of those that it replaces.
    pub(super) fn enter(
        &self,
        change: &mut Change<'_>,
        prepared: &mut Prepared,
    ) -> Result<(), StoreError> {
        self.enter_beside(change, prepared)?;
        let meta = &prepared.head.meta;
        if !meta.key.is_for_part() && !meta.key.is_for_head() {
            remove_parts_of(change, meta)?;
        }
        Ok(())
    }

    /// Enters a record, and leaves parts of it alone.
    pub(super) fn enter_beside(
        &self,
        change: &mut Change<'_>,
        prepared: &mut Prepared,
    ) -> Result<(), StoreError> {
        let meta = &prepared.head.meta;
        let (key, variant) = (&meta.key, *meta.variant.hash());
        let found = change.get(EntryKey::of_list(key).as_bytes())?;
        let found = found.map(|bytes| VariantList::decode_of(bytes, key));
        if matches!(found, Some(None)) {
            // One that doesn't check: nothing under it would be found.
            remove_all(change, key)?;
        }
        let list = found.flatten();
        if list.is_some() || variant != NO_VARIANT {
            let names = std::mem::take(&mut prepared.names);
            self.enter_into_list(change, meta, list, names)?;
        }
        let entry = EntryKey::of_meta(meta);
        change.put(&entry, &prepared.head, &mut prepared.record)?;
        match key.is_for_part() {
            true => bound_parts(change, meta),
            false => Ok(()),
        }
    }

    /// Puts a variant first in its key's list, and removes the records of those that have no place there any more.
    fn enter_into_list(
        &self,
        change: &mut Change<'_>,
        meta: &Meta,
        list: Option<VariantList>,
        names: Vec<String>,
    ) -> Result<(), StoreError> {
        let (key, variant) = (&meta.key, *meta.variant.hash());
        if list
            .as_ref()
            .is_some_and(|list| list.is_first(&names, &variant))
        {
            return Ok(());
        }
        let is_new = list.is_none();
        let mut list = list.unwrap_or_else(|| VariantList::new(key.text().clone()));
        if is_new && self.has_plain(change, key)? {
            list.add(Vec::new(), NO_VARIANT, |_| 0);
        }
        let hits = |variant: &_| self.shared.hits(&place(key.hash(), variant));
        let dropped = list.add(names, variant, hits);
        for variant in dropped {
            remove_variant(change, key, &variant)?;
        }
        let at = EntryKey::of_list(key);
        match list.encode() {
            Some(_) => change.put_list(at.as_bytes(), &list),
            None => Err(StoreError::Unselectable),
        }
    }

    fn has_plain(&self, change: &Change<'_>, key: &Key) -> Result<bool, StoreError> {
        let of_plain = EntryKey::of_variant(key, &NO_VARIANT);
        let first = change.first_from(of_plain.as_bytes())?;
        Ok(first.is_some_and(|it| it.starts_with(of_plain.as_bytes())))
    }
}

/// The bytes of a record, with its content where that lies there.
pub(super) fn record_of(head: &RecordHead, content: &[Bytes]) -> Result<Vec<u8>, StoreError> {
    let mut record = head::encode(head)?;
    if matches!(head.place, ContentPlace::Here) {
        content
            .iter()
            .for_each(|part| record.extend_from_slice(part));
    }
    Ok(record)
}

pub(super) fn sum_of(parts: &[Bytes]) -> u128 {
    match parts {
        [] => Checksum::of(&[]),
        [part] => Checksum::of(part),
        parts => {
            let mut checksum = Checksum::new();
            parts.iter().for_each(|part| checksum.update(part));
            checksum.finish()
        }
    }
}

/// True for a failure of the environment, beside which nothing else that was changed is to be kept.
fn is_of_transaction(outcome: &Result<(), StoreError>) -> bool {
    !matches!(
        outcome,
        Ok(()) | Err(StoreError::Gone | StoreError::Unselectable | StoreError::MetaTooLarge(_))
    )
}

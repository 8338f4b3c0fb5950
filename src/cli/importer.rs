//! The responses of an archive on their way into a store, small ones some at a time; what the store has that is as new stays.

use std::io::BufRead;
use std::sync::Arc;
use std::thread::sleep;
use std::time::Duration;

use bytes::Bytes;

use super::output::amount;
use super::progress::Progress;
use super::store_handle::StoreHandle;
use crate::cache::stored::Meta;
use crate::store::admin::StoredResponse;
use crate::store::archive::{ArchiveError, ArchiveReader, Archived, Verdict};
use crate::store::{Checksum, Draft, Publication, SMALL, Store, StoreError, Whole};
use crate::sys::exit::Failure;
use crate::sys::shared::Shared;

/// The number of times that a full store is asked again, a second apart, while a proxy runs that evicts.
const ATTEMPTS: usize = 60;

/// The most small responses that are stored at once, and about the most bytes.
const AT_ONCE: usize = 64;
const BYTES: usize = 1 << 20;

pub(super) fn unread(error: ArchiveError) -> Failure {
    match error {
        ArchiveError::Io(_) => Failure::unavailable(error),
        ArchiveError::CutShort(_) | ArchiveError::Other(_) | ArchiveError::Damaged { .. } => {
            Failure::data(error)
        }
    }
}

/// The numbers of responses, by what became of them.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) stored: u64,
    bytes: u64,
    newer: u64,
    large: u64,
    of_clients: u64,
    pub(super) damaged: u64,
    spoiled: u64,
}

impl Tally {
    pub(super) fn report(&self) -> String {
        let (count, size) = (self.stored, amount(self.bytes));
        let mut text = format!("imported {count} stored responses, {size}");
        let rest = [
            (self.newer, "left out, as the store has them as new"),
            (
                self.large,
                "left out, as they are larger than largest_object",
            ),
            (
                self.of_clients,
                "left out, as they are for one client alone",
            ),
            (self.damaged, "damaged"),
            (self.spoiled, "had been damaged where they were exported"),
        ];
        for (count, what) in rest.into_iter().filter(|(count, _)| *count > 0) {
            text.push_str(&format!("; {count} {what}"));
        }
        text
    }
}

/// The place for a response's content while it is read.
enum Destination {
    /// It isn't to be stored.
    Nowhere,
    Memory(Vec<u8>),
    Draft(Box<Draft>, Checksum),
}

/// A small response that is to be stored, together with others.
struct Waiting {
    meta: Meta,
    content: Bytes,
    invalidation_epoch: Option<u32>,
}

impl Waiting {
    fn publication(&self) -> Publication {
        Publication {
            meta: self.meta.clone(),
            whole: Whole::Memory(vec![self.content.clone()]),
            invalidation_epoch: self.invalidation_epoch,
        }
    }
}

pub(super) struct Importer<'a> {
    handle: &'a StoreHandle,
    shared: Arc<Shared>,
    store: Arc<dyn Store>,
    waiting: Vec<Waiting>,
    pub(super) progress: Progress,
    pub(super) tally: Tally,
}

impl<'a> Importer<'a> {
    pub(super) fn begin(handle: &'a StoreHandle) -> Result<Self, Failure> {
        let (store, shared) = handle.store()?;
        Ok(Importer {
            handle,
            shared,
            store,
            waiting: Vec::new(),
            progress: Progress::begin("imported"),
            tally: Tally::default(),
        })
    }

    /// Stores all that comes before what is damaged, or the end.
    pub(super) fn all(&mut self, reader: &mut ArchiveReader<impl BufRead>) -> Result<(), Failure> {
        let read = self.each(reader);
        self.store_waiting().and(read)
    }

    fn each(&mut self, reader: &mut ArchiveReader<impl BufRead>) -> Result<(), Failure> {
        while let Some(archived) = reader.next_response().map_err(unread)? {
            self.one(reader, archived)?;
            self.progress.at(self.tally.stored, self.tally.bytes);
        }
        Ok(())
    }

    fn one(
        &mut self,
        reader: &mut ArchiveReader<impl BufRead>,
        archived: Archived,
    ) -> Result<(), Failure> {
        // Before anything is asked of the store, so that what is purged meanwhile stays so. What shared memory
        // has heard of a database's counts may be less than it has.
        let count = || self.shared.invalidations(archived.meta.key.hash());
        let invalidation_epoch = (!self.handle.is_database()).then(count);
        let len = archived.content;
        let mut destination = self.destination(&archived)?;
        let mut at = 0;
        let mut failed = None;
        let outcome = reader.content(archived, &mut |part| {
            match &mut destination {
                Destination::Nowhere => {}
                Destination::Memory(content) => content.extend_from_slice(part),
                Destination::Draft(draft, checksum) => {
                    checksum.update(part);
                    if failed.is_none() {
                        failed = draft.write_at(part, at).err();
                    }
                }
            }
            at += part.len() as u64;
        });
        let (meta, verdict) = outcome.map_err(unread)?;
        match verdict {
            Verdict::Whole => {}
            Verdict::Damaged => self.tally.damaged += 1,
            Verdict::Spoiled => self.tally.spoiled += 1,
        }
        if let Some(error) = failed {
            return Err(Failure::unavailable(error));
        }
        if verdict != Verdict::Whole {
            return Ok(());
        }
        let published = match destination {
            Destination::Nowhere => return Ok(()),
            Destination::Memory(content) => {
                self.waiting.push(Waiting {
                    meta,
                    content: content.into(),
                    invalidation_epoch,
                });
                return match self.has_enough() {
                    true => self.store_waiting(),
                    false => Ok(()),
                };
            }
            Destination::Draft(draft, checksum) => {
                let whole = Whole::Draft {
                    draft: *draft,
                    len,
                    checksum,
                };
                self.store.publish(&meta, whole, invalidation_epoch)
            }
        };
        self.count(published.map(drop), len)
    }

    fn has_enough(&self) -> bool {
        let bytes = |it: &Waiting| it.content.len();
        self.waiting.len() >= AT_ONCE || self.waiting.iter().map(bytes).sum::<usize>() >= BYTES
    }

    /// Stores the small responses that wait.
    fn store_waiting(&mut self) -> Result<(), Failure> {
        let waiting = std::mem::take(&mut self.waiting);
        let publications = waiting.iter().map(Waiting::publication).collect();
        let outcomes = self.store.publish_all(publications);
        for (waiting, outcome) in waiting.iter().zip(outcomes) {
            let outcome = match outcome {
                Err(StoreError::Full { .. }) => self.with_room(&|store| {
                    let one = waiting.publication();
                    store.publish(&one.meta, one.whole, one.invalidation_epoch)
                }),
                outcome => outcome,
            };
            self.count(outcome.map(drop), waiting.content.len() as u64)?;
        }
        Ok(())
    }

    fn destination(&mut self, archived: &Archived) -> Result<Destination, Failure> {
        let settings = &self.handle.settings;
        if archived.content > settings.largest_object.min(settings.store.size) {
            self.tally.large += 1;
            return Ok(Destination::Nowhere);
        }
        // Its secret is another's.
        if archived.meta.variant.is_for_client() {
            self.tally.of_clients += 1;
            return Ok(Destination::Nowhere);
        }
        // What of the same key waits is to be found.
        let waits = |it: &Waiting| it.meta.key.hash() == archived.meta.key.hash();
        if archived.content > SMALL || self.waiting.iter().any(waits) {
            self.store_waiting()?;
        }
        if self.is_as_new(&archived.meta)? {
            self.tally.newer += 1;
            return Ok(Destination::Nowhere);
        }
        if archived.content <= SMALL {
            let content = Vec::with_capacity(archived.content as usize);
            return Ok(Destination::Memory(content));
        }
        let begun = self.with_room(&|store| {
            let draft = store.begin(&archived.meta, Some(archived.content))?;
            // All of it is at hand.
            draft.reserve(archived.content)?;
            Ok(draft)
        });
        let draft = begun.map_err(Failure::unavailable)?;
        Ok(Destination::Draft(Box::new(draft), Checksum::new()))
    }

    /// True when what this response would replace is as new.
    fn is_as_new(&self, meta: &Meta) -> Result<bool, Failure> {
        let there = self.handle.admin.of_key(&meta.key);
        let there = there.map_err(Failure::unavailable)?;
        let is_as_new = |stored: &StoredResponse| {
            meta.takes_place_of(&stored.meta) && stored.meta.response_time >= meta.response_time
        };
        Ok(there.iter().any(is_as_new))
    }

    fn count(&mut self, published: Result<(), StoreError>, len: u64) -> Result<(), Failure> {
        match published {
            Ok(()) => {
                self.tally.stored += 1;
                self.tally.bytes += len;
            }
            Err(StoreError::Gone) => self.tally.newer += 1,
            Err(error) => return Err(Failure::unavailable(error)),
        }
        Ok(())
    }

    /// Does what needs room in the store. While a proxy runs it can make some.
    fn with_room<T>(
        &self,
        work: &dyn Fn(&dyn Store) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        for _ in 0..ATTEMPTS {
            let outcome = work(&*self.store);
            if !matches!(outcome, Err(StoreError::Full { .. })) || self.handle.shared.is_none() {
                return outcome;
            }
            sleep(Duration::from_secs(1));
        }
        work(&*self.store)
    }
}

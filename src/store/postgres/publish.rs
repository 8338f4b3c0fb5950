//! Storing a response: one round trip for content of one piece, else a transaction, so
//! that nobody sees a response before it is whole.

use std::time::{Duration, Instant};

use super::PostgresStore;
use super::content::{self, PIECE, Source, WriteError};
use super::row::Columns;
use super::session::{Parameters, Session};
use crate::cache::key::{Hash, Key};
use crate::cache::stored::Meta;
use crate::store::checksum::Checksum;
use crate::store::{Published, StoreError, Whole};

const PUBLISH: &str = "SELECT cacheproxy.publish(\
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, \
    $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32)";
const HAS_ROOM: &str = "SELECT cacheproxy.has_room($1, $2)";

/// The most time that large content waits for room.
const FOR_ROOM: Duration = Duration::from_secs(2);

/// The outcome of storing a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PublishOutcome {
    /// It is stored.
    Stored,
    /// Its key was made invalid, or what it was to replace is not there any more.
    Gone,
    /// There is no room.
    Full,
}

/// Content that is to be stored with its metadata.
struct NewRow<'a> {
    columns: Columns<'a>,
    /// The key of a part of it, where there may be one.
    part: Option<Key>,
    length: u64,
    checksum: [u8; 16],
    invalidation_epoch: i64,
}

/// The content of a row.
enum RowContent<'a> {
    /// All of it.
    Whole(&'a [u8]),
    /// The id of content in pieces.
    Pieces(i64),
}

impl PostgresStore {
    pub(super) fn publish(
        &self,
        meta: &Meta,
        whole: Whole,
        invalidation_epoch: Option<u32>,
    ) -> Result<Published, StoreError> {
        let columns = Columns::of(meta)?;
        let invalidation_epoch = self.invalidation_epoch(meta.key.hash(), invalidation_epoch)?;
        let generation = self.shared.generation(meta.key.hash());
        // The draft is held until all of it is in the database.
        let (parts, draft, length, checksum) = match whole {
            Whole::Memory(parts) => {
                let mut checksum = Checksum::new();
                parts.iter().for_each(|part| checksum.update(part));
                let length = parts.iter().map(|part| part.len() as u64).sum();
                (parts, None, length, checksum)
            }
            Whole::Draft {
                draft,
                len,
                checksum,
            } => (Vec::new(), Some(draft), len, checksum),
        };
        let source = match &draft {
            Some(draft) => Source::File(&draft.file),
            None => Source::Memory(&parts),
        };
        let new = NewRow {
            columns,
            part: self.part_of(&meta.key),
            length,
            checksum: checksum.finish().to_le_bytes(),
            invalidation_epoch,
        };
        let outcome = if length <= PIECE {
            let bytes = source.read(0, length as usize);
            let bytes = bytes.map_err(StoreError::at(&self.spool))?;
            self.pool
                .change(|session| self.publish_row(session, &new, RowContent::Whole(&bytes)))?
        } else {
            self.wait_for_room(new.size())?;
            self.publish_pieces(&new, &source)?
        };
        if let (Some(part), PublishOutcome::Stored) = (&new.part, outcome) {
            self.shared.next_generation(part.hash());
        }
        self.published(meta, outcome, new.size(), generation)
    }

    /// Stores a response in one transaction with the pieces of its content.
    fn publish_pieces(
        &self,
        new: &NewRow<'_>,
        source: &Source<'_>,
    ) -> Result<PublishOutcome, StoreError> {
        let mut unreadable = None;
        let outcome = self.pool.change(|session| {
            session.begin()?;
            let id = match content::write(session, source, new.length) {
                Ok(id) => id,
                Err(WriteError::Database(error)) => return Err(error),
                Err(WriteError::Source(error)) => {
                    unreadable = Some(error);
                    return Ok(PublishOutcome::Gone);
                }
            };
            let outcome = self.publish_row(session, new, RowContent::Pieces(id))?;
            // Else content that nobody has asked for would stay.
            if outcome == PublishOutcome::Stored {
                session.commit()?;
            }
            Ok(outcome)
        })?;
        match unreadable {
            Some(error) => Err(StoreError::at(&self.spool)(error)),
            None => Ok(outcome),
        }
    }

    /// Asked before every fetch, a lookup notes it where there is one.
    fn part_of(&self, key: &Key) -> Option<Key> {
        let part = (!key.is_for_part()).then(|| key.part());
        part.filter(|part| self.shared.may_be_stored(part.hash()))
    }

    /// Large content isn't written before there is room for it, which is made meanwhile.
    fn wait_for_room(&self, size: u64) -> Result<(), StoreError> {
        let (give_up, mut nap) = (Instant::now() + FOR_ROOM, FOR_ROOM / 1000);
        loop {
            let room = self.pool.change(|session| {
                let row = session.query_first(HAS_ROOM, &[&(size as i64), &self.limit])?;
                row.map_or(Ok(false), |row| row.try_get(0))
            })?;
            if room {
                return Ok(());
            }
            if Instant::now() >= give_up {
                return Err(self.full());
            }
            std::thread::sleep(nap);
            nap = (nap * 2).min(FOR_ROOM / 20);
        }
    }

    fn full(&self) -> StoreError {
        StoreError::Full {
            path: self.pool.server().into(),
            reason: "what is stored takes all of store_size; some of it goes just now".to_owned(),
        }
    }

    fn publish_row(
        &self,
        session: &mut Session,
        new: &NewRow<'_>,
        content: RowContent<'_>,
    ) -> Result<PublishOutcome, postgres::Error> {
        let (length, size) = (new.length as i64, new.size() as i64);
        let (content, content_id) = match content {
            RowContent::Whole(bytes) => (Some(bytes), None),
            RowContent::Pieces(id) => (None, Some(id)),
        };
        let part = new.part.as_ref().map(|part| &part.hash()[..]);
        let parameters: [&Parameters<'_>; 3] = [
            &[&self.host, &new.invalidation_epoch],
            &new.columns.parameters(),
            &[
                &length,
                &size,
                &&new.checksum[..],
                &content,
                &content_id,
                &self.limit,
                &part,
            ],
        ];
        let row = session.query_first(PUBLISH, &parameters.concat())?;
        let number = row.map_or(Ok(None), |row| row.try_get::<_, Option<i64>>(0))?;
        Ok(match number {
            None => PublishOutcome::Gone,
            Some(0) => PublishOutcome::Full,
            Some(_) => PublishOutcome::Stored,
        })
    }

    /// The response as it is announced. It is of the generation after the one that was `before` it was asked for, which
    /// is the current one now unless another change was heard of meanwhile, which may have come after.
    pub(super) fn published(
        &self,
        meta: &Meta,
        outcome: PublishOutcome,
        size: u64,
        before: u32,
    ) -> Result<Published, StoreError> {
        match outcome {
            PublishOutcome::Stored => {}
            PublishOutcome::Gone => return Err(StoreError::Gone),
            PublishOutcome::Full => return Err(self.full()),
        }
        let hash = *meta.key.hash();
        if meta.key.is_for_part() {
            self.shared.note_stored(&hash);
        }
        self.shared.next_generation(&hash);
        Ok(Published {
            hash,
            variant: *meta.variant.hash(),
            size,
            generation: before.wrapping_add(1),
        })
    }

    /// The most invalidations of the key that the database may have counted. Refused when it was made invalid
    /// since that epoch, as far as is known here.
    pub(super) fn invalidation_epoch(
        &self,
        hash: &Hash,
        invalidation_epoch: Option<u32>,
    ) -> Result<i64, StoreError> {
        // Read first: as long as the sum of both counts is the same, so is this one.
        let elsewhere = self.shared.invalidations_elsewhere(hash);
        match invalidation_epoch {
            None => Ok(i64::MAX),
            Some(invalidation_epoch) if invalidation_epoch == self.shared.invalidations(hash) => {
                Ok(elsewhere.into())
            }
            Some(_) => Err(StoreError::Gone),
        }
    }
}

impl NewRow<'_> {
    fn size(&self) -> u64 {
        self.columns.size + self.length
    }
}

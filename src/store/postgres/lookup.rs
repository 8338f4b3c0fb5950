//! Finding the stored response that a request selects: one round trip for a miss and for a hit without
//! `Vary`, a second one for the content of a variant.

use std::sync::Arc;

use bytes::Bytes;
use postgres::Row;

use super::PostgresStore;
use super::content::StoredPieces;
use super::{pool, row};
use crate::cache::key::Key;
use crate::cache::sound;
use crate::cache::stored::Meta;
use crate::http::fields::Fields;
use crate::store::checksum::Checksum;
use crate::store::{Content, Found, Object, SMALL, StoreError};

/// Most recent first, with one that is stored as a part only, whose content nobody has asked for yet. What begins
/// it is read by [`row::meta`].
const LOOKUP: &str = concat!(
    "SELECT * FROM (",
    row::columns!(),
    ", id, length, checksum, CASE WHEN variant = '' THEN content END, content_id \
    FROM cacheproxy.response WHERE key_hash = $1 UNION ALL (",
    row::columns!(),
    ", id, length, checksum, NULL, content_id \
    FROM cacheproxy.response WHERE key_hash = $2 LIMIT 1)) r ORDER BY id DESC"
);
const REMOVE: &str = "SELECT cacheproxy.evict($1)";
const CONTENT: &str = "SELECT content FROM cacheproxy.response WHERE id = $1";

/// A row as it was found.
pub(super) struct Candidate {
    pub(super) meta: Meta,
    pub(super) id: i64,
    pub(super) length: u64,
    checksum: u128,
    pub(super) content: Option<Bytes>,
    content_id: Option<i64>,
}

impl PostgresStore {
    pub(super) fn lookup(&self, key: &Key, request: &Fields) -> Result<Found, StoreError> {
        if self.pending_invalidations.has(key) {
            return Ok(Found::Nothing);
        }
        // Read first: a change while this lookup goes on then makes copies of its outcome stale.
        let generation = self.shared.generation(key.hash());
        let mut again = true;
        let part = (!key.is_for_part()).then(|| key.part());
        loop {
            let hash = &key.hash()[..];
            let part_hash = part.as_ref().map(|part| &part.hash()[..]);
            let mut found = self.pool.run(pool::LOOKUP, |session| {
                let rows = session.query(LOOKUP, &[&hash, &part_hash])?;
                rows.iter()
                    .map(Candidate::read)
                    .collect::<Result<Vec<_>, _>>()
            })?;
            let part = part.as_ref().unwrap_or(key);
            if found.iter().any(|one| one.meta.key == *part) {
                self.shared.note_stored(part.hash());
            }
            // Rows of another key with the same hash are none of this key's.
            found.retain(|one| one.meta.key == *key);
            self.remove_unsound(&mut found);
            if found.is_empty() {
                return Ok(Found::Nothing);
            }
            let Some(selected) = selected(&found, request) else {
                return Ok(Found::OtherVariants);
            };
            let candidate = found.swap_remove(selected);
            let id = candidate.id;
            match self.accept(candidate, generation)? {
                Some(object) => return Ok(Found::Object(Box::new(object))),
                // Replaced before its content was read.
                None if std::mem::take(&mut again) => {}
                None => {
                    log::warn!(
                        "stored response {id} in the database at {} does not check",
                        self.pool.server()
                    );
                    return Ok(Found::Nothing);
                }
            }
        }
    }

    /// Takes out what nobody may be given, and removes it from the database.
    pub(super) fn remove_unsound(&self, found: &mut Vec<Candidate>) {
        let mut bad = Vec::new();
        found.retain(|one| match one.check() {
            Ok(()) => true,
            Err(why) => {
                let (id, server) = (one.id, self.pool.server());
                log::warn!("stored response {id} in the database at {server}: {why}; removed");
                bad.push(id);
                false
            }
        });
        if !bad.is_empty() {
            // Where it can't be removed it is still used for nobody.
            let _ = self.pool.change(|session| session.execute(REMOVE, &[&bad]));
        }
    }

    /// The object that a row is, when its content is good.
    pub(super) fn accept(
        &self,
        found: Candidate,
        generation: u32,
    ) -> Result<Option<Object>, StoreError> {
        let content = if found.length > SMALL {
            let Some(id) = found.content_id else {
                return Ok(None);
            };
            let stored = StoredPieces::new(Arc::clone(&self.pool), id, found.length);
            Content::Pieces(Arc::new(stored))
        } else {
            let content = match found.content {
                Some(content) => Some(content),
                None => self.pool.run(pool::LOOKUP, |session| {
                    let row = session.query_first(CONTENT, &[&found.id])?;
                    row.map_or(Ok(None), |row| content(&row, 0))
                })?,
            };
            let good = |content: &Bytes| {
                content.len() as u64 == found.length && Checksum::of(content) == found.checksum
            };
            match content.filter(good) {
                Some(content) => Content::Memory(content),
                None => return Ok(None),
            }
        };
        Ok(Some(Object {
            meta: found.meta,
            content,
            generation,
            checksum: found.checksum,
        }))
    }
}

/// The place of the one that this request selects of those found, most recent first: of what is its client's alone,
/// before what is for all.
pub(super) fn selected(found: &[Candidate], request: &Fields) -> Option<usize> {
    let is_selected = |one: &Candidate| one.meta.is_selected_by(request);
    let is_own = |one: &Candidate| one.meta.variant.is_for_client() && is_selected(one);
    (found.iter().position(is_own)).or_else(|| found.iter().position(is_selected))
}

impl Candidate {
    /// Refuses what no response could have led to.
    fn check(&self) -> Result<(), &'static str> {
        match self.meta.extent.has_room_for(self.length) {
            true => sound::check(&self.meta),
            false => Err("its content is no part of its representation"),
        }
    }

    pub(super) fn read(row: &Row) -> Result<Candidate, postgres::Error> {
        let checksum: &[u8] = row.try_get(row::NEXT + 2)?;
        Ok(Candidate {
            meta: row::meta(row)?,
            id: row.try_get(row::NEXT)?,
            length: row
                .try_get::<_, i64>(row::NEXT + 1)?
                .try_into()
                .unwrap_or(0),
            checksum: checksum.try_into().map_or(0, u128::from_le_bytes),
            content: content(row, row::NEXT + 3)?,
            content_id: row.try_get(row::NEXT + 4)?,
        })
    }
}

pub(super) fn content(row: &Row, at: usize) -> Result<Option<Bytes>, postgres::Error> {
    let content: Option<&[u8]> = row.try_get(at)?;
    Ok(content.map(Bytes::copy_from_slice))
}

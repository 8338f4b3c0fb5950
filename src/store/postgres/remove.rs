//! Removing what is stored under a key, which makes the key invalid: what was asked for before isn't stored
//! after. The database that can't be told of it is told before it is used again.

use postgres::Error;

use super::PostgresStore;
use super::row::{Text, invalidation_count, split};
use super::session::Session;
use crate::cache::key::Key;
use crate::store::{Published, StoreError};
use crate::sys::shared::Shared;

const REMOVE: &str = "SELECT counted, variants, sizes FROM cacheproxy.remove($1, $2, $3, $4)";

impl PostgresStore {
    pub(super) fn remove(&self, key: &Key) -> Result<Vec<Published>, StoreError> {
        let work = |session: &mut Session| remove(session, &self.host, &self.shared, key);
        self.pool.change(work).inspect_err(|_| {
            self.pending_invalidations.add(key);
            // Nothing at hand is used any more all the same.
            self.shared.next_generation(key.hash());
        })
    }
}

/// Removes what is stored under a key, and counts that it was made invalid.
pub(super) fn remove(
    session: &mut Session,
    host: &str,
    shared: &Shared,
    key: &Key,
) -> Result<Vec<Published>, Error> {
    let hash = key.hash();
    let (method, uri) = split(key.text());
    let (method, uri) = (Text::from(method), Text::from(uri));
    let Some(row) = session.query_first(REMOVE, &[&host, &&hash[..], &method, &uri])? else {
        return Ok(Vec::new());
    };
    let count = invalidation_count(row.try_get(0)?);
    shared.note_invalidations(Shared::invalidation_slot(hash), count);
    let generation = shared.next_generation(hash);
    let variants: Option<Vec<&[u8]>> = row.try_get(1)?;
    let sizes: Option<Vec<i64>> = row.try_get(2)?;
    let removed = std::iter::zip(variants.unwrap_or_default(), sizes.unwrap_or_default());
    let published = |(variant, size): (&[u8], i64)| Published {
        hash: *hash,
        variant: variant.try_into().unwrap_or_default(),
        size: u64::try_from(size).unwrap_or(0),
        generation,
    };
    Ok(removed.map(published).collect())
}

//! The stored parts of one variant: two round trips, the second for the content of those that are small. And the removal of
//! one of them.
//!
//! Which of them are of one representation is decided in `cache::parts`.

use std::collections::HashMap;

use bytes::Bytes;

use super::PostgresStore;
use super::lookup::{Candidate, content, selected};
use super::{pool, row};
use crate::cache::key::Key;
use crate::http::fields::Fields;
use crate::store::{Object, SMALL, StoreError};

/// Most recent first. What begins it is read by [`row::meta`].
const PARTS: &str = concat!(
    row::columns!(),
    ", id, length, checksum, NULL::pg_catalog.bytea, content_id \
    FROM cacheproxy.response WHERE key_hash = $1 ORDER BY id DESC"
);
const CONTENTS: &str = "SELECT content, id FROM cacheproxy.response WHERE id = ANY ($1)";
const REMOVE_PART: &str = "SELECT cacheproxy.remove_part($1, $2, $3, $4, $5, $6, $7, $8)";

impl PostgresStore {
    pub(super) fn parts(&self, key: &Key, request: &Fields) -> Result<Vec<Object>, StoreError> {
        if self.pending_invalidations.has(key) {
            return Ok(Vec::new());
        }
        let generation = self.shared.generation(key.hash());
        let hash = &key.hash()[..];
        let mut found = self.pool.run(pool::LOOKUP, |session| {
            let rows = session.query(PARTS, &[&hash])?;
            rows.iter()
                .map(Candidate::read)
                .collect::<Result<Vec<_>, _>>()
        })?;
        found.retain(|one| one.meta.key == *key);
        self.remove_unsound(&mut found);
        let Some(first) = selected(&found, request) else {
            return Ok(Vec::new());
        };
        let variant = found[first].meta.variant.clone();
        found.retain(|one| one.meta.variant == variant);
        found.sort_by_key(|one| one.meta.extent.first());
        let mut contents = self.contents(&found)?;
        for one in &mut found {
            one.content = contents.remove(&one.id);
        }
        // One that was replaced meanwhile, or doesn't check, isn't there.
        let is_there = |one: &Candidate| one.length > SMALL || one.content.is_some();
        let objects = found.into_iter().filter(is_there);
        let objects = objects.map(|one| self.accept(one, generation));
        objects.filter_map(Result::transpose).collect()
    }

    /// The content of those whose content is small, by id.
    fn contents(&self, found: &[Candidate]) -> Result<HashMap<i64, Bytes>, StoreError> {
        let small = found.iter().filter(|one| one.length <= SMALL);
        let ids: Vec<i64> = small.map(|one| one.id).collect();
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        self.pool.run(pool::LOOKUP, |session| {
            let mut contents = HashMap::new();
            for row in session.query(CONTENTS, &[&ids])? {
                if let Some(content) = content(&row, 0)? {
                    contents.insert(row.try_get(1)?, content);
                }
            }
            Ok(contents)
        })
    }

    pub(super) fn remove_part(&self, part: &Object) -> Result<(), StoreError> {
        let (key, variant) = (&part.meta.key, part.meta.variant.hash());
        let (hash, variant) = (&key.hash()[..], &variant[..]);
        let (method, uri) = row::split(key.text());
        let (method, uri) = (row::Text::from(method), row::Text::from(uri));
        let first = part.meta.extent.first() as i64;
        let length = part.content.len() as i64;
        let checksum = part.checksum.to_le_bytes();
        self.pool.change(|session| {
            let part: &super::session::Parameters<'_> = &[
                &self.host,
                &hash,
                &method,
                &uri,
                &variant,
                &first,
                &length,
                &&checksum[..],
            ];
            session.execute(REMOVE_PART, part)
        })?;
        self.shared.next_generation(key.hash());
        Ok(())
    }
}

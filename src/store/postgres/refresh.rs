//! New metadata for stored content, after a 304 (RFC 9111 §3.2): in place, or under another variant with the
//! same content.

use super::PostgresStore;
use super::publish::PublishOutcome;
use super::row::Columns;
use super::session::Parameters;
use crate::cache::stored::Meta;
use crate::store::{Object, Published, StoreError};

const REFRESH: &str = "SELECT cacheproxy.refresh(\
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, \
    $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29)";

impl PostgresStore {
    pub(super) fn refresh(
        &self,
        object: &Object,
        meta: &Meta,
        invalidation_epoch: Option<u32>,
    ) -> Result<Published, StoreError> {
        let columns = Columns::of(meta)?;
        let known = self.invalidation_epoch(meta.key.hash(), invalidation_epoch)?;
        let before = self.shared.generation(meta.key.hash());
        let length = object.content.len();
        let size = columns.size + length;
        let checksum = object.checksum.to_le_bytes();
        let old_variant = object.meta.variant.hash();
        let outcome = self.pool.change(|session| {
            let parameters: [&Parameters<'_>; 3] = [
                &[&self.host, &known],
                &columns.parameters(),
                &[
                    &(length as i64),
                    &(size as i64),
                    &&checksum[..],
                    &&old_variant[..],
                ],
            ];
            let row = session.query_first(REFRESH, &parameters.concat())?;
            row.map_or(Ok(String::new()), |row| row.try_get(0))
        })?;
        match &outcome[..] {
            "refreshed" => self.published(meta, PublishOutcome::Stored, size, before),
            // Its content at hand is stored anew.
            "missing" => self.publish(meta, object.content.to_whole()?, invalidation_epoch),
            _ => Err(StoreError::Gone),
        }
    }
}

//! A database seen from outside, by a command: over one connection of its own, whether or not a proxy runs.
//!
//! The proxies on every host hear of what it removes as they hear of one another's changes.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use postgres::Row;

use super::content;
use super::failure::reason;
use super::remove::remove;
use super::session::Session;
use super::{connect, row};
use crate::cache::key::{Hash, Key};
use crate::cache::sound;
use crate::config::Database;
use crate::store::admin::{StoreAdmin, StoredInfo};
use crate::store::{Content, Object, Pieces, Published, StoreError};
use crate::sys::shared::Shared;

/// The most time that one statement may take.
const TIMEOUT: Duration = Duration::from_secs(60);
/// The name of a command in notifications to other hosts.
const HOST: &str = "command";
/// The most keys that are removed at once.
const BATCH: usize = 1000;

const LAST: &str = "SELECT coalesce(pg_catalog.max(id), 0) FROM cacheproxy.response";
const EACH: &str = concat!(
    row::columns!(),
    ", id, length, size, used, hits FROM cacheproxy.response WHERE id > $1 AND id <= $2 ORDER BY id LIMIT 500"
);
const OF_KEY: &str = concat!(
    row::columns!(),
    ", id, length, size, used, hits FROM cacheproxy.response WHERE key_hash = $1 ORDER BY id DESC"
);
const WHOLE: &str = concat!(
    row::columns!(),
    ", id, length, checksum, content, content_id \
    FROM cacheproxy.response WHERE id > $1 AND id <= $2 ORDER BY id LIMIT 50"
);
const READ: &str = "SELECT bytes, checksum, cacheproxy.keep(ARRAY[$1::bigint])::pg_catalog.text \
    FROM cacheproxy.piece WHERE content_id = $1 AND number = $2";
const INVALIDATE_ALL: &str = "SELECT cacheproxy.invalidate_all($1)";
const TELL_ALL: &str = "SELECT cacheproxy.tell_all($1)";
const REMOVE_ALL: &str = "DELETE FROM cacheproxy.response r USING unnest($1::pg_catalog.bytea[], $2::pg_catalog.text[], \
    $3::pg_catalog.text[]) k(hash, method, uri) \
    WHERE r.key_hash = k.hash AND r.method = k.method AND r.uri = k.uri RETURNING r.key_hash, r.variant_hash, r.size";

/// The responses in a database.
#[derive(Clone)]
pub struct Rows {
    session: Arc<Mutex<Session>>,
    server: String,
}

impl Rows {
    /// Connects to the database; waits for the server at most `timeout`.
    pub fn connect(
        database: &Database,
        password_file: Option<&Path>,
        timeout: Duration,
    ) -> Result<Rows, StoreError> {
        let session = connect(database.as_str(), password_file, timeout)?;
        Ok(Rows {
            session: Arc::new(Mutex::new(session)),
            server: database.place(),
        })
    }

    fn run<T>(
        &self,
        work: impl FnOnce(&mut Session) -> Result<T, postgres::Error>,
    ) -> Result<T, StoreError> {
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        session.set_deadline(Instant::now() + TIMEOUT);
        work(&mut session).map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &postgres::Error) -> StoreError {
        StoreError::Database {
            server: self.server.clone(),
            reason: reason(error),
        }
    }

    /// Calls `visit` with the rows of this statement, which begin with what [`row::meta`] reads and the id.
    fn pages(
        &self,
        sql: &'static str,
        mut visit: impl FnMut(&Row) -> Result<ControlFlow<()>, postgres::Error>,
    ) -> Result<(), StoreError> {
        let last = self.run(|session| session.query_first(LAST, &[]))?;
        let last: i64 = last.map_or(0, |row| row.get(0));
        let mut after = 0i64;
        loop {
            let rows = self.run(|session| session.query(sql, &[&after, &last]))?;
            for row in &rows {
                after = row.get(row::NEXT);
                let meta = row::meta(row).map_err(|error| self.failed(&error))?;
                if let Err(why) = sound::check(&meta) {
                    log::warn!("stored response {after} is left out: {why}");
                    continue;
                }
                let went_on = visit(row).map_err(|error| self.failed(&error))?;
                if went_on.is_break() {
                    return Ok(());
                }
            }
            if rows.is_empty() {
                return Ok(());
            }
        }
    }

    fn object(&self, row: &Row) -> Result<Object, postgres::Error> {
        let checksum: &[u8] = row.try_get(row::NEXT + 2)?;
        let content = match row.try_get::<_, Option<&[u8]>>(row::NEXT + 3)? {
            Some(content) => Content::Memory(Bytes::copy_from_slice(content)),
            None => Content::Pieces(Arc::new(AdminPieces {
                rows: self.clone(),
                id: row
                    .try_get::<_, Option<i64>>(row::NEXT + 4)?
                    .unwrap_or_default(),
                length: row.try_get::<_, i64>(row::NEXT + 1)? as u64,
            })),
        };
        Ok(Object {
            meta: row::meta(row)?,
            content,
            generation: 0,
            checksum: checksum.try_into().map_or(0, u128::from_le_bytes),
        })
    }
}

fn info(row: &Row) -> Result<StoredInfo, postgres::Error> {
    Ok(StoredInfo {
        meta: row::meta(row)?,
        content: row.try_get::<_, i64>(row::NEXT + 1)? as u64,
        size: row.try_get::<_, i64>(row::NEXT + 2)? as u64,
        used: Some(row.try_get(row::NEXT + 3)?),
        hits: Some(u32::try_from(row.try_get::<_, i64>(row::NEXT + 4)?).unwrap_or(u32::MAX)),
    })
}

impl StoreAdmin for Rows {
    fn each(&self, visit: &mut dyn FnMut(StoredInfo)) -> Result<(), StoreError> {
        self.pages(EACH, |row| {
            visit(info(row)?);
            Ok(ControlFlow::Continue(()))
        })
    }

    fn each_whole(
        &self,
        visit: &mut dyn FnMut(Object) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        self.pages(WHOLE, |row| Ok(visit(self.object(row)?)))
    }

    fn of_key(&self, key: &Key) -> Result<Vec<StoredInfo>, StoreError> {
        let hash = &key.hash()[..];
        let found = self.run(|session| {
            let rows = session.query(OF_KEY, &[&hash])?;
            rows.iter().map(info).collect::<Result<Vec<_>, _>>()
        })?;
        // Rows of another key with the same hash are none of this key's.
        let is_good = |it: &StoredInfo| it.meta.key == *key && sound::check(&it.meta).is_ok();
        Ok(found.into_iter().filter(is_good).collect())
    }

    fn purge(&self, key: &Key, shared: &Shared) -> Result<Vec<Published>, StoreError> {
        shared.invalidate(key.hash());
        self.run(|session| remove(session, HOST, shared, key))
    }

    fn purge_where(
        &self,
        shared: &Shared,
        wanted: &dyn Fn(&Key) -> bool,
    ) -> Result<Vec<Published>, StoreError> {
        shared.invalidate_all();
        self.run(|session| session.execute(INVALIDATE_ALL, &[&HOST]))?;
        let mut keys = Vec::new();
        self.each(&mut |stored| {
            if wanted(&stored.meta.key) {
                keys.push(stored.meta.key);
            }
        })?;
        let mut removed = Vec::new();
        for keys in keys.chunks(BATCH) {
            let hashes: Vec<&[u8]> = keys.iter().map(|key| &key.hash()[..]).collect();
            let (methods, uris): (Vec<_>, Vec<_>) = keys
                .iter()
                .map(|key| row::split(key.text()))
                .map(|(method, uri)| (row::Text::from(method), row::Text::from(uri)))
                .unzip();
            let parameters: [&(dyn postgres::types::ToSql + Sync); 3] = [&hashes, &methods, &uris];
            let rows = self.run(|session| session.query(REMOVE_ALL, &parameters))?;
            for row in rows {
                let hash: Hash = row.get::<_, &[u8]>(0).try_into().unwrap_or_default();
                let variant = row.get::<_, &[u8]>(1).try_into().unwrap_or_default();
                removed.push(Published {
                    hash,
                    variant,
                    size: row.get::<_, i64>(2) as u64,
                    generation: shared.generation(&hash),
                });
            }
        }
        // Copies read meanwhile go from memory again, on every host and at once on this one.
        self.run(|session| session.execute(TELL_ALL, &[&HOST]))?;
        for key in &keys {
            shared.next_generation(key.hash());
        }
        Ok(removed)
    }
}

/// Large content, read over the same connection.
struct AdminPieces {
    rows: Rows,
    id: i64,
    length: u64,
}

impl std::fmt::Debug for AdminPieces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AdminPieces({}, {} bytes)", self.id, self.length)
    }
}

impl Pieces for AdminPieces {
    fn len(&self) -> u64 {
        self.length
    }

    fn read(&self, at: u64) -> Result<Bytes, StoreError> {
        let number = (at / content::PIECE) as i32;
        let row = self
            .rows
            .run(|session| session.query_first(READ, &[&self.id, &number]))?;
        content::within(row, self.length, at).map_err(|_| StoreError::Gone)
    }
}

//! A database seen from outside, by a command: over one connection of its own, whether or not a proxy runs.
//!
//! The proxies on every host hear of what it removes as they hear of one another's changes.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use postgres::Row;
use postgres::types::ToSql;

use super::content;
use super::failure::reason;
use super::remove::remove;
use super::session::{Parameters, Session};
use super::{connect, row};
use crate::cache::age::corrected_initial_age;
use crate::cache::key::Key;
use crate::cache::sound;
use crate::cache::stored::Meta;
use crate::config::Database;
use crate::store::admin::{Removed, StoreAdmin, StoredInfo, StoredResponse, Visit, VisitWhole};
use crate::store::scope::Scope;
use crate::store::{Content, Object, Pieces, StoreError};
use crate::sys::shared::Shared;

/// The most time that one statement may take.
const TIMEOUT: Duration = Duration::from_secs(60);
/// The name of a command in notifications to other hosts.
const HOST: &str = "command";
/// A condition: the URI begins with one of those in the third parameter.
macro_rules! begins {
    () => {
        "EXISTS (SELECT FROM unnest($3::pg_catalog.text[]) b(text) WHERE pg_catalog.starts_with(uri, b.text))"
    };
}

const LAST: &str = "SELECT coalesce(pg_catalog.max(id), 0) FROM cacheproxy.response";
const EACH: &str = concat!(
    row::columns!(),
    ", id, length, size, used, hits FROM cacheproxy.response WHERE id > $1 AND id <= $2 AND ",
    begins!(),
    " ORDER BY id LIMIT 500"
);
const NUMBERED: &str = concat!(
    row::columns!(),
    ", id, length, size, used, hits FROM cacheproxy.response WHERE id = ANY($1)"
);
const KEYS: &str = concat!(
    "SELECT id, method, uri FROM cacheproxy.response WHERE id > $1 AND id <= $2 AND ",
    begins!(),
    " ORDER BY id LIMIT 1000"
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
    WHERE r.key_hash = k.hash AND r.method = k.method AND r.uri = k.uri RETURNING r.size";

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

    /// The id of the row that was stored last.
    fn last(&self) -> Result<i64, StoreError> {
        let last = self.run(|session| session.query_first(LAST, &[]))?;
        Ok(last.map_or(0, |row| row.get(0)))
    }

    /// Calls `visit` with the rows of this statement, which begin with what [`row::meta`] reads and the id, and with what
    /// their metadata is. Its parameters are two ids, after which and up to which, and these.
    fn pages(
        &self,
        sql: &'static str,
        parameters: &Parameters<'_>,
        mut visit: impl FnMut(Meta, &Row) -> Result<ControlFlow<()>, postgres::Error>,
    ) -> Result<(), StoreError> {
        let last = self.last()?;
        let mut after = 0i64;
        loop {
            let ids: [&(dyn ToSql + Sync); 2] = [&after, &last];
            let rows = self.run(|session| session.query(sql, &[&ids, parameters].concat()))?;
            for row in &rows {
                after = row.get(row::NEXT);
                let meta = self.sound(row)?;
                let Some(meta) = meta else {
                    continue;
                };
                let went_on = visit(meta, row).map_err(|error| self.failed(&error))?;
                if went_on.is_break() {
                    return Ok(());
                }
            }
            if rows.is_empty() {
                return Ok(());
            }
        }
    }

    /// The metadata of a row, where it makes sense.
    fn sound(&self, row: &Row) -> Result<Option<Meta>, StoreError> {
        let meta = row::meta(row).map_err(|error| self.failed(&error))?;
        Ok(match sound::check(&meta) {
            Ok(()) => Some(meta),
            Err(why) => {
                let id: i64 = row.get(row::NEXT);
                log::warn!("stored response {id} is left out: {why}");
                None
            }
        })
    }

    /// Removes the rows of these keys; what they were.
    fn remove_all(&self, keys: &[Key]) -> Result<Removed, StoreError> {
        let hashes: Vec<&[u8]> = keys.iter().map(|key| &key.hash()[..]).collect();
        let (methods, uris): (Vec<_>, Vec<_>) = keys
            .iter()
            .map(|key| row::split(key.text()))
            .map(|(method, uri)| (row::Text::from(method), row::Text::from(uri)))
            .unzip();
        let parameters: [&(dyn ToSql + Sync); 3] = [&hashes, &methods, &uris];
        let rows = self.run(|session| session.query(REMOVE_ALL, &parameters))?;
        let bytes = rows.iter().map(|row| row.get::<_, i64>(0) as u64).sum();
        let count = rows.len() as u64;
        Ok(Removed { count, bytes })
    }

    fn object(&self, meta: Meta, row: &Row) -> Result<Object, postgres::Error> {
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
            meta,
            content,
            generation: 0,
            checksum: checksum.try_into().map_or(0, u128::from_le_bytes),
        })
    }
}

fn info(meta: &Meta, row: &Row) -> Result<StoredInfo, postgres::Error> {
    Ok(StoredInfo {
        key: meta.key.clone(),
        variant: meta.variant.clone(),
        received: meta.response_time,
        initial_age: corrected_initial_age(meta),
        order: row.try_get::<_, i64>(row::NEXT)? as u64,
        content: row.try_get::<_, i64>(row::NEXT + 1)? as u64,
        size: row.try_get::<_, i64>(row::NEXT + 2)? as u64,
        used: Some(row.try_get(row::NEXT + 3)?),
        hits: Some(u32::try_from(row.try_get::<_, i64>(row::NEXT + 4)?).unwrap_or(u32::MAX)),
    })
}

impl StoreAdmin for Rows {
    fn each(&self, scope: &Scope, visit: Visit<'_>) -> Result<(), StoreError> {
        let uris = scope.uris();
        let uris: Vec<_> = uris.iter().map(|uri| row::Text::from(&uri[..])).collect();
        self.pages(EACH, &[&uris], |meta, row| {
            Ok(match scope.has(&meta.key) {
                true => visit(info(&meta, row)?),
                false => ControlFlow::Continue(()),
            })
        })
    }

    fn numbered(&self, orders: &[u64], visit: Visit<'_>) -> Result<(), StoreError> {
        let ids: Vec<i64> = orders.iter().map(|order| *order as i64).collect();
        let rows = self.run(|session| session.query(NUMBERED, &[&ids]))?;
        let mut found = HashMap::new();
        for row in &rows {
            if let Some(meta) = self.sound(row)? {
                let info = info(&meta, row).map_err(|error| self.failed(&error))?;
                found.insert(info.order, info);
            }
        }
        let mut found = orders.iter().filter_map(|order| found.remove(order));
        let _ = found.try_for_each(visit);
        Ok(())
    }

    fn each_whole(&self, visit: VisitWhole<'_>) -> Result<(), StoreError> {
        self.pages(WHOLE, &[], |meta, row| {
            Ok(visit(Ok(self.object(meta, row)?)))
        })
    }

    fn of_key(&self, key: &Key) -> Result<Vec<StoredResponse>, StoreError> {
        let hash = &key.hash()[..];
        let found = self.run(|session| {
            let rows = session.query(OF_KEY, &[&hash])?;
            let stored = rows.iter().map(|row| {
                let meta = row::meta(row)?;
                let info = info(&meta, row)?;
                Ok(StoredResponse { info, meta })
            });
            stored.collect::<Result<Vec<_>, _>>()
        })?;
        // Rows of another key with the same hash are none of this key's.
        let is_good = |it: &StoredResponse| it.meta.key == *key && sound::check(&it.meta).is_ok();
        Ok(found.into_iter().filter(is_good).collect())
    }

    fn purge(&self, key: &Key, shared: &Shared) -> Result<Removed, StoreError> {
        shared.invalidate(key.hash());
        let published = self.run(|session| remove(session, HOST, shared, key))?;
        let mut removed = Removed::default();
        published.iter().for_each(|it| removed.add(it));
        Ok(removed)
    }

    fn purge_scope(&self, scope: &Scope, shared: &Shared) -> Result<Removed, StoreError> {
        shared.invalidate_all();
        self.run(|session| session.execute(INVALIDATE_ALL, &[&HOST]))?;
        let uris = scope.uris();
        let uris: Vec<_> = uris.iter().map(|uri| row::Text::from(&uri[..])).collect();
        let (last, mut after) = (self.last()?, 0i64);
        let mut removed = Removed::default();
        loop {
            let rows = self.run(|session| session.query(KEYS, &[&after, &last, &uris]))?;
            let Some(row) = rows.last() else {
                break;
            };
            after = row.get(0);
            let keys = rows.iter().map(|row| row::key(row.get(1), row.get(2)));
            let keys: Vec<Key> = keys.filter(|key| scope.has(key)).collect();
            removed += self.remove_all(&keys)?;
        }
        // Copies read meanwhile go from memory again, on every host and at once on this one.
        self.run(|session| session.execute(TELL_ALL, &[&HOST]))?;
        shared.next_generation_of_all();
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

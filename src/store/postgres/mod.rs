//! The PostgreSQL store: a row per stored response, in a database that many hosts share.
//!
//! It blocks for a bounded time only, whatever the server does: see `pool`. What goes when there is no room
//! is not decided here.

pub mod admin;
mod breaker;
mod connect;
mod content;
mod expiry;
mod failure;
mod hits;
mod lease;
mod listen;
mod lookup;
mod maintenance;
mod manager;
mod notices;
mod parts;
mod pending_invalidations;
mod pool;
mod publish;
mod reconnect;
mod refresh;
mod remove;
mod row;
pub mod schema;
pub mod session;
mod tls;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use connect::Connector;
use hits::Hits;
use lease::LeaseWaiters;
use listen::{Listener, ToListener};
use maintenance::DatabaseMaintenance;
use pending_invalidations::PendingInvalidations;
use pool::Pool;
use reconnect::Reconnect;

use super::draft::Reservation;
use super::{
    Draft, Found, Lease, Object, OpenFiles, Published, SharedStore, Store, StoreError, Used, Whole,
};
use crate::cache::key::Key;
use crate::cache::stored::Meta;
use crate::http::fields::Fields;
use crate::sys::disk;
use crate::sys::shared::Shared;

/// Makes names of files differ where files need one.
static DRAFTS: AtomicU64 = AtomicU64::new(0);

/// Where a store is, and the worker that opens it.
#[derive(Debug, Clone)]
pub struct PostgresOptions {
    /// A connection string or URL, as libpq takes it.
    pub database: String,
    /// The file that has the password in its first line.
    pub password_file: Option<PathBuf>,
    /// True when tables that are made survive a crash of the server.
    pub logged: bool,
    /// The directory for content that is being fetched.
    pub spool: PathBuf,
    /// The index of the worker that opens it.
    pub worker: usize,
    /// The most bytes that the store may have.
    pub limit: u64,
}

/// A store in a database.
pub struct PostgresStore {
    pool: Arc<Pool>,
    shared: Arc<Shared>,
    worker: usize,
    spool: PathBuf,
    open_files: Arc<OpenFiles>,
    /// Names this host in what others are told.
    host: String,
    limit: i64,
    pending_invalidations: Arc<PendingInvalidations>,
    waiters: Arc<LeaseWaiters>,
    hits: Arc<Hits>,
    to_listener: Sender<ToListener>,
}

impl PostgresStore {
    /// Opens the store. Never waits for the server, which is reached on a thread of its own; refused only when
    /// the connection string makes no sense or the spool's directory can't be written.
    pub fn open(
        options: &PostgresOptions,
        shared: Arc<Shared>,
    ) -> Result<PostgresStore, StoreError> {
        let connector = Connector::new(&options.database, options.password_file.clone())?;
        disk::prepare_directory(&options.spool).map_err(StoreError::at(&options.spool))?;
        let worker = options.worker;
        // The reservations of a worker that had this index before went with it.
        shared.release_all(worker);
        // The only keys asked about are those of parts, which are noted when they are seen.
        shared.all_stored_are_noted();
        let host = format!("{:032x}", u128::from_be_bytes(shared.host()));
        let pending = PendingInvalidations::new(shared.clone(), worker, host.clone());
        let pending_invalidations = Arc::new(pending);
        let pool = Arc::new(Pool::new(connector, shared.clone(), worker));
        let waiters = Arc::new(LeaseWaiters::default());
        let hits = Arc::new(Hits::new(Instant::now()));
        let (to_listener, messages) = channel();
        let reconnect = Reconnect {
            pool: pool.clone(),
            shared: shared.clone(),
            pending_invalidations: pending_invalidations.clone(),
            logged: options.logged,
            listener: to_listener.clone(),
        };
        let listener = Listener {
            pool: pool.clone(),
            shared: shared.clone(),
            host: host.clone(),
            pending_invalidations: pending_invalidations.clone(),
            waiters: waiters.clone(),
            hits: hits.clone(),
            maintenance: DatabaseMaintenance::new(options.limit, Instant::now()),
        };
        reconnect.start();
        listener.start(messages);
        Ok(PostgresStore {
            pool,
            shared,
            worker,
            spool: options.spool.clone(),
            open_files: Arc::default(),
            host,
            limit: i64::try_from(options.limit).unwrap_or(i64::MAX),
            pending_invalidations,
            waiters,
            hits,
            to_listener,
        })
    }
}

/// Connects once, for commands: waits for the server at most `timeout`.
pub fn connect(
    database: &str,
    password_file: Option<&Path>,
    timeout: Duration,
) -> Result<session::Session, StoreError> {
    let connector = Connector::new(database, password_file.map(Path::to_owned))?;
    let mut session = connector
        .connect(timeout)
        .map_err(|error| connector.failure(error.why))?;
    session.set_deadline(Instant::now() + timeout);
    Ok(session)
}

impl Drop for PostgresStore {
    fn drop(&mut self) {
        self.pool.end();
        // A thread that has ended needs no telling.
        let _ = self.to_listener.send(ToListener::Closed);
    }
}

/// A file that nobody else sees, and that goes when it is closed.
fn temporary(spool: &Path) -> Result<File, StoreError> {
    match disk::unnamed(spool) {
        Err(error) if error.kind() == std::io::ErrorKind::Unsupported => {
            let count = DRAFTS.fetch_add(1, Relaxed);
            let name = format!("draft-{}-{count}", std::process::id());
            let path = spool.join(name);
            let file = File::options()
                .read(true)
                .write(true)
                .create_new(true)
                .open(&path)
                .map_err(StoreError::at(&path))?;
            std::fs::remove_file(&path).map_err(StoreError::at(&path))?;
            Ok(file)
        }
        file => file.map_err(StoreError::at(spool)),
    }
}

/// Operations of more than a line are in the files of their names.
impl Store for PostgresStore {
    /// The lookup of the whole sees a part of it too, so that a miss is one round trip.
    fn may_have(&self, key: &Key) -> bool {
        !key.is_for_part() || self.shared.may_be_stored(key.hash())
    }

    fn lookup(&self, key: &Key, request: &Fields) -> Result<Found, StoreError> {
        self.lookup(key, request)
    }

    fn begin(&self, meta: &Meta, expected: Option<u64>) -> Result<Draft, StoreError> {
        row::measure(meta)?;
        let length = expected.unwrap_or(0);
        let reservation = Reservation::begin(&self.shared, self.worker, &self.spool, length)?;
        let file = Arc::new(temporary(&self.spool)?);
        self.open_files.add_draft(&file, &reservation);
        Ok(Draft::new(file, reservation, None))
    }

    fn publish(
        &self,
        meta: &Meta,
        whole: Whole,
        invalidation_epoch: Option<u32>,
    ) -> Result<Published, StoreError> {
        self.publish(meta, whole, invalidation_epoch)
    }

    fn refresh(
        &self,
        object: &Object,
        meta: &Meta,
        invalidation_epoch: Option<u32>,
    ) -> Result<Published, StoreError> {
        self.refresh(object, meta, invalidation_epoch)
    }

    fn parts(&self, key: &Key, request: &Fields) -> Result<Vec<Object>, StoreError> {
        self.parts(key, request)
    }

    fn remove_part(&self, part: &Object) -> Result<(), StoreError> {
        self.remove_part(part)
    }

    fn remove(&self, key: &Key) -> Result<Vec<Published>, StoreError> {
        self.remove(key)
    }

    fn open_files(&self) -> &Arc<OpenFiles> {
        &self.open_files
    }

    fn shared(self: Arc<Self>) -> Option<Arc<dyn SharedStore>> {
        Some(self)
    }
}

impl SharedStore for PostgresStore {
    fn lease(&self, key: &Key) -> Lease {
        lease::lease(&self.pool, &self.host, &self.waiters, key)
    }

    fn renew(&self, key: &Key) {
        lease::renew(&self.pool, &self.host, key);
    }

    fn release(&self, key: &Key) {
        lease::release(&self.pool, &self.host, key);
    }

    fn used(&self, used: &[Used]) {
        self.hits.add(used);
    }
}

#[cfg(test)]
mod tests;

//! The environment of an index: the databases in it, what it takes of the disk, and which errors it doesn't survive.
//!
//! Which directory it lies in, and whether what is in it is to be believed, is decided in `index`.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use heed::byteorder::BigEndian;
use heed::types::{Bytes, U64};
use heed::{Database, Env, MdbError, RoTxn, RwTxn, WithTls};

use super::state::{self, State};
use crate::store::StoreError;
use crate::sys::faults::InUse;
use crate::sys::{disk, lmdb};

/// The file of an environment.
pub(super) const DATA: &str = "data.mdb";
pub(super) const LOCK: &str = "lock.mdb";
/// Beside it, what says how it is used: see `mark`.
pub(super) const MARK: &str = "boot";

/// The databases, in the order in which they are made.
const NAMES: [&str; 4] = ["objects", "records", "order", "state"];

/// A database by number.
pub(super) type Numbered = Database<U64<BigEndian>, Bytes>;

/// Everything that is stored, but for large content.
pub(super) struct Environment {
    /// No other of this process has had it.
    pub(super) id: u32,
    env: Env<WithTls>,
    /// What finds records ([`super::brief`]), and the lists of keys' variants, by [`super::entry::EntryKey`].
    pub(super) objects: Database<Bytes, Bytes>,
    /// Records, by the order of storing: so those that come one after another fill pages.
    pub(super) records: Numbered,
    /// The keys of records by the order of storing.
    pub(super) order: Numbered,
    /// Its own record, and the balloon.
    pub(super) state: Database<Bytes, Bytes>,
    /// Its directory.
    pub(super) path: PathBuf,
    file: File,
    page: u64,
    /// Marked as in use, so that nobody says that it was closed.
    users: File,
    /// Nothing is read or written any more.
    is_closed: AtomicBool,
    /// What says that it is open has reached the disk.
    is_mark_synced: AtomicBool,
}

/// How many environments this process has opened.
static OPENED: AtomicU32 = AtomicU32::new(0);

/// The environments that this process has open: LMDB has each open once.
static OPEN: Mutex<Option<HashMap<PathBuf, Weak<Environment>>>> = Mutex::new(None);

impl Environment {
    /// Opens the environment in this directory, which is made where there is none. Its users are marked in this file.
    pub(super) fn open(path: &Path, users: File) -> Result<Arc<Environment>, EnvironmentError> {
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        let open = open.get_or_insert_default();
        open.retain(|_, it| it.strong_count() > 0);
        if let Some(environment) = open.get(path).and_then(Weak::upgrade) {
            return Ok(environment);
        }
        let environment = Arc::new(Environment::open_first(path, users)?);
        open.insert(path.to_path_buf(), Arc::downgrade(&environment));
        Ok(environment)
    }

    fn open_first(path: &Path, users: File) -> Result<Environment, EnvironmentError> {
        let at = EnvironmentError::at(path);
        let _in_use = InUse::begin();
        let mut attempts = 0;
        let env = loop {
            match lmdb::open(path, NAMES.len() as u32) {
                // It is just being closed.
                Err(heed::Error::EnvAlreadyOpened) if attempts < 100 => {
                    attempts += 1;
                    std::thread::sleep(Duration::from_millis(2));
                }
                env => break env.map_err(at)?,
            }
        };
        let (objects, records, order, state) = databases(&env).map_err(at)?;
        // Those that died while they read would keep what is free from being used.
        env.clear_stale_readers().map_err(at)?;
        let mut options = File::options();
        let file = options.read(true).write(true).open(path.join(DATA));
        let file = file.map_err(|error| at(error.into()))?;
        let page = page_size(&env, &objects).map_err(at)?;
        Ok(Environment {
            id: OPENED.fetch_add(1, SeqCst),
            page,
            env,
            objects,
            records,
            order,
            state,
            path: path.to_path_buf(),
            file,
            users,
            is_closed: AtomicBool::new(false),
            is_mark_synced: AtomicBool::new(false),
        })
    }

    /// The record with this number.
    pub(super) fn record<'t>(
        &self,
        txn: &'t RoTxn,
        number: u64,
    ) -> Result<Option<&'t [u8]>, heed::Error> {
        self.records.get(txn, &number)
    }

    pub(super) fn read(&self) -> Result<RoTxn<'_, WithTls>, heed::Error> {
        self.check_open()?;
        self.env.read_txn()
    }

    fn check_open(&self) -> Result<(), heed::Error> {
        match self.is_closed.load(SeqCst) {
            true => Err(heed::Error::Io(io::Error::other("it was closed"))),
            false => Ok(()),
        }
    }

    /// Closes it for all of this process, when nobody changes it; returns the number of its last transaction. What reads at
    /// this moment has a moment left.
    pub(super) fn close(&self) -> Result<u64, heed::Error> {
        let txn = self.write()?;
        self.is_closed.store(true, SeqCst);
        self.is_mark_synced.store(false, SeqCst);
        drop(txn);
        std::thread::sleep(Duration::from_millis(10));
        Ok(self.env.info().last_txn_id as u64)
    }

    /// Begins a change, when those of others are done, however long that takes.
    pub(super) fn write(&self) -> Result<RwTxn<'_>, heed::Error> {
        self.sync_mark()?;
        let txn = self.env.write_txn()?;
        self.check_open()?;
        Ok(txn)
    }

    /// Sees to it that the mark is on the disk before anything is that is written after it. Only the first change waits.
    pub(super) fn sync_mark(&self) -> io::Result<()> {
        if !self.is_mark_synced.load(SeqCst) {
            let mark = self.path.join(MARK);
            for path in [Some(&*mark), Some(&*self.path), self.path.parent()] {
                match path.map(|path| File::open(path)?.sync_all()) {
                    // It was moved, as the change finds out, or removed.
                    Some(Err(error)) if error.kind() != io::ErrorKind::NotFound => {
                        return Err(error);
                    }
                    Some(_) | None => {}
                }
            }
            self.is_mark_synced.store(true, SeqCst);
        }
        Ok(())
    }

    pub(super) fn state(&self, txn: &RoTxn) -> Result<State, heed::Error> {
        match self.state.get(txn, state::KEY)? {
            None => Ok(State::default()),
            // Without the next number and what the files take nothing can be stored.
            Some(bytes) => State::decode(bytes).ok_or(heed::Error::Mdb(MdbError::Corrupted)),
        }
    }

    pub(super) fn set_state(&self, txn: &mut RwTxn, state: &State) -> Result<(), heed::Error> {
        self.state.put(txn, state::KEY, &state.encode())
    }

    /// The bytes of the environment that are in use, as of this transaction.
    pub(super) fn in_use(&self, txn: &RoTxn) -> Result<u64, heed::Error> {
        let mut pages = 0;
        for stat in [
            self.objects.stat(txn)?,
            self.records.stat(txn)?,
            self.order.stat(txn)?,
            self.state.stat(txn)?,
        ] {
            for number in [stat.branch_pages, stat.leaf_pages, stat.overflow_pages] {
                pages = number.saturating_add(pages);
            }
        }
        // One change makes far fewer.
        const MOST_NEW: usize = 1 << 20;
        let last = self.env.info().last_page_number;
        if pages > last.saturating_add(MOST_NEW) {
            return Err(heed::Error::Mdb(MdbError::Corrupted));
        }
        // Its two heads, the database of databases, and the list of free pages.
        Ok((pages as u64 + 8) * self.page)
    }

    /// The bytes that the environment takes.
    pub(super) fn size(&self) -> u64 {
        (self.env.info().last_page_number as u64 + 1).saturating_mul(self.page)
    }

    /// The bytes of a page.
    pub(super) fn page(&self) -> u64 {
        self.page
    }

    /// Makes a hole in the file where this value of it, which begins with a mark of its own, has whole pages of zeros; the
    /// bytes.
    pub(super) fn make_hole(&self, value: &[u8], mark: &[u8]) -> io::Result<u64> {
        let Some(place) = lmdb::place_in_file(value, self.page) else {
            return Ok(0);
        };
        // Nothing is made a hole that isn't surely this.
        let mut found = vec![0; mark.len()];
        self.file.read_exact_at(&mut found, place)?;
        if !value.starts_with(mark) || found != mark {
            return Ok(0);
        }
        let from = place.next_multiple_of(self.page);
        let end = (place + value.len() as u64) / self.page * self.page;
        let length = end.saturating_sub(from);
        disk::make_hole(&self.file, from, length)?;
        Ok(length)
    }

    /// The number of the last transaction that changed something.
    pub(super) fn last_transaction(&self) -> u64 {
        self.env.info().last_txn_id as u64
    }

    /// Waits until it has reached the disk.
    pub(super) fn sync(&self) -> Result<(), heed::Error> {
        self.env.force_sync()
    }

    /// Writes what is in use to this file, whole.
    pub(super) fn copy(&self, to: &mut File) -> Result<(), heed::Error> {
        self.env.copy_to_file(to, heed::CompactionOption::Enabled)
    }

    /// Frees what processes that have ended were reading.
    pub(super) fn clear_stale_readers(&self) -> Result<usize, heed::Error> {
        self.env.clear_stale_readers()
    }

    /// True when its files are still those under their names.
    pub(super) fn is_in_place(&self) -> bool {
        let identity = |metadata: std::fs::Metadata| (metadata.dev(), metadata.ino());
        let named = self.path.join(DATA).metadata().map(identity);
        let open = self.file.metadata().map(identity);
        matches!((named, open), (Ok(named), Ok(open)) if named == open)
    }

    /// Tells whether nobody else has it open. From then on it isn't marked as in use by this process; where nobody else has,
    /// nobody can open it until [`Environment::let_go`].
    pub(super) fn is_alone(&self) -> bool {
        // A lock that can't be made exclusive is lost, as flock(2) says.
        !disk::is_in_use(&self.users)
    }

    /// Lets others open it.
    pub(super) fn let_go(&self) -> Result<(), StoreError> {
        disk::unlock(&self.users).map_err(StoreError::at(&self.path))
    }

    /// What a transaction of it failed with, in words.
    pub(super) fn failure(&self, error: heed::Error) -> StoreError {
        EnvironmentError::at(&self.path)(error).into()
    }
}

fn page_size(env: &Env<WithTls>, of: &Database<Bytes, Bytes>) -> Result<u64, heed::Error> {
    let txn = env.read_txn()?;
    Ok(u64::from(of.stat(&txn)?.page_size))
}

type Databases = (
    Database<Bytes, Bytes>,
    Numbered,
    Numbered,
    Database<Bytes, Bytes>,
);

/// The databases, which are made where they are missing.
fn databases(env: &Env<WithTls>) -> Result<Databases, heed::Error> {
    let txn = env.read_txn()?;
    let found = (
        env.open_database(&txn, Some(NAMES[0]))?,
        env.open_database(&txn, Some(NAMES[1]))?,
        env.open_database(&txn, Some(NAMES[2]))?,
        env.open_database(&txn, Some(NAMES[3]))?,
    );
    txn.commit()?;
    if let (Some(objects), Some(records), Some(order), Some(state)) = found {
        return Ok((objects, records, order, state));
    }
    let mut txn = env.write_txn()?;
    let made = (
        env.create_database(&mut txn, Some(NAMES[0]))?,
        env.create_database(&mut txn, Some(NAMES[1]))?,
        env.create_database(&mut txn, Some(NAMES[2]))?,
        env.create_database(&mut txn, Some(NAMES[3]))?,
    );
    txn.commit()?;
    Ok(made)
}

/// A failure of an environment.
#[derive(Debug)]
pub(super) struct EnvironmentError {
    path: PathBuf,
    error: heed::Error,
}

impl EnvironmentError {
    fn at(path: &Path) -> impl Fn(heed::Error) -> EnvironmentError + Copy {
        move |error| EnvironmentError {
            path: path.to_path_buf(),
            error,
        }
    }

    /// True when what is in it isn't to be believed, so that another has to be made.
    pub(super) fn is_damage(&self) -> bool {
        is_damage(&self.error)
    }
}

fn is_damage(error: &heed::Error) -> bool {
    use MdbError::{Corrupted, Incompatible, Invalid, PageNotFound, VersionMismatch};
    // The last three: a circle of pages, a page that can't be as it is, a head that could not be written.
    use MdbError::{CursorFull, PageFull, Panic};
    matches!(
        error,
        heed::Error::Mdb(
            Corrupted
                | Incompatible
                | Invalid
                | PageNotFound
                | VersionMismatch
                | CursorFull
                | PageFull
                | Panic
        )
    )
}

impl From<EnvironmentError> for StoreError {
    fn from(failed: EnvironmentError) -> StoreError {
        let EnvironmentError { path, error } = failed;
        let is_damage = is_damage(&error);
        match error {
            heed::Error::Io(error) => StoreError::at(&path)(error),
            heed::Error::Mdb(MdbError::Other(code)) => {
                StoreError::at(&path)(io::Error::from_raw_os_error(code))
            }
            heed::Error::Mdb(MdbError::MapFull) => {
                let reason = "its index has no room left".to_owned();
                StoreError::Full { path, reason }
            }
            error @ heed::Error::Mdb(_) if is_damage => StoreError::IndexDamaged {
                path,
                reason: error.to_string(),
            },
            error @ (heed::Error::Mdb(_)
            | heed::Error::Encoding(_)
            | heed::Error::Decoding(_)
            | heed::Error::EnvAlreadyOpened) => {
                StoreError::at(&path)(io::Error::other(error.to_string()))
            }
        }
    }
}

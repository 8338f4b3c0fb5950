//! Content in rows of bounded size: written piece by piece from where it lies, read piece by piece as
//! the client takes it, so that large content is never in memory as a whole.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};
use postgres::Row;

use super::pool::{CHANGE, LOOKUP, Pool};
use super::session::Session;
use crate::store::{Checksum, Pieces, StoreError};

/// The length of every piece but the last.
pub const PIECE: u64 = 256 << 10;
/// The most pieces that are on their way to the database at once.
const AT_ONCE: usize = 4;
/// The time after which content that is being read is kept for longer.
const KEPT: Duration = Duration::from_secs(30);

const BEGIN: &str = "INSERT INTO cacheproxy.content (length) VALUES ($1) RETURNING id";
const WRITE: &str = "INSERT INTO cacheproxy.piece VALUES ($1, $2, $3, $4)";
const READ: &str =
    "SELECT bytes, checksum FROM cacheproxy.piece WHERE content_id = $1 AND number = $2";
const REMOVE: &str = "SELECT cacheproxy.evict(ARRAY( \
    SELECT r.id FROM cacheproxy.response r WHERE r.content_id = $1 LIMIT 200))";
const KEEP: &str = "SELECT cacheproxy.keep($1)";

/// The place of content that is to be written.
pub enum Source<'a> {
    Memory(&'a [Bytes]),
    /// At the beginning of a file.
    File(&'a File),
}

/// The failure of the database, or of the file that content lies in, for which it was not written.
pub enum WriteError {
    Database(postgres::Error),
    Source(std::io::Error),
}

impl From<postgres::Error> for WriteError {
    fn from(error: postgres::Error) -> WriteError {
        WriteError::Database(error)
    }
}

/// Writes content, in a transaction that has begun; its id.
pub fn write(session: &mut Session, source: &Source<'_>, length: u64) -> Result<i64, WriteError> {
    let row = session.query_first(BEGIN, &[&(length as i64)])?;
    let id: i64 = row.map_or(Ok(0), |row| row.try_get(0))?;
    let mut at = 0;
    while at < length {
        let mut pieces = Vec::with_capacity(AT_ONCE);
        while at < length && pieces.len() < AT_ONCE {
            let step = (length - at).min(PIECE);
            let piece = source.read(at, step as usize).map_err(WriteError::Source)?;
            pieces.push(((at / PIECE) as i32, piece));
            at += step;
        }
        // Each step has the time that a change has.
        session.set_deadline(Instant::now() + CHANGE);
        let checked = |(number, piece): &(i32, Bytes)| {
            (*number, piece.clone(), Checksum::of(piece).to_le_bytes())
        };
        let checked: Vec<_> = pieces.iter().map(checked).collect();
        let parts: Vec<_> = (checked.iter())
            .map(|(number, piece, checksum)| (number, &piece[..], &checksum[..]))
            .collect();
        let rows: Vec<[&(dyn postgres::types::ToSql + Sync); 4]> = parts
            .iter()
            .map(|(number, piece, checksum)| [&id as _, *number as _, piece as _, checksum as _])
            .collect();
        session.execute_each(WRITE, &rows)?;
    }
    Ok(id)
}

impl Source<'_> {
    /// So many bytes, from there on.
    pub fn read(&self, at: u64, length: usize) -> std::io::Result<Bytes> {
        match self {
            Source::File(file) => {
                let mut bytes = vec![0; length];
                file.read_exact_at(&mut bytes, at)?;
                Ok(bytes.into())
            }
            Source::Memory(parts) => Ok(part(parts, at as usize, length)),
        }
    }
}

/// So many bytes of these parts, from there on.
fn part(parts: &[Bytes], mut at: usize, length: usize) -> Bytes {
    let mut bytes = BytesMut::with_capacity(length);
    for part in parts {
        let skip = at.min(part.len());
        at -= skip;
        let mut rest = &part[skip..];
        let step = rest.len().min(length - bytes.len());
        bytes.extend_from_slice(&rest[..step]);
        rest.advance(step);
    }
    bytes.freeze()
}

/// Content in the database, for who reads it.
#[derive(Debug)]
pub struct StoredPieces {
    pool: Arc<Pool>,
    id: i64,
    length: u64,
    /// When it was last made sure that it is kept.
    kept: Mutex<Instant>,
}

impl StoredPieces {
    pub fn new(pool: Arc<Pool>, id: i64, length: u64) -> StoredPieces {
        StoredPieces {
            pool,
            id,
            length,
            kept: Mutex::new(Instant::now()),
        }
    }

    /// Removes the responses whose content this is. Where they can't be, the next who reads it finds out.
    fn remove_damaged(&self) {
        let server = self.pool.server();
        log::warn!(
            "stored content {} in the database at {server} is damaged; removed",
            self.id
        );
        let remove = |session: &mut Session| session.execute(REMOVE, &[&self.id]);
        let _ = self.pool.change(remove);
    }

    /// True when it is time to have it kept for longer, which is noted.
    fn is_to_be_kept(&self) -> bool {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let due = kept.elapsed() >= KEPT;
        if due {
            *kept = Instant::now();
        }
        due
    }
}

impl Pieces for StoredPieces {
    fn len(&self) -> u64 {
        self.length
    }

    fn read(&self, at: u64) -> Result<Bytes, StoreError> {
        if at >= self.length {
            return Ok(Bytes::new());
        }
        let number = (at / PIECE) as i32;
        let row = self.pool.run(LOOKUP, |session| {
            session.query_first(READ, &[&self.id, &number])
        })?;
        if self.is_to_be_kept() {
            // Where it can't be, what is there is read all the same.
            let keep = |session: &mut Session| session.execute(KEEP, &[&vec![self.id]]);
            let _ = self.pool.run(LOOKUP, keep);
        }
        within(row, self.length, at).map_err(|fault| {
            if fault == PieceFault::Damaged {
                self.remove_damaged();
            }
            StoreError::Gone
        })
    }
}

/// The reason why a piece can't be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PieceFault {
    /// It isn't there, or not of the length that it should have.
    Gone,
    /// Its checksum is that of something else.
    Damaged,
}

/// The content of a piece from `at` on, where the content has this length; the row begins with its bytes and its checksum.
pub fn within(row: Option<Row>, length: u64, at: u64) -> Result<Bytes, PieceFault> {
    let row = row.ok_or(PieceFault::Gone)?;
    let checksum = row.try_get::<_, Option<&[u8]>>(1).ok().flatten();
    let checksum = checksum.map(<[u8]>::to_vec);
    let bytes = Column::new(row).map(Bytes::from_owner);
    let due = length.saturating_sub(at - at % PIECE).min(PIECE);
    let mut bytes = bytes
        .filter(|bytes| bytes.len() as u64 == due)
        .ok_or(PieceFault::Gone)?;
    if checksum.is_some_and(|checksum| checksum != Checksum::of(&bytes).to_le_bytes()) {
        return Err(PieceFault::Damaged);
    }
    bytes.advance(((at % PIECE) as usize).min(bytes.len()));
    Ok(bytes)
}

/// The bytes in the first column of a row, where they are.
struct Column(Row);

impl Column {
    fn new(row: Row) -> Option<Column> {
        row.try_get::<_, &[u8]>(0).is_ok().then_some(Column(row))
    }
}

impl AsRef<[u8]> for Column {
    fn as_ref(&self) -> &[u8] {
        self.0.try_get(0).unwrap_or_default()
    }
}

//! The schema in the database: made where there is none, brought up to date where it is older.
//!
//! All in one transaction under a lock, so that any number of hosts may do it at once. It needs no superuser:
//! the right to make a schema in the database, once.

use postgres::Error;

use super::failure::reason;
use super::session::Session;

/// The version of the schema that this program uses.
const VERSION: i64 = 1;
const TEXT: &str = include_str!("schema.sql");
/// Stands in the text where tables are made, for what else is said of them.
const PLACE: &str = "/*UNLOGGED*/";
/// Held while the schema is made.
const LOCK: &str = "SELECT pg_advisory_xact_lock(hashtextextended('cacheproxy schema', 0))";

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// There was none: it was made.
    Created,
    /// It was of this version, and is up to date now.
    Upgraded(i64),
    /// It was up to date.
    Current,
}

/// Why the schema can't be used.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// It is newer than this program.
    #[error(
        "the schema \"cacheproxy\" there is of version {0}, made by a newer cacheproxy; this one knows version {VERSION}"
    )]
    Newer(i64),
    /// Something of that name is there, which is not ours.
    #[error("the schema \"cacheproxy\" there was not made by cacheproxy: it has no version")]
    Foreign,
    /// The database said no.
    #[error("the schema \"cacheproxy\" can't be made or read: {}", reason(.0))]
    Refused(#[from] Error),
}

/// Sees to it that the schema is there and up to date. With `logged`, tables that are made survive a
/// crash of the server.
pub fn init(session: &mut Session, logged: bool) -> Result<Outcome, SchemaError> {
    if let Some(VERSION) = version(session)? {
        return Ok(Outcome::Current);
    }
    session.begin()?;
    let done = make(session, logged);
    match &done {
        Ok(_) => session.commit()?,
        // What failed already is told.
        Err(_) => drop(session.roll_back()),
    }
    done
}

fn make(session: &mut Session, logged: bool) -> Result<Outcome, SchemaError> {
    session.batch(LOCK)?;
    // Another host may have made it meanwhile.
    match version(session)? {
        Some(VERSION) => return Ok(Outcome::Current),
        Some(older) if older < VERSION => return Err(SchemaError::Foreign),
        Some(newer) => return Err(SchemaError::Newer(newer)),
        None => {}
    }
    // An empty one may have been made for us, by who may where we may not.
    let there = "SELECT FROM pg_namespace WHERE nspname = 'cacheproxy'";
    if session.query(there, &[])?.is_empty() {
        session.batch("CREATE SCHEMA cacheproxy")?;
    }
    let kind = if logged { "" } else { "UNLOGGED" };
    session.batch(&TEXT.replace(PLACE, kind))?;
    Ok(Outcome::Created)
}

/// The version of the schema that is there.
fn version(session: &mut Session) -> Result<Option<i64>, SchemaError> {
    // Read from the table itself: what to_regclass() knows may be older than the lock.
    let there = session.query(
        "SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname = 'cacheproxy' AND c.relname = 'state'",
        &[],
    )?;
    if there.is_empty() {
        return Ok(None);
    }
    let version = "SELECT value FROM cacheproxy.state WHERE name = 'version'";
    let version = session.query_first(version, &[])?;
    let version = version.and_then(|row| row.get::<_, String>(0).parse().ok());
    version.map(Some).ok_or(SchemaError::Foreign)
}

//! The schema in the database: made where there is none; an older one is brought up to date, and what is stored stays; one
//! that is older still is made anew, empty.
//!
//! All in one transaction under a lock, so that any number of hosts may do it at once. It needs no superuser:
//! the right to make a schema in the database, once.

use std::time::{Duration, Instant};

use postgres::Error;

use super::failure::reason;
use super::session::Session;

/// The version of the schema that this program uses.
const VERSION: i64 = 4;
/// The oldest version whose tables can be made this one's.
const OLDEST: i64 = 2;
const TABLES: &str = include_str!("schema.sql");
const FUNCTIONS: &str = include_str!("functions.sql");
const UPGRADE: &str = include_str!("upgrade.sql");
const TRIGGERS: &str = include_str!("triggers.sql");
/// The version, and a secret that only who owns the schema can read.
const STATE: &str = "INSERT INTO cacheproxy.state VALUES ('version', $1::bigint::text), \
    ('secret', pg_catalog.replace(pg_catalog.gen_random_uuid()::text || pg_catalog.gen_random_uuid()::text, '-', '')) \
    ON CONFLICT (name) DO UPDATE SET value = excluded.value";
/// Stands in the text where tables are made, for what else is said of them.
const PLACE: &str = "/*UNLOGGED*/";
/// The statements that remove what is in the schema. As one text, made before any of them is done, since
/// removing one thing takes others along; tables first, as they own sequences.
const EVERYTHING: &str = "SELECT pg_catalog.string_agg('DROP ' || thing || ' CASCADE', ';' ORDER BY thing DESC) FROM ( \
    SELECT pg_catalog.format('%s IF EXISTS cacheproxy.%I', CASE relkind WHEN 'r' THEN 'TABLE' ELSE 'SEQUENCE' END, relname) \
        FROM pg_catalog.pg_class WHERE relnamespace = 'cacheproxy'::pg_catalog.regnamespace AND relkind IN ('r', 'S') \
    UNION ALL SELECT 'FUNCTION IF EXISTS ' || oid::pg_catalog.regprocedure::pg_catalog.text \
        FROM pg_catalog.pg_proc WHERE pronamespace = 'cacheproxy'::pg_catalog.regnamespace) things (thing)";
/// Held while the schema is made.
const LOCK: &str = "SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('cacheproxy schema', 0::bigint))";

/// The most time that an upgrade takes, which makes an index of all that is stored.
const FOR_UPGRADE: Duration = Duration::from_secs(600);

/// The outcome of [`init`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SchemaInit {
    /// There was none: it was made.
    Created,
    /// It was of this version, and was brought up to date or made anew.
    Upgraded(i64),
    /// It was up to date.
    Current,
}

/// The reason why the schema can't be used.
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

/// The schema that is there, and what this user may do with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaState {
    /// The version of the schema, if it is there.
    pub version: Option<i64>,
    /// True when it is of the version that this program uses.
    pub current: bool,
    /// True when it is there, and the user may not look into it.
    pub closed: bool,
    /// The user's name.
    pub user: String,
    /// The database's name.
    pub database: String,
    /// The server's version.
    pub server: String,
    /// True when the user may make a schema.
    pub may_create: bool,
    /// True when the user may change what is stored; said only when the schema is there.
    pub may_write: bool,
    /// True when the server takes no writes.
    pub read_only: bool,
}

/// Looks at the schema without changing anything.
pub fn look(session: &mut Session) -> Result<SchemaState, SchemaError> {
    let closed = "SELECT FROM pg_catalog.pg_namespace \
        WHERE nspname = 'cacheproxy' AND NOT pg_catalog.has_schema_privilege(oid, 'USAGE')";
    let closed = !session.query(closed, &[])?.is_empty();
    let version = if closed { None } else { version(session)? };
    let row = session.query_first(
        "SELECT current_user::text, pg_catalog.current_database()::text, pg_catalog.current_setting('server_version'), \
            pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE'), \
            pg_catalog.pg_is_in_recovery() OR pg_catalog.current_setting('default_transaction_read_only') = 'on'",
        &[],
    )?;
    let row = row.ok_or(SchemaError::Foreign)?;
    let may_write = match version {
        None => false,
        Some(_) => {
            let rights = "SELECT \
                pg_catalog.has_table_privilege('cacheproxy.response', 'SELECT, INSERT, UPDATE, DELETE')";
            session
                .query_first(rights, &[])?
                .is_some_and(|row| row.get(0))
        }
    };
    Ok(SchemaState {
        current: version == Some(VERSION),
        version,
        closed,
        user: row.get(0),
        database: row.get(1),
        server: row.get(2),
        may_create: row.get(3),
        may_write,
        read_only: row.get(4),
    })
}

/// Sees to it that the schema is there and up to date. With `logged`, tables that are made survive a
/// crash of the server.
pub fn init(session: &mut Session, logged: bool) -> Result<SchemaInit, SchemaError> {
    if let Some(VERSION) = version(session)? {
        return Ok(SchemaInit::Current);
    }
    session.begin()?;
    let done = make(session, logged);
    match &done {
        Ok(_) => session.commit()?,
        // An earlier failure is told.
        Err(_) => drop(session.roll_back()),
    }
    done
}

fn make(session: &mut Session, logged: bool) -> Result<SchemaInit, SchemaError> {
    session.batch(LOCK)?;
    // Another host may have made it meanwhile.
    let older = match version(session)? {
        Some(VERSION) => return Ok(SchemaInit::Current),
        Some(newer) if newer > VERSION => return Err(SchemaError::Newer(newer)),
        older => older,
    };
    if older.is_some_and(|older| older >= OLDEST) {
        session.set_deadline(Instant::now() + FOR_UPGRADE);
        session.batch(UPGRADE)?;
        session.batch(&comments())?;
        session.batch(FUNCTIONS)?;
    } else {
        if older.is_some() {
            empty(session)?;
        }
        // An empty one may have been made for us, by who may where we may not.
        let there = "SELECT FROM pg_catalog.pg_namespace WHERE nspname = 'cacheproxy'";
        if session.query(there, &[])?.is_empty() {
            session.batch("CREATE SCHEMA cacheproxy")?;
        }
        let kind = if logged { "" } else { "UNLOGGED" };
        session.batch(&TABLES.replace(PLACE, kind))?;
        session.batch(FUNCTIONS)?;
        session.batch(TRIGGERS)?;
    }
    session.execute(STATE, &[&VERSION])?;
    Ok(older.map_or(SchemaInit::Created, SchemaInit::Upgraded))
}

/// What is said of the tables and their columns.
fn comments() -> String {
    let statements = TABLES.split_inclusive(";\n");
    let is_comment = |it: &&str| it.trim_start().starts_with("COMMENT ON");
    statements.filter(is_comment).collect()
}

/// Removes everything in the schema. It stays itself, since this user may not be allowed to make another.
fn empty(session: &mut Session) -> Result<(), SchemaError> {
    let row = session.query_first(EVERYTHING, &[])?;
    let drops: Option<String> = row.and_then(|row| row.get(0));
    Ok(session.batch(&drops.unwrap_or_default())?)
}

/// The version of the schema that is there.
fn version(session: &mut Session) -> Result<Option<i64>, SchemaError> {
    // Read from the table itself: what to_regclass() knows may be older than the lock.
    let there = session.query(
        "SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
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

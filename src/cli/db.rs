//! `cacheproxy db`: the database of the PostgreSQL store.

use clap::Subcommand;

use super::database::DatabaseAccess;
use super::output::{self, amount};
use super::store_args::StoreArgs;
use crate::store::postgres::schema::SchemaState;
use crate::sys::exit::Failure;

/// Make or look at the database of the PostgreSQL store.
#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true, disable_help_subcommand = true)]
pub(super) struct DbArgs {
    #[command(subcommand)]
    command: DbCommand,
}

#[derive(Debug, Subcommand)]
enum DbCommand {
    /// Make the schema "cacheproxy" in the configured database, or bring it up to date
    ///
    /// The service does so itself when it first connects, if it may. Several hosts may do it at once. It needs no
    /// superuser, only a database in which this user may make a schema.
    Init(StoreArgs),
    /// Tell what is in the configured database
    Status(StoreArgs),
}

const COUNT: &str = "SELECT pg_catalog.count(*), coalesce(pg_catalog.sum(size), 0)::bigint, \
    coalesce(pg_catalog.sum(hits), 0)::bigint, \
    (SELECT relpersistence = 'u' FROM pg_catalog.pg_class WHERE oid = 'cacheproxy.response'::pg_catalog.regclass) \
    FROM cacheproxy.response";

pub(super) fn db(args: &DbArgs) -> Result<(), Failure> {
    match &args.command {
        DbCommand::Init(store) => output::print(&format!("{}\n", database(store)?.init()?)),
        DbCommand::Status(store) => status(&database(store)?),
    }
}

fn database(store: &StoreArgs) -> Result<DatabaseAccess, Failure> {
    let mut meant = store.meant()?;
    let database = DatabaseAccess::of(&mut meant.settings.store, meant.named_by)?;
    database.ok_or_else(|| {
        Failure::config(
            "the configured store is no database: store = \"postgres\" makes it one, or --store postgresql://…",
        )
    })
}

fn status(database: &DatabaseAccess) -> Result<(), Failure> {
    let mut session = database.session()?;
    let state = database.look(&mut session)?;
    let SchemaState {
        server,
        database,
        user,
        version,
        ..
    } = state;
    let mut text = format!("PostgreSQL {server}, database {database}, user {user}\n");
    let Some(version) = version else {
        return output::print(&(text + "no schema \"cacheproxy\" yet\n"));
    };
    text.push_str(&format!("schema \"cacheproxy\" of version {version}"));
    let row = session.query_first(COUNT, &[]);
    if let Some(row) = row.map_err(Failure::unavailable)? {
        let unlogged = row.get::<_, Option<bool>>(3) == Some(true);
        let logged = if unlogged { "unlogged" } else { "logged" };
        let [count, bytes, hits] = [0, 1, 2].map(|column| row.get::<_, i64>(column));
        let size = amount(bytes as u64);
        text.push_str(&format!(
            ", {logged}\n{count} stored responses, {size}, {hits} hits\n"
        ));
    }
    output::print(&text)
}

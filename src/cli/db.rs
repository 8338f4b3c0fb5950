//! `cacheproxy db`: the database of the PostgreSQL store.

use clap::Subcommand;

use super::control;
use super::database::Access;
use super::stored::{StoreArgs, amount};
use crate::sys::exit::Failure;

/// Make or look at the database of the PostgreSQL store.
#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true, disable_help_subcommand = true)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make the schema "cacheproxy" in the configured database, or bring it up to date
    ///
    /// The service does so itself when it first connects, if it may. Several hosts may do it at once. It needs no
    /// superuser, only a database in which this user may make a schema.
    Init(StoreArgs),
    /// Tell what is in the configured database
    Status(StoreArgs),
}

const COUNT: &str = "SELECT count(*), coalesce(sum(size), 0)::bigint, coalesce(sum(hits), 0)::bigint, \
    (SELECT relpersistence = 'u' FROM pg_class WHERE oid = 'cacheproxy.response'::regclass) \
    FROM cacheproxy.response";

pub(super) fn db(args: &Args) -> Result<(), Failure> {
    match &args.command {
        Command::Init(which) => control::print(&format!("{}\n", access(which)?.init()?)),
        Command::Status(which) => status(&access(which)?),
    }
}

fn access(which: &StoreArgs) -> Result<Access, Failure> {
    let settings = which.settings()?;
    let access = Access::of(&settings.store, which.names_a_store())?;
    access.ok_or_else(|| {
        Failure::config(
            "the configured store is no database: store = \"postgres\" makes it one, or --store postgresql://…",
        )
    })
}

fn status(access: &Access) -> Result<(), Failure> {
    let mut session = access.session()?;
    let state = access.look(&mut session)?;
    let mut text = format!(
        "PostgreSQL {}, database {}, user {}\n",
        state.server, state.database, state.user
    );
    match state.version {
        None => text.push_str("no schema \"cacheproxy\" yet\n"),
        Some(version) => {
            text.push_str(&format!("schema \"cacheproxy\" of version {version}"));
            let row = session.query_first(COUNT, &[]);
            let row = row.map_err(Failure::unavailable)?;
            if let Some(row) = row {
                let logged = match row.get::<_, Option<bool>>(3) {
                    Some(true) => "unlogged",
                    _ => "logged",
                };
                text.push_str(&format!(
                    ", {logged}\n{} stored responses, {}, {} hits\n",
                    row.get::<_, i64>(0),
                    amount(row.get::<_, i64>(1) as u64),
                    row.get::<_, i64>(2),
                ));
            }
        }
    }
    control::print(&text)
}

//! `cacheproxy check`: the configuration that the service would read, validated, and a look at its store.

use std::fmt::Write as _;

use super::config_args::ConfigArgs;
use super::database::{DatabaseAccess, NamedBy};
use super::summary::summary;
use super::{output, store_directory};
use crate::config;
use crate::sys::exit::Failure;

/// Check the configuration that the service would read; say what it comes to, or what is wrong with it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exits with 0 when all is well, 78 when the configuration is wrong, 77 when the store's directory isn't writable or the
database may not be used, 69 when the database can't be reached or isn't fit for it.
Run it as root to have the store tried as the service's own user.")]
pub(super) struct CheckArgs {
    #[command(flatten)]
    config: ConfigArgs,
}

pub(super) fn check(args: &CheckArgs) -> Result<(), Failure> {
    let loaded = config::load(&args.config.source()).map_err(Failure::config)?;
    let choice = &loaded.settings.store;
    let mut notes: Vec<String> = Vec::new();
    notes.extend(store_directory::check(&choice.path)?);
    // Last, as root goes on as the service's user.
    if let Some(database) = DatabaseAccess::of(&mut choice.clone(), NamedBy::Configuration)? {
        notes.extend(database.exposed().map(str::to_owned));
        notes.extend(database.check()?);
    }
    let mut text = summary(&loaded);
    for note in notes {
        // Writing to a String can't fail.
        let _ = writeln!(text, "note: {note}");
    }
    output::print(&text)
}

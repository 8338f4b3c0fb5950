//! `cacheproxy check`: the configuration that the service, or the proxy that is meant, would read now, validated, and a
//! look at its store.

use std::fmt::Write as _;

use super::config_args::ConfigArgs;
use super::database::{DatabaseAccess, NamedBy};
use super::runtime_dir::{RuntimeArgs, is_of_the_service};
use super::summary::summary;
use super::{control, output, store_directory};
use crate::config::{self, ConfigText, StoreKind};
use crate::store::filesystem::suitable;
use crate::sys::exit::Failure;

/// Check the configuration that the proxy would read now; say what it comes to, or what is wrong with it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exits with 0 when all is well, 78 when the configuration is wrong, 77 when the store's directory isn't writable or the
database may not be used, 69 when the database can't be reached or isn't fit for it.
Run it as root to have the store tried as the service's own user.")]
pub(super) struct CheckArgs {
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    runtime: RuntimeArgs,
}

/// The texts of the proxy started with `cacheproxy run` that is meant; none where the service is.
fn running(args: &CheckArgs) -> Result<Option<Vec<ConfigText>>, Failure> {
    if args.config.is_given() {
        return Ok(None);
    }
    let dir = args.runtime.find()?;
    if is_of_the_service(&dir) {
        return Ok(None);
    }
    let texts = control::texts(&dir)?;
    let dir = dir.display();
    let absent = || {
        Failure::unavailable(format!(
            "no proxy runs in {dir}: --config names the file of one"
        ))
    };
    texts.ok_or_else(absent).map(Some)
}

pub(super) fn check(args: &CheckArgs) -> Result<(), Failure> {
    let (loaded, named_by) = match running(args)? {
        Some(texts) => (config::load_again(texts), NamedBy::CommandLine),
        None => (config::load(&args.config.source()), NamedBy::Configuration),
    };
    let loaded = loaded.map_err(Failure::config)?;
    let choice = &loaded.settings.store;
    let mut notes: Vec<String> = Vec::new();
    match named_by {
        NamedBy::Configuration => notes.extend(store_directory::check(&choice.path)?),
        NamedBy::CommandLine => store_directory::check_own(&choice.path)?,
    }
    // What is on its way into a database can lie anywhere.
    if choice.kind == StoreKind::Filesystem && choice.path.exists() {
        suitable::check(&choice.path).map_err(Failure::unavailable)?;
    }
    // Last, as root goes on as the service's user.
    if let Some(database) = DatabaseAccess::of(&mut choice.clone(), named_by)? {
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

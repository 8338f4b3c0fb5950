//! `cacheproxy import`: stores what an archive has, as if it had been fetched when it was.

use std::fs::File;
use std::io::{self, BufReader, IsTerminal};
use std::path::{Path, PathBuf};

use super::importer::{Importer, unread};
use super::store_args::StoreArgs;
use crate::store::archive::ArchiveReader;
use crate::sys::exit::Failure;

/// Store what `cacheproxy export` wrote; what the store has that is as new stays.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Each response is checked before it is stored. With a damaged archive it exits with 65, and what is whole before the
damage is stored. It works while the proxy runs. It is for root, and for the user of `cacheproxy run`.

Examples:
  sudo cacheproxy import /srv/cache.archive
  cacheproxy import --store ~/.cache/cacheproxy <cache.archive")]
pub(super) struct ImportArgs {
    /// The file; the standard input without it, or with \"-\"
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    store: StoreArgs,
}

pub(super) fn import(args: &ImportArgs) -> Result<(), Failure> {
    let file = args.file.as_deref().filter(|file| *file != Path::new("-"));
    let input = input(file)?;
    let mut reader =
        ArchiveReader::open(BufReader::with_capacity(256 << 10, input)).map_err(unread)?;
    let store = args.store.open_to_write()?;
    let mut importer = Importer::begin(&store)?;
    let outcome = importer.all(&mut reader);
    importer.progress.say(&importer.tally.report());
    match outcome {
        Ok(()) if importer.tally.damaged > 0 => Err(Failure::data(format!(
            "{} responses of the archive were damaged and are not stored; the others are",
            importer.tally.damaged
        ))),
        outcome => outcome,
    }
}

fn input(file: Option<&Path>) -> Result<Box<dyn io::Read>, Failure> {
    match file {
        Some(file) => Ok(Box::new(
            File::open(file).map_err(|error| Failure::at(file, error))?,
        )),
        None if io::stdin().is_terminal() => Err(Failure::usage(
            "an archive is expected: name a file, or give it by a pipe",
        )),
        None => Ok(Box::new(io::stdin())),
    }
}

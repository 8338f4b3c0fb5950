//! `cacheproxy export`: everything that is stored, as one archive.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, IsTerminal, Write};
use std::ops::ControlFlow;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::output::amount;
use super::progress::Progress;
use super::store_args::StoreArgs;
use crate::store::archive::{ArchiveWriter, PutOutcome};
use crate::sys::exit::Failure;
use crate::sys::printable::printable;

/// Write everything that is stored to a file, to be imported into another store, of either kind.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
It works while the proxy runs. What is stored for one client alone (store = \"always\" in a rule) isn't exported. Whoever
can read the file can read what was stored: a file that is named is for its owner alone. It is for root, and for the user
of `cacheproxy run`.

Examples:
  sudo cacheproxy export /srv/cache.archive
  sudo cacheproxy export | zstd | ssh other 'unzstd | sudo cacheproxy import'")]
pub(super) struct ExportArgs {
    /// The file, which is made anew; the standard output without it, or with \"-\"
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    store: StoreArgs,
}

pub(super) fn export(args: &ExportArgs) -> Result<(), Failure> {
    let file = args.file.as_deref().filter(|file| *file != Path::new("-"));
    let out = output(file)?;
    let store = args.store.open()?;
    let unwritten = |error: io::Error| match file {
        Some(file) => Failure::at(file, error),
        None => Failure::unavailable(format!("the archive can't be written: {error}")),
    };
    let mut progress = Progress::begin("exported");
    let mut writer =
        ArchiveWriter::begin(BufWriter::with_capacity(256 << 10, out)).map_err(unwritten)?;
    let mut failed = None;
    let mut of_clients = 0_u64;
    let outcome = store.admin.each_whole(&mut |object| {
        let object = match object {
            Ok(object) => object,
            Err(why) => {
                progress.say(&format!("left out: {why}"));
                return ControlFlow::Continue(());
            }
        };
        // By a secret of this installation: nobody would select them elsewhere.
        if object.meta.variant.is_for_client() {
            of_clients += 1;
            return ControlFlow::Continue(());
        }
        match writer.put(&object) {
            Ok(PutOutcome::Done) => {}
            Ok(PutOutcome::Left(why)) => {
                let key = printable(object.meta.key.text());
                progress.say(&format!("left out: {key}: {why}"));
            }
            Err(error) => {
                failed = Some(error);
                return ControlFlow::Break(());
            }
        }
        let (count, bytes) = writer.written();
        progress.at(count, bytes);
        ControlFlow::Continue(())
    });
    outcome.map_err(Failure::unavailable)?;
    failed.map_or(Ok(()), |error| Err(unwritten(error)))?;
    let (count, bytes) = writer.written();
    writer.end().map_err(unwritten)?;
    let size = amount(bytes);
    let left = match of_clients {
        0 => String::new(),
        count => format!("; {count} left out, as they are for one client alone"),
    };
    progress.say(&format!("exported {count} stored responses, {size}{left}"));
    Ok(())
}

fn output(file: Option<&Path>) -> Result<Box<dyn Write>, Failure> {
    match file {
        Some(file) => {
            let made = made_anew(file)?;
            let made = made.ok_or_else(|| {
                let file = file.display();
                Failure::usage(format!(
                    "{file} is there and isn't a plain file: name another, or write to the standard output"
                ))
            })?;
            Ok(Box::new(made))
        }
        None if io::stdout().is_terminal() => Err(Failure::usage(
            "an archive is nothing for a terminal: name a file, or write it to a pipe",
        )),
        None => Ok(Box::new(io::stdout())),
    }
}

/// A new file for its owner alone, whoever could read the one that was there, or would follow a link in `/tmp`; `None`
/// where something is there that isn't a file.
fn made_anew(file: &Path) -> Result<Option<File>, Failure> {
    let at = |error| Failure::at(file, error);
    match file.symlink_metadata() {
        Ok(there) if !there.is_file() => return Ok(None),
        Ok(_) => fs::remove_file(file).map_err(at)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(at(error)),
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    options.open(file).map(Some).map_err(at)
}

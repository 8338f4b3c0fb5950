//! `cacheproxy import`: stores what an archive has, as if it had been fetched when it was.

use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::sleep;
use std::time::Duration;

use bytes::Bytes;

use super::control;
use super::progress::Progress;
use super::stored::{self, StoreArgs, StoreHandle, amount};
use crate::cache::key::Variant;
use crate::cache::stored::Meta;
use crate::store::archive::{ArchiveError, Archived, Reader, Verdict};
use crate::store::{Checksum, Draft, SMALL, Store, StoreError, Whole};
use crate::sys::exit::Failure;
use crate::sys::shared::Shared;

/// How often a full store is asked again, a second apart, while a proxy runs that evicts.
const PATIENCE: usize = 60;

/// Store what `cacheproxy export` wrote; what the store has that is as new stays.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Each response is checked before it is stored. With a damaged archive it exits with 65, and what is whole before the
damage is stored. It works while the proxy runs. It is for root and the service's user.

Examples:
  sudo cacheproxy import /srv/cache.archive
  cacheproxy import --store ~/.cache/cacheproxy <cache.archive")]
pub(super) struct Args {
    /// The file; the standard input without it, or with \"-\"
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    which: StoreArgs,
}

pub(super) fn import(args: &Args) -> Result<(), Failure> {
    let file = args.file.as_deref().filter(|file| *file != Path::new("-"));
    let input = input(file)?;
    let mut reader = Reader::open(BufReader::with_capacity(256 << 10, input)).map_err(unread)?;
    let opened = args.which.open_to_write()?;
    let mut importer = Importer::begin(&opened, &args.which)?;
    let outcome = importer.all(&mut reader);
    if importer.tally.stored > 0 && opened.shared.is_some() {
        control::rescan(&args.which.runtime_dir);
    }
    let told = importer.tally.told();
    importer.progress.say(&told);
    match outcome {
        Ok(()) if importer.tally.damaged > 0 => Err(Failure::data(format!(
            "{} responses of the archive were damaged and are not stored; the others are",
            importer.tally.damaged
        ))),
        outcome => outcome,
    }
}

fn input(file: Option<&Path>) -> Result<Box<dyn io::Read>, Failure> {
    let Some(file) = file else {
        let input = io::stdin();
        if input.is_terminal() {
            return Err(Failure::usage(
                "an archive is expected: name a file, or give it by a pipe",
            ));
        }
        return Ok(Box::new(input));
    };
    match File::open(file) {
        Ok(input) => Ok(Box::new(input)),
        Err(error) => Err(Failure::unavailable(format!("{}: {error}", file.display()))),
    }
}

fn unread(error: ArchiveError) -> Failure {
    match error {
        ArchiveError::Io(_) => Failure::unavailable(error),
        ArchiveError::CutShort(_) | ArchiveError::Other(_) | ArchiveError::Damaged { .. } => {
            Failure::data(error)
        }
    }
}

/// What became of the responses.
#[derive(Debug, Default)]
struct Tally {
    stored: u64,
    bytes: u64,
    newer: u64,
    large: u64,
    damaged: u64,
    spoiled: u64,
}

impl Tally {
    fn told(&self) -> String {
        let mut text = format!(
            "imported {} stored responses, {}",
            self.stored,
            amount(self.bytes)
        );
        let rest = [
            (self.newer, "left out, as the store has them as new"),
            (
                self.large,
                "left out, as they are larger than largest_object",
            ),
            (self.damaged, "damaged"),
            (self.spoiled, "had been damaged where they were exported"),
        ];
        for (count, what) in rest.into_iter().filter(|(count, _)| *count > 0) {
            text.push_str(&format!("; {count} {what}"));
        }
        text
    }
}

/// Where a response's content goes while it is read.
enum Sink {
    /// It isn't to be stored.
    Nowhere,
    Memory(Vec<u8>),
    Draft(Box<Draft>, Checksum),
}

struct Importer<'a> {
    opened: &'a StoreHandle,
    which: &'a StoreArgs,
    shared: Arc<Shared>,
    store: Box<dyn Store>,
    progress: Progress,
    tally: Tally,
}

impl<'a> Importer<'a> {
    fn begin(opened: &'a StoreHandle, which: &'a StoreArgs) -> Result<Importer<'a>, Failure> {
        let (store, shared) = opened.store()?;
        Ok(Importer {
            opened,
            which,
            shared,
            store,
            progress: Progress::begin("imported"),
            tally: Tally::default(),
        })
    }

    fn all(&mut self, reader: &mut Reader<impl BufRead>) -> Result<(), Failure> {
        while let Some(archived) = reader.next_response().map_err(unread)? {
            self.one(reader, archived)?;
            self.progress.at(self.tally.stored, self.tally.bytes);
        }
        Ok(())
    }

    fn one(
        &mut self,
        reader: &mut Reader<impl BufRead>,
        archived: Archived,
    ) -> Result<(), Failure> {
        // Before anything is asked of the store, so that what is purged meanwhile stays so. What shared memory
        // has heard of a database's counts may be less than it has.
        let count = || self.shared.invalidations(archived.meta.key.hash());
        let invalidation_epoch = (!self.opened.is_database()).then(count);
        let len = archived.content;
        let mut sink = self.sink(&archived)?;
        let mut at = 0;
        let mut failed = None;
        let outcome = reader.content(archived, &mut |part| {
            match &mut sink {
                Sink::Nowhere => {}
                Sink::Memory(content) => content.extend_from_slice(part),
                Sink::Draft(draft, checksum) => {
                    checksum.update(part);
                    if failed.is_none() {
                        failed = draft.write_at(part, at).err();
                    }
                }
            }
            at += part.len() as u64;
        });
        let (meta, verdict) = outcome.map_err(unread)?;
        match verdict {
            Verdict::Whole => {}
            Verdict::Damaged => self.tally.damaged += 1,
            Verdict::Spoiled => self.tally.spoiled += 1,
        }
        failed.map_or(Ok(()), |error| Err(stored::failed(&error)))?;
        match sink {
            _ if verdict != Verdict::Whole => Ok(()),
            Sink::Nowhere => Ok(()),
            Sink::Memory(content) => {
                let content = Bytes::from(content);
                self.publish(&meta, len, invalidation_epoch, &|| {
                    Whole::Memory(vec![content.clone()])
                })
            }
            Sink::Draft(draft, checksum) => {
                let whole = Whole::Draft {
                    draft: *draft,
                    len,
                    checksum,
                };
                let published = self.store.publish(&meta, whole, invalidation_epoch);
                self.count(published.map(drop), len)
            }
        }
    }

    /// Where this response's content is to go.
    fn sink(&mut self, archived: &Archived) -> Result<Sink, Failure> {
        let settings = &self.opened.settings;
        if archived.content > settings.largest_object.min(settings.store.size()) {
            self.tally.large += 1;
            return Ok(Sink::Nowhere);
        }
        if self.is_as_new(&archived.meta)? {
            self.tally.newer += 1;
            return Ok(Sink::Nowhere);
        }
        if archived.content <= SMALL {
            return Ok(Sink::Memory(Vec::with_capacity(archived.content as usize)));
        }
        let begun = self.with_room(&|store| store.begin(&archived.meta, Some(archived.content)));
        let draft = begun.map_err(|error| stored::failed(&error))?;
        Ok(Sink::Draft(Box::new(draft), Checksum::new()))
    }

    /// Whether what this response would replace is as new.
    fn is_as_new(&self, meta: &Meta) -> Result<bool, Failure> {
        let there = self.opened.admin.of_key(&meta.key);
        let there = there.map_err(|error| stored::failed(&error))?;
        let plain = |variant: &Variant| *variant == Variant::none();
        Ok(there.iter().any(|seen| {
            let other = &seen.meta.variant;
            let replaced = *other == meta.variant || plain(other) || plain(&meta.variant);
            replaced && seen.meta.response_time >= meta.response_time
        }))
    }

    fn publish(
        &mut self,
        meta: &Meta,
        len: u64,
        invalidation_epoch: Option<u32>,
        whole: &dyn Fn() -> Whole,
    ) -> Result<(), Failure> {
        let published = self.with_room(&|store| store.publish(meta, whole(), invalidation_epoch));
        self.count(published.map(drop), len)
    }

    fn count(&mut self, published: Result<(), StoreError>, len: u64) -> Result<(), Failure> {
        // What was displaced is told to whoever evicts by reading the store again.
        drop(self.store.take_removed());
        match published {
            Ok(()) => {
                self.tally.stored += 1;
                self.tally.bytes += len;
                Ok(())
            }
            Err(StoreError::Gone) => {
                self.tally.newer += 1;
                Ok(())
            }
            Err(error) => Err(stored::failed(&error)),
        }
    }

    /// Does what needs room in the store. While a proxy runs it can make some.
    fn with_room<T>(
        &self,
        work: &dyn Fn(&dyn Store) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut outcome = work(&*self.store);
        for _ in 0..PATIENCE {
            if !matches!(outcome, Err(StoreError::Full { .. })) || self.opened.shared.is_none() {
                break;
            }
            control::rescan(&self.which.runtime_dir);
            sleep(Duration::from_secs(1));
            outcome = work(&*self.store);
        }
        outcome
    }
}

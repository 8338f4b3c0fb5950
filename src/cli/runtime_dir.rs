//! The runtime directory of a proxy, which has its sockets: where `cacheproxy run` makes its own, and which one a command
//! means that names none.
//!
//! Root means the service, if that is there. Everyone else, and root without it, means the one proxy that this user has
//! started with `cacheproxy run`; where there is none, the service.

use std::env;
use std::fs::{self, DirBuilder, DirEntry};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::control;
use super::service::RUNTIME_DIR;
use crate::config::{Settings, StoreChoice, StoreKind};
use crate::sys::exit::Failure;
use crate::sys::user;

/// Begins the name of each directory that `cacheproxy run` makes.
const PREFIX: &str = "cacheproxy-";

#[derive(Debug, clap::Args)]
pub(super) struct RuntimeArgs {
    /// The proxy with its sockets in this directory, as `cacheproxy run` says it; without it, the service for root, and
    /// for others the one proxy that they have started with `cacheproxy run`
    #[arg(long, value_name = "DIR")]
    runtime_dir: Option<PathBuf>,
}

impl RuntimeArgs {
    /// The directory that the command line names.
    pub(super) fn given(&self) -> Option<&Path> {
        self.runtime_dir.as_deref()
    }

    /// The directory of the proxy that is meant, which may not run.
    pub(super) fn find(&self) -> Result<PathBuf, Failure> {
        if let Some(given) = self.given() {
            return Ok(given.to_owned());
        }
        let service = PathBuf::from(RUNTIME_DIR);
        if user::effective() == 0 && service.exists() {
            return Ok(service);
        }
        let mut running = running();
        match running.len() {
            0 => Ok(service),
            1 => Ok(running.remove(0)),
            _ => Err(several(&running)),
        }
    }

    /// The directory of the proxy that uses this store, if one does; the command line names that.
    pub(super) fn using(&self, store: &StoreChoice) -> PathBuf {
        let service = PathBuf::from(RUNTIME_DIR);
        if let Some(given) = self.given() {
            return given.to_owned();
        }
        let uses = |dir: &PathBuf| {
            let settings = control::settings(dir).ok().flatten();
            settings.is_some_and(|settings| {
                settings.store.kind == store.kind
                    && (settings.store.path == store.path || store.kind != StoreKind::Filesystem)
            })
        };
        let mut running = running().into_iter();
        running.find(uses).unwrap_or(service)
    }
}

/// True for the directory of the installed service.
pub(super) fn is_of_the_service(dir: &Path) -> bool {
    dir == Path::new(RUNTIME_DIR)
}

/// The directories of the proxies that this user has started with `cacheproxy run` and that run now: one that was killed has
/// left a socket at which nobody answers.
fn running() -> Vec<PathBuf> {
    let own = user::effective();
    let mut places: Vec<PathBuf> = Vec::from([format!("/run/user/{own}").into(), env::temp_dir()]);
    places.extend(env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from));
    let is_ours = |entry: &DirEntry| {
        let named = entry
            .file_name()
            .as_encoded_bytes()
            .starts_with(PREFIX.as_bytes());
        // What others have put there isn't asked anything.
        named && (entry.metadata()).is_ok_and(|it| it.is_dir() && it.uid() == own)
    };
    let entries = places.iter().filter_map(|place| fs::read_dir(place).ok());
    let entries = entries.flat_map(|entries| entries.flatten().filter(is_ours));
    let directories = entries.filter_map(|entry| entry.path().canonicalize().ok());
    let mut directories: Vec<PathBuf> = directories.filter(|dir| control::answers(dir)).collect();
    directories.sort();
    directories.dedup();
    directories
}

fn several(running: &[PathBuf]) -> Failure {
    let mut text = format!(
        "this user has {} proxies running; say which one is meant, by one of\n",
        running.len()
    );
    for dir in running {
        let settings = control::settings(dir).ok().flatten();
        let store = settings.map_or(String::new(), |settings| {
            format!("    storing in {}", place(&settings))
        });
        text.push_str(&format!("  --runtime-dir {}{store}\n", dir.display()));
    }
    Failure::usage(text.trim_end())
}

/// The place of a store, for people.
pub(super) fn place(settings: &Settings) -> String {
    match &settings.store.kind {
        StoreKind::Filesystem => settings.store.path.display().to_string(),
        StoreKind::Postgres(database) => format!("PostgreSQL: {}", database.database.masked()),
    }
}

/// The directory of one run's sockets. It is removed when the run ends.
pub(super) struct RuntimeDir(PathBuf);

impl RuntimeDir {
    pub(super) fn make() -> Result<RuntimeDir, Failure> {
        let runtime = env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
        let base = runtime.filter(|runtime| runtime.is_dir());
        let base = base.unwrap_or_else(env::temp_dir);
        let id = std::process::id();
        // A directory that someone else left there, or put there, is never used.
        for attempt in 0..100 {
            let dir = base.join(format!("{PREFIX}{id}.{attempt}"));
            match DirBuilder::new().mode(0o700).create(&dir) {
                Ok(()) => return Ok(RuntimeDir(dir)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => {
                    let dir = dir.display();
                    return Err(Failure::unavailable(format!("can't make {dir}: {error}")));
                }
            }
        }
        let why = format!("can't make a directory for sockets in {}", base.display());
        Err(Failure::unavailable(why))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for RuntimeDir {
    fn drop(&mut self) {
        // Leftovers in a directory for temporary files do no harm.
        let _ = fs::remove_dir_all(&self.0);
    }
}

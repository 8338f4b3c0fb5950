//! Whether the store's directory can be used, found out before anything is served.

use std::io;
use std::path::{self, Path};

use crate::config::{Database, Overrides, StoreChoice};
use crate::sys::disk;
use crate::sys::exit::Failure;

/// What `--store` names: a directory, or a database if it begins as a URL of one.
pub(super) fn named(given: &Path, overrides: &mut Overrides) -> Result<(), Failure> {
    let text = given.to_string_lossy();
    if text.starts_with("postgresql://") || text.starts_with("postgres://") {
        let wrong = |why| Failure::config(format!("--store: {why}"));
        Database::parse(&text).map_err(wrong)?;
        overrides.database = Some(text.into_owned());
        return Ok(());
    }
    let path = path::absolute(given);
    let path = path.map_err(|error| Failure::usage(format!("--store {text}: {error}")))?;
    overrides.store_path = Some(path);
    Ok(())
}

/// Where the store is, for messages.
pub(super) fn place(store: &StoreChoice) -> String {
    match store {
        StoreChoice::Filesystem { path, .. } => path.display().to_string(),
        StoreChoice::Postgres { database, .. } => format!("PostgreSQL: {}", database.masked()),
    }
}

/// Makes the store's directory if it isn't there, and makes sure that this process can write to it. Whether a
/// database can be reached isn't asked: it may come and go while the proxy runs.
pub(super) fn prepare(store: &StoreChoice) -> Result<(), Failure> {
    let path = store.path();
    disk::prepare_directory(path).map_err(|error| unusable(path, &error))
}

/// The failure of a directory that can't be used.
pub(super) fn unusable(directory: &Path, error: &io::Error) -> Failure {
    let kind = error.kind();
    let directory = directory.display();
    if kind == io::ErrorKind::PermissionDenied || kind == io::ErrorKind::ReadOnlyFilesystem {
        return Failure::no_permission(format!(
            "the store's directory {directory} isn't writable: {error}; make it so, or choose another \
             (store_path in the configuration, --store on the command line)"
        ));
    }
    Failure::unavailable(format!(
        "the store's directory {directory} can't be used: {error}"
    ))
}

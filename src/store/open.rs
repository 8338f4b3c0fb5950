//! The store that the configuration names, opened for one process.

use std::sync::Arc;

use super::filesystem::FilesystemStore;
use super::postgres::{PostgresOptions, PostgresStore};
use super::{Store, StoreError};
use crate::config::{StoreChoice, StoreKind};
use crate::sys::credentials;
use crate::sys::shared::Shared;

/// The name of the credential that has the database's password where the configuration names no file.
pub(crate) const CREDENTIAL: &str = "database-password";

/// Opens the store for the worker with this index. A command has the index 0: workers count from 1.
pub(crate) fn open(
    choice: &StoreChoice,
    worker: usize,
    shared: &Arc<Shared>,
) -> Result<Arc<dyn Store>, StoreError> {
    let path = choice.path.clone();
    Ok(match &choice.kind {
        StoreKind::Filesystem => Arc::new(FilesystemStore::open(&path, worker, shared.clone())?),
        StoreKind::Postgres(settings) => {
            let given = || credentials::given(CREDENTIAL);
            let options = PostgresOptions {
                database: settings.database.as_str().to_owned(),
                password_file: settings.password_file.clone().or_else(given),
                logged: settings.logged,
                spool: path,
                worker,
                limit: choice.size,
            };
            Arc::new(PostgresStore::open(&options, shared.clone())?)
        }
    })
}

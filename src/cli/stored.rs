//! Which store a command looks into, and the shared memory of the proxy that uses it, if one runs.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::database::Access;
use super::service::RUNTIME_DIR;
use super::store;
use crate::config::{self, ConfigSource, DROPINS, MAIN, Settings};
use crate::http::target::Uri;
use crate::store::admin::{StoreAdmin, StoredInfo};
use crate::store::filesystem::admin::Directory;
use crate::store::filesystem::{FilesystemOptions, FilesystemStore};
use crate::store::postgres::PostgresStore;
use crate::store::{Store, StoreError};
use crate::sys::exit::Failure;
use crate::sys::shared::Shared;
use crate::sys::user::{self, User};

/// Which store, and whose.
#[derive(Debug, clap::Args)]
pub(super) struct StoreArgs {
    /// Read this configuration file instead of /etc/cacheproxy/cacheproxy.toml, and no drop-ins unless --dropins is given
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Read the drop-ins (*.toml) of this directory instead of /etc/cacheproxy/conf.d
    #[arg(long, value_name = "DIR")]
    dropins: Option<PathBuf>,
    /// The store's directory or postgresql://…, instead of the configured one; for a proxy started with `cacheproxy run`
    #[arg(long, value_name = "DIR|URL")]
    store: Option<PathBuf>,
    /// The directory of the proxy's sockets; `cacheproxy run` says which it uses
    #[arg(long, value_name = "DIR", default_value = RUNTIME_DIR)]
    pub(super) runtime_dir: PathBuf,
}

/// A store that may be looked into.
pub(super) struct StoreHandle {
    /// The store.
    pub(super) admin: Box<dyn StoreAdmin>,
    /// The settings of the proxy that uses it.
    pub(super) settings: Settings,
    /// What its processes share; None when it doesn't run.
    pub(super) shared: Option<Arc<Shared>>,
    access: Option<Access>,
}

impl StoreHandle {
    /// Whether it is a database.
    pub(super) fn is_database(&self) -> bool {
        self.access.is_some()
    }

    /// About how often a stored response answered; None when no proxy runs.
    pub(super) fn hits(&self, seen: &StoredInfo) -> Option<u32> {
        let counted = || Some(self.shared.as_ref()?.hits(&seen.place()));
        seen.hits.or_else(counted)
    }

    /// The store itself, to be written to, and the shared memory that it uses.
    pub(super) fn store(&self) -> Result<(Box<dyn Store>, Arc<Shared>), Failure> {
        let choice = &self.settings.store;
        let shared = match &self.shared {
            Some(shared) => shared.clone(),
            None => Arc::new(self.nobody()?),
        };
        let store: Result<Box<dyn Store>, StoreError> = match &self.access {
            None => {
                let options = FilesystemOptions {
                    path: choice.path().to_owned(),
                    // The place of no worker: theirs are counted from 1.
                    worker: 0,
                };
                FilesystemStore::open(&options, shared.clone()).map(|store| Box::new(store) as _)
            }
            Some(access) => PostgresStore::open(&access.options(choice), shared.clone())
                .map(|store| Box::new(store) as _),
        };
        Ok((store.map_err(|error| failed(&error))?, shared))
    }

    /// What the processes of a proxy would share if one ran.
    fn nobody(&self) -> Result<Shared, Failure> {
        let shared = Shared::anonymous().map_err(Failure::unavailable)?;
        shared.set_limit(self.settings.store.size());
        if self.access.is_none() {
            let mut stored = 0;
            let counted = self.admin.each(&mut |seen| stored += seen.size);
            counted.map_err(|error| failed(&error))?;
            shared.set_stored(stored);
        }
        Ok(shared)
    }
}

impl StoreArgs {
    /// Opens the store, which has to be there, for a command that this user may give.
    pub(super) fn open(&self) -> Result<StoreHandle, Failure> {
        let settings = self.settings()?;
        let access = Access::of(&settings.store, self.names_a_store())?;
        if access.is_none() {
            owner(settings.store.path())?;
        }
        self.opened(settings, access)
    }

    /// Opens the store to store something in it. Root goes on as the user whose it is, so that nothing is
    /// left there which that user can't change. One that is named here may be new.
    pub(super) fn open_to_write(&self) -> Result<StoreHandle, Failure> {
        let settings = self.settings()?;
        let path = settings.store.path();
        let access = Access::of(&settings.store, self.names_a_store())?;
        if let Some(access) = &access {
            access.init()?;
        } else if path.exists() || !self.names_a_store() {
            let owner = owner(path)?;
            if owner.uid != user::effective() {
                user::become_user(&owner).map_err(Failure::no_permission)?;
            }
        }
        self.opened(settings, access)
    }

    /// Whether the store is named on the command line.
    pub(super) fn names_a_store(&self) -> bool {
        self.store.is_some()
    }

    /// The settings of the proxy that uses the store.
    pub(super) fn settings(&self) -> Result<Settings, Failure> {
        let loaded = config::load(&self.source()?).map_err(Failure::config)?;
        Ok(loaded.settings)
    }

    fn opened(&self, settings: Settings, access: Option<Access>) -> Result<StoreHandle, Failure> {
        let admin: Box<dyn StoreAdmin> = match &access {
            None => Box::new(Directory::of(settings.store.path())),
            Some(access) => Box::new(access.admin()?),
        };
        Ok(StoreHandle {
            admin,
            shared: self.shared()?.map(Arc::new),
            settings,
            access,
        })
    }

    fn source(&self) -> Result<ConfigSource, Failure> {
        let mut source = ConfigSource {
            main: Some(self.config.clone().unwrap_or_else(|| PathBuf::from(MAIN))),
            dropins: match (&self.dropins, &self.config) {
                (Some(given), _) => Some(given.clone()),
                (None, Some(_)) => None,
                (None, None) => Some(PathBuf::from(DROPINS)),
            },
            ..ConfigSource::default()
        };
        if let Some(store) = &self.store {
            store::named(store, &mut source.overrides)?;
            // A proxy of one's own needs no service that is configured.
            if self.config.is_none() {
                source.main = source.main.filter(|main| main.exists());
            }
        }
        Ok(source)
    }

    fn shared(&self) -> Result<Option<Shared>, Failure> {
        let path = self.runtime_dir.join("shared");
        match Shared::open(&path) {
            Ok(shared) => Ok(Some(shared)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(not_yours(&path)),
            Err(error) => Err(Failure::unavailable(format!(
                "the proxy in {} can't be told: {error}",
                self.runtime_dir.display()
            ))),
        }
    }
}

/// Whose the directory of a store is, when that is this user, or this user is root.
fn owner(path: &Path) -> Result<User, Failure> {
    let metadata = path.metadata().map_err(|error| {
        if error.kind() == io::ErrorKind::PermissionDenied {
            return not_yours(path);
        }
        Failure::unavailable(format!(
            "there is no store at {}: {error} (--store names another)",
            path.display()
        ))
    })?;
    let own = user::effective();
    if own != 0 && own != metadata.uid() {
        return Err(not_yours(path));
    }
    Ok(User {
        uid: metadata.uid(),
        gid: metadata.gid(),
    })
}

fn not_yours(path: &Path) -> Failure {
    Failure::no_permission(format!(
        "{} is another user's: do this as root or as the service's user, as in \
         `sudo cacheproxy …`",
        path.display()
    ))
}

/// What went wrong in the store.
pub(super) fn failed(error: &StoreError) -> Failure {
    Failure::unavailable(error)
}

/// The URI on a command line.
pub(super) fn uri(text: &str) -> Result<Uri, String> {
    Uri::parse(&Bytes::copy_from_slice(text.as_bytes()))
        .map_err(|why| format!("{why}; expected a whole URL such as http://deb.debian.org/debian/"))
}

/// A number of bytes for a person.
pub(super) fn amount(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} bytes");
    }
    let mut scaled = bytes as f64 / 1024.0;
    let mut unit = 0;
    while scaled >= 1024.0 && unit + 1 < UNITS.len() {
        scaled /= 1024.0;
        unit += 1;
    }
    format!("{scaled:.1} {}", UNITS[unit])
}

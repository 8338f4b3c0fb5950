//! The store that a command line means: the service's, or the one that is named; and who may look into it.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{self, Path, PathBuf};
use std::sync::Arc;

use super::config_args::ConfigArgs;
use super::control;
use super::database::{DatabaseAccess, NamedBy};
use super::output::warn;
use super::service::RUNTIME_DIR;
use super::store_handle::StoreHandle;
use crate::config::{self, ConfigSource, Database, Overrides, Settings};
use crate::store::admin::StoreAdmin;
use crate::store::filesystem::admin::Directory;
use crate::sys::exit::Failure;
use crate::sys::shared::Shared;
use crate::sys::user::{self, User};

#[derive(Debug, clap::Args)]
pub(super) struct StoreArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// The store's directory or postgresql://…, instead of the configured one; for a proxy started with `cacheproxy run`
    #[arg(long, value_name = "DIR|URL")]
    store: Option<PathBuf>,
    /// The directory of the proxy's sockets; `cacheproxy run` says which it uses
    #[arg(long, value_name = "DIR", default_value = RUNTIME_DIR)]
    pub(super) runtime_dir: PathBuf,
}

impl StoreArgs {
    /// Opens the store, which has to be there, for a command that this user may give.
    pub(super) fn open(&self) -> Result<StoreHandle, Failure> {
        let mut settings = self.settings()?;
        let shared = control::shared(&self.runtime_dir)?;
        let database = DatabaseAccess::of(&mut settings.store, self.named_by())?;
        if database.is_none() {
            owner(&settings.store.path)?;
        }
        handle(settings, database, shared)
    }

    /// Opens the store to store something in it. Root goes on as the user whose it is, so that nothing is
    /// left there which that user can't change. One that is named here may be new.
    pub(super) fn open_to_write(&self) -> Result<StoreHandle, Failure> {
        let mut settings = self.settings()?;
        // The supervisor gives it to root: not to whom root goes on as.
        let shared = control::shared(&self.runtime_dir)?;
        let database = DatabaseAccess::of(&mut settings.store, self.named_by())?;
        let path = &settings.store.path;
        if let Some(database) = &database {
            database.init()?;
        } else if path.exists() || self.named_by() == NamedBy::Configuration {
            let owner = owner(path)?;
            if owner.uid != user::effective() {
                user::become_user(&owner).map_err(Failure::no_permission)?;
            }
        }
        handle(settings, database, shared)
    }

    pub(super) fn named_by(&self) -> NamedBy {
        match self.store {
            Some(_) => NamedBy::CommandLine,
            None => NamedBy::Configuration,
        }
    }

    pub(super) fn settings(&self) -> Result<Settings, Failure> {
        Ok(config::load(&self.source()?)
            .map_err(Failure::config)?
            .settings)
    }

    fn source(&self) -> Result<ConfigSource, Failure> {
        let mut source = self.config.source();
        if let Some(store) = &self.store {
            name_store(store, &mut source.overrides)?;
            // A proxy of one's own needs no service that is configured.
            if !self.config.names_a_file() {
                source.main = source.main.filter(|main| main.exists());
            }
        }
        Ok(source)
    }
}

fn handle(
    settings: Settings,
    database: Option<DatabaseAccess>,
    shared: Option<Shared>,
) -> Result<StoreHandle, Failure> {
    let admin: Box<dyn StoreAdmin> = match database {
        None => Box::new(Directory::of(&settings.store.path)),
        Some(database) => Box::new(database.admin()?),
    };
    Ok(StoreHandle {
        admin,
        shared: shared.map(Arc::new),
        settings,
    })
}

/// Takes what `--store` names: a database if it begins as a URL of one, else a directory.
pub(super) fn name_store(given: &Path, overrides: &mut Overrides) -> Result<(), Failure> {
    let text = given.to_string_lossy();
    if text.starts_with("postgresql://") || text.starts_with("postgres://") {
        let wrong = |why| Failure::config(format!("--store: {why}"));
        let database = Database::parse(&text).map_err(wrong)?;
        if database.value("password").is_some() {
            warn(
                "--store has a password, which every user of this machine sees in the list of processes: leave it \
                 out, and have database_password_file name a file with it, in the file that --config names",
            );
        }
        overrides.database = Some(text.into_owned());
        return Ok(());
    }
    let path = path::absolute(given);
    let path = path.map_err(|error| Failure::usage(format!("--store {text}: {error}")))?;
    overrides.store_path = Some(path);
    Ok(())
}

/// The user that a store's directory belongs to, which has to be this one unless this is root.
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
    let (uid, gid) = (metadata.uid(), metadata.gid());
    Ok(User { uid, gid })
}

fn not_yours(path: &Path) -> Failure {
    Failure::no_permission(format!(
        "{} is another user's: do this as root, as in `sudo cacheproxy …`",
        path.display()
    ))
}

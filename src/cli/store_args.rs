//! The store that a command line means: the service's, or the one that is named; and who may look into it.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{self, Path, PathBuf};
use std::sync::Arc;

use super::config_args::ConfigArgs;
use super::control;
use super::database::{DatabaseAccess, NamedBy};
use super::output::warn;
use super::runtime_dir::{RuntimeArgs, is_of_the_service};
use super::store_handle::StoreHandle;
use crate::config::{self, ConfigSource, Database, Overrides, Settings};
use crate::store::admin::StoreAdmin;
use crate::store::filesystem::admin::StoreDirectory;
use crate::sys::exit::Failure;
use crate::sys::shared::Shared;
use crate::sys::user::{self, User};

#[derive(Debug, clap::Args)]
pub(super) struct StoreArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// The store's directory or postgresql://…, instead of that of the running proxy or of the configuration
    #[arg(long, value_name = "DIR|URL")]
    store: Option<PathBuf>,
    #[command(flatten)]
    runtime: RuntimeArgs,
}

/// The proxy and its settings that a command line means.
pub(super) struct MeantProxy {
    pub(super) settings: Settings,
    pub(super) named_by: NamedBy,
    runtime_dir: PathBuf,
}

impl StoreArgs {
    /// Opens the store, which has to be there, for a command that this user may give.
    pub(super) fn open(&self) -> Result<StoreHandle, Failure> {
        let mut meant = self.meant()?;
        let shared = control::shared(&meant.runtime_dir)?;
        let database = DatabaseAccess::of(&mut meant.settings.store, meant.named_by)?;
        if database.is_none() {
            owner(&meant.settings.store.path)?;
        }
        handle(meant, database, shared)
    }

    /// Opens the store to store something in it. Root goes on as the user whose it is, so that nothing is
    /// left there which that user can't change. One that is named here may be new.
    pub(super) fn open_to_write(&self) -> Result<StoreHandle, Failure> {
        let mut meant = self.meant()?;
        // The supervisor gives it to root: not to whom root goes on as.
        let shared = control::shared(&meant.runtime_dir)?;
        let database = DatabaseAccess::of(&mut meant.settings.store, meant.named_by)?;
        let path = &meant.settings.store.path;
        if let Some(database) = &database {
            database.init()?;
        } else if path.exists() || meant.named_by == NamedBy::Configuration {
            become_owner(path)?;
        }
        handle(meant, database, shared)
    }

    /// The proxy that is meant: of one that runs its own settings, unless others are named here.
    pub(super) fn meant(&self) -> Result<MeantProxy, Failure> {
        if self.store.is_none() && !self.config.is_given() {
            let runtime_dir = self.runtime.find()?;
            let named_by = match is_of_the_service(&runtime_dir) {
                true => NamedBy::Configuration,
                false => NamedBy::CommandLine,
            };
            if let Some(settings) = control::settings(&runtime_dir)? {
                return Ok(MeantProxy {
                    settings,
                    named_by,
                    runtime_dir,
                });
            } else if named_by == NamedBy::CommandLine {
                return Err(Failure::unavailable(format!(
                    "no proxy runs in {}; of one that doesn't run, --store names the store",
                    runtime_dir.display()
                )));
            }
        }
        let loaded = config::load(&self.source()?).map_err(Failure::config)?;
        Ok(MeantProxy {
            runtime_dir: self.runtime.using(&loaded.settings.store),
            settings: loaded.settings,
            named_by: match self.store {
                Some(_) => NamedBy::CommandLine,
                None => NamedBy::Configuration,
            },
        })
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
    meant: MeantProxy,
    database: Option<DatabaseAccess>,
    shared: Option<Shared>,
) -> Result<StoreHandle, Failure> {
    let shared = shared.map(Arc::new);
    let admin: Box<dyn StoreAdmin> = match database {
        None => {
            let path = &meant.settings.store.path;
            if path.exists() {
                become_owner(path)?;
            }
            Box::new(StoreDirectory::of(path, shared.clone()))
        }
        Some(database) => Box::new(database.admin()?),
    };
    Ok(StoreHandle {
        admin,
        shared,
        settings: meant.settings,
        runtime_dir: meant.runtime_dir,
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

/// Goes on as the store's user, so that what is made in it is that user's.
fn become_owner(path: &Path) -> Result<(), Failure> {
    let owner = owner(path)?;
    if owner.uid != user::effective() {
        user::become_user(&owner).map_err(Failure::no_permission)?;
    }
    Ok(())
}

fn not_yours(path: &Path) -> Failure {
    Failure::no_permission(format!(
        "{} is another user's: do this as root, as in `sudo cacheproxy …`",
        path.display()
    ))
}

//! Which store a command looks into, and the shared memory of the proxy that uses it, if one runs.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::service::RUNTIME_DIR;
use super::store;
use crate::config::{self, DROPINS, MAIN, Settings, Source, StoreChoice};
use crate::http::target::Uri;
use crate::store::StoreError;
use crate::store::filesystem::survey::Survey;
use crate::sys::exit::Failure;
use crate::sys::shared::Shared;
use crate::sys::user;

/// Which store, and whose.
#[derive(Debug, clap::Args)]
pub(super) struct Which {
    /// Read this configuration file instead of /etc/cacheproxy/cacheproxy.toml, and no drop-ins unless --dropins is given
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Read the drop-ins (*.toml) of this directory instead of /etc/cacheproxy/conf.d
    #[arg(long, value_name = "DIR")]
    dropins: Option<PathBuf>,
    /// The store's directory, instead of the configuration's store_path; for a proxy started with `cacheproxy run`
    #[arg(long, value_name = "DIR")]
    store: Option<PathBuf>,
    /// The directory of the proxy's sockets; `cacheproxy run` says which it uses
    #[arg(long, value_name = "DIR", default_value = RUNTIME_DIR)]
    pub(super) runtime_dir: PathBuf,
}

/// A store that may be looked into.
pub(super) struct Opened {
    /// The store.
    pub(super) survey: Survey,
    /// The settings of the proxy that uses it.
    pub(super) settings: Settings,
    /// What its processes share; None when it doesn't run.
    pub(super) shared: Option<Shared>,
}

impl Which {
    /// Opens the store, which has to be there, for a command that this user may give.
    pub(super) fn open(&self) -> Result<Opened, Failure> {
        let settings = config::load(&self.source()?)
            .map_err(Failure::config)?
            .settings;
        let StoreChoice::Filesystem { path, .. } = &settings.store else {
            return Err(Failure::unavailable(
                "only a filesystem store can be looked into",
            ));
        };
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
        Ok(Opened {
            survey: Survey::of(path),
            shared: self.shared()?,
            settings,
        })
    }

    fn source(&self) -> Result<Source, Failure> {
        let mut source = Source {
            main: Some(self.config.clone().unwrap_or_else(|| PathBuf::from(MAIN))),
            dropins: match (&self.dropins, &self.config) {
                (Some(given), _) => Some(given.clone()),
                (None, Some(_)) => None,
                (None, None) => Some(PathBuf::from(DROPINS)),
            },
            ..Source::default()
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

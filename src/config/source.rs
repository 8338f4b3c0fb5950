//! The places that the configuration comes from: a main file, a directory of drop-ins, the command line.
//!
//! Drop-ins are read in the order of their names, and a later text's key replaces an earlier one's.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::encoding::encode;
use super::error::ConfigError;
use super::parse::parse;
use super::settings::Settings;
use super::text::{ConfigText, Role};

pub const MAIN: &str = "/etc/cacheproxy/cacheproxy.toml";
pub const DROPINS: &str = "/etc/cacheproxy/conf.d";

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConfigSource {
    /// The main file; the built-in defaults when there is none. It has to be readable.
    pub main: Option<PathBuf>,
    /// The store's directory when neither a file nor the command line names one.
    pub default_store: Option<PathBuf>,
    /// A directory whose `*.toml` are read after the main file; it may be missing.
    pub dropins: Option<PathBuf>,
    /// The options of the command line, which count most.
    pub overrides: Overrides,
}

/// The settings among the options of the command line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    /// The directory of the filesystem store, absolute.
    pub store_path: Option<PathBuf>,
    /// The connection string of the PostgreSQL store, which is used if it is given.
    pub database: Option<String>,
    pub workers: Option<Workers>,
}

/// A number of workers as given on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workers {
    /// One for each core.
    Auto,
    Exactly(usize),
}

/// A configuration that was read and found valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// The places it was read from, and is read from again.
    pub source: ConfigSource,
    /// The texts it is made of, in the order in which they count.
    pub texts: Vec<ConfigText>,
    pub settings: Settings,
}

impl Loaded {
    /// The bytes to send to workers, which [`super::decode`] reads.
    pub fn encode(&self) -> Vec<u8> {
        encode(&self.texts, self.settings.workers)
    }
}

pub fn load(source: &ConfigSource) -> Result<Loaded, ConfigError> {
    let default = Overrides {
        store_path: source.default_store.clone(),
        ..Overrides::default()
    };
    let mut texts = Vec::from_iter(command_line(&default)?);
    if let Some(main) = &source.main {
        texts.push(read(Role::Main, main)?);
    }
    if let Some(directory) = &source.dropins {
        for dropin in dropins(directory)? {
            texts.push(read(Role::Dropin, &dropin)?);
        }
    }
    texts.extend(command_line(&source.overrides)?);
    Ok(Loaded {
        source: source.clone(),
        settings: parse(&texts)?,
        texts,
    })
}

/// Reads the files anew that these texts come from; what a command line said stays. For a configuration without
/// a directory of drop-ins, as `cacheproxy run` has it.
pub fn load_again(texts: Vec<ConfigText>) -> Result<Loaded, ConfigError> {
    let again = texts.into_iter().map(|text| match text.role {
        Role::CommandLine => Ok(text),
        Role::Main | Role::Dropin => read(text.role, &text.path),
    });
    let texts: Vec<ConfigText> = again.collect::<Result<_, _>>()?;
    Ok(Loaded {
        source: ConfigSource::default(),
        settings: parse(&texts)?,
        texts,
    })
}

fn read(role: Role, path: &Path) -> Result<ConfigText, ConfigError> {
    Ok(ConfigText {
        role,
        path: path.to_path_buf(),
        toml: fs::read_to_string(path).map_err(|reason| unreadable(path, &reason))?,
    })
}

fn dropins(directory: &Path) -> Result<Vec<PathBuf>, ConfigError> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(reason) => return Err(unreadable(directory, &reason)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|reason| unreadable(directory, &reason))?;
        let name = entry.file_name().into_encoded_bytes();
        if !name.starts_with(b".") && name.ends_with(b".toml") {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

/// The overrides as a text of TOML.
fn command_line(overrides: &Overrides) -> Result<Option<ConfigText>, ConfigError> {
    let path = PathBuf::from("command line");
    let mut toml = String::new();
    // Writing to a String can't fail.
    let _ = match overrides.workers {
        Some(Workers::Auto) => writeln!(toml, "workers = \"auto\""),
        Some(Workers::Exactly(number)) => writeln!(toml, "workers = {number}"),
        None => Ok(()),
    };
    if let Some(store) = &overrides.store_path {
        let Some(store) = store.to_str() else {
            return Err(ConfigError::Refused {
                path,
                line: 1,
                problem: format!("store_path = {store:?}: expected a path in UTF-8"),
            });
        };
        let _ = writeln!(toml, "store = \"filesystem\"");
        let _ = writeln!(toml, "store_path = {}", toml::Value::from(store));
    }
    if let Some(database) = &overrides.database {
        let _ = writeln!(toml, "store = \"postgres\"");
        let _ = writeln!(toml, "database = {}", toml::Value::from(database.as_str()));
    }
    Ok((!toml.is_empty()).then_some(ConfigText {
        role: Role::CommandLine,
        path,
        toml,
    }))
}

fn unreadable(path: &Path, reason: &io::Error) -> ConfigError {
    let kind = reason.kind();
    let reason = if kind == io::ErrorKind::NotFound {
        "there is no such file".to_string()
    } else if kind == io::ErrorKind::PermissionDenied {
        "permission denied".to_string()
    } else if kind == io::ErrorKind::InvalidData {
        "it is not text in UTF-8".to_string()
    } else {
        reason.to_string()
    };
    ConfigError::Unreadable {
        path: path.to_path_buf(),
        reason,
    }
}

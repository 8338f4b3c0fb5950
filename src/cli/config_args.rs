//! The options that name a configuration other than the service's own.

use std::path::PathBuf;

use crate::config::{ConfigSource, DROPINS, MAIN};

#[derive(Debug, clap::Args)]
pub(super) struct ConfigArgs {
    /// Read this configuration file instead of /etc/cacheproxy/cacheproxy.toml, and no drop-ins unless --dropins is given
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Read the drop-ins (*.toml) of this directory instead of /etc/cacheproxy/conf.d
    #[arg(long, value_name = "DIR")]
    dropins: Option<PathBuf>,
}

impl ConfigArgs {
    /// True when the command line names any of it.
    pub(super) fn is_given(&self) -> bool {
        self.names_a_file() || self.dropins.is_some()
    }

    pub(super) fn names_a_file(&self) -> bool {
        self.config.is_some()
    }

    pub(super) fn source(&self) -> ConfigSource {
        let own = || (!self.names_a_file()).then(|| PathBuf::from(DROPINS));
        ConfigSource {
            main: Some(self.config.clone().unwrap_or_else(|| PathBuf::from(MAIN))),
            dropins: self.dropins.clone().or_else(own),
            ..ConfigSource::default()
        }
    }
}

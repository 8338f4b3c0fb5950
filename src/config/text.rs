//! One of the texts of TOML that a configuration is made of.
//!
//! The options of the command line are a text too, read after all files, so that a worker that parses the same texts
//! arrives at the same settings.

use std::path::PathBuf;

/// One text of a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigText {
    /// Its part in the configuration.
    pub role: Role,
    /// Where it comes from, for messages.
    pub path: PathBuf,
    /// The text itself.
    pub toml: String,
}

/// The part of a text in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The main file: its rules take the place of the built-in ones.
    Main = 0,
    /// A drop-in: its rules are tried before those of the files read before it.
    Dropin = 1,
    /// The options of the command line.
    CommandLine = 2,
}

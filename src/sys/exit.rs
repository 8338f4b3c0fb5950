//! Exit codes as in sysexits(3), and the failure that ends a process.

use std::fmt;
use std::io;
use std::path::Path;
use std::process::ExitCode;

/// The reason why a process ends, as its exit code tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// The command line is wrong (EX_USAGE).
    Usage = 64,
    /// The input is damaged, or isn't what it should be (EX_DATAERR).
    Data = 65,
    /// Something that is needed isn't there or can't be reached (EX_UNAVAILABLE).
    Unavailable = 69,
    /// The user may not do this (EX_NOPERM).
    NoPermission = 77,
    /// The configuration is wrong (EX_CONFIG).
    Config = 78,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

/// The end of a process: its exit code, and the message for a person.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    pub exit: Exit,
    /// Says what happened and, where that helps, what to do.
    pub message: String,
}

impl Failure {
    pub fn usage(message: impl fmt::Display) -> Failure {
        Failure::with(Exit::Usage, message)
    }

    pub fn data(message: impl fmt::Display) -> Failure {
        Failure::with(Exit::Data, message)
    }

    pub fn unavailable(message: impl fmt::Display) -> Failure {
        Failure::with(Exit::Unavailable, message)
    }

    pub fn no_permission(message: impl fmt::Display) -> Failure {
        Failure::with(Exit::NoPermission, message)
    }

    /// A file that can't be opened or written.
    pub fn at(file: &Path, error: io::Error) -> Failure {
        Failure::unavailable(format!("{}: {error}", file.display()))
    }

    pub fn config(message: impl fmt::Display) -> Failure {
        Failure::with(Exit::Config, message)
    }

    fn with(exit: Exit, message: impl fmt::Display) -> Failure {
        let message = message.to_string();
        Failure { exit, message }
    }
}

//! Why a configuration is refused, in one line that a person can act on.
//!
//! Each message names the file, the line and the key, what was found there and what was expected.

use std::path::PathBuf;

/// Why a configuration is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A file or directory that can't be read.
    #[error("{}: can't be read: {reason}", .path.display())]
    Unreadable {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// Something in a file that isn't accepted.
    #[error("{}:{line}: {problem}", .path.display())]
    Refused {
        /// The file, or "command line".
        path: PathBuf,
        /// The line in the file, counted from 1.
        line: usize,
        /// The key, what was found, what was expected.
        problem: String,
    },
    /// Bytes that aren't an encoded configuration.
    #[error("the configuration handed over by the supervisor is damaged: {0}")]
    Damaged(&'static str),
}

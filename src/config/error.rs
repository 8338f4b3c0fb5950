//! The reason why a configuration is refused, in one line that a person can act on.
//!
//! Each message names the file, the line and the key, what was found there and what was expected.

use std::path::PathBuf;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    #[error("{}: can't be read: {reason}", .path.display())]
    Unreadable { path: PathBuf, reason: String },
    #[error("{}:{line}: {problem}", .path.display())]
    Refused {
        /// The file, or "command line".
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// The key, what was found, what was expected.
        problem: String,
    },
    #[error("the configuration handed over by the supervisor is damaged: {0}")]
    Damaged(&'static str),
}

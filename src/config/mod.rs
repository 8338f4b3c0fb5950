//! The configuration: TOML as written, refused with file, line and key, or validated settings.
//!
//! The files are read once, by the supervisor, and their texts are sent to the workers, which parse
//! them again with the same pure function: so all have the very same settings, or none.
//! Nothing here looks at the clock, the network or the store.
#![forbid(unsafe_code)]

mod database;
mod error;
mod key;
mod rules;
mod settings;
mod source;
mod spelling;
mod texts;
mod units;
mod written;

#[cfg(test)]
mod tests;

pub use database::Database;
pub use error::ConfigError;
pub use rules::{Ignored, Rule, Rules};
pub use settings::{Ports, Settings, StoreChoice, Times};
pub use source::{DROPINS, Loaded, MAIN, Overrides, Source, Workers, load};
pub use texts::{Role, Text, decode, encode};
pub use units::{display_duration, display_size};
pub use written::parse;

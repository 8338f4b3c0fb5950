//! The configuration: TOML as written, refused with file, line and key, or validated settings.
//!
//! The files are read once, by the supervisor, and their texts are sent to the workers, which parse
//! them again with the same pure function: so all have the very same settings, or none.
//! Nothing here looks at the clock, the network or the store.
#![forbid(unsafe_code)]

mod database;
pub mod encoding;
mod error;
mod key_value;
pub mod parse;
mod rule_keys;
mod rules;
mod settings;
mod source;
mod spelling;
pub mod text;
mod units;

#[cfg(test)]
mod tests;

pub(crate) use database::Database;
pub(crate) use encoding::{decode, decode_texts};
pub(crate) use rules::{Rule, Rules};
pub(crate) use settings::{DatabaseSettings, Settings, StoreChoice, StoreKind, Times};
pub(crate) use source::{
    ConfigSource, DROPINS, Loaded, MAIN, Overrides, Workers, load, load_again,
};
pub(crate) use text::{ConfigText, Role};
pub(crate) use units::{display_duration, display_size};

//! The TOML as written: which keys there are, and how the texts come together to settings.
//!
//! A later text's key replaces an earlier one's; its rules are tried before the earlier ones'.
//! Unknown keys are refused, with the nearest known one.

use toml::de::DeTable;

use super::error::ConfigError;
use super::key_value::{KeyValue, refused};
use super::rule_keys::rules;
use super::rules::Rules;
use super::settings::{DatabaseSettings, Settings, StoreKind};
use super::text::{ConfigText, Role};
use crate::http::parse::HeadLimits;

const MOST: HeadLimits = HeadLimits::MOST;

/// The keys of a text, and of its tables.
const KEYS: &str = "workers allow purge_allow http_ports connect_ports own_destinations mirror_hosts store store_path store_size min_free_disk database \
    database_password_file database_logged largest_object memory ca_file targeted ttl max_ttl stale_while_revalidate \
    stale_if_error access_log max_clients max_clients_per_address max_header_line max_header_size max_header_fields quick_abort_min rule \
    timeouts";
const TIMEOUTS: &str = "client_header client_idle worker_idle connect origin_response origin_hang origin_idle tunnel_idle \
    body_stall collapsed_wait drain";

/// The settings that the texts come to, in the order given. Pure: the same texts, the same settings.
pub fn parse(texts: &[ConfigText]) -> Result<Settings, ConfigError> {
    let mut builder = SettingsBuilder::default();
    for text in texts {
        builder.read(text)?;
    }
    Ok(builder.finish())
}

/// The settings while texts are being read, with a database's kept apart: they count only if it is the store.
#[derive(Default)]
struct SettingsBuilder {
    settings: Settings,
    /// None for "auto".
    per_address: Option<usize>,
    is_database: bool,
    database: DatabaseSettings,
}

impl SettingsBuilder {
    fn finish(mut self) -> Settings {
        let store = &mut self.settings.store;
        self.settings.largest_object = self.settings.largest_object.min(store.size);
        let share = (self.settings.max_clients / 4).max(1);
        self.settings.max_clients_per_address = self.per_address.unwrap_or(share);
        if self.is_database {
            store.kind = StoreKind::Postgres(self.database);
        }
        self.settings
    }

    fn read(&mut self, text: &ConfigText) -> Result<(), ConfigError> {
        let document = DeTable::parse(&text.toml).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            refused(text, at, format!("not valid TOML: {}", error.message()))
        })?;
        for entry in KeyValue::entries(text, "", document.get_ref()) {
            self.apply(&entry)?;
        }
        Ok(())
    }

    fn apply(&mut self, entry: &KeyValue) -> Result<(), ConfigError> {
        let settings = &mut self.settings;
        match entry.key.as_str() {
            "workers" => settings.workers = entry.workers()?,
            "allow" => settings.allow = entry.networks()?,
            "purge_allow" => settings.purge_allow = entry.networks()?,
            "http_ports" => settings.http_ports = entry.ports()?,
            "connect_ports" => settings.connect_ports = entry.ports()?,
            "own_destinations" => settings.own_destinations = entry.destinations()?,
            "mirror_hosts" => settings.mirror_hosts = entry.host_patterns()?,
            "store" => self.is_database = entry.is_database()?,
            "store_path" => settings.store.path = entry.path("/var/cache/cacheproxy")?,
            "store_size" => settings.store.size = entry.size(1 << 20)?,
            "min_free_disk" => settings.store.min_free = entry.size(0)?,
            "database" => self.database.database = entry.database()?,
            "database_password_file" => {
                let file = entry.path("/etc/cacheproxy/database-password")?;
                self.database.password_file = Some(file);
            }
            "database_logged" => self.database.logged = entry.boolean()?,
            "largest_object" => settings.largest_object = entry.size(1)?,
            "quick_abort_min" => settings.quick_abort_min = entry.size(0)?,
            "memory" => settings.memory = entry.size(0)?,
            "ca_file" => settings.ca_file = entry.path("/etc/ssl/certs/ca-certificates.crt")?,
            "targeted" => settings.targeted = entry.targeted()?,
            "ttl" => settings.ttl = entry.ttl()?,
            "max_ttl" => settings.max_ttl = entry.none_or_lifetime()?,
            "stale_while_revalidate" => settings.stale_while_revalidate = entry.lifetime()?,
            "stale_if_error" => settings.stale_if_error = entry.none_or_lifetime()?,
            "access_log" => settings.access_log = entry.boolean()?,
            "max_header_line" => settings.heads.line = entry.size_within(1 << 10, MOST.line)?,
            "max_header_size" => settings.heads.head = entry.size_within(1 << 10, MOST.head)?,
            "max_header_fields" => settings.heads.fields = entry.count(16..=MOST.fields)?,
            "max_clients" => settings.max_clients = entry.count(1..=1_000_000)?,
            "max_clients_per_address" => self.per_address = entry.auto_or_count()?,
            "rule" => {
                let mut rules = rules(entry)?;
                if entry.text.role != Role::Main {
                    rules.append(&mut settings.rules.0);
                }
                settings.rules = Rules(rules);
            }
            "timeouts" => {
                for limit in entry.table("timeouts.")? {
                    self.apply_timeout(&limit)?;
                }
            }
            _ => return Err(entry.unknown("", KEYS)),
        }
        Ok(())
    }

    fn apply_timeout(&mut self, entry: &KeyValue) -> Result<(), ConfigError> {
        let times = &mut self.settings.times;
        let limit = match entry.key.trim_start_matches("timeouts.") {
            "client_header" => &mut times.client_header,
            "client_idle" => &mut times.client_idle,
            "worker_idle" => &mut times.worker_idle,
            "connect" => &mut times.connect,
            "origin_response" => &mut times.origin_response,
            "origin_hang" => &mut times.origin_hang,
            "origin_idle" => &mut times.origin_idle,
            "tunnel_idle" => &mut times.tunnel_idle,
            "body_stall" => &mut times.body_stall,
            "collapsed_wait" => &mut times.collapsed_wait,
            "drain" => &mut times.drain,
            _ => return Err(entry.unknown("timeouts.", TIMEOUTS)),
        };
        *limit = entry.limit()?;
        Ok(())
    }
}

/// Every key there is, for tests.
#[cfg(test)]
pub(super) fn all_keys() -> impl Iterator<Item = &'static str> {
    [KEYS, TIMEOUTS, super::rule_keys::RULE]
        .into_iter()
        .flat_map(|keys| keys.split(' '))
}

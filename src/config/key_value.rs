//! One value of a text, with its key and its place: what it is read as, or why it is refused.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::database::Database;
use super::error::ConfigError;
use super::settings::{Ports, cores};
use super::spelling::hint;
use super::text::ConfigText;
use super::units;
use crate::cache::directives::TargetList;
use crate::cache::policy::Ttl;
use crate::http::syntax::is_token;
use crate::http::target::HostPatterns;

const A_DURATION: &str = r#"a duration such as "30s", "10m", "12h" or "7d""#;
const A_SIZE: &str = r#"a size such as "64KiB", "500MB" or "10GiB""#;
const TEN_YEARS: Duration = Duration::from_secs(3650 * 86_400);
const A_MONTH: Duration = Duration::from_secs(30 * 86_400);

/// A value, where it stands and the key it has.
pub(super) struct KeyValue<'a> {
    pub(super) text: &'a ConfigText,
    pub(super) key: String,
    pub(super) value: &'a Spanned<DeValue<'a>>,
}

impl<'a> KeyValue<'a> {
    /// The refusal of this value.
    pub(super) fn expected(&self, expected: &str) -> ConfigError {
        self.refused(&format!("expected {expected}"))
    }

    pub(super) fn refused(&self, why: &str) -> ConfigError {
        let span = self.value.span();
        let found = self.text.toml.get(span.clone()).unwrap_or_default();
        let problem = format!("{} = {}: {why}", self.key, shortened(found));
        refused(self.text, span.start, problem)
    }

    /// A refusal that names no value, at this place.
    pub(super) fn lacks(&self, problem: &str) -> ConfigError {
        refused(self.text, self.value.span().start, problem.to_string())
    }

    /// The refusal of a key of a table with these `known` ones.
    pub(super) fn unknown(&self, table: &str, known: &str) -> ConfigError {
        let key = self.key.strip_prefix(table).unwrap_or(&self.key);
        let hint = hint(table, key, known);
        self.lacks(&format!("unknown key \"{}\": {hint}", self.key))
    }

    /// The entries of a table in the order in which they are written, so that the first mistake is named.
    pub(super) fn entries(
        text: &'a ConfigText,
        prefix: &str,
        table: &'a DeTable<'a>,
    ) -> Vec<KeyValue<'a>> {
        let with_key = |(key, value): (&'a Spanned<DeString<'a>>, _)| KeyValue {
            text,
            key: format!("{prefix}{}", key.get_ref()),
            value,
        };
        let mut entries: Vec<KeyValue> = table.iter().map(with_key).collect();
        entries.sort_by_key(|entry| entry.value.span().start);
        entries
    }

    /// The entries of this table, each key with the prefix.
    pub(super) fn table(&self, prefix: &str) -> Result<Vec<KeyValue<'a>>, ConfigError> {
        let table = self.value.get_ref().as_table();
        let table = table.ok_or_else(|| self.expected("a table"))?;
        Ok(KeyValue::entries(self.text, prefix, table))
    }

    fn string(&self) -> Option<&'a str> {
        self.value.get_ref().as_str()
    }

    fn integer(&self) -> Option<u64> {
        let integer = self.value.get_ref().as_integer()?;
        u64::from_str_radix(integer.as_str(), integer.radix()).ok()
    }

    /// The elements of a list, each under the list's key.
    pub(super) fn elements(&self, expected: &str) -> Result<Vec<KeyValue<'a>>, ConfigError> {
        let list = self.value.get_ref().as_array();
        let list = list.ok_or_else(|| self.expected(expected))?;
        let with_key = |value| KeyValue {
            text: self.text,
            key: self.key.clone(),
            value,
        };
        Ok(list.iter().map(with_key).collect())
    }

    pub(super) fn boolean(&self) -> Result<bool, ConfigError> {
        let value = self.value.get_ref().as_bool();
        value.ok_or_else(|| self.expected("true or false"))
    }

    /// One of the `known` words, with a space between them.
    pub(super) fn choice(&self, known: &'static str) -> Result<&'static str, ConfigError> {
        let Some(text) = self.string() else {
            return Err(self.expected(&format!("one of {}", known.replace(' ', ", "))));
        };
        let found = known.split(' ').find(|word| *word == text);
        found.ok_or_else(|| self.refused(&hint("", text, known)))
    }

    pub(super) fn count(&self, range: RangeInclusive<usize>) -> Result<usize, ConfigError> {
        let count = self.integer().and_then(|n| usize::try_from(n).ok());
        count.filter(|n| range.contains(n)).ok_or_else(|| {
            let (least, most) = range.clone().into_inner();
            self.expected(&format!("a number from {least} to {most}"))
        })
    }

    pub(super) fn workers(&self) -> Result<usize, ConfigError> {
        if self.string() == Some("auto") {
            return Ok(cores());
        }
        self.count(1..=16)
            .map_err(|_| self.expected(r#""auto" or a number from 1 to 16"#))
    }

    pub(super) fn auto_or_count(&self) -> Result<Option<usize>, ConfigError> {
        if self.string() == Some("auto") {
            return Ok(None);
        }
        let count = self.count(1..=1_000_000);
        count
            .map(Some)
            .map_err(|_| self.expected(r#""auto" or a number from 1 to 1000000"#))
    }

    pub(super) fn network(&self) -> Result<IpNet, ConfigError> {
        let expected = r#"an address or a network such as "192.168.1.0/24" or "2001:db8::/32""#;
        let parse = |text: &str| {
            let address = || text.parse::<IpAddr>().map(IpNet::from);
            text.parse::<IpNet>().or_else(|_| address()).ok()
        };
        let network = self.string().and_then(parse);
        let network = network.ok_or_else(|| self.expected(expected))?;
        Ok(network.trunc())
    }

    pub(super) fn networks(&self) -> Result<Vec<IpNet>, ConfigError> {
        let networks = self.elements(r#"a list such as ["127.0.0.0/8", "::1"]"#)?;
        networks.iter().map(KeyValue::network).collect()
    }

    pub(super) fn ports(&self) -> Result<Ports, ConfigError> {
        let ports = self.elements("a list of ports such as [443, 8443]")?;
        let ports: Result<_, _> = ports.iter().map(KeyValue::port_range).collect();
        Ok(Ports(ports?))
    }

    fn port_range(&self) -> Result<RangeInclusive<u16>, ConfigError> {
        let range = |text: &str| {
            let (first, last) = text.split_once('-').unwrap_or((text, text));
            Some((first.trim().parse().ok()?, last.trim().parse().ok()?))
        };
        let one = self.integer().and_then(|n| u16::try_from(n).ok());
        one.map(|port| (port, port))
            .or_else(|| self.string().and_then(range))
            .filter(|(first, last)| *first >= 1 && first <= last)
            .map(|(first, last)| first..=last)
            .ok_or_else(|| self.expected(r#"a port such as 443 or a range such as "8000-8999""#))
    }

    /// A list of addresses with ports, which may be empty.
    pub(super) fn destinations(&self) -> Result<Vec<SocketAddr>, ConfigError> {
        let destinations = self.elements(r#"a list such as ["192.0.2.1:3141"]"#)?;
        destinations.iter().map(KeyValue::destination).collect()
    }

    fn destination(&self) -> Result<SocketAddr, ConfigError> {
        let expected =
            r#"an address with its port such as "192.0.2.1:3141" or "[2001:db8::1]:3141""#;
        let destination = self.string().and_then(|text| text.parse().ok());
        destination
            .filter(|destination: &SocketAddr| destination.port() != 0)
            .map(|it| SocketAddr::new(it.ip().to_canonical(), it.port()))
            .ok_or_else(|| self.expected(expected))
    }

    /// Names of fields that are obeyed like Cache-Control.
    pub(super) fn targeted(&self) -> Result<TargetList, ConfigError> {
        let names = self.elements(r#"a list of fields such as ["CDN-Cache-Control"]"#)?;
        let names: Result<Vec<_>, _> = names.iter().map(KeyValue::targeted_field).collect();
        Ok(TargetList::new(names?))
    }

    fn targeted_field(&self) -> Result<String, ConfigError> {
        let expected =
            r#"the name of a field such as "CDN-Cache-Control"; Cache-Control counts without them"#;
        let name = self.string().filter(|name| is_token(name.as_bytes()));
        name.filter(|name| !TargetList::NONE.governs(name.as_bytes()))
            .map(str::to_owned)
            .ok_or_else(|| self.expected(expected))
    }

    /// A list of hosts, which may be empty.
    pub(super) fn host_patterns(&self) -> Result<HostPatterns, ConfigError> {
        let hosts = self.elements(r#"a list such as ["deb.example", "*.deb.example"]"#)?;
        let expected =
            r#"a host such as "deb.example", "mirror.example:8080", "*.deb.example" or "*""#;
        let one = |host: &KeyValue| {
            let text = host
                .string()
                .filter(|text| HostPatterns::of([*text]).is_ok());
            text.map(str::to_owned)
                .ok_or_else(|| host.expected(expected))
        };
        let hosts: Vec<String> = hosts.iter().map(one).collect::<Result<_, _>>()?;
        HostPatterns::of(hosts.iter().map(String::as_str)).map_err(|_| self.expected(expected))
    }

    /// True for a database, false for a directory.
    pub(super) fn is_database(&self) -> Result<bool, ConfigError> {
        match self.string() {
            Some("filesystem") => Ok(false),
            Some("postgres") => Ok(true),
            _ => Err(self.expected(r#""filesystem" or "postgres""#)),
        }
    }

    /// A connection string. What was found isn't shown: a password may be in it.
    pub(super) fn database(&self) -> Result<Database, ConfigError> {
        let expected =
            r#"expected a connection string such as "host=/run/postgresql dbname=cacheproxy""#;
        let read = self
            .string()
            .ok_or(expected.to_owned())
            .and_then(Database::parse);
        read.map_err(|why| self.lacks(&format!("{}: {why}", self.key)))
    }

    pub(super) fn path(&self, example: &str) -> Result<PathBuf, ConfigError> {
        let path = self.string().map(PathBuf::from);
        path.filter(|path| path.is_absolute())
            .ok_or_else(|| self.expected(&format!("an absolute path such as \"{example}\"")))
    }

    pub(super) fn size(&self, least: u64) -> Result<u64, ConfigError> {
        let Some(size) = self.string().and_then(units::size) else {
            return Err(self.expected(&self.with_unit(A_SIZE, "MB")));
        };
        if size < least {
            let least = units::display_size(least);
            return Err(self.expected(&format!("a size of at least \"{least}\"")));
        }
        Ok(size)
    }

    /// A size of something in memory.
    pub(super) fn size_within(&self, least: usize, most: usize) -> Result<usize, ConfigError> {
        let size = self.size(0)?;
        let size = usize::try_from(size).ok();
        size.filter(|size| (least..=most).contains(size))
            .ok_or_else(|| {
                let [least, most] = [least, most].map(|size| units::display_size(size as u64));
                self.expected(&format!("a size from \"{least}\" to \"{most}\""))
            })
    }

    /// A time limit: more than nothing, and little enough to be added to any time.
    pub(super) fn limit(&self) -> Result<Duration, ConfigError> {
        let limit = self.duration()?;
        if limit.is_zero() || limit > A_MONTH {
            return Err(self.expected(r#"a duration from "1ms" to "30d""#));
        }
        Ok(limit)
    }

    /// A freshness lifetime in seconds.
    pub(super) fn lifetime(&self) -> Result<u64, ConfigError> {
        let lifetime = self.duration()?;
        if lifetime.subsec_millis() != 0 || lifetime > TEN_YEARS {
            return Err(self.expected(r#"whole seconds, at most "3650d""#));
        }
        Ok(lifetime.as_secs())
    }

    pub(super) fn ttl(&self) -> Result<Ttl, ConfigError> {
        match self.string() {
            Some("heuristic") => Ok(Ttl::Heuristic),
            Some(text) if units::duration(text).is_none() => {
                Err(self.expected(&format!("\"heuristic\" or {A_DURATION}")))
            }
            _ => self.lifetime().map(Ttl::Fixed),
        }
    }

    pub(super) fn none_or_lifetime(&self) -> Result<Option<u64>, ConfigError> {
        match self.string() {
            Some("none") => Ok(None),
            Some(text) if units::duration(text).is_none() => {
                Err(self.expected(&format!("\"none\" or {A_DURATION}")))
            }
            _ => self.lifetime().map(Some),
        }
    }

    pub(super) fn glob(&self) -> Result<String, ConfigError> {
        let glob = self.string().filter(|glob| !glob.is_empty());
        glob.map(String::from)
            .ok_or_else(|| self.expected(r#"a pattern such as "*.deb" or "http://example.com/*""#))
    }

    /// One pattern, or a list of them.
    pub(super) fn globs(&self) -> Result<Vec<String>, ConfigError> {
        let expected = r#"a pattern such as "*.deb", or a list of them"#;
        if self.string().is_some() {
            return Ok(vec![self.glob()?]);
        }
        match self.elements(expected)?.as_slice() {
            [] => Err(self.expected(expected)),
            globs => globs.iter().map(KeyValue::glob).collect(),
        }
    }

    /// A list of patterns of names, which may be empty.
    pub(super) fn names(&self) -> Result<Vec<String>, ConfigError> {
        let expected = r#"a list of names such as ["utm_*", "fbclid"]"#;
        let name = |entry: &KeyValue| {
            let name = entry.string().filter(|name| !name.is_empty());
            name.map(String::from)
                .ok_or_else(|| entry.expected(r#"a name or a pattern such as "utm_*""#))
        };
        self.elements(expected)?.iter().map(name).collect()
    }

    fn duration(&self) -> Result<Duration, ConfigError> {
        let duration = self.string().and_then(units::duration);
        duration.ok_or_else(|| self.expected(&self.with_unit(A_DURATION, "s")))
    }

    /// The expected, and for a plain number the hint that its unit is missing.
    fn with_unit(&self, expected: &str, unit: &str) -> String {
        self.integer().map_or(expected.to_string(), |number| {
            format!("{expected}; a plain number has no unit, \"{number}{unit}\" would do")
        })
    }
}

/// The refusal of something at this byte of the text.
pub(super) fn refused(text: &ConfigText, at: usize, problem: String) -> ConfigError {
    let before = text.toml.as_bytes().iter().take(at);
    ConfigError::Refused {
        path: text.path.clone(),
        line: 1 + before.filter(|byte| **byte == b'\n').count(),
        problem,
    }
}

/// The first line of what was found, as far as it helps in a message.
fn shortened(found: &str) -> String {
    const ENOUGH: usize = 60;
    let line = found.lines().next().unwrap_or_default();
    match line.char_indices().nth(ENOUGH) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None if line.len() < found.len() => format!("{line}…"),
        None => line.to_string(),
    }
}

//! `cacheproxy check`: what the service would read, validated, and whether its store could be used.

use std::fmt::Write as _;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::database::{Access, SERVICE_USER};
use super::{control, store};
use crate::cache::policy::Ttl;
use crate::config::{self, ConfigSource, DROPINS, Loaded, MAIN, Role, Settings, StoreChoice};
use crate::config::{display_duration, display_size};
use crate::sys::disk;
use crate::sys::exit::Failure;
use crate::sys::user::{self, User};

/// The directory that the service makes itself, and that its sandbox lets it write to.
const SERVICE_STORE: &str = "/var/cache/cacheproxy";

/// Check the configuration that the service would read; say what it comes to, or what is wrong with it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exits with 0 when all is well, 78 when the configuration is wrong, 77 when the store's directory isn't writable or the
database may not be used, 69 when the database can't be reached or isn't fit for it.
Run it as root to have the store tried as the service's own user.")]
pub(super) struct Args {
    /// Check this file instead of /etc/cacheproxy/cacheproxy.toml, and no drop-ins unless --dropins is given
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Read the drop-ins (*.toml) of this directory instead of /etc/cacheproxy/conf.d
    #[arg(long, value_name = "DIR")]
    dropins: Option<PathBuf>,
}

pub(super) fn check(args: Args) -> Result<(), Failure> {
    let dropins = match (args.dropins, &args.config) {
        (Some(given), _) => Some(given),
        (None, Some(_)) => None,
        (None, None) => Some(PathBuf::from(DROPINS)),
    };
    let source = ConfigSource {
        main: Some(args.config.unwrap_or_else(|| PathBuf::from(MAIN))),
        dropins,
        ..ConfigSource::default()
    };
    let loaded = config::load(&source).map_err(Failure::config)?;
    let mut notes: Vec<String> = Vec::new();
    notes.extend(check_store(loaded.settings.store.path())?);
    // Last, as root goes on as the service's user.
    if let Some(access) = Access::of(&loaded.settings.store, false)? {
        notes.extend(access.exposed().map(str::to_owned));
        notes.extend(access.check()?);
    }
    let mut text = summary(&loaded);
    for note in notes {
        let _ = writeln!(text, "note: {note}");
    }
    control::print(&text)
}

/// Whether the service could write to its store, as far as this user can tell; what else is to be said.
fn check_store(path: &Path) -> Result<Option<String>, Failure> {
    let service = user::named(SERVICE_USER);
    let own = user::effective();
    let own_place = path.starts_with(SERVICE_STORE);
    if own_place && !path.exists() {
        return Ok(Some(format!(
            "{} will be made when the service starts",
            path.display()
        )));
    }
    match service {
        Some(service) if own == 0 => try_as(&service, path),
        Some(service) if own != service.uid => {
            let path = path.display();
            return Ok(Some(format!(
                "whether {path} is writable wasn't tried: run this as root for that"
            )));
        }
        _ => disk::try_writing(path),
    }
    .map_err(|error| store::unusable(path, &error))?;
    Ok((!own_place && service.is_some()).then(|| {
        let path = path.display();
        format!(
            "the service's sandbox lets it write only below {SERVICE_STORE}: for {path}, put \
             [Service] and ReadWritePaths={path} into `systemctl edit cacheproxy.service` and \
             `systemctl edit cacheproxy@.service`"
        )
    }))
}

/// Tries as another user, in a process of its own: that takes every directory above and every ACL into account.
fn try_as(user: &User, directory: &Path) -> io::Result<()> {
    std::fs::metadata(directory)?;
    let usable = Command::new("test")
        .arg("-d")
        .arg(directory)
        .arg("-a")
        .arg("-w")
        .arg(directory)
        .arg("-a")
        .arg("-x")
        .arg(directory)
        .gid(user.gid)
        .uid(user.uid)
        .current_dir("/")
        .stdin(Stdio::null())
        .status()?;
    if usable.success() {
        return Ok(());
    }
    let message = format!("user {SERVICE_USER} may not write there");
    Err(io::Error::new(io::ErrorKind::PermissionDenied, message))
}

fn summary(loaded: &Loaded) -> String {
    let read: Vec<String> = (loaded.texts.iter())
        .filter(|text| text.role != Role::CommandLine)
        .map(|text| text.path.display().to_string())
        .collect();
    let mut out = format!("ok: {}\n", read.join(", "));
    for (name, value) in rows(&loaded.settings) {
        // Writing to a String can't fail.
        let _ = writeln!(out, "  {name:<16} {value}");
    }
    out
}

fn rows(settings: &Settings) -> Vec<(&'static str, String)> {
    let list = |items: Vec<String>| {
        if items.is_empty() {
            "none".to_string()
        } else {
            items.join(", ")
        }
    };
    let seconds = |seconds| display_duration(std::time::Duration::from_secs(seconds));
    let store = match &settings.store {
        StoreChoice::Filesystem {
            path,
            size,
            min_free,
        } => format!(
            "{}, at most {}, leaving {} of the disk free",
            path.display(),
            display_size(*size),
            display_size(*min_free)
        ),
        StoreChoice::Postgres {
            database,
            logged,
            size,
            spool,
            ..
        } => format!(
            "PostgreSQL: {}, at most {}, {}, by way of {}",
            database.masked(),
            display_size(*size),
            if *logged { "logged" } else { "unlogged" },
            spool.display()
        ),
    };
    let ttl = match settings.ttl {
        Ttl::Heuristic => "heuristic".to_string(),
        Ttl::Fixed(fixed) => seconds(fixed),
    };
    let or_none = |limit: Option<u64>| limit.map_or("none".to_string(), seconds);
    let mut rows = vec![
        ("workers", settings.workers.to_string()),
        (
            "clients from",
            list(settings.allow.iter().map(display_network).collect()),
        ),
        (
            "PURGE from",
            list(settings.purge_allow.iter().map(display_network).collect()),
        ),
        ("clients at most", settings.max_clients.to_string()),
        (
            "CONNECT to ports",
            list(settings.connect_ports.0.iter().map(display_ports).collect()),
        ),
        ("store", store),
        ("largest object", display_size(settings.largest_object)),
        (
            "memory",
            format!("{} in each worker", display_size(settings.memory)),
        ),
        ("ttl", ttl),
        ("max_ttl", or_none(settings.max_ttl)),
        (
            "stale at most",
            format!(
                "{} while validated, {} on errors",
                seconds(settings.stale_while_revalidate),
                or_none(settings.stale_if_error)
            ),
        ),
        (
            "access log",
            if settings.access_log { "on" } else { "off" }.to_string(),
        ),
    ];
    rows.extend(settings.rules.0.iter().map(|each| ("rule", rule(each))));
    rows
}

/// What a rule says, and of what.
fn rule(rule: &config::Rule) -> String {
    let seconds = |seconds| display_duration(std::time::Duration::from_secs(seconds));
    let mut says = Vec::new();
    if let Some(ttl) = rule.ttl {
        let force = if ttl.force {
            " whatever the origin says"
        } else {
            ""
        };
        says.push(format!("{}{force}", seconds(ttl.seconds)));
    }
    if rule.bypass == Some(true) {
        says.push("never cached".to_string());
    }
    if let Some(names) = rule.ignore_query.as_ref().filter(|names| !names.is_empty()) {
        says.push(format!("ignoring ?{}", names.join(" ?")));
    }
    if let Some(limit) = rule.stale_while_revalidate {
        says.push(format!("stale {} while validated", seconds(limit)));
    }
    if let Some(limit) = rule.stale_if_error {
        let limit = limit.map_or("none".to_string(), seconds);
        says.push(format!("stale {limit} on errors"));
    }
    format!("{} for {}", says.join(", "), rule.globs.join(" "))
}

fn display_ports(range: &std::ops::RangeInclusive<u16>) -> String {
    let (first, last) = (range.start(), range.end());
    if first == last {
        first.to_string()
    } else {
        format!("{first}-{last}")
    }
}

fn display_network(network: &ipnet::IpNet) -> String {
    if network.prefix_len() == network.max_prefix_len() {
        return network.addr().to_string();
    }
    network.to_string()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn root_tries_as_the_service_would() {
        if user::effective() != 0 {
            return;
        }
        let Some(nobody) = user::named("nobody") else {
            return;
        };
        let dir = tempfile::tempdir().unwrap();
        let inner = dir.path().join("store");
        fs::create_dir(&inner).unwrap();
        let table = [
            (0o755, 0o777, None),
            (0o755, 0o755, Some(io::ErrorKind::PermissionDenied)),
            (0o700, 0o777, Some(io::ErrorKind::PermissionDenied)),
        ];
        for (outer_mode, inner_mode, expected) in table {
            fs::set_permissions(dir.path(), Permissions::from_mode(outer_mode)).unwrap();
            fs::set_permissions(&inner, Permissions::from_mode(inner_mode)).unwrap();
            let outcome = try_as(&nobody, &inner).err().map(|error| error.kind());
            assert_eq!(outcome, expected, "{outer_mode:o} {inner_mode:o}");
        }
        let missing = dir.path().join("missing");
        assert!(try_as(&nobody, &missing).is_err());
    }

    #[test]
    fn the_summary_shows_what_the_texts_come_to() {
        let loaded = Loaded {
            source: ConfigSource::default(),
            texts: Vec::new(),
            settings: Settings {
                workers: 2,
                ..Settings::default()
            },
        };
        let expected = "ok: \n  workers          2\n  clients from     127.0.0.0/8, ::1\n";
        assert!(
            summary(&loaded).starts_with(expected),
            "{}",
            summary(&loaded)
        );
    }
}

//! The settings that matter to an operator, as `cacheproxy check` shows them.

use std::fmt::Write as _;

use super::output::duration;
use crate::cache::policy::Ttl;
use crate::cache::policy::{RuleFreshness, RuleTtl, StoreRule};
use crate::config::{Loaded, Role, Rule, Settings, StoreChoice, StoreKind, display_size};
use crate::http::target::HostPatterns;

pub(super) fn summary(loaded: &Loaded) -> String {
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
    let ttl = match settings.ttl {
        Ttl::Heuristic => "heuristic".to_string(),
        Ttl::Fixed(fixed) => duration(fixed),
    };
    let while_validated = duration(settings.stale_while_revalidate);
    let on_errors = or_none(settings.stale_if_error);
    let access_log = if settings.access_log { "on" } else { "off" };
    let memory = display_size(settings.memory);
    let mut rows = vec![
        ("workers", settings.workers.to_string()),
        ("clients from", list(&settings.allow, display_network)),
        ("PURGE from", list(&settings.purge_allow, display_network)),
        ("clients at most", most_clients(settings)),
        (
            "URIs with ports",
            list(&settings.http_ports.0, display_ports),
        ),
        (
            "CONNECT to ports",
            list(&settings.connect_ports.0, display_ports),
        ),
        (
            "own destinations",
            list(&settings.own_destinations, ToString::to_string),
        ),
        ("hosts in paths", patterns(&settings.mirror_hosts)),
        ("store", store(&settings.store)),
        ("largest object", display_size(settings.largest_object)),
        ("memory", format!("{memory} in each worker")),
        ("targeted", list(settings.targeted.names(), String::clone)),
        ("ttl", ttl),
        ("max_ttl", or_none(settings.max_ttl)),
        (
            "stale at most",
            format!("{while_validated} while validated, {on_errors} on errors"),
        ),
        ("access log", access_log.to_string()),
    ];
    rows.extend(settings.rules.0.iter().map(|each| ("rule", rule(each))));
    rows
}

fn most_clients(settings: &Settings) -> String {
    let (all, each) = (settings.max_clients, settings.max_clients_per_address);
    format!("{all}, {each} from one address")
}

fn list<T>(items: &[T], display: fn(&T) -> String) -> String {
    if items.is_empty() {
        return "none".to_string();
    }
    items.iter().map(display).collect::<Vec<_>>().join(", ")
}

fn patterns(hosts: &HostPatterns) -> String {
    list(&hosts.iter().collect::<Vec<_>>(), |host| (*host).to_owned())
}

fn or_none(limit: Option<u64>) -> String {
    limit.map_or("none".to_string(), duration)
}

fn store(choice: &StoreChoice) -> String {
    let (path, size) = (choice.path.display(), display_size(choice.size));
    match &choice.kind {
        StoreKind::Filesystem => format!(
            "{path}, at most {size}, leaving {} of the disk free",
            display_size(choice.min_free)
        ),
        StoreKind::Postgres(settings) => {
            let database = settings.database.masked();
            let logged = if settings.logged {
                "logged"
            } else {
                "unlogged"
            };
            format!("PostgreSQL: {database}, at most {size}, {logged}, by way of {path}")
        }
    }
}

/// A rule in words: what it says, and for which URIs.
pub(super) fn rule(rule: &Rule) -> String {
    let mut says = Vec::new();
    let lifetime = |ttl: RuleTtl| {
        let force = match ttl.force {
            true => " whatever the origin says",
            false => "",
        };
        duration(ttl.seconds) + force
    };
    match rule.freshness {
        Some(RuleFreshness::Ttl(ttl)) => says.push(lifetime(ttl)),
        Some(RuleFreshness::Kept) => says.push("kept, never stale".to_string()),
        Some(RuleFreshness::Versioned(ttl)) => says.push(format!("versioned, {}", lifetime(ttl))),
        None => {}
    }
    if let Some(StoreRule::Always { public }) = rule.store {
        let whom = if public { "everybody" } else { "its client" };
        says.push(format!("always stored, for {whom}"));
    }
    if rule.bypass == Some(true) {
        says.push("never cached".to_string());
    }
    if let Some(names) = rule.ignore_query.as_ref().filter(|names| !names.is_empty()) {
        says.push(format!("ignoring ?{}", names.join(" ?")));
    }
    if rule.ignore_cookies == Some(true) {
        says.push("whatever the cookies".to_string());
    }
    if let Some(limit) = rule.stale_while_revalidate {
        says.push(format!("stale {} while validated", duration(limit)));
    }
    if let Some(limit) = rule.stale_if_error {
        says.push(format!("stale {} on errors", or_none(limit)));
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
    use super::*;
    use crate::config::ConfigSource;

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

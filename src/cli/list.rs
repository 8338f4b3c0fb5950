//! `cacheproxy list`: what is stored, one line a response.

use std::cmp::Reverse;
use std::fmt::Write as _;
use std::time::SystemTime;

use clap::ValueEnum;

use super::output::{self, amount, duration};
use super::store_args::StoreArgs;
use super::url::HostFilter;
use crate::cache::key::Variant;
use crate::cache::time::Timestamp;
use crate::http::target::masked;
use crate::sys::exit::Failure;
use crate::sys::printable::printable;

/// List what is stored: size on disk, age, how often it was used and whether lately, URL and variant.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
\"hits\" is about how often it answered since it was stored or the machine was started: a few stored
responses share a count. \"used\" is whether it was asked for since eviction last looked at it. Both are
\"-\" when no proxy runs. A database counts by itself, those of all hosts.
It is for root, and for the user of `cacheproxy run`.")]
pub(super) struct ListArgs {
    /// Only what is stored of this host, or of this host:port
    #[arg(long, value_name = "HOST", value_parser = HostFilter::parse)]
    host: Option<HostFilter>,
    /// Largest first, those used most first, or oldest first; by URL without it
    #[arg(long, value_enum)]
    sort: Option<Sort>,
    #[command(flatten)]
    store: StoreArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Sort {
    Size,
    Hits,
    Age,
}

struct ListLine {
    size: u64,
    age: u64,
    hits: Option<u32>,
    used: Option<bool>,
    uri: Vec<u8>,
    variant: String,
}

pub(super) fn list(args: &ListArgs) -> Result<(), Failure> {
    let store = args.store.open()?;
    let now = now();
    let mut rows = Vec::new();
    let outcome = store.admin.each(&mut |stored| {
        let key = stored.meta.key.clone();
        // A response to HEAD has a key of its own, and so has a part.
        let uri = key.text().strip_prefix(b"GET ").unwrap_or(key.text());
        let bare = key.uri().unwrap_or(uri);
        if args.host.as_ref().is_none_or(|host| host.has(bare)) {
            rows.push(ListLine {
                size: stored.size,
                age: store.facts(&stored, bare).current_age(now).as_secs(),
                hits: store.hits(&stored),
                used: store.used(&stored),
                variant: fields_of(&stored.meta.variant),
                uri: uri.to_vec(),
            });
        }
    });
    outcome.map_err(Failure::unavailable)?;
    rows.sort_by(|one, other| (&one.uri, &one.variant).cmp(&(&other.uri, &other.variant)));
    match args.sort {
        None => {}
        Some(Sort::Size) => rows.sort_by_key(|row| Reverse(row.size)),
        Some(Sort::Hits) => rows.sort_by_key(|row| Reverse((row.hits, row.used, row.size))),
        Some(Sort::Age) => rows.sort_by_key(|row| Reverse(row.age)),
    }
    output::print(&table(&rows))
}

fn table(rows: &[ListLine]) -> String {
    let mut text = "       size            age    hits used  url\n".to_owned();
    for row in rows {
        let used = match row.used {
            Some(true) => "yes",
            Some(false) => "no",
            None => "-",
        };
        let hits = row.hits.map_or("-".to_owned(), |hits| hits.to_string());
        let (size, age) = (amount(row.size), duration(row.age));
        let uri = printable(&masked(&row.uri));
        let variant = match row.variant.as_str() {
            "" => String::new(),
            variant => format!("  [{variant}]"),
        };
        // Writing to a String can't fail.
        let _ = writeln!(
            text,
            "{size:>11} {age:>14} {hits:>7} {used:>4}  {uri}{variant}"
        );
    }
    let bytes = rows.iter().map(|row| row.size).sum();
    let _ = writeln!(text, "{} stored responses, {}", rows.len(), amount(bytes));
    text
}

/// The selecting fields of a variant, on one line.
pub(super) fn fields_of(variant: &Variant) -> String {
    let text = variant.text().split(|&byte| byte == b'\n');
    let lines = text.filter(|line| !line.is_empty()).map(|line| {
        let name = line.split(|&byte| byte == b':').next().unwrap_or_default();
        match name {
            b"" if line.ends_with(b": all") => "a rule that says public = true".to_owned(),
            b"" => "one client's identity".to_owned(),
            _ if name.len() == line.len() => format!("no {}", printable(line)),
            b"authorization" | b"cookie" => format!("{}: ***", printable(name)),
            _ => printable(line),
        }
    });
    lines.collect::<Vec<_>>().join("; ")
}

/// The wall clock, read once by each command.
pub(super) fn now() -> Timestamp {
    SystemTime::now().into()
}

//! `cacheproxy list`: what is stored, one line a response.

use std::cmp::Reverse;
use std::fmt::Write as _;
use std::ops::ControlFlow;
use std::time::SystemTime;

use clap::ValueEnum;

use super::output::{Lines, amount, duration};
use super::store_args::StoreArgs;
use super::store_handle::StoreHandle;
use crate::cache::key::Variant;
use crate::cache::time::Timestamp;
use crate::http::target::masked;
use crate::store::StoreError;
use crate::store::admin::StoredInfo;
use crate::store::scope::{HostFilter, Scope};
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
    /// Largest first, those used most first, or oldest first; in the store's own order without it
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

impl Sort {
    /// The number by which it is sorted, the greatest first. Hits beyond what fits count alike, and so do sizes.
    fn number(self, store: &StoreHandle, stored: &StoredInfo, now: Timestamp) -> u64 {
        match self {
            Sort::Size => stored.size,
            Sort::Age => stored.age(now).as_secs(),
            Sort::Hits => {
                let hits = store.hits(stored).map_or(0, |hits| u64::from(hits) + 1);
                let used = store.used(stored).map_or(0, |used| u64::from(used) + 1);
                hits.min((1 << 26) - 1) << 38 | used << 36 | stored.size.min((1 << 36) - 1)
            }
        }
    }
}

pub(super) fn list(args: &ListArgs) -> Result<(), Failure> {
    let store = args.store.open()?;
    let scope = match &args.host {
        None => Scope::Everything,
        Some(host) => Scope::Of {
            hosts: vec![host.clone()],
            prefixes: Vec::new(),
        },
    };
    let mut table = Table::begin(&store);
    let outcome = match args.sort {
        None => store.admin.each(&scope, &mut |stored| table.add(&stored)),
        Some(sort) => sorted(&scope, sort, &mut table),
    };
    outcome.map_err(Failure::unavailable)?;
    table.end()
}

/// Adds the greatest first, in two passes, so that no more than two numbers each are held.
fn sorted(scope: &Scope, sort: Sort, table: &mut Table<'_>) -> Result<(), StoreError> {
    const AT_ONCE: usize = 100;
    let (store, now) = (table.store, table.now);
    let mut all = Vec::new();
    store.admin.each(scope, &mut |stored| {
        all.push((Reverse(sort.number(store, &stored, now)), stored.order));
        ControlFlow::Continue(())
    })?;
    all.sort_unstable();
    for some in all.chunks(AT_ONCE) {
        let mut went = ControlFlow::Continue(());
        let orders: Vec<u64> = some.iter().map(|(_, order)| *order).collect();
        store.admin.numbered(&orders, &mut |stored| {
            went = table.add(&stored);
            went
        })?;
        if went.is_break() {
            break;
        }
    }
    Ok(())
}

/// The lines that are printed as they come, and what they add up to.
struct Table<'a> {
    store: &'a StoreHandle,
    now: Timestamp,
    lines: Lines,
    line: String,
    count: u64,
    bytes: u64,
}

impl<'a> Table<'a> {
    fn begin(store: &'a StoreHandle) -> Table<'a> {
        let mut lines = Lines::default();
        let _ = lines.push("       size            age    hits used  url\n");
        Table {
            store,
            now: now(),
            lines,
            line: String::new(),
            count: 0,
            bytes: 0,
        }
    }

    fn add(&mut self, stored: &StoredInfo) -> ControlFlow<()> {
        self.count += 1;
        self.bytes += stored.size;
        let used = match self.store.used(stored) {
            Some(true) => "yes",
            Some(false) => "no",
            None => "-",
        };
        let hits = self.store.hits(stored);
        let hits = hits.map_or("-".to_owned(), |hits| hits.to_string());
        let age = stored.age(self.now).as_secs();
        let (size, age) = (amount(stored.size), duration(age));
        // A response to HEAD has a key of its own, and so has a part.
        let key = stored.key.text();
        let uri = printable(&masked(key.strip_prefix(b"GET ").unwrap_or(key)));
        self.line.clear();
        // Writing to a String can't fail.
        let _ = write!(self.line, "{size:>11} {age:>14} {hits:>7} {used:>4}  {uri}");
        let variant = fields_of(&stored.variant);
        if !variant.is_empty() {
            let _ = write!(self.line, "  [{variant}]");
        }
        self.line.push('\n');
        self.lines.push(&self.line)
    }

    fn end(mut self) -> Result<(), Failure> {
        let (count, size) = (self.count, amount(self.bytes));
        let _ = self
            .lines
            .push(&format!("{count} stored responses, {size}\n"));
        self.lines.end()
    }
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

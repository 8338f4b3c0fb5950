//! `cacheproxy purge`: removes stored responses, so that no worker uses them once it has returned.

use std::sync::Arc;

use super::output::{self, amount};
use super::store_args::StoreArgs;
use super::url;
use crate::cache::key::Key;
use crate::http::target::Uri;
use crate::store::admin::Removed;
use crate::store::scope::{HostFilter, Scope};
use crate::sys::exit::Failure;
use crate::sys::shared::Shared;
use crate::worker;

/// Remove stored responses: those of a URL with all their variants, or all below a URL or of a host.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
When it returns, no worker answers from what was stored before, nor stores what it was fetching meanwhile.
It works as well when the proxy doesn't run. It is for root, and for the user of `cacheproxy run`.

Examples:
  sudo cacheproxy purge http://mirror.example/debian/dists/stable/InRelease
  sudo cacheproxy purge --prefix http://mirror.example/debian/dists/
  sudo cacheproxy purge --host mirror.example")]
pub(super) struct PurgeArgs {
    /// Remove what is stored for these URLs
    #[arg(value_name = "URL", value_parser = url::uri(), required_unless_present_any = ["prefix", "host"])]
    urls: Vec<Uri>,
    /// Remove everything whose URL begins with this one
    #[arg(long, value_name = "URL", value_parser = url::uri())]
    prefix: Vec<Uri>,
    /// Remove everything of this host, or of this host:port only
    #[arg(long, value_name = "HOST", value_parser = HostFilter::parse)]
    host: Vec<HostFilter>,
    #[command(flatten)]
    store: StoreArgs,
}

pub(super) fn purge(args: &PurgeArgs) -> Result<(), Failure> {
    let store = args.store.open()?;
    let shared = match &store.shared {
        Some(shared) => shared.clone(),
        None => Arc::new(Shared::create().map_err(Failure::unavailable)?),
    };
    let admin = &store.admin;
    let mut removed = Removed::default();
    for uri in &args.urls {
        let uri = worker::cache_uri(&store.settings, uri);
        let key = Key::of(&uri);
        for key in [key.part(), key, Key::of_head(&uri)] {
            removed += admin.purge(&key, &shared).map_err(Failure::unavailable)?;
        }
    }
    if !(args.prefix.is_empty() && args.host.is_empty()) {
        let scope = scope(args);
        removed += (admin.purge_scope(&scope, &shared)).map_err(Failure::unavailable)?;
    }
    let mut text = report(removed);
    if store.shared.is_none() {
        let dir = store.runtime_dir.display();
        text.push_str(&format!(
            "note: no proxy runs in {dir}; one that runs elsewhere (--runtime-dir) wasn't told\n"
        ));
    }
    output::print(&text)
}

fn scope(args: &PurgeArgs) -> Scope {
    Scope::Of {
        hosts: args.host.clone(),
        prefixes: args.prefix.clone(),
    }
}

fn report(removed: Removed) -> String {
    let size = amount(removed.bytes);
    match removed.count {
        0 => "nothing was stored\n".to_owned(),
        1 => format!("removed 1 stored response, {size}\n"),
        count => format!("removed {count} stored responses, {size}\n"),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct CommandLine {
        #[command(flatten)]
        args: PurgeArgs,
    }

    #[test]
    fn keys_that_a_command_line_means() {
        let table = [
            (
                "--prefix http://a.example/x",
                "GET http://a.example/x/y",
                true,
            ),
            (
                "--prefix http://A.example:80/x",
                "HEAD http://a.example/xy",
                true,
            ),
            ("--prefix http://a.example", "GET http://a.example/", true),
            (
                "--prefix http://a.example/x",
                "GET-part http://a.example/xy",
                true,
            ),
            (
                "--prefix http://a.example",
                "GET http://a.example.org/",
                false,
            ),
            ("--prefix http://a.example", "GET https://a.example/", false),
            ("--host A.example", "GET http://a.example/", true),
            ("--host a.example", "GET http://a.example:81/", true),
            ("--host a.example:81", "GET http://a.example:81/", true),
            ("--host a.example:81", "GET http://a.example/", false),
            ("--host example", "GET http://a.example/", false),
            ("--host b --host a", "GET http://a/", true),
            ("--host a", "GET https://a/", true),
            ("--host HTTPS///a:444", "GET https://a:444/", true),
            ("--host http://https///A/", "GET https://a/", true),
            ("--host HTTPS///a", "GET http://a/", false),
            ("--prefix http://HTTPS///a:443/x", "GET https://a/xy", true),
            ("--prefix http://https///a", "GET https://a/xy", true),
            ("--prefix http://HTTPS///a/x", "GET http://a/xy", false),
            ("--prefix http://a/ä#b", "GET http://a/äöü", true),
            ("--prefix http://a/ä", "GET http://a/%C3%A4", false),
            ("--host a", "GET-part http://a/ä", true),
        ];
        for (line, key, meant) in table {
            let words = ["purge"].into_iter().chain(line.split(' '));
            let args = CommandLine::try_parse_from(words).unwrap().args;
            let (scope, key) = (scope(&args), Key::new(key));
            assert_eq!(scope.has(&key), meant, "{line} {key:?}");
        }
    }
}

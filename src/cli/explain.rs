//! `cacheproxy explain`: in sentences, what is stored for a URL and what a request for it would get, by the
//! same pure functions that decide it in the workers.

use std::fmt::Write as _;

use super::list::{fields_of, now};
use super::output::{self, amount, duration};
use super::store_args::StoreArgs;
use super::url;
use crate::cache::bypass::bypass;
use crate::cache::directives::RequestDirectives;
use crate::cache::freshness::Facts;
use crate::cache::key::Key;
use crate::cache::reuse::{OnError, Reuse, reuse};
use crate::cache::validation::conditional_fields;
use crate::cache::vary;
use crate::http::date::UnixSeconds;
use crate::http::fields::Fields;
use crate::http::head::{Method, RequestHead, Version};
use crate::http::target::Uri;
use crate::store::admin::StoredInfo;
use crate::sys::exit::Failure;
use crate::worker;

/// Explain what is stored for a URL, and why a request for it would or wouldn't be answered from it now.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sudo cacheproxy explain http://mirror.example/debian/dists/stable/InRelease
  sudo cacheproxy explain -H 'Accept-Encoding: gzip' -H 'Cache-Control: max-age=0' http://example.com/")]
pub(super) struct ExplainArgs {
    /// The URL
    #[arg(value_name = "URL", value_parser = url::parse)]
    uri: Uri,
    /// A field of the request that is explained; may be given several times
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = field)]
    fields: Vec<(String, String)>,
    #[command(flatten)]
    store: StoreArgs,
}

fn field(text: &str) -> Result<(String, String), String> {
    match text.split_once(':') {
        Some((name, value)) if !name.is_empty() && !name.contains(' ') => {
            Ok((name.to_owned(), value.trim().to_owned()))
        }
        _ => Err("expected a field such as 'Accept-Encoding: gzip'".to_owned()),
    }
}

pub(super) fn explain(args: &ExplainArgs) -> Result<(), Failure> {
    let store = args.store.open()?;
    let lines = args.fields.iter();
    let request = RequestHead {
        method: Method::Get,
        target: args.uri.as_bytes().clone(),
        version: Version::Http11,
        fields: lines
            .map(|(name, value)| (name.as_bytes(), value.as_bytes()))
            .collect(),
    };
    let of_key = |key: Key| store.admin.of_key(&key);
    let cache_uri = worker::cache_uri(&store.settings, &args.uri);
    let key = Key::of(&cache_uri);
    let parts = of_key(key.part()).map_err(Failure::unavailable)?;
    let seen = of_key(key).map_err(Failure::unavailable)?;
    let of_head = of_key(Key::of_head(&cache_uri)).map_err(Failure::unavailable)?;
    let uri = args.uri.as_str();
    let known: Vec<Known> = seen
        .into_iter()
        .map(|seen| Known {
            facts: store.facts(&seen, uri),
            hits: store.hits(&seen),
            seen,
        })
        .collect();
    let mut others = String::new();
    if cache_uri != args.uri {
        // Writing to a String can't fail.
        let _ = writeln!(
            others,
            "\nIts key is {cache_uri}: a rule of the configuration ignores the rest of its query."
        );
    }
    if !of_head.is_empty() {
        others.push_str("\nA response to HEAD is stored, which answers HEAD only.\n");
    }
    for part in parts {
        // Writing to a String can't fail.
        let _ = writeln!(
            others,
            "\n{} of it are stored, which answer ranges within; only the rest is asked for where it has a \
             strong validator.",
            amount(part.content)
        );
    }
    let verdict = match store.settings.rules.bypass(uri) {
        true => {
            "it goes to the origin server whatever is stored, since a rule of the configuration \
            has it bypass the cache."
                .to_owned()
        }
        false => verdict(&known, &request, now()),
    };
    output::print(&told(uri, &known, &others, &verdict, now()))
}

/// A stored response, and what is known of it.
struct Known {
    seen: StoredInfo,
    facts: Facts,
    /// About how often it answered; None when no proxy runs.
    hits: Option<u32>,
}

/// All there is to say.
fn told(uri: &str, known: &[Known], others: &str, verdict: &str, now: UnixSeconds) -> String {
    let mut text = match known.len() {
        0 => format!("Nothing is stored for GET {uri}\n"),
        1 => format!("One response is stored for {uri}\n"),
        count => format!("{count} variants are stored for {uri}\n"),
    };
    for (at, known) in known.iter().enumerate() {
        // Writing to a String can't fail.
        let _ = write!(text, "\n{}. {}", at + 1, described(known, now));
    }
    text.push_str(others);
    let _ = writeln!(text, "\nA GET request now: {verdict}");
    text
}

/// One stored response.
fn described(known: &Known, now: UnixSeconds) -> String {
    let Known { seen, facts, hits } = known;
    let meta = &seen.meta;
    let age = facts.current_age(now);
    let mut text = format!(
        "Status {}, {} of content",
        meta.status,
        amount(seen.content)
    );
    match fields_of(&meta.variant).as_str() {
        "" => text.push_str(".\n"),
        fields => {
            let _ = writeln!(text, ", for requests with {fields}.");
        }
    }
    let lifetime = facts.lifetime;
    let _ = match lifetime.checked_sub(age).filter(|left| *left > 0) {
        Some(left) => writeln!(
            text,
            "   Its age is {}, and it is fresh for {} more.",
            duration(age),
            duration(left)
        ),
        None => writeln!(
            text,
            "   Its age is {}, and it is stale since {}.",
            duration(age),
            duration(age - lifetime.min(age))
        ),
    };
    let capped = if facts.capped {
        ", cut short by max_ttl"
    } else {
        ""
    };
    let _ = writeln!(
        text,
        "   Its freshness lifetime is {}: {}{capped}.",
        duration(lifetime),
        facts.source
    );
    let validators: Vec<String> = conditional_fields(&meta.fields)
        .map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value)))
        .collect();
    let _ = match validators.is_empty() {
        true => writeln!(
            text,
            "   It has no validator, so a stale one is fetched anew."
        ),
        false => writeln!(text, "   It is validated with {}.", validators.join(", ")),
    };
    let _ = match hits {
        Some(1) => writeln!(text, "   It answered about 1 request."),
        Some(hits) => writeln!(text, "   It answered about {hits} requests."),
        None => Ok(()),
    };
    text
}

/// What the request would get.
fn verdict(known: &[Known], request: &RequestHead, now: UnixSeconds) -> String {
    let directives = RequestDirectives::of(&request.fields);
    if let Some(why) = bypass(request, &directives) {
        return format!("it goes to the origin server whatever is stored, since {why}.");
    }
    if known.is_empty() {
        return "it is fetched. Why nothing is stored can't be known from here: it was never asked for, \
            may not be stored, or was evicted or purged. The Cache-Status field of the next response says \
            whether it is stored and, if not, why."
            .to_owned();
    }
    let Some((at, Known { facts, .. })) = known
        .iter()
        .enumerate()
        .find(|(_, known)| selects(&known.seen, &request.fields))
    else {
        return "it is fetched, since its fields select none of these variants; -H gives it others."
            .to_owned();
    };
    let number = at + 1;
    match reuse(&directives, facts, now) {
        Reuse::Fresh { .. } => format!("number {number} answers it, since it is fresh."),
        Reuse::Stale { .. } => {
            format!(
                "number {number} answers it though it is stale, since the request accepts that."
            )
        }
        Reuse::Validate {
            why,
            meanwhile: true,
            ..
        } => format!(
            "number {number} answers it and is validated in the background: {why}, and the response \
             has stale-while-revalidate."
        ),
        Reuse::Validate { why, on_error, .. } => {
            let asked = match facts.has_validator {
                true => "is validated first",
                false => "would have to be validated and can't be, so it is fetched anew",
            };
            let otherwise = match on_error {
                OnError::No => "It doesn't answer if the origin server fails.",
                OnError::Disconnected => "It answers if the origin server can't be reached.",
                OnError::Error => {
                    "It answers if the origin server can't be reached or has an error."
                }
            };
            format!("number {number} {asked}: {why}. {otherwise}")
        }
    }
}

fn selects(seen: &StoredInfo, request: &Fields) -> bool {
    vary::names(&seen.meta.fields)
        .is_some_and(|names| vary::variant_of(&names, request) == seen.meta.variant)
}

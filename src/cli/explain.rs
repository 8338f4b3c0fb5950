//! `cacheproxy explain`: in sentences, what is stored for a URL, and the plan of the workers for a request for it.

use std::fmt::Write as _;

use super::described::{ExplainedResponse, described, headline};
use super::explained_parts::ExplainedParts;
use super::list::now;
use super::output;
use super::store_args::StoreArgs;
use super::{summary, url};
use crate::cache::bypass::Bypass;
use crate::cache::directives::RequestDirectives;
use crate::cache::key::Key;
use crate::cache::owner::{self, Asker};
use crate::cache::plan::{Behind, CandidateSource, Candidates, Plan, Presented, Question, plan};
use crate::cache::policy::StoreRule;
use crate::cache::range::ByteRange;
use crate::cache::reuse::OnError;
use crate::cache::time::Timestamp;
use crate::cache::versioned::Remembered;
use crate::config::Rules;
use crate::http::head::{Method, RequestHead, Version};
use crate::http::target::TargetUri;
use crate::sys::exit::Failure;
use crate::sys::printable::printable;
use crate::worker;

/// Explain what is stored for a URL, and why a request for it would or wouldn't be answered from it now.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sudo cacheproxy explain http://mirror.example/debian/dists/stable/InRelease
  sudo cacheproxy explain -H 'Accept-Encoding: gzip' -H 'Cache-Control: max-age=0' http://example.com/")]
pub(super) struct ExplainArgs {
    /// The URL
    #[arg(value_name = "URL", value_parser = url::target())]
    target: TargetUri,
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
    let lines = lines.map(|(name, value)| (name.as_bytes(), value.as_bytes()));
    let uri = &args.target.uri;
    let mut head = RequestHead {
        method: Method::Get,
        target: uri.as_bytes().clone(),
        version: Version::Http11,
        fields: lines.collect(),
    };
    if let Some(fields) = args.target.authorized(&head.fields) {
        head.fields = fields;
    }
    let cache_uri = worker::cache_uri(&store.settings, uri);
    let by_key = cache_uri != *uri;
    let (uri, shown) = (uri.as_bytes(), printable(uri.as_bytes()));
    let of_key = |key: Key| -> Result<Vec<ExplainedResponse>, Failure> {
        let stored = store.admin.of_key(&key);
        let known = stored.map_err(Failure::unavailable)?.into_iter();
        let known = known.map(|stored| ExplainedResponse {
            facts: store.facts(&stored.meta, uri),
            hits: store.hits(&stored.info),
            stored,
        });
        Ok(known.collect())
    };
    let key = Key::of(&cache_uri);
    let parts = of_key(key.part())?;
    let parts = ExplainedParts::of(&parts);
    let known = of_key(key.clone())?;
    let of_head = of_key(Key::of_head(&cache_uri))?;
    let mut directives = RequestDirectives::of(&head.fields);
    // No client is known here.
    let asker = Asker {
        uri: cache_uri.as_bytes(),
        place: None,
        secret: None,
        ignore_cookies: false,
    };
    let rule = store.settings.rules.store(uri);
    if let Some(fields) = owner::apply(rule, &mut directives, &head.fields, &asker) {
        head.fields = fields;
    }
    let presented = Presented {
        head: &head,
        directives,
        bypass: (store.settings.rules.bypass(uri)).then_some(Bypass::Rule),
        is_local: true,
        remembered: Remembered {
            asked: None,
            validated: (store.shared.as_ref()).and_then(|it| it.validated(key.hash())),
        },
        origin_hangs: store.is_hung(&args.target.uri),
    };
    let now = now();
    let mut text = format!(
        "{}\n",
        headline(&shown, known.len(), parts.len(), !of_head.is_empty())
    );
    for (at, known) in known.iter().enumerate() {
        // Writing to a String can't fail.
        let _ = write!(text, "\n{}. {}", at + 1, described(known, now));
    }
    if by_key {
        let _ = writeln!(
            text,
            "\nIts key is {}: a rule of the configuration ignores the rest of its query.",
            printable(cache_uri.as_bytes())
        );
    }
    text.push_str(&rules_for(&store.settings.rules, uri));
    let has_more = !(known.is_empty() && parts.is_empty());
    if has_more && !of_head.is_empty() {
        text.push_str("\nA response to HEAD is stored, which answers HEAD only.\n");
    }
    for part in &parts {
        let _ = write!(text, "\n{}", part.described());
    }
    let beside = match (parts.is_empty(), of_head.is_empty()) {
        (false, _) => Beside::Part,
        (true, false) => Beside::Head,
        (true, true) => Beside::Nothing,
    };
    let verdict = match args.target.refused(&head.fields) {
        Some(why) => format!("it is refused with 403: {why}."),
        None => verdict(&presented, &known, &parts, beside, now),
    };
    let _ = writeln!(text, "\nA GET request now: {verdict}");
    output::print(&text)
}

/// The rules that count for how long a response is fresh, and for what is stored.
fn rules_for(rules: &Rules, uri: &[u8]) -> String {
    let fresh = rules.first(uri, |rule| rule.freshness.map(|_| rule));
    let stored = rules.first(uri, |rule| rule.store.map(|_| rule));
    let stored =
        stored.filter(|rule| rule.store != Some(StoreRule::Standard) && fresh != Some(*rule));
    let rules = [fresh, stored].into_iter().flatten();
    let lines = rules.map(|rule| format!("\nThis rule counts: {}.\n", summary::rule(rule)));
    lines.collect()
}

/// What is stored for the URL besides whole responses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Beside {
    Nothing,
    /// Some part, which needn't be of use.
    Part,
    /// A response to HEAD, and no part.
    Head,
}

fn verdict(
    request: &Presented<'_>,
    known: &[ExplainedResponse],
    parts: &[ExplainedParts<'_>],
    beside: Beside,
    now: Timestamp,
) -> String {
    let fields = &request.head.fields;
    let selected = |parts: &&ExplainedParts<'_>| parts.is_selected_by(fields);
    let at = known.iter().position(|known| known.is_selected_by(fields));
    let candidates = Candidates {
        stored: at.map(|at| known[at].candidate()),
        other_variants: at.is_none() && !known.is_empty(),
        parts: (parts.iter().find(selected)).map(ExplainedParts::candidate),
        growing: None,
    };
    let number = at.map_or(0, |at| at + 1);
    match plan(request, &candidates, now) {
        Plan::Bypass(why) => {
            format!("it goes to the origin server whatever is stored, since {why}.")
        }
        Plan::Refuse(why) => format!("it is refused with {}: {why}.", why.status()),
        Plan::Answer(reused) => match (reused.from, reused.left.is_fresh()) {
            (CandidateSource::Parts | CandidateSource::Growing, _) => {
                "what is stored of it answers it.".to_owned()
            }
            (CandidateSource::Stored, true) if reused.behind == Behind::Validate => format!(
                "number {number} answers it and is validated in the background: it is fresh, and older than a \
                 day; a rule takes it for a versioned file."
            ),
            (CandidateSource::Stored, _) if reused.behind == Behind::TryOrigin => format!(
                "number {number} answers it and is validated in the background: the origin server didn't answer \
                 of late."
            ),
            (CandidateSource::Stored, true) => {
                format!("number {number} answers it, since it is fresh.")
            }
            (CandidateSource::Stored, false) if reused.behind == Behind::Validate => format!(
                "number {number} answers it and is validated in the background: it is stale, and the response \
                 has stale-while-revalidate."
            ),
            (CandidateSource::Stored, false) => {
                format!("number {number} answers it though it is stale, since that is accepted.")
            }
        },
        Plan::Obtain(obtain) => asked(obtain.question, &candidates, number, beside),
    }
}

/// Says in words what the origin server is asked. `number` is that of the stored response, or 0.
fn asked(question: Question, candidates: &Candidates<'_>, number: usize, beside: Beside) -> String {
    match question {
        Question::Validate { why, on_error } => {
            let has_validator = candidates.stored.is_some_and(|it| it.facts.has_validator);
            let asked = match has_validator {
                true => "is validated first",
                false => "would have to be validated and can't be, so it is fetched anew",
            };
            let otherwise = match on_error {
                OnError::No => "It doesn't answer if the origin server fails.",
                OnError::Disconnected => "It answers if the origin server can't be reached.",
                OnError::Error => {
                    "It answers if the origin server can't be reached or has an error."
                }
                OnError::Refused => {
                    "It answers unless the origin server has another, or none any more."
                }
            };
            format!("number {number} {asked}: {why}. {otherwise}")
        }
        Question::ValidateParts { why } => {
            format!("what is stored of it is validated first: {why}.")
        }
        Question::Complete(lacking) => {
            let bytes = |range: ByteRange| format!("bytes {} to {}", range.first, range.end() - 1);
            let then = lacking.then.map(bytes);
            let then = then.map_or(String::new(), |then| format!(" and {then}"));
            let first = bytes(lacking.first);
            format!("the origin server is asked for {first}{then} of it, which isn't stored.")
        }
        Question::FetchRange { .. } => format!(
            "number {number} would have to be validated and can't be, so the range is fetched as it is."
        ),
        Question::Fetch if candidates.other_variants => {
            "it is fetched, since its fields select none of these variants; -H gives it others."
                .to_owned()
        }
        Question::Fetch if beside == Beside::Part => {
            "it is fetched: what is stored of it is of no use.".to_owned()
        }
        Question::Fetch if beside == Beside::Head => {
            "it is fetched: what answers HEAD has no content.".to_owned()
        }
        Question::Fetch => {
            "it is fetched. Why nothing is stored can't be known from here: it was never asked for, \
            may not be stored, or was evicted or purged. The Cache-Status field of the next response says \
            whether it is stored and, if not, why."
                .to_owned()
        }
    }
}

//! Rules by patterns of the target URI: freshness lifetimes, staleness, what is never cached, what of
//! the query counts. For each of these the first rule counts that matches and speaks of it.
//!
//! Patterns are globs over the whole URI without its query, as it was sent: `*` is any characters, `?` is one.
//! `cache` decides what a lifetime then means for a response.

use std::cell::Cell;

use crate::cache::policy::{RuleFreshness, RuleTtl, StoreRule};

/// One rule. What it doesn't speak of is left to the next ones and to the settings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rule {
    /// Globs; one that matches is enough.
    pub globs: Vec<String>,
    /// `ttl`, `override` and `class`, which count together.
    pub freshness: Option<RuleFreshness>,
    /// True when nothing is stored or answered from the store.
    pub bypass: Option<bool>,
    /// `store` and `public`, which count together.
    pub store: Option<StoreRule>,
    /// Globs of the names of query parameters that aren't part of the key.
    pub ignore_query: Option<Vec<String>>,
    /// As the setting of this name.
    pub stale_while_revalidate: Option<u64>,
    /// As the setting of this name; `Some(None)` is no limit of the operator's.
    pub stale_if_error: Option<Option<u64>>,
    /// True when what cookies came or went with is for all, as if there were none.
    pub ignore_cookies: Option<bool>,
}

/// The rules, in the order in which they are tried.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules(pub Vec<Rule>);

/// Files named by their digest.
const KEPT: &str = "*/by-hash/* */blobs/sha256:*";

/// Packages, whose names have their version. Most are never changed, some are published anew under the same name.
const VERSIONED: &str = "*.deb *.udeb *.ddeb *.dsc *.rpm *.whl *.crate";

impl Rules {
    /// The rules that hold when the main file has none.
    pub fn built_in() -> Rules {
        let globs = |list: &str| list.split(' ').map(String::from).collect();
        let kept = Rule {
            globs: globs(KEPT),
            freshness: Some(RuleFreshness::Kept),
            ..Rule::default()
        };
        let versioned = Rule {
            globs: globs(VERSIONED),
            freshness: Some(RuleFreshness::Versioned(RuleTtl::VERSIONED)),
            bypass: Some(false),
            store: Some(StoreRule::Standard),
            ignore_query: Some(Vec::new()),
            ignore_cookies: Some(false),
            ..Rule::default()
        };
        Rules(vec![kept, versioned])
    }

    /// The rules as they are about this URI.
    pub fn of<'a, 'u>(&'a self, uri: &'u [u8]) -> RulesOf<'a, 'u> {
        RulesOf {
            rules: &self.0,
            path: &uri[..memchr::memchr(b'?', uri).unwrap_or(uri.len())],
            compared: Cell::new(0),
            matching: Cell::new(0),
        }
    }

    /// The same as [`RulesOf::first`], of this URI.
    pub fn first<'a, T: 'a>(
        &'a self,
        uri: &[u8],
        what: impl Fn(&'a Rule) -> Option<T>,
    ) -> Option<T> {
        self.of(uri).first(what)
    }

    /// True when responses to requests for this URI are neither stored nor reused.
    pub fn bypass(&self, uri: &[u8]) -> bool {
        // Asked for each request: a rule that changes nothing isn't worth a comparison.
        self.0.iter().any(|rule| rule.bypass == Some(true))
            && self.first(uri, |rule| rule.bypass) == Some(true)
    }

    /// What is stored for this URI.
    pub fn store(&self, uri: &[u8]) -> StoreRule {
        // Asked for each request, as above.
        let is_always = |rule: &Rule| matches!(rule.store, Some(StoreRule::Always { .. }));
        match self.0.iter().any(is_always) {
            true => self.first(uri, |rule| rule.store).unwrap_or_default(),
            false => StoreRule::Standard,
        }
    }

    /// The parameters of this URI's query that aren't part of the key, if there may be any.
    pub fn ignored(&self, uri: &[u8]) -> Option<IgnoredParameters<'_>> {
        let mut lists = self.0.iter().filter_map(|rule| rule.ignore_query.as_ref());
        if lists.all(Vec::is_empty) {
            return None;
        }
        let names = self.first(uri, |rule| rule.ignore_query.as_ref())?;
        Some(IgnoredParameters(names)).filter(|_| !names.is_empty())
    }
}

/// The query parameters that aren't part of a key.
#[derive(Debug, Clone, Copy)]
pub struct IgnoredParameters<'a>(&'a [String]);

impl IgnoredParameters<'_> {
    pub fn has(&self, name: &[u8]) -> bool {
        self.0.iter().any(|glob| matches(glob, name))
    }
}

/// Rules about one URI, with which each is compared once at most.
pub struct RulesOf<'a, 'u> {
    rules: &'a [Rule],
    path: &'u [u8],
    /// A bit for each rule, as far as there are bits: it was compared, and matches.
    compared: Cell<u64>,
    matching: Cell<u64>,
}

impl<'a> RulesOf<'a, '_> {
    /// The word on `what` of the first rule that matches and has one. Rules that have none aren't compared with the URI at
    /// all.
    pub fn first<T: 'a>(&self, what: impl Fn(&'a Rule) -> Option<T>) -> Option<T> {
        let mut rules = self.rules.iter().enumerate();
        rules.find_map(|(at, rule)| what(rule).filter(|_| self.is_matching(at, rule)))
    }

    fn is_matching(&self, at: usize, rule: &Rule) -> bool {
        let bit = u32::try_from(at).ok().and_then(|at| 1_u64.checked_shl(at));
        let bit = bit.unwrap_or(0);
        if self.compared.get() & bit != 0 {
            return self.matching.get() & bit != 0;
        }
        let is_matching = rule.globs.iter().any(|glob| matches(glob, self.path));
        self.compared.set(self.compared.get() | bit);
        if is_matching {
            self.matching.set(self.matching.get() | bit);
        }
        is_matching
    }
}

/// True when the whole text matches the glob. Each is compared with every request's URI, which may be long.
fn matches(glob: &str, text: &[u8]) -> bool {
    let glob = glob.as_bytes();
    match memchr::memchr(b'?', glob) {
        None => matches_literally(glob, text),
        Some(_) => matches_each(glob, text),
    }
}

/// The same for a glob without `?`: what is between its stars is found from left to right.
fn matches_literally(glob: &[u8], text: &[u8]) -> bool {
    let mut literals = glob.split(|&byte| byte == b'*');
    let first = literals.next().unwrap_or_default();
    let (Some(mut rest), last) = (text.strip_prefix(first), literals.next_back()) else {
        return false;
    };
    let Some(last) = last else {
        return rest.is_empty();
    };
    // What it ends with is seen at once, and mostly tells.
    let Some(before) = rest.strip_suffix(last) else {
        return false;
    };
    rest = before;
    literals.all(|literal| {
        let found = memchr::memmem::find(rest, literal);
        rest = &rest[found.map_or(0, |at| at + literal.len())..];
        found.is_some()
    })
}

/// The same for any glob, a byte at a time: in at most glob × text steps, whatever they are.
fn matches_each(glob: &[u8], text: &[u8]) -> bool {
    // The bytes of a character in UTF-8 after its first one.
    let goes_on = |at: usize| matches!(text.get(at), Some(0x80..=0xbf));
    let (mut at_glob, mut at_text) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while at_text < text.len() {
        match glob.get(at_glob) {
            Some(b'*') => {
                star = Some((at_glob + 1, at_text));
                at_glob += 1;
            }
            Some(b'?') => {
                at_glob += 1;
                at_text += 1;
                while text[at_text - 1] >= 0x80 && goes_on(at_text) {
                    at_text += 1;
                }
            }
            Some(&wanted) if wanted == text[at_text] => {
                at_glob += 1;
                at_text += 1;
            }
            _ => {
                let Some((after_star, taken)) = star else {
                    return false;
                };
                star = Some((after_star, taken + 1));
                (at_glob, at_text) = (after_star, taken + 1);
            }
        }
    }
    glob[at_glob..].iter().all(|&left| left == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_match_whole_texts() {
        let table = [
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*.deb", "http://h/p/a_1.deb", true),
            ("*.deb", "http://h/p/a_1.deb.asc", false),
            ("*/by-hash/*", "http://h/dists/x/by-hash/SHA256/ab", true),
            ("http://*.example/*.iso", "http://cd.example/d/x.iso", true),
            ("http://*.example/*.iso", "http://example/d/x.iso", false),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
            ("a**b", "ab", true),
            // Characters in UTF-8 are one each, and are themselves.
            ("a?c", "aäc", true),
            ("a??c", "aäc", false),
            ("*??", "ä", false),
            ("?ä*", "語ä😀", true),
            ("a%C3%A4c", "aäc", false),
        ];
        for (glob, text, expected) in table {
            assert_eq!(matches(glob, text.as_bytes()), expected, "{glob} {text}");
            let each = matches_each(glob.as_bytes(), text.as_bytes());
            assert_eq!(each, expected, "{glob} {text}");
        }
        assert!(matches("a?b*", b"a\xe4b\xff"));
    }

    /// All short globs without `?`, on all short texts.
    #[test]
    fn literals_are_found_as_bytes_are_compared() {
        let words = |letters: &[u8], most: u32| -> Vec<String> {
            let count = letters.len();
            let word = |length: u32, number: usize| -> String {
                let digits = (0..length).map(|at| number / count.pow(at) % count);
                digits.map(|digit| char::from(letters[digit])).collect()
            };
            let of_length = |length| (0..count.pow(length)).map(move |number| (length, number));
            let all = (0..=most).flat_map(of_length);
            all.map(|(length, number)| word(length, number)).collect()
        };
        for glob in words(b"ab*", 5) {
            for text in words(b"ab", 5) {
                let (glob, text) = (glob.as_bytes(), text.as_bytes());
                let literally = matches_literally(glob, text);
                assert_eq!(literally, matches_each(glob, text), "{glob:?} {text:?}");
            }
        }
    }

    #[test]
    fn hostile_texts_take_bounded_steps() {
        let text = "a".repeat(8 << 10);
        assert!(!matches("*a*a*a*a*a*a*a*a*b", text.as_bytes()));
    }

    #[test]
    fn the_first_matching_rule_counts_and_the_query_does_not() {
        let says = |seconds| {
            RuleFreshness::Ttl(RuleTtl {
                seconds,
                force: false,
            })
        };
        let rule = |glob: &str, seconds| Rule {
            globs: vec![glob.to_string()],
            freshness: Some(says(seconds)),
            ..Rule::default()
        };
        let rules = Rules(vec![rule("http://a/*", 1), rule("*.deb", 2)]);
        let table = [
            ("http://a/x.deb", Some(1)),
            ("http://b/x.deb", Some(2)),
            ("http://b/x.deb?mirror=1", Some(2)),
            ("http://b/x?name=y.deb", None),
        ];
        for (uri, expected) in table {
            assert_eq!(
                rules.first(uri.as_bytes(), |rule| rule.freshness),
                expected.map(says),
                "{uri}"
            );
        }
    }

    #[test]
    fn a_rule_leaves_what_it_does_not_speak_of_to_the_next() {
        let rule = |glob: &str| Rule {
            globs: vec![glob.to_string()],
            ..Rule::default()
        };
        let rules = Rules(vec![
            Rule {
                bypass: Some(false),
                ..rule("http://a/keep/*")
            },
            Rule {
                ignore_query: Some(vec!["utm_*".into(), "ref".into()]),
                ..rule("http://a/*")
            },
            Rule {
                bypass: Some(true),
                ignore_query: Some(vec!["*".into()]),
                ..rule("http://?/*")
            },
        ]);
        let table = [
            (
                "http://a/x?utm_source=1",
                true,
                ["utm_source"].as_slice(),
                ["q", "refs"].as_slice(),
            ),
            ("http://a/keep/x", false, &["ref", "utm_"], &["REF"]),
            ("http://b/x", true, &["anything", ""], &[]),
            ("http://long/x", false, &[], &["ref"]),
        ];
        for (uri, bypass, ignored, kept) in table {
            let names = rules.ignored(uri.as_bytes());
            assert_eq!(rules.bypass(uri.as_bytes()), bypass, "{uri}");
            let has = |name: &&str| names.is_some_and(|names| names.has(name.as_bytes()));
            assert!(ignored.iter().all(has), "{uri}");
            assert!(!kept.iter().any(has), "{uri}");
        }
    }
}

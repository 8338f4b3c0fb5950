//! Rules: freshness lifetimes by patterns of the target URI. The first rule that matches counts.
//!
//! Patterns are globs over the whole URI without its query: `*` is any characters, `?` is one.
//! What a lifetime then means for a response is decided in `cache`.

use super::settings::Ttl;

/// The freshness policy for one URI.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PolicyOf {
    /// For responses that say nothing of their own freshness.
    pub ttl: Ttl,
    /// The longest lifetime of any response, in seconds.
    pub max_ttl: Option<u64>,
    /// What the first rule that matches says.
    pub rule: Option<RuleTtl>,
}

/// What a rule says of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RuleTtl {
    /// The freshness lifetime.
    pub seconds: u64,
    /// Whether it overrides what the origin server says of freshness.
    pub force: bool,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Globs; one that matches is enough.
    pub globs: Vec<String>,
    /// What it says.
    pub says: RuleTtl,
}

/// The rules, in the order in which they are tried.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules(pub Vec<Rule>);

/// Files that don't change under their name: packages, and files named by their digest. The rule only
/// speaks where the origin server doesn't: some do publish a "latest.deb", and then say how long it holds.
const NEVER_CHANGING: [&str; 8] = [
    "*.deb",
    "*.udeb",
    "*.ddeb",
    "*.dsc",
    "*/by-hash/*",
    "*.rpm",
    "*.whl",
    "*.crate",
];

impl Rules {
    /// The rules that hold when the main file has none.
    pub fn built_in() -> Rules {
        Rules(vec![Rule {
            globs: NEVER_CHANGING.map(String::from).to_vec(),
            says: RuleTtl {
                seconds: 30 * 24 * 60 * 60,
                force: false,
            },
        }])
    }

    /// What the first rule that matches this URI says.
    pub fn first_match(&self, uri: &str) -> Option<RuleTtl> {
        let path = uri.split_once('?').map_or(uri, |(path, _query)| path);
        let matching = |rule: &&Rule| rule.globs.iter().any(|glob| matches(glob, path));
        self.0.iter().find(matching).map(|rule| rule.says)
    }
}

/// Whether the whole text matches the glob. Takes at most glob × text steps, whatever they are.
fn matches(glob: &str, text: &str) -> bool {
    let (glob, text) = (glob.as_bytes(), text.as_bytes());
    let (mut at_glob, mut at_text) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while at_text < text.len() {
        match glob.get(at_glob) {
            Some(b'*') => {
                star = Some((at_glob + 1, at_text));
                at_glob += 1;
            }
            Some(&wanted) if wanted == b'?' || wanted == text[at_text] => {
                at_glob += 1;
                at_text += 1;
            }
            _ => match star {
                Some((after_star, taken)) => {
                    star = Some((after_star, taken + 1));
                    at_glob = after_star;
                    at_text = taken + 1;
                }
                None => return false,
            },
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
        ];
        for (glob, text, expected) in table {
            assert_eq!(matches(glob, text), expected, "{glob} {text}");
        }
    }

    #[test]
    fn hostile_texts_take_bounded_steps() {
        let text = "a".repeat(8 << 10);
        assert!(!matches("*a*a*a*a*a*a*a*a*b", &text));
    }

    #[test]
    fn the_first_matching_rule_counts_and_the_query_does_not() {
        let says = |seconds| RuleTtl {
            seconds,
            force: false,
        };
        let rule = |glob: &str, seconds| Rule {
            globs: vec![glob.to_string()],
            says: says(seconds),
        };
        let rules = Rules(vec![rule("http://a/*", 1), rule("*.deb", 2)]);
        let table = [
            ("http://a/x.deb", Some(1)),
            ("http://b/x.deb", Some(2)),
            ("http://b/x.deb?mirror=1", Some(2)),
            ("http://b/x?name=y.deb", None),
        ];
        for (uri, expected) in table {
            assert_eq!(rules.first_match(uri), expected.map(says), "{uri}");
        }
    }
}

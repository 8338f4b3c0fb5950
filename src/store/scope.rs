//! The part of a store that a command means: everything, or what is stored of hosts and below URLs. Pure.
//!
//! Texts of keys begin with the method and the URI, so that a scope is a few *beginnings* of texts, which a store that keeps
//! its keys in order finds as ranges. The whole key decides.

use crate::cache::key::{Key, METHODS};
use crate::http::target::{Scheme, Uri};

/// The stored responses that a command means.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub enum Scope {
    Everything,
    /// Those of any of these hosts, and those whose URIs begin with one of these.
    Of {
        hosts: Vec<HostFilter>,
        prefixes: Vec<Uri>,
    },
}

impl Scope {
    /// True when it has what is stored under this key.
    pub fn has(&self, key: &Key) -> bool {
        let Scope::Of { hosts, prefixes } = self else {
            return true;
        };
        let Some(uri) = key.uri() else {
            return false;
        };
        let mut prefixes = prefixes.iter();
        prefixes.any(|prefix| uri.starts_with(prefix.as_bytes()))
            || (!hosts.is_empty() && {
                let uri = Uri::parse(&key.text().slice_ref(uri));
                uri.is_ok_and(|uri| hosts.iter().any(|host| host.has(&uri)))
            })
    }

    /// The beginnings of all URIs that it has, in their order; none begins with another.
    pub fn uris(&self) -> Vec<Vec<u8>> {
        let mut uris = match self {
            Scope::Everything => vec![Vec::new()],
            Scope::Of { hosts, prefixes } => {
                let prefixes = prefixes.iter().map(|prefix| prefix.as_bytes().to_vec());
                hosts
                    .iter()
                    .flat_map(HostFilter::uris)
                    .chain(prefixes)
                    .collect()
            }
        };
        uris.sort_unstable();
        uris.dedup_by(|next, before| next.starts_with(before));
        uris
    }

    /// The beginnings of the texts of all keys that it has, in their order.
    pub fn texts(&self) -> Vec<Vec<u8>> {
        let uris = match self {
            Scope::Everything => return self.uris(),
            Scope::Of { .. } => self.uris(),
        };
        let of_method = |method: &'static [u8]| uris.iter().map(move |uri| [method, uri].concat());
        METHODS.into_iter().flat_map(of_method).collect()
    }
}

/// A host, or a host and port.
#[derive(Debug, Clone)]
pub struct HostFilter {
    host: String,
    /// Of https URIs alone.
    https: bool,
}

impl HostFilter {
    /// Reads `host`, `host:port`, or either of them after `HTTPS///`.
    pub fn parse(text: &str) -> Result<HostFilter, String> {
        let (form, host) = text.rsplit_once("///").unwrap_or(("", text));
        let https = ["https", "http://https"];
        let https = https.iter().any(|it| form.eq_ignore_ascii_case(it));
        let host = host.trim_end_matches('/').to_ascii_lowercase();
        match https || form.is_empty() && host.len() == text.len() {
            true => Ok(HostFilter { host, https }),
            false => Err("expected a host such as mirror.example, or a host:port".to_owned()),
        }
    }

    /// True for a URI of this host.
    pub fn has(&self, uri: &Uri) -> bool {
        (uri.host() == self.host || uri.authority() == self.host)
            && (!self.https || uri.scheme() == Scheme::Https)
    }

    /// The beginnings of the URIs of this host, which others may have too.
    fn uris(&self) -> Vec<Vec<u8>> {
        let host = &self.host;
        let schemes: &[&str] = if self.https {
            &["https"]
        } else {
            &["http", "https"]
        };
        let of_scheme = |scheme: &&str| {
            // An IPv6 address may be meant without its brackets.
            let forms = [host.clone(), format!("[{host}]")];
            let ends = |form: String| ["/", ":"].map(|end| format!("{scheme}://{form}{end}"));
            forms
                .into_iter()
                .flat_map(ends)
                .map(String::into_bytes)
                .collect::<Vec<_>>()
        };
        schemes.iter().flat_map(of_scheme).collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn uri(text: &str) -> Uri {
        Uri::parse(&Bytes::from(text.to_owned())).unwrap()
    }

    /// Scopes, each of hosts (and of prefixes, which begin with `http`).
    fn scope(words: &str) -> Scope {
        let (prefixes, hosts): (Vec<&str>, Vec<&str>) =
            words.split(' ').partition(|word| word.starts_with("http"));
        Scope::Of {
            hosts: hosts
                .iter()
                .map(|it| HostFilter::parse(it).unwrap())
                .collect(),
            prefixes: prefixes.iter().map(|it| uri(it)).collect(),
        }
    }

    #[test]
    fn keys_of_a_scope_begin_with_its_texts() {
        let long = format!("http://a/{}", "x".repeat(1000));
        let (longer, other) = (
            format!("{long}/y"),
            format!("http://a/{}y", "x".repeat(999)),
        );
        let table = [
            ("a", "http://a/", true),
            ("A", "http://a/x?y", true),
            ("a", "http://a:81/", true),
            ("a", "https://a/", true),
            ("a", "https://a:80/", true),
            ("a", "http://ab/", false),
            ("a", "http://a.b/", false),
            ("a", "http://b/a/", false),
            ("a", "http://b.a/", false),
            ("a", "http://b/http://a/", false),
            ("a:81", "http://a:81/", true),
            ("a:81", "https://a:81/", true),
            ("a:81", "http://a:810/", false),
            ("a:81", "http://a/", false),
            // The scheme's own port isn't named.
            ("a:80", "http://a/", false),
            ("a:80", "https://a:80/", true),
            ("HTTPS///a", "https://a:444/", true),
            ("HTTPS///a", "http://a/", false),
            ("b a", "http://a/", true),
            ("::1", "http://[::1]/", true),
            ("::1", "http://[::1]:81/x", true),
            ("[::1]", "http://[::1]/x", true),
            ("[::1]:81", "http://[::1]:81/x", true),
            ("[::1]:81", "http://[::1]/x", false),
            ("::1", "http://[::12]/", false),
            ("http://a", "http://a/x", true),
            ("http://a", "http://a:81/x", false),
            ("http://u:p@A:80/x", "http://a/xy", true),
            ("http://a/x", "http://a/X", false),
            ("http://a/x", "https://a/x", false),
            ("http://a/x b", "http://b/", true),
            (&long, &long, true),
            (&long, &longer, true),
            (&longer, &long, false),
            (&long, &other, false),
            ("a", &longer, true),
        ];
        for (words, text, expected) in table {
            let (scope, uri) = (scope(words), uri(text));
            let keys = [Key::of(&uri), Key::of(&uri).part(), Key::of_head(&uri)];
            for key in keys {
                assert_eq!(scope.has(&key), expected, "{words} {key:?}");
                let texts = scope.texts();
                let begins = texts.iter().any(|it| key.text().starts_with(it));
                assert!(begins || !expected, "{words} {key:?}");
                assert!(Scope::Everything.has(&key));
            }
        }
        assert!(!scope("a").has(&Key::new("PUT http://a/")));
    }

    #[test]
    fn texts_are_in_order_and_none_is_in_another() {
        for words in [
            "a b a:81 ::1",
            "http://a/x http://a/ http://a/b a",
            "z HTTPS///z",
        ] {
            let texts = scope(words).texts();
            assert!(texts.is_sorted(), "{words}");
            for pair in texts.windows(2) {
                assert!(!pair[1].starts_with(&pair[0]), "{words}: {pair:?}");
            }
        }
        assert_eq!(Scope::Everything.texts(), [b""]);
        let nothing = Scope::Of {
            hosts: Vec::new(),
            prefixes: Vec::new(),
        };
        assert_eq!(nothing.texts(), [b""; 0]);
    }
}

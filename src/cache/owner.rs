//! Those that a response is stored for where only a rule's `store = "always"` stores it: one client, or all for as long as
//! the rule says `public`. A client is told by where it is and by all fields of its request, but for those that say
//! nothing of who asks; by a secret of this installation, so that nobody can guess from what is stored whose it is.
//!
//! They count as one more selecting field, with a name that no field can have, so that whatever compares variants keeps
//! them apart. The field is added to the request that comes in, and never goes out.

use std::net::IpAddr;

use super::directives::RequestDirectives;
use super::policy::StoreRule;
use crate::http::connection::is_hop_by_hop;
use crate::http::fields::Fields;
use crate::http::syntax::is_one_of;

/// The name of the field: a colon begins no name that can be received.
pub const CLIENT: &str = ":client";

/// Its value where the rule says that all may have it; a client's has more digits.
pub(super) const ALL: &str = "all";

/// The clients that a response is stored for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoredFor {
    All,
    /// Those alone that the request's field [`CLIENT`] names: by the operator's rule, and by no other.
    Named,
}

/// A secret of this installation.
pub type Secret = [u8; 32];

/// The place of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Address(IpAddr),
    /// On a Unix socket: the id of its user.
    User(u32),
}

/// The sender of a request, as far as that is known.
#[derive(Debug, Clone, Copy)]
pub struct Asker<'a> {
    /// What it asks for: nobody is told alike for two URIs.
    pub uri: &'a [u8],
    pub place: Option<Place>,
    pub secret: Option<&'a Secret>,
    pub ignore_cookies: bool,
}

/// Fields that say nothing of who asks. Proxy-Authorization isn't one, though it ends at this hop.
const OF_ANYBODY: &[&str] = &[
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "cache-control",
    "date",
    "dnt",
    "expect",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "max-forwards",
    "origin",
    "pragma",
    "priority",
    "range",
    "referer",
    "save-data",
    "sec-gpc",
    "sec-purpose",
    "traceparent",
    "tracestate",
    "upgrade-insecure-requests",
    "user-agent",
    "via",
    "x-correlation-id",
    "x-request-id",
];
const OF_ANYBODY_BEGIN: &[&[u8]] = &[b"content-", b"sec-ch-", b"sec-fetch-", b"sec-websocket-"];

/// Takes up a rule on what is stored for a request with these fields: the request's no-store is none then. Returns its
/// fields with the one that says for whom the response may be stored; `None` where they stay as they are.
pub fn apply(
    rule: StoreRule,
    directives: &mut RequestDirectives,
    request: &Fields,
    asker: &Asker<'_>,
) -> Option<Fields> {
    let StoreRule::Always { public } = rule else {
        return None;
    };
    directives.no_store = false;
    let value = match public {
        true => ALL.to_owned(),
        false => asker.identity(request)?,
    };
    let ours = (CLIENT.as_bytes(), value.as_bytes());
    Some(request.iter().chain([ours]).collect())
}

impl Asker<'_> {
    /// A text that is the same for this client alone; `None` where it can't be told from others.
    fn identity(&self, request: &Fields) -> Option<String> {
        let mut hasher = blake3::Hasher::new_keyed(self.secret?);
        let mut add = |text: &[u8]| {
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text);
        };
        add(self.uri);
        match self.place? {
            Place::Address(address) => add(format!("address {address}").as_bytes()),
            Place::User(id) => add(format!("user {id}").as_bytes()),
        }
        let lines = request.iter().filter(|(name, _)| self.tells(name));
        let mut lines: Vec<_> = lines
            .map(|(name, value)| (name.to_ascii_lowercase(), value))
            .collect();
        // The order of lines with one name says something, that of names nothing.
        lines.sort_by(|one, other| one.0.cmp(&other.0));
        for (name, value) in lines {
            add(&name);
            add(value);
        }
        Some(hasher.finalize().to_hex().to_string())
    }

    /// True for the name of a field that may tell one client from another.
    fn tells(&self, name: &[u8]) -> bool {
        let begins = |start: &&[u8]| {
            let begun = name.get(..start.len());
            begun.is_some_and(|begun| begun.eq_ignore_ascii_case(start))
        };
        let is_ignored = self.ignore_cookies && is_one_of(name, &["cookie", "cookie2"]);
        let of_anybody = is_ignored
            || is_one_of(name, OF_ANYBODY)
            || is_hop_by_hop(name) && !is_one_of(name, &["proxy-authorization"])
            || OF_ANYBODY_BEGIN.iter().any(begins);
        !of_anybody
    }
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    /// The fields of a request under a rule that stores for one client alone.
    pub fn identified(request: &Fields, uri: &[u8]) -> Fields {
        let asker = Asker {
            uri,
            place: Some(Place::User(1)),
            secret: Some(&[1; 32]),
            ignore_cookies: false,
        };
        let rule = StoreRule::Always { public: false };
        let fields = apply(rule, &mut RequestDirectives::default(), request, &asker);
        fields.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::testing::fields;

    /// The lines of a request, its URI, whence it came, and by which secret it is told.
    #[derive(Debug, Clone, Copy)]
    struct Row {
        lines: &'static [(&'static str, &'static str)],
        uri: &'static str,
        place: Option<Place>,
        secret: Option<&'static Secret>,
    }

    const HOME: Row = Row {
        lines: &[],
        uri: "http://a/",
        place: Some(Place::Address(IpAddr::V4(std::net::Ipv4Addr::new(
            192, 0, 2, 1,
        )))),
        secret: Some(&[1; 32]),
    };

    fn identity(row: &Row, ignore_cookies: bool) -> Option<String> {
        let asker = Asker {
            uri: row.uri.as_bytes(),
            place: row.place,
            secret: row.secret,
            ignore_cookies,
        };
        asker.identity(&fields(row.lines))
    }

    #[test]
    fn one_client_is_told_from_another() {
        let with = |lines| Row { lines, ..HOME };
        let at = |place| Row {
            place: Some(place),
            ..HOME
        };
        let table = [
            HOME,
            at(Place::Address(IpAddr::from([192, 0, 2, 2]))),
            at(Place::User(0)),
            at(Place::User(1000)),
            Row {
                uri: "http://b/",
                ..HOME
            },
            Row {
                secret: Some(&[2; 32]),
                ..HOME
            },
            with(&[("Authorization", "a")]),
            with(&[("Authorization", "b")]),
            with(&[("Authorization", "a"), ("Authorization", "b")]),
            with(&[("Authorization", "b"), ("Authorization", "a")]),
            with(&[("Authorization", "a"), ("Authorization", "cookie")]),
            with(&[("Cookie", "a")]),
            with(&[("Authorization", "a"), ("Cookie", "a")]),
            with(&[("Authorization", "a"), ("Cookie", "")]),
            with(&[("Proxy-Authorization", "a")]),
            with(&[("X-Api-Key", "a")]),
            with(&[("PRIVATE-TOKEN", "a")]),
            with(&[("X-JFrog-Art-Api", "a")]),
            with(&[("X-Forwarded-For", "192.0.2.7")]),
            with(&[("Sec-Token-Binding", "a")]),
        ];
        for (at, one) in table.iter().enumerate() {
            for (other_at, other) in table.iter().enumerate() {
                let same = identity(one, false) == identity(other, false);
                assert_eq!(same, at == other_at, "{one:?} {other:?}");
            }
        }
        for unknown in [
            Row {
                place: None,
                ..HOME
            },
            Row {
                secret: None,
                ..HOME
            },
        ] {
            assert_eq!(identity(&unknown, false), None, "{unknown:?}");
        }
        let cookies = with(&[("Cookie", "a"), ("Cookie2", "$Version=1")]);
        assert_eq!(identity(&HOME, true), identity(&cookies, true));
    }

    #[test]
    fn what_says_nothing_of_who_asks_makes_no_difference() {
        let with = |lines| Row { lines, ..HOME };
        let own = identity(&with(&[("X-A", "1"), ("authorization", "a")]), false);
        let others: &[&[(&str, &str)]] = &[
            &[("Authorization", "a"), ("x-a", "1")],
            &[("X-A", "1"), ("Accept", "b"), ("Authorization", "a")],
            &[
                ("X-A", "1"),
                ("Authorization", "a"),
                ("Connection", "te"),
                ("TE", "trailers"),
            ],
            &[
                ("X-A", "1"),
                ("Authorization", "a"),
                ("If-None-Match", "\"a\""),
                ("Range", "bytes=0-1"),
            ],
            &[
                ("X-A", "1"),
                ("Authorization", "a"),
                ("Sec-Fetch-Mode", "cors"),
                ("Content-Type", "a/b"),
            ],
            &[
                ("X-A", "1"),
                ("Authorization", "a"),
                ("Cache-Control", "no-cache"),
                ("X-Request-ID", "7"),
            ],
        ];
        for lines in others {
            assert_eq!(identity(&with(lines), false), own, "{lines:?}");
        }
    }

    #[test]
    fn rules() {
        let unknown = Asker {
            uri: b"http://a/",
            place: None,
            secret: None,
            ignore_cookies: false,
        };
        let asked = fields(&[("A", "1")]);
        let table = [
            (StoreRule::Standard, true, None),
            (StoreRule::Always { public: false }, false, None),
            (StoreRule::Always { public: true }, false, Some("all")),
        ];
        for (rule, no_store, value) in table {
            let mut directives = RequestDirectives {
                no_store: true,
                ..RequestDirectives::default()
            };
            let applied = apply(rule, &mut directives, &asked, &unknown);
            assert_eq!(directives.no_store, no_store, "{rule:?}");
            let got = applied.as_ref().and_then(|fields| fields.first(CLIENT));
            assert_eq!(got, value.map(str::as_bytes), "{rule:?}");
        }
    }
}

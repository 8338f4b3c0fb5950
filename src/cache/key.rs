//! Cache keys (RFC 9111 §2): the method and target URI as text, and a hash of it that names the place.
//!
//! Two keys are equal when their texts are; the hash only finds candidates.

use bytes::Bytes;

use super::owner::{ALL, CLIENT};
use crate::http::target::Uri;

/// A 128-bit BLAKE3 hash: names files, shared-memory slots and rows.
pub type Hash = [u8; 16];

/// The first 128 bits of the BLAKE3 hash of `text`.
pub fn hash(text: &[u8]) -> Hash {
    let mut short = [0; 16];
    short.copy_from_slice(&blake3::hash(text).as_bytes()[..16]);
    short
}

/// Stands in front of the URI where only a part is stored.
const PART: &[u8] = b"GET-part ";

/// The beginnings of keys' texts, before the URI, in their order.
pub const METHODS: [&[u8]; 3] = [b"GET ", PART, b"HEAD "];

/// A primary cache key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    // Compared first.
    hash: Hash,
    text: Bytes,
}

impl Key {
    /// The key with this text, for example `GET http://deb.example/pool/a.deb`.
    pub fn new(text: impl Into<Bytes>) -> Key {
        let text = text.into();
        let hash = hash(&text);
        Key { hash, text }
    }

    /// The same key in a buffer of its own size.
    pub fn copied(&self) -> Key {
        Key {
            hash: self.hash,
            text: Bytes::copy_from_slice(&self.text),
        }
    }

    /// The key of GET requests for this URI. What is stored under it may answer HEAD too.
    pub fn of(uri: &Uri) -> Key {
        Key::new([b"GET ", &uri.as_bytes()[..]].concat())
    }

    /// The key of what only HEAD requests for this URI may have: a response that came without its
    /// content, because HEAD asked for it.
    pub fn of_head(uri: &Uri) -> Key {
        Key::new([b"HEAD ", &uri.as_bytes()[..]].concat())
    }

    /// The key of a stored part of what has this key, which must never be taken for the whole.
    pub fn part(&self) -> Key {
        let uri = self.text.strip_prefix(b"GET ").unwrap_or(&self.text);
        Key::new([PART, uri].concat())
    }

    /// A hash of what it has in common with the keys of the same URI with another query; `None` without a query.
    pub fn path(&self) -> Option<Hash> {
        let end = memchr::memchr(b'?', &self.text)?;
        Some(hash(&self.text[..=end]))
    }

    pub(crate) fn is_for_part(&self) -> bool {
        self.text.starts_with(PART)
    }

    pub(crate) fn is_for_head(&self) -> bool {
        self.text.starts_with(b"HEAD ")
    }

    /// The URI, where this is a key of ours.
    pub fn uri(&self) -> Option<&[u8]> {
        let mut methods = METHODS.into_iter();
        methods.find_map(|method| self.text.strip_prefix(method))
    }

    /// The whole key, compared before anything stored under the hash is used.
    pub fn text(&self) -> &Bytes {
        &self.text
    }

    /// The hash of the text.
    pub fn hash(&self) -> &Hash {
        &self.hash
    }
}

impl std::hash::Hash for Key {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        state.write(&self.hash);
    }
}

/// The selecting fields of a presented request (RFC 9111 §4.1): their normalised values as text, and
/// its hash. Empty where the response has no `Vary`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Variant {
    text: Bytes,
    hash: Hash,
}

impl Variant {
    /// The variant of a response without `Vary`.
    pub fn none() -> Variant {
        Variant::default()
    }

    /// The variant with this text; [`Variant::none`] when it is empty.
    pub fn new(text: impl Into<Bytes>) -> Variant {
        let text = text.into();
        if text.is_empty() {
            return Variant::none();
        }
        let hash = hash(&text);
        Variant { text, hash }
    }

    /// Names and normalised values, compared whole.
    pub fn text(&self) -> &Bytes {
        &self.text
    }

    /// True for that of a response which only a rule's `store = "always"` stores: see `owner`.
    pub fn is_apart(&self) -> bool {
        self.owner().is_some()
    }

    /// True for that of a response which is stored for one client alone.
    pub fn is_for_client(&self) -> bool {
        self.owner().is_some_and(|owner| owner != ALL.as_bytes())
    }

    fn owner(&self) -> Option<&[u8]> {
        let mut lines = self.text.split(|byte| *byte == b'\n');
        let value = lines.find_map(|line| line.strip_prefix(CLIENT.as_bytes()))?;
        Some(value.strip_prefix(b": ").unwrap_or(value))
    }

    /// The hash of the text; zero for [`Variant::none`].
    pub fn hash(&self) -> &Hash {
        &self.hash
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::hash::{DefaultHasher, Hasher};

    use super::*;

    #[test]
    fn keys_of_uris() {
        let table = [
            ("http://a.example/x?y", "GET http://a.example/x?y"),
            ("HTTP://A.example:80", "GET http://a.example/"),
            ("http://user@a.example/X", "GET http://a.example/X"),
            ("https://a.example:80/", "GET https://a.example:80/"),
        ];
        for (uri, expected) in table {
            let key = Key::of(&Uri::parse(&Bytes::from(uri)).unwrap());
            assert_eq!(key.text(), expected);
            assert_eq!(key, Key::new(expected));
        }
    }

    #[test]
    fn keys_of_parts() {
        let uri = Uri::parse(&Bytes::from("http://a.example/x")).unwrap();
        let part = Key::of(&uri).part();
        assert_eq!(part.text(), "GET-part http://a.example/x");
        assert!(part.is_for_part());
        for key in [Key::of(&uri), Key::of_head(&uri), part] {
            assert_eq!(key.uri(), Some(uri.as_bytes().as_ref()));
        }
        assert!(!Key::of(&uri).is_for_part() && !Key::of_head(&uri).is_for_part());
    }

    /// They name files and rows: others than these would make a store of before useless.
    #[test]
    fn hashes_are_the_first_half_of_blake3() {
        let key = Key::new("GET http://a.example/");
        let whole = blake3::hash(b"GET http://a.example/");
        assert_eq!(key.hash()[..], whole.as_bytes()[..16]);
        let variant = Variant::new("accept-language: de\n");
        assert_eq!(*variant.hash(), hash(b"accept-language: de\n"));
        assert_eq!(Variant::new("").hash(), &[0; 16]);
        assert_eq!(Variant::none().text(), "");
        let hash = |key: &Key| {
            let mut hasher = DefaultHasher::new();
            std::hash::Hash::hash(key, &mut hasher);
            hasher.finish()
        };
        assert_eq!(hash(&key), hash(&key.clone()));
        assert_ne!(hash(&key), hash(&Key::new("GET http://b.example/")));
    }

    #[test]
    fn paths_of_keys() {
        let path = |text| Key::new(text).path();
        assert_eq!(path("GET http://a.example/x"), None);
        let one = path("GET http://a.example/x?1");
        assert!(one.is_some());
        assert_eq!(one, path("GET http://a.example/x?2?3"));
        for other in ["GET http://a.example/y?1", "HEAD http://a.example/x?1"] {
            assert_ne!(one, path(other), "{other}");
        }
    }

    #[test]
    fn keys_are_compared_whole() {
        let one = Key::new("one");
        let other = Key {
            text: Bytes::from("other"),
            hash: *one.hash(),
        };
        assert_ne!(one, other);
    }
}

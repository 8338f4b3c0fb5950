//! Targeted fields (RFC 9213): those that the operator has this cache obey in place of Cache-Control and Expires, wherever a
//! response has one. They are Dictionaries (RFC 8941 §3.2) of directives.
//!
//! What the directives mean is said in `response`. Nothing is left out of what is stored or sent on.

use std::borrow::Cow;
use std::convert::Infallible;
use std::sync::Arc;

use sfv::visitor::{DictionaryVisitor, EntryVisitor, Ignored, InnerListVisitor, ItemVisitor};
use sfv::{BareItemFromInput, KeyRef, Parser, Version};

use super::{Argument, Directive, FOREVER};
use crate::http::fields::Fields;

/// The names of the targeted fields that this cache obeys, the most applicable first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TargetList(Option<Arc<[String]>>);

impl TargetList {
    /// The list by which only Cache-Control and Expires count.
    pub const NONE: TargetList = TargetList(None);

    /// The list of these names, which are tokens.
    pub fn new(names: Vec<String>) -> TargetList {
        TargetList((!names.is_empty()).then(|| names.into()))
    }

    /// The names, in their order.
    pub fn names(&self) -> &[String] {
        self.0.as_deref().unwrap_or_default()
    }

    /// True for the name of a field that may say how a response is cached: Cache-Control or one of these.
    pub fn governs(&self, name: &[u8]) -> bool {
        let is_name = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        is_name("cache-control") || self.names().iter().any(|known| is_name(known))
    }
}

/// The directives in the first field of the list that a response has and that is valid and not empty (RFC 9213 §2.2).
pub(super) fn targeted<'a>(fields: &'a Fields, targets: &TargetList) -> Option<Vec<Directive<'a>>> {
    let mut names = targets.names().iter();
    names.find_map(|name| {
        let mut dictionary = Dictionary::default();
        let is_named = |(other, _): &(&[u8], _)| other.eq_ignore_ascii_case(name.as_bytes());
        for (_, line) in fields.iter().filter(is_named) {
            // An empty line beside others leaves a comma at an end, which isn't valid.
            let parser = Parser::new(line).with_version(Version::Rfc8941);
            let is_valid = parser.parse_dictionary_with_visitor(&mut dictionary);
            is_valid.ok().filter(|()| !line.is_empty())?;
        }
        (!dictionary.is_empty).then_some(dictionary.known)
    })
}

/// The type that a directive's value has, beside a Boolean.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// None: it is there or it isn't.
    Flag,
    Seconds,
    /// A String of field names.
    Names,
}

/// The directives that mean something here.
const KNOWN: [(&str, Kind); 12] = [
    ("immutable", Kind::Flag),
    ("max-age", Kind::Seconds),
    ("must-revalidate", Kind::Flag),
    ("must-understand", Kind::Flag),
    ("no-cache", Kind::Names),
    ("no-store", Kind::Flag),
    ("private", Kind::Names),
    ("proxy-revalidate", Kind::Flag),
    ("public", Kind::Flag),
    ("s-maxage", Kind::Seconds),
    ("stale-if-error", Kind::Seconds),
    ("stale-while-revalidate", Kind::Seconds),
];

/// The members of a Dictionary, of all its lines. Where a key is there twice the last one counts.
struct Dictionary<'a> {
    is_empty: bool,
    known: Vec<Directive<'a>>,
}

impl Default for Dictionary<'_> {
    fn default() -> Self {
        let known = Vec::with_capacity(KNOWN.len());
        Dictionary {
            is_empty: true,
            known,
        }
    }
}

impl<'a> DictionaryVisitor<'a> for &mut Dictionary<'a> {
    type Out = ();
    type Error = Infallible;

    fn entry(&mut self, key: &'a KeyRef) -> Result<impl EntryVisitor<'a>, Infallible> {
        self.is_empty = false;
        let name = key.as_str();
        let known = KNOWN.iter().find(|(known, _)| *known == name);
        Ok(known.map(|(_, kind)| {
            self.known.retain(|directive| !directive.is(name));
            let (name, kind) = (name.as_bytes(), *kind);
            Member {
                name,
                kind,
                known: &mut self.known,
            }
        }))
    }

    fn finish(self) -> Result<(), Infallible> {
        Ok(())
    }
}

/// A member whose value is being read.
struct Member<'a, 'd> {
    name: &'a [u8],
    kind: Kind,
    known: &'d mut Vec<Directive<'a>>,
}

impl<'a> Member<'a, '_> {
    fn push(self, argument: Argument<'a>) {
        let name = self.name;
        self.known.push(Directive { name, argument });
    }
}

impl<'a> EntryVisitor<'a> for Member<'a, '_> {
    type Error = Infallible;

    fn item(self) -> Result<impl ItemVisitor<'a>, Infallible> {
        Ok(|item: BareItemFromInput<'a>| {
            match (self.kind, item) {
                (_, BareItemFromInput::Boolean(true)) => self.push(Argument::None),
                (_, BareItemFromInput::Boolean(false)) => {}
                (Kind::Seconds, BareItemFromInput::Integer(seconds)) => {
                    self.push(match u64::try_from(i64::from(seconds)) {
                        Ok(seconds) => Argument::Seconds(seconds.min(FOREVER)),
                        Err(_) => Argument::Malformed,
                    });
                }
                // One with an escape has no list of names in it.
                (Kind::Names, BareItemFromInput::String(Cow::Borrowed(names))) => {
                    self.push(Argument::Text(names.as_str().as_bytes()));
                }
                _ => self.push(Argument::Malformed),
            }
            // Parameters say nothing.
            Ok::<_, Infallible>(Ignored)
        })
    }

    fn inner_list(self) -> Result<impl InnerListVisitor<'a>, Infallible> {
        self.push(Argument::Malformed);
        Ok(Ignored)
    }
}

#[cfg(test)]
mod tests;

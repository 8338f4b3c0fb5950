//! The list of a key's variants: by which selecting fields they are told, and which there are, most recent first.
//!
//! One entry is that of a response without `Vary`. Responses that are kept apart (`cache::owner`) and those that aren't
//! don't take each other's place, neither when they are stored nor when there are too many. A key whose only response is
//! one without `Vary` needs no list. It is replaced whole; the bounds on it bound the variants of a key.

use bytes::{Buf, BufMut, Bytes};

use super::text::{put, take};
use crate::cache::key::{Hash, Key, Variant};
use crate::cache::owner::CLIENT;
use crate::cache::vary;
use crate::http::fields::Fields;
use crate::http::syntax::is_token;
use crate::store::checksum::Checksum;

/// The most variants of one key that are kept apart, and the most that aren't.
pub const MOST_VARIANTS: usize = 32;

/// The most parts of one variant: storing another removes the shortest of the others.
pub const MOST_PARTS: usize = 64;

/// The most bytes that a list may take.
pub const MOST_BYTES: usize = 256 << 10;

const MAGIC: &[u8; 8] = b"cp-list4";
const HEADER: usize = 24;
const NO_VARIANT: Hash = [0; 16];

/// The variants of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VariantList {
    /// The key's text.
    pub key: Bytes,
    /// The distinct sets of selecting field names. That of a response without `Vary` is empty.
    sets: Vec<Vec<String>>,
    /// Most recent first.
    entries: Vec<ListEntry>,
}

/// A variant in the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct ListEntry {
    /// The number of its set.
    set: u8,
    /// Zero for a response without `Vary`.
    variant: Hash,
}

impl VariantList {
    /// Reads the list of this key; None where it doesn't check or is another's.
    pub fn decode_of(bytes: &[u8], key: &Key) -> Option<VariantList> {
        let list = VariantList::decode(&Bytes::copy_from_slice(bytes));
        list.filter(|list| list.key == *key.text())
    }

    /// The list of a key that has no variants yet.
    pub fn new(key: Bytes) -> VariantList {
        let (sets, entries) = (Vec::new(), Vec::new());
        VariantList { key, sets, entries }
    }

    /// The list of a key that needs none: its one response is without `Vary`.
    pub fn of_plain(key: Bytes) -> VariantList {
        let mut list = VariantList::new(key);
        list.add(Vec::new(), NO_VARIANT, |_| 0);
        list
    }

    /// The variants whose place one takes that is told by fields with these names: itself; and of all that aren't kept
    /// apart, a response without `Vary` that of the others, and they its.
    pub fn displaced(&self, names: &[String], variant: &Hash) -> Vec<Hash> {
        let goes = |entry: &&ListEntry| {
            let others = &self.sets[usize::from(entry.set)];
            let is_of_all = !is_apart(names) && !is_apart(others);
            entry.variant == *variant || is_of_all && (names.is_empty() || others.is_empty())
        };
        let gone = self.entries.iter().filter(goes);
        gone.map(|entry| entry.variant).collect()
    }

    /// The variants that `request` selects: first those that are this client's alone, then the most recent ones.
    pub fn selected(&self, request: &Fields) -> Vec<Variant> {
        let fields = vary::SelectingFields::of(request);
        let of_sets = self.sets.iter().map(|names| fields.variant(names));
        let of_sets: Vec<_> = of_sets.collect();
        let selected = self.entries.iter().filter_map(|entry| {
            let variant = of_sets.get(usize::from(entry.set))?;
            (*variant.hash() == entry.variant).then(|| variant.clone())
        });
        let (mut own, others): (Vec<_>, Vec<_>) = selected.partition(Variant::is_for_client);
        own.extend(others);
        own
    }

    /// The hashes of all variants; zero for a response without `Vary`.
    pub fn variants(&self) -> impl Iterator<Item = &Hash> {
        self.entries.iter().map(|entry| &entry.variant)
    }

    /// True when it says nothing: no variant is left, or only a response without `Vary`.
    pub fn is_needless(&self) -> bool {
        self.variants().all(|variant| *variant == NO_VARIANT)
    }

    /// Puts a variant first, told by fields with these names: none for a response without `Vary`. Returns the others whose
    /// place it takes (see [`VariantList::displaced`]), and those that have no room any more: those that answered least often, by `hits`, the oldest first, so that many that nobody asks for again
    /// don't take the place of those that are of use.
    pub fn add(
        &mut self,
        names: Vec<String>,
        variant: Hash,
        hits: impl Fn(&Hash) -> u32,
    ) -> Vec<Hash> {
        let is_apart = is_apart(&names);
        let mut dropped = self.displaced(&names, &variant);
        self.entries
            .retain(|entry| !dropped.contains(&entry.variant));
        dropped.retain(|other| *other != variant);
        while self.alike(is_apart).count() >= MOST_VARIANTS {
            let oldest_first = self.alike(is_apart).rev();
            let least = oldest_first.min_by_key(|at| hits(&self.entries[*at].variant));
            dropped.extend(least.map(|at| self.entries.remove(at).variant));
        }
        self.drop_unused_sets();
        let set = self.sets.iter().position(|set| *set == names);
        let set = set.unwrap_or_else(|| {
            self.sets.push(names);
            self.sets.len() - 1
        });
        // There are never more sets than variants.
        let set = set as u8;
        self.entries.insert(0, ListEntry { set, variant });
        // Long names of many sets: of its own kind the oldest goes first.
        while self.size() > MOST_BYTES && self.entries.len() > 1 {
            let oldest = self.alike(is_apart).next_back().filter(|at| *at > 0);
            let oldest = oldest.unwrap_or(self.entries.len() - 1);
            dropped.push(self.entries.remove(oldest).variant);
            self.drop_unused_sets();
        }
        dropped
    }

    /// The places of those that are kept apart, or of those that aren't.
    fn alike(&self, apart: bool) -> impl DoubleEndedIterator<Item = usize> + '_ {
        let is_alike =
            move |entry: &ListEntry| is_apart(&self.sets[usize::from(entry.set)]) == apart;
        let places = self.entries.iter().enumerate();
        places
            .filter(move |(_, entry)| is_alike(entry))
            .map(|(at, _)| at)
    }

    /// Takes a variant out; false when it was not there.
    pub fn remove(&mut self, variant: &Hash) -> bool {
        let before = self.entries.len();
        self.entries.retain(|entry| entry.variant != *variant);
        self.drop_unused_sets();
        self.entries.len() < before
    }

    /// True when this variant is the first already, with these names.
    pub fn is_first(&self, names: &[String], variant: &Hash) -> bool {
        let first = self.entries.first();
        first.is_some_and(|first| {
            first.variant == *variant && self.sets[usize::from(first.set)] == names
        })
    }

    fn drop_unused_sets(&mut self) {
        let mut sets: Vec<Vec<String>> = Vec::new();
        for entry in &mut self.entries {
            let names = &self.sets[usize::from(entry.set)];
            let place = sets.iter().position(|other| other == names);
            entry.set = place.unwrap_or_else(|| {
                sets.push(names.clone());
                sets.len() - 1
            }) as u8;
        }
        self.sets = sets;
    }

    /// The bytes that it is as a value.
    fn size(&self) -> usize {
        let name = |name: &String| 4 + name.len();
        let set = |set: &Vec<String>| 1 + set.iter().map(name).sum::<usize>();
        let sets: usize = self.sets.iter().map(set).sum();
        HEADER + 4 + self.key.len() + 1 + sets + 1 + self.entries.len() * 17
    }

    /// The list as bytes; None when it would be too long.
    pub fn encode(&self) -> Option<Vec<u8>> {
        if self.size() > MOST_BYTES {
            return None;
        }
        let mut out = Vec::with_capacity(self.size());
        out.extend_from_slice(MAGIC);
        out.put_bytes(0, HEADER - MAGIC.len());
        put(&mut out, &self.key);
        out.put_u8(self.sets.len() as u8);
        for set in &self.sets {
            out.put_u8(set.len() as u8);
            set.iter().for_each(|name| put(&mut out, name.as_bytes()));
        }
        out.put_u8(self.entries.len() as u8);
        for entry in &self.entries {
            out.put_u8(entry.set);
            out.extend_from_slice(&entry.variant);
        }
        let checksum = Checksum::of(&out[HEADER..]).to_le_bytes();
        out[MAGIC.len()..HEADER].copy_from_slice(&checksum);
        Some(out)
    }

    /// The list that these bytes are; None when they don't check.
    pub fn decode(bytes: &Bytes) -> Option<VariantList> {
        let rest = bytes.strip_prefix(MAGIC)?;
        let mut body = bytes.slice(HEADER.min(bytes.len())..);
        let checksum = rest.first_chunk()?;
        if u128::from_le_bytes(*checksum) != Checksum::of(&body) {
            return None;
        }
        let key = take(&mut body)?;
        let mut sets = Vec::new();
        for _ in 0..body.try_get_u8().ok()? {
            sets.push(take_names(&mut body)?);
        }
        let mut entries = Vec::new();
        for _ in 0..body.try_get_u8().ok()? {
            let set = body.try_get_u8().ok()?;
            let variant = body.try_get_u128_le().ok()?.to_le_bytes();
            let names: &Vec<String> = sets.get(usize::from(set))?;
            if names.is_empty() != (variant == NO_VARIANT) {
                return None;
            }
            entries.push(ListEntry { set, variant });
        }
        let list = VariantList { key, sets, entries };
        let count = |apart| list.alike(apart).count();
        let fits = [true, false]
            .into_iter()
            .all(|apart| count(apart) <= MOST_VARIANTS);
        (body.is_empty() && fits && list.sets.len() <= list.entries.len()).then_some(list)
    }
}

fn take_names(body: &mut Bytes) -> Option<Vec<String>> {
    let count = body.try_get_u8().ok()?;
    let name = |_| {
        let name = take(body).filter(|name| is_token(name) || *name == CLIENT)?;
        String::from_utf8(name.to_vec()).ok()
    };
    (0..count).map(name).collect()
}

/// True for the names by which what is kept apart is told.
fn is_apart(names: &[String]) -> bool {
    names.iter().any(|name| name == CLIENT)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

//! The index of a key whose responses have `Vary`: which selecting fields there are, and which variants, most
//! recent first.
//!
//! It stands under the key's own name and is replaced whole. The bounds on it bound the variants of a key.

use bytes::{Buf, BufMut, Bytes};

use super::text::{put, take};
use crate::cache::key::{Hash, Variant};
use crate::cache::owner::CLIENT;
use crate::cache::vary;
use crate::http::fields::Fields;
use crate::http::syntax::is_token;
use crate::store::checksum::Checksum;

/// The most variants of one key.
pub const MOST_VARIANTS: usize = 32;

/// The most bytes that an index may take.
pub const MOST_BYTES: u64 = 256 << 10;

const MAGIC: &[u8; 8] = b"cp-index";
const VERSION: u32 = 1;
const HEADER: usize = 28;

/// The variants of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    /// The key's text.
    pub key: Bytes,
    /// The distinct sets of selecting field names.
    sets: Vec<Vec<String>>,
    /// The number of its set, and the hash of each variant; most recent first.
    variants: Vec<(u8, Hash)>,
}

impl Index {
    /// The index of a key that has no variants yet.
    pub fn new(key: Bytes) -> Index {
        let (sets, variants) = (Vec::new(), Vec::new());
        Index {
            key,
            sets,
            variants,
        }
    }

    /// The hashes of the variants that `request` selects, most recent first.
    pub fn selected(&self, request: &Fields) -> Vec<Variant> {
        let fields = vary::SelectingFields::of(request);
        let of_sets = self.sets.iter().map(|names| fields.variant(names));
        let of_sets: Vec<_> = of_sets.collect();
        let selected = self.variants.iter().filter_map(|(set, hash)| {
            let variant = &of_sets[usize::from(*set)];
            (variant.hash() == hash).then(|| variant.clone())
        });
        selected.collect()
    }

    /// The hashes of all variants.
    pub fn variants(&self) -> impl Iterator<Item = &Hash> {
        self.variants.iter().map(|(_, hash)| hash)
    }

    /// True when no variant is left.
    pub fn is_empty(&self) -> bool {
        self.variants.is_empty()
    }

    /// Puts a variant first and returns those that have no room any more: those that answered least often, by `hits`,
    /// the oldest first. So many that nobody asks for again don't take the place of those that are of use.
    pub fn add(
        &mut self,
        names: Vec<String>,
        variant: Hash,
        hits: impl Fn(&Hash) -> u32,
    ) -> Vec<Hash> {
        self.variants.retain(|(_, hash)| *hash != variant);
        let mut dropped = Vec::new();
        while self.variants.len() >= MOST_VARIANTS {
            let oldest_first = self.variants.iter().enumerate().rev();
            let least = oldest_first.min_by_key(|(_, (_, hash))| hits(hash));
            let least = least.map_or(0, |(place, _)| place);
            dropped.push(self.variants.remove(least).1);
        }
        self.drop_unused_sets();
        let set = self.sets.iter().position(|set| *set == names);
        let set = set.unwrap_or_else(|| {
            self.sets.push(names);
            self.sets.len() - 1
        });
        // There are never more sets than variants.
        self.variants.insert(0, (set as u8, variant));
        // Long names of many sets.
        while self.size() > MOST_BYTES && self.variants.len() > 1 {
            dropped.extend(self.variants.pop().map(|(_, hash)| hash));
            self.drop_unused_sets();
        }
        dropped
    }

    /// The bytes that it takes as a file.
    fn size(&self) -> u64 {
        let name = |name: &String| 4 + name.len();
        let set = |set: &Vec<String>| 1 + set.iter().map(name).sum::<usize>();
        let sets: usize = self.sets.iter().map(set).sum();
        (HEADER + 4 + self.key.len() + 1 + sets + 1 + self.variants.len() * 17) as u64
    }

    /// Takes a variant out; false when it was not there.
    pub fn remove(&mut self, variant: &Hash) -> bool {
        let before = self.variants.len();
        self.variants.retain(|(_, hash)| hash != variant);
        self.drop_unused_sets();
        self.variants.len() < before
    }

    /// True when this variant is the first already, with these names.
    pub fn is_first(&self, names: &[String], variant: &Hash) -> bool {
        self.variants
            .first()
            .is_some_and(|(set, hash)| hash == variant && self.sets[usize::from(*set)] == names)
    }

    fn drop_unused_sets(&mut self) {
        let mut sets: Vec<Vec<String>> = Vec::new();
        for (set, _) in &mut self.variants {
            let names = &self.sets[usize::from(*set)];
            let place = sets.iter().position(|other| other == names);
            *set = place.unwrap_or_else(|| {
                sets.push(names.clone());
                sets.len() - 1
            }) as u8;
        }
        self.sets = sets;
    }

    /// The index as a file; None when it would be too long.
    pub fn encode(&self) -> Option<Vec<u8>> {
        let mut body = Vec::new();
        put(&mut body, &self.key);
        body.put_u8(self.sets.len() as u8);
        for set in &self.sets {
            body.put_u8(set.len() as u8);
            set.iter().for_each(|name| put(&mut body, name.as_bytes()));
        }
        body.put_u8(self.variants.len() as u8);
        for (set, hash) in &self.variants {
            body.put_u8(*set);
            body.extend_from_slice(hash);
        }
        let mut file = Vec::with_capacity(HEADER + body.len());
        file.extend_from_slice(MAGIC);
        file.extend_from_slice(&VERSION.to_le_bytes());
        file.extend_from_slice(&Checksum::of(&body).to_le_bytes());
        file.extend_from_slice(&body);
        (file.len() as u64 <= MOST_BYTES).then_some(file)
    }

    /// The index in a file; None when it does not check.
    pub fn decode(mut file: Bytes) -> Option<Index> {
        if !is_index(&file) {
            return None;
        }
        file.advance(MAGIC.len());
        let version = file.try_get_u32_le().ok()?;
        let checksum = file.try_get_u128_le().ok()?;
        if version != VERSION || checksum != Checksum::of(&file) {
            return None;
        }
        let key = take(&mut file)?;
        let mut sets = Vec::new();
        for _ in 0..file.try_get_u8().ok()? {
            let count = file.try_get_u8().ok()?;
            let name = |name: Bytes| String::from_utf8(name.to_vec()).ok();
            let names = (0..count).map(|_| {
                take(&mut file)
                    .filter(|it| is_token(it) || *it == CLIENT)
                    .and_then(name)
            });
            sets.push(names.collect::<Option<Vec<_>>>()?);
        }
        let mut variants = Vec::new();
        for _ in 0..file.try_get_u8().ok()? {
            let set = file.try_get_u8().ok()?;
            let hash = file.try_get_u128_le().ok()?.to_le_bytes();
            sets.get(usize::from(set))?;
            variants.push((set, hash));
        }
        let fits = variants.len() <= MOST_VARIANTS && sets.len() <= variants.len();
        (file.is_empty() && fits).then_some(Index {
            key,
            sets,
            variants,
        })
    }
}

/// True when a file that begins so is an index.
pub fn is_index(beginning: &[u8]) -> bool {
    beginning.starts_with(MAGIC)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(ToString::to_string).collect()
    }

    fn request(value: &str) -> Fields {
        [(&b"a"[..], value.as_bytes())].into_iter().collect()
    }

    fn variant(list: &[&str], value: &str) -> Hash {
        *vary::variant_of(list, &request(value)).hash()
    }

    fn filled() -> Index {
        let mut index = Index::new("GET http://a/".into());
        index.add(names(&["a"]), variant(&["a"], "1"), |_| 0);
        index.add(names(&["a", "b"]), variant(&["a", "b"], "1"), |_| 0);
        index.add(names(&["a"]), variant(&["a"], "2"), |_| 0);
        index
    }

    #[test]
    fn selection_is_most_recent_first() {
        let mut index = filled();
        let selected = |index: &Index, value| -> Vec<Hash> {
            let of = index.selected(&request(value));
            of.iter().map(|variant| *variant.hash()).collect()
        };
        let (one, both) = (variant(&["a"], "1"), variant(&["a", "b"], "1"));
        assert_eq!(selected(&index, "1"), [both, one]);
        assert_eq!(selected(&index, "2"), [variant(&["a"], "2")]);
        assert!(selected(&index, "3").is_empty());
        index.add(names(&["a"]), one, |_| 0);
        assert_eq!(selected(&index, "1"), [one, both]);
        assert!(index.is_first(&names(&["a"]), &one));
        assert!(index.remove(&both) && !index.remove(&both));
        assert_eq!(index.sets, [names(&["a"])]);
    }

    #[test]
    fn variants_are_bounded() {
        let mut index = Index::new("GET http://a/".into());
        for n in 0..100 {
            let dropped = index.add(names(&[&format!("n{n}")]), [n; 16], |_| 0);
            let expected = (usize::from(n) >= MOST_VARIANTS).then(|| [n - MOST_VARIANTS as u8; 16]);
            assert_eq!(dropped, Vec::from_iter(expected));
        }
        assert_eq!(index.sets.len(), MOST_VARIANTS);
        assert_eq!(Index::decode(index.encode().unwrap().into()), Some(index));
    }

    #[test]
    fn variants_with_long_names_take_the_place_of_older_ones() {
        let mut index = Index::new("GET http://a/".into());
        let mut dropped = 0;
        for n in 0..40 {
            let long = format!("n{n}{}", "x".repeat(16_000));
            dropped += index.add(names(&[&long]), [n; 16], |_| 0).len();
            let file = index.encode().unwrap();
            assert_eq!(file.len() as u64, index.size());
            assert_eq!(index.variants().next(), Some(&[n; 16]));
            assert_eq!(dropped + index.variants().count(), usize::from(n) + 1);
        }
        assert_eq!(index.variants().count(), 16);
    }

    /// Whatever is asked for once or twice meanwhile.
    #[test]
    fn variants_that_are_of_use_stay() {
        let mut index = Index::new("GET http://a/".into());
        let hits = |hash: &Hash| match hash[0] {
            0 => 5,
            1 => 3,
            other => u32::from(other % 2),
        };
        for n in 0..100 {
            index.add(names(&["a"]), [n; 16], hits);
        }
        let left: Vec<u8> = index.variants().map(|hash| hash[0]).collect();
        // The newest, those that were hit once, the most recent of them, and the two.
        let expected = (41..100).rev().filter(|n| n % 2 == 1).chain([1, 0]);
        assert_eq!(left, expected.collect::<Vec<_>>());
    }

    #[test]
    fn damage_is_refused() {
        let file = filled().encode().unwrap();
        assert_eq!(Index::decode(file.clone().into()), Some(filled()));
        for at in 0..file.len() {
            let mut damaged = file.clone();
            damaged[at] ^= 1;
            assert_eq!(Index::decode(damaged.into()), None, "byte {at}");
            assert_eq!(Index::decode(file[..at].to_vec().into()), None, "cut {at}");
        }
        let mut forged = filled();
        forged.variants[0].0 = 9;
        assert_eq!(Index::decode(forged.encode().unwrap().into()), None);
    }
}

//! The memory tier: what a worker keeps at hand of small stored responses, bounded in bytes.
//!
//! It holds whatever value the worker makes of a response. A copy counts only while the generation of
//! its key is the one it was made in, so what another worker publishes, refreshes or removes is seen.

use std::sync::Arc;

use quick_cache::Weighter;
use quick_cache::unsync::Cache;

use super::place;
use crate::cache::key::{Hash, Key, Variant};
use crate::cache::stored::Meta;
use crate::cache::vary;
use crate::http::fields::Fields;
use crate::sys::shared::Shared;

/// The most variants of one key that are kept; the oldest is dropped.
pub const MOST_VARIANTS: usize = 8;

/// The cost of an entry besides its value's weight, its key and its names: the table's own.
const OVERHEAD: u64 = 256;

/// Values by key and variant. Not shared between threads.
pub struct MemoryTier<T> {
    cache: Cache<Hash, KeyEntry<T>, ByWeight>,
    shared: Arc<Shared>,
    capacity: u64,
}

struct KeyEntry<T> {
    key: Key,
    generation: u32,
    /// Most recent first.
    entries: Vec<VariantEntry<T>>,
}

struct VariantEntry<T> {
    names: Vec<String>,
    variant: Variant,
    weight: u64,
    value: T,
}

#[derive(Clone)]
struct ByWeight;

impl<T> Weighter<Hash, KeyEntry<T>> for ByWeight {
    fn weight(&self, _: &Hash, slot: &KeyEntry<T>) -> u64 {
        slot.entries.iter().map(|entry| entry.weight).sum()
    }
}

impl<T: Clone> MemoryTier<T> {
    pub fn new(capacity: u64, shared: Arc<Shared>) -> MemoryTier<T> {
        // Only the size that the table is first made for; 16 KiB is a usual small response.
        let entries = usize::try_from(capacity / (16 << 10)).unwrap_or(usize::MAX);
        MemoryTier {
            cache: Cache::with_weighter(entries.clamp(16, 1 << 16), capacity, ByWeight),
            shared,
            capacity,
        }
    }

    /// The value that this request selects, where it is at hand and current. Marks it as used.
    pub fn lookup(&mut self, key: &Key, request: &Fields) -> Option<T> {
        let slot = self.cache.get(key.hash())?;
        if slot.key != *key {
            return None;
        }
        if slot.generation != self.shared.generation(key.hash()) {
            self.cache.remove(key.hash());
            return None;
        }
        let entry = select(&slot.entries, request)?;
        self.shared.visit(&place(key.hash(), entry.variant.hash()));
        Some(entry.value.clone())
    }

    /// Keeps a value made of a response with this metadata. `generation` is the key's as the store
    /// returned it with the response; `weight` is what the value takes in bytes, this metadata included.
    pub fn insert(&mut self, meta: &Meta, generation: u32, weight: u64, value: T) {
        let Some(names) = meta.selecting() else {
            return;
        };
        let name = |name: &String| name.len() + size_of::<String>();
        let own = meta.key.text().len() + names.iter().map(name).sum::<usize>();
        let weight = weight.saturating_add(own as u64 + OVERHEAD);
        if generation != self.shared.generation(meta.key.hash()) || weight > self.capacity {
            return;
        }
        let mut slot = match self.cache.remove(meta.key.hash()) {
            Some((_, slot)) if slot.key == meta.key && slot.generation == generation => slot,
            _ => KeyEntry {
                // It outlives the first of its entries, and with it the buffer that this one's lies in.
                key: meta.key.copied(),
                generation,
                entries: Vec::with_capacity(1),
            },
        };
        slot.entries.retain(|entry| entry.variant != meta.variant);
        slot.entries.truncate(MOST_VARIANTS - 1);
        let entry = VariantEntry {
            names,
            variant: meta.variant.clone(),
            weight,
            value,
        };
        slot.entries.insert(0, entry);
        self.cache.insert(*meta.key.hash(), slot);
    }

    /// True when some variant of this key is at hand and current.
    pub fn has_variants(&self, key: &Key) -> bool {
        let generation = self.shared.generation(key.hash());
        let slot = self.cache.peek(key.hash());
        slot.is_some_and(|slot| slot.key == *key && slot.generation == generation)
    }

    #[cfg(test)]
    fn bytes(&self) -> u64 {
        self.cache.weight()
    }
}

/// The most recent entry that the request selects (RFC 9111 §4.1).
fn select<'a, T>(entries: &'a [VariantEntry<T>], request: &Fields) -> Option<&'a VariantEntry<T>> {
    let fields = vary::SelectingFields::of(request);
    let mut computed: Option<(&[String], Variant)> = None;
    entries.iter().find(|entry| {
        if entry.names.is_empty() {
            return true;
        }
        match &computed {
            Some((names, variant)) if *names == entry.names => *variant == entry.variant,
            _ => {
                let variant = fields.variant(&entry.names);
                let found = variant == entry.variant;
                computed = Some((&entry.names, variant));
                found
            }
        }
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::rc::Rc;

    use super::*;
    use crate::cache::extent::Extent;
    use crate::cache::provenance::Provenance;
    use crate::cache::time::Timestamp;
    use crate::http::testing::fields;

    fn meta(key: &Key, vary: &str, request: &Fields) -> Meta {
        let fields = fields(&[("Vary", vary)]);
        Meta {
            key: key.clone(),
            variant: vary::variant_of(&vary::names(&fields).unwrap(), request),
            request_time: Timestamp::default(),
            response_time: Timestamp::default(),
            local: false,
            extent: Extent::Whole,
            provenance: Provenance::default(),
            status: 200,
            reason: "OK".into(),
            fields,
            trailers: Fields::default(),
        }
    }

    fn tier(capacity: u64) -> (Arc<Shared>, MemoryTier<Rc<str>>) {
        let shared = Arc::new(Shared::create().unwrap());
        (Arc::clone(&shared), MemoryTier::new(capacity, shared))
    }

    #[test]
    fn variants_and_generations() {
        let (shared, mut tier) = tier(1 << 20);
        let key = Key::new("GET http://a/");
        let (gzip, plain) = (
            fields(&[("Accept-Encoding", "gzip")]),
            fields(&[("X", "1")]),
        );
        assert_eq!(tier.lookup(&key, &gzip), None);
        tier.insert(&meta(&key, "accept-encoding", &gzip), 0, 10, "gzip".into());
        assert_eq!(tier.lookup(&key, &gzip).as_deref(), Some("gzip"));
        assert_eq!(tier.lookup(&key, &plain), None);
        tier.insert(
            &meta(&key, "accept-encoding", &plain),
            0,
            10,
            "plain".into(),
        );
        assert_eq!(tier.lookup(&key, &gzip).as_deref(), Some("gzip"));
        assert_eq!(tier.lookup(&key, &plain).as_deref(), Some("plain"));
        assert_eq!(tier.lookup(&Key::new("GET http://b/"), &plain), None);
        assert!(shared.take_visited(&place(
            key.hash(),
            meta(&key, "accept-encoding", &gzip).variant.hash()
        )));

        let next = shared.next_generation(key.hash());
        assert_eq!(tier.lookup(&key, &gzip), None);
        assert_eq!(tier.bytes(), 0, "a miss by generation removes");
        tier.insert(&meta(&key, "", &plain), next - 1, 10, "late".into());
        assert_eq!(tier.lookup(&key, &plain), None, "made before the change");
        tier.insert(&meta(&key, "", &plain), next, 10, "new".into());
        assert_eq!(tier.lookup(&key, &gzip).as_deref(), Some("new"));
        tier.insert(&meta(&key, "", &plain), next, 10, "newer".into());
        assert_eq!(tier.lookup(&key, &gzip).as_deref(), Some("newer"));
        // As when the store removes what it has of the key.
        shared.next_generation(key.hash());
        assert_eq!(tier.lookup(&key, &gzip), None);
    }

    #[test]
    fn variants_are_bounded() {
        let (_, mut tier) = tier(1 << 20);
        let key = Key::new("GET http://a/");
        let request = |n: usize| fields(&[("a", n.to_string().as_str())]);
        for n in 0..20 {
            tier.insert(&meta(&key, "a", &request(n)), 0, 10, n.to_string().into());
        }
        let found = (0..20).filter(|n| tier.lookup(&key, &request(*n)).is_some());
        assert_eq!(found.collect::<Vec<_>>(), (12..20).collect::<Vec<_>>());
    }

    #[test]
    fn bytes_are_bounded() {
        let (_, mut tier) = tier(100_000);
        for n in 0..1000 {
            let key = Key::new(format!("GET http://a/{n}"));
            tier.insert(
                &meta(&key, "", &Fields::default()),
                0,
                5_000,
                n.to_string().into(),
            );
            assert!(tier.bytes() <= 100_000);
        }
        assert!(tier.bytes() > 50_000);
        // Keys and names count too.
        let (_, mut tier) = self::tier(100_000);
        let vary = ["a", "b"].map(|it| it.repeat(10_000)).join(", ");
        for n in 0..10 {
            let key = Key::new(format!("GET http://a/{n}{}", "k".repeat(10_000)));
            let meta = meta(&key, &vary, &Fields::default());
            tier.insert(&meta, 0, 0, n.to_string().into());
            assert!((30_000 * (n + 1).min(3)..=100_000).contains(&tier.bytes()));
        }
        let key = Key::new("GET http://large/");
        tier.insert(
            &meta(&key, "", &Fields::default()),
            0,
            200_000,
            "large".into(),
        );
        assert_eq!(tier.lookup(&key, &Fields::default()), None);
    }
}

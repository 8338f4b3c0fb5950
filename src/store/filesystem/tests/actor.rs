//! Someone who uses a store, checks each answer, and stores what says by itself what it belongs to.

use super::*;
use crate::store::suite::{meta, part_of};

const LENGTHS: [u64; 7] = [0, 100, 3000, 20_000, SMALL, SMALL + 1, 150_000];
/// The keys that processes contend for.
pub(super) const KEYS: u64 = 12;

/// Numbers that look random (xorshift).
pub(super) struct Chance(pub(super) u64);

impl Chance {
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

pub(super) fn key(number: u64) -> Key {
    Key::new(format!("GET http://a/{number}"))
}

/// Metadata that says by itself what it belongs to.
fn meta_of(key: &Key, seed: usize, epoch: u32, round: u64) -> Meta {
    let (seed, epoch, at) = (seed.to_string(), epoch.to_string(), round.to_string());
    let lines = [("Seed", &seed[..]), ("Epoch", &epoch), ("Round", &at)];
    let mut meta = meta("GET http://x/", &lines, &fields(&[]));
    meta.key = key.clone();
    meta.response_time = Timestamp::from_millis(round);
    meta
}

/// Someone who uses a store and checks each answer.
pub(super) struct Actor {
    pub(super) store: FilesystemStore,
    pub(super) shared: Arc<Shared>,
    pub(super) contents: Vec<Bytes>,
}

impl Actor {
    pub(super) fn new(store: FilesystemStore, shared: Arc<Shared>) -> Actor {
        let contents = (0u8..).zip(LENGTHS);
        let contents = contents.map(|(seed, length)| content(length, seed));
        Actor {
            store,
            shared,
            contents: contents.collect(),
        }
    }

    /// The epoch of the response that is stored, which is whole, and of this key.
    #[track_caller]
    pub(super) fn look(&self, key: &Key) -> Option<u32> {
        let object = match self.store.lookup(key, &fields(&[])) {
            Ok(Found::Object(object)) => object,
            Ok(_) | Err(StoreError::IndexDamaged { .. }) => return None,
            Err(error) => panic!("{error}"),
        };
        self.check(&object, key);
        let epoch = object.meta.fields.first("epoch").unwrap();
        Some(std::str::from_utf8(epoch).unwrap().parse().unwrap())
    }

    #[track_caller]
    fn check(&self, object: &Object, key: &Key) {
        let number = |name: &str| -> u64 {
            let text = object.meta.fields.first(name).unwrap();
            std::str::from_utf8(text).unwrap().parse().unwrap()
        };
        assert_eq!(object.meta.key, *key);
        assert_eq!(object.meta.response_time.millis(), number("round"));
        let expected = &self.contents[number("seed") as usize];
        let mut rest = &expected[..];
        let read = object.content.each_part(&mut |part| {
            rest = rest.strip_prefix(part).expect("other content");
            true
        });
        match read {
            Ok(()) => assert_eq!(rest.len(), 0, "it is shorter"),
            Err(error) => assert!(matches!(error, StoreError::Damaged(_)), "{error}"),
        }
    }

    pub(super) fn publish(&self, key: &Key, seed: usize, round: u64) {
        let published = self.try_publish(key, seed, round);
        assert!(
            matches!(published, Ok(_) | Err(StoreError::Gone)),
            "{published:?}"
        );
    }

    pub(super) fn try_publish(
        &self,
        key: &Key,
        seed: usize,
        round: u64,
    ) -> Result<Published, StoreError> {
        let epoch = self.shared.invalidations(key.hash());
        let meta = meta_of(key, seed, epoch, round);
        let whole = match LENGTHS[seed] > SMALL {
            true => {
                let bytes = &self.contents[seed];
                let draft = Store::begin(&self.store, &meta, Some(LENGTHS[seed]))?;
                draft.write_at(bytes, 0)?;
                let mut checksum = crate::store::Checksum::new();
                checksum.update(bytes);
                let len = bytes.len() as u64;
                Whole::Draft {
                    draft,
                    len,
                    checksum,
                }
            }
            false => Whole::Memory(vec![self.contents[seed].clone()]),
        };
        self.store.publish(&meta, whole, Some(epoch))
    }

    pub(super) fn refresh(&self, key: &Key, round: u64) {
        let epoch = self.shared.invalidations(key.hash());
        let Some(object) = look(&self.store, key) else {
            return;
        };
        let mut meta = object.meta.clone();
        let lines: Vec<(String, String)> = ["seed", "epoch"]
            .map(|name| {
                let value = meta.fields.first(name).unwrap();
                (name.to_owned(), String::from_utf8_lossy(value).into_owned())
            })
            .into();
        let round_text = round.to_string();
        let mut lines: Vec<(&str, &str)> = lines.iter().map(|it| (&*it.0, &*it.1)).collect();
        lines.push(("round", &round_text));
        // Validated since then.
        let epoch_text = epoch.to_string();
        lines.retain(|(name, _)| *name != "epoch");
        lines.push(("epoch", &epoch_text));
        meta.fields = fields(&lines);
        meta.response_time = Timestamp::from_millis(round);
        let refreshed = self.store.refresh(&object, &meta, Some(epoch));
        assert!(
            matches!(refreshed, Ok(_) | Err(StoreError::Gone)),
            "{refreshed:?}"
        );
    }

    /// Publishes one of three variants of a key, and looks for another.
    pub(super) fn vary(&self, chance: &mut Chance) {
        let of = |n: u64| (n.to_string(), format!("GET http://v/{}", n % 3));
        let (name, text) = of(chance.below(9));
        let request = fields(&[("A", &name)]);
        let stored = meta(&text, &[("Vary", "A"), ("For", &name)], &request);
        publish(&self.store, &stored, &self.contents[1]);
        let (name, text) = of(chance.below(9));
        let request = fields(&[("A", &name)]);
        let found = self.store.lookup(&Key::new(text), &request).unwrap();
        if let Found::Object(object) = found {
            assert_eq!(object.meta.fields.first("for").unwrap(), name.as_bytes());
        }
    }

    pub(super) fn part(&self, key: &Key, chance: &mut Chance) {
        let first = chance.below(4) * 3000;
        let part = part_of(key, first..first + 3000);
        publish(&self.store, &part, &self.contents[2]);
        for part in self.store.parts(&key.part(), &fields(&[])).unwrap() {
            assert!(suite::read(&part.content) == self.contents[2]);
        }
    }

    pub(super) fn something(&self, chance: &mut Chance) {
        let key = key(chance.below(KEYS));
        let round = chance.below(1 << 30);
        match chance.below(24) {
            0..5 => self.publish(&key, chance.below(5) as usize, round),
            5..8 => self.publish(&key, 5 + chance.below(2) as usize, round),
            8..11 => self.refresh(&key, round),
            11 => self.vary(chance),
            12 => self.part(&key, chance),
            13 => {
                let wanted = Wanted {
                    bytes: 40_000,
                    files: 0,
                };
                self.store.evict(wanted, Duration::from_millis(5)).unwrap();
            }
            14 => drop(self.store.compact().unwrap()),
            15 => drop(self.store.give_back(100_000)),
            _ => {
                self.look(&key);
            }
        }
    }
}

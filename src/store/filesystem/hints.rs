//! Hints where records lie that were found a moment ago, so that a look in the event loop needn't find them once more.
//!
//! One holds for as long as the generation of its key does, which each change of what is found under a key raises. Only the
//! thread that took it sees it, so that no part of one is another's.

use std::cell::RefCell;

use crate::cache::key::{Hash, Key};

/// The hints of a thread, of 32 bytes each. Keys with the same last bits take each other's place.
const COUNT: usize = 1 << 14;

#[derive(Debug, Clone, Copy)]
struct Hint {
    hash: Hash,
    generation: u32,
    /// The environment in which the number is that of a record.
    environment: u32,
    number: u64,
}

thread_local! {
    static HINTS: RefCell<Vec<Option<Hint>>> = const { RefCell::new(Vec::new()) };
}

fn slot(key: &Key) -> usize {
    let [.., one, other] = *key.hash();
    usize::from(u16::from_be_bytes([one, other])) % COUNT
}

/// The number of the record that this thread found for a key, which had no variants, in this generation.
pub(super) fn number(environment: u32, key: &Key, generation: u32) -> Option<u64> {
    let hint = HINTS.with_borrow(|hints| hints.get(slot(key)).copied())??;
    let holds = hint.hash == *key.hash()
        && hint.generation == generation
        && hint.environment == environment;
    holds.then_some(hint.number)
}

/// Notes the number of the record that was found, by a look that began in this generation.
pub(super) fn note(environment: u32, key: &Key, generation: u32, number: u64) {
    HINTS.with_borrow_mut(|hints| {
        if hints.is_empty() {
            hints.resize(COUNT, None);
        }
        hints[slot(key)] = Some(Hint {
            hash: *key.hash(),
            generation,
            environment,
            number,
        });
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holds_for_its_key_its_generation_and_its_environment() {
        let key = Key::new("GET http://a/");
        assert_eq!(number(1, &key, 2), None);
        note(1, &key, 2, 7);
        assert_eq!(number(1, &key, 2), Some(7));
        assert_eq!(number(1, &key, 3), None);
        assert_eq!(number(2, &key, 2), None);
        assert_eq!(number(1, &Key::new("GET http://b/"), 2), None);
        note(1, &key, 3, 8);
        assert_eq!(number(1, &key, 3), Some(8));
        let elsewhere = std::thread::spawn(move || number(1, &key, 3)).join();
        assert_eq!(elsewhere.ok(), Some(None));
    }
}

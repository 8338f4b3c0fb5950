//! The queue of what is stored, in the order of SIEVE (Zhang et al., NSDI 2024): new entries at the head,
//! a hand that moves from the tail, one visited bit each, kept elsewhere and asked for by callback.
//!
//! Decides what goes next; touches no file.

use std::collections::HashMap;

use super::place;
use crate::cache::key::Hash;

/// Entries count their size in blocks of this many bytes.
pub const BLOCK: u64 = 4096;

const NONE: u32 = u32::MAX;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SieveEntry {
    pub hash: Hash,
    /// The hash of the variant; zero without `Vary`.
    pub variant: Hash,
    /// Bytes on disk, in whole blocks.
    pub size: u64,
}

impl SieveEntry {
    pub fn place(&self) -> Hash {
        place(&self.hash, &self.variant)
    }
}

#[derive(Debug)]
struct Node {
    hash: Hash,
    variant: Hash,
    blocks: u32,
    /// Towards the head: the next newer entry. In a free node, the next free one.
    newer: u32,
    older: u32,
}

/// The queue. About 80 bytes an entry.
#[derive(Debug)]
pub struct Sieve {
    nodes: Vec<Node>,
    places: HashMap<Hash, u32>,
    free: u32,
    head: u32,
    tail: u32,
    hand: u32,
    blocks: u64,
}

impl Sieve {
    pub fn new() -> Sieve {
        Sieve {
            nodes: Vec::new(),
            places: HashMap::new(),
            free: NONE,
            head: NONE,
            tail: NONE,
            hand: NONE,
            blocks: 0,
        }
    }

    pub fn len(&self) -> usize {
        self.places.len()
    }

    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    pub fn bytes(&self) -> u64 {
        self.blocks.saturating_mul(BLOCK)
    }

    pub fn contains(&self, place: &Hash) -> bool {
        self.places.contains_key(place)
    }

    /// Inserts an entry at the head; one that is there already keeps its place and takes the new size.
    pub fn insert(&mut self, entry: &SieveEntry) {
        if let Some(index) = self.enter(entry) {
            self.nodes[index as usize].older = self.head;
            match self.head {
                NONE => self.tail = index,
                head => self.nodes[head as usize].newer = index,
            }
            self.head = index;
        }
    }

    /// Inserts an entry at the tail, as the oldest; one that is there already stays as it is.
    pub fn insert_oldest(&mut self, entry: &SieveEntry) {
        if self.contains(&entry.place()) {
            return;
        }
        if let Some(index) = self.enter(entry) {
            self.nodes[index as usize].newer = self.tail;
            match self.tail {
                NONE => self.head = index,
                tail => self.nodes[tail as usize].older = index,
            }
            self.tail = index;
        }
    }

    /// A node for the entry, not yet in the list; None when it has one, whose size is changed.
    fn enter(&mut self, entry: &SieveEntry) -> Option<u32> {
        let blocks = u32::try_from(entry.size.div_ceil(BLOCK)).unwrap_or(u32::MAX);
        self.blocks += u64::from(blocks);
        if let Some(&index) = self.places.get(&entry.place()) {
            let node = &mut self.nodes[index as usize];
            self.blocks -= u64::from(node.blocks);
            node.blocks = blocks;
            return None;
        }
        let node = Node {
            hash: entry.hash,
            variant: entry.variant,
            blocks,
            newer: NONE,
            older: NONE,
        };
        let index = match self.free {
            NONE => {
                self.nodes.push(node);
                (self.nodes.len() - 1) as u32
            }
            free => {
                self.free = std::mem::replace(&mut self.nodes[free as usize], node).newer;
                free
            }
        };
        self.places.insert(entry.place(), index);
        Some(index)
    }

    pub fn remove(&mut self, place: &Hash) -> Option<SieveEntry> {
        let index = self.places.remove(place)?;
        let node = &self.nodes[index as usize];
        let (newer, older, entry) = (node.newer, node.older, entry(node));
        match newer {
            NONE => self.head = older,
            newer => self.nodes[newer as usize].older = older,
        }
        match older {
            NONE => self.tail = newer,
            older => self.nodes[older as usize].newer = newer,
        }
        if self.hand == index {
            self.hand = newer;
        }
        self.blocks -= u64::from(self.nodes[index as usize].blocks);
        self.nodes[index as usize].newer = self.free;
        self.free = index;
        Some(entry)
    }

    /// Removes and returns the entry that goes next: the first from the hand towards the head that was
    /// not visited; `take_visited` says whether one was, and clears it.
    pub fn evict(&mut self, mut take_visited: impl FnMut(&Hash) -> bool) -> Option<SieveEntry> {
        // From the newest on to the oldest again.
        let tail = self.tail;
        let around = |index| if index == NONE { tail } else { index };
        let mut hand = around(self.hand);
        // Bits are set while the hand moves: after one whole round the next entry goes all the same.
        for _ in 0..self.len() {
            let node = &self.nodes[hand as usize];
            if !take_visited(&entry(node).place()) {
                break;
            }
            hand = around(node.newer);
        }
        if hand == NONE {
            return None;
        }
        self.hand = hand;
        let place = entry(&self.nodes[hand as usize]).place();
        self.remove(&place)
    }

    pub fn retain(&mut self, mut keep: impl FnMut(&SieveEntry) -> bool) {
        let mut at = self.tail;
        while at != NONE {
            let node = &self.nodes[at as usize];
            let entry = entry(node);
            at = node.newer;
            if !keep(&entry) {
                self.remove(&entry.place());
            }
        }
    }
}

fn entry(node: &Node) -> SieveEntry {
    SieveEntry {
        hash: node.hash,
        variant: node.variant,
        size: u64::from(node.blocks) * BLOCK,
    }
}

#[cfg(test)]
mod simulation;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn named(name: u8) -> SieveEntry {
        SieveEntry {
            hash: [name; 16],
            variant: [0; 16],
            size: BLOCK,
        }
    }

    /// Runs a trace of requests through a queue of `room` entries; returns hits and what was evicted.
    fn run(trace: &str, room: usize) -> (String, String) {
        let (mut sieve, mut visited) = (Sieve::new(), HashSet::new());
        let (mut hits, mut evicted) = (String::new(), String::new());
        for name in trace.bytes() {
            if sieve.contains(&named(name).place()) {
                visited.insert(named(name).place());
                hits.push(name as char);
                continue;
            }
            if sieve.len() == room {
                let out = sieve.evict(|place| visited.remove(place)).unwrap();
                evicted.push(out.hash[0] as char);
            }
            sieve.insert(&named(name));
        }
        (hits, evicted)
    }

    #[test]
    fn traces() {
        let table = [
            // Without hits it is first in, first out.
            ("ABCDE", 3, "", "AB"),
            // A visited entry is passed over once.
            ("ABCADE", 3, "A", "BC"),
            // The hand stays where it evicted: after B and C come D, then, around the head, A.
            ("ABCADEFG", 3, "A", "BCDE"),
            // The example of the paper: A, B and G are visited before H comes.
            ("ABCDEFGABGHADIBJ", 7, "ABGADB", "CEF"),
            // All visited: the whole round clears them and the oldest goes.
            ("ABCABCD", 3, "ABC", "A"),
        ];
        for (trace, room, hits, evicted) in table {
            assert_eq!(run(trace, room), (hits.into(), evicted.into()), "{trace}");
        }
    }

    #[test]
    fn sizes_order_and_reuse_of_nodes() {
        let mut sieve = Sieve::new();
        for name in 0..10 {
            sieve.insert(&named(name));
        }
        sieve.insert_oldest(&named(100));
        sieve.insert_oldest(&named(5));
        assert_eq!((sieve.len(), sieve.bytes()), (11, 11 * BLOCK));
        sieve.insert(&SieveEntry {
            size: 3 * BLOCK - 1,
            ..named(5)
        });
        assert_eq!(sieve.bytes(), 13 * BLOCK);
        assert_eq!(sieve.remove(&named(5).place()).unwrap().size, 3 * BLOCK);
        assert_eq!(sieve.remove(&named(5).place()), None);
        assert_eq!(sieve.evict(|_| false), Some(named(100)));
        assert_eq!(sieve.evict(|_| false), Some(named(0)));
        sieve.retain(|entry| entry.hash[0] % 2 == 0);
        assert_eq!((sieve.len(), sieve.bytes()), (4, 4 * BLOCK));
        sieve.insert(&named(50));
        assert!(sieve.nodes.len() <= 11);
        let rest: Vec<_> = std::iter::from_fn(|| sieve.evict(|_| false)).collect();
        assert_eq!(rest, [2, 4, 6, 8, 50].map(named));
        assert_eq!(sieve.bytes(), 0);
        assert_eq!(sieve.evict(|_| true), None);
    }

    #[test]
    fn ends_when_everything_is_always_visited() {
        let mut sieve = Sieve::new();
        (0..5).for_each(|name| sieve.insert(&named(name)));
        assert!(sieve.evict(|_| true).is_some());
    }
}

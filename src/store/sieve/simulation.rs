//! SIEVE beside LRU: hit ratios on traces with a fixed seed, as `cargo test simulation -- --nocapture` prints
//! them. A trace is requests for objects by number; the room is a share of the objects there are.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{BLOCK, Sieve, SieveEntry};

/// Objects that are asked for by popularity.
const OBJECTS: u64 = 5_000;
const REQUESTS: usize = 80_000;

/// Numbers that are the same on every run (xorshift64*).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// From 0 up to, not including, 1.
    fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// Requests whose popularity falls with the rank to this power.
fn zipf(skew: f64, seed: u64) -> Vec<u64> {
    let mut sum = 0.0;
    let weights = (1..=OBJECTS).map(|rank| (rank as f64).powf(-skew));
    let sums: Vec<f64> = weights
        .map(|weight| {
            sum += weight;
            sum
        })
        .collect();
    let mut random = Random(seed);
    (0..REQUESTS)
        .map(|_| {
            let at = random.share() * sum;
            sums.partition_point(|sum| *sum < at) as u64
        })
        .collect()
}

/// The same with, every so often, a run of objects that nobody asks for again: a mirror being
/// copied, a crawler.
fn with_scans(trace: &[u64], every: usize, length: u64) -> Vec<u64> {
    let mut fresh = OBJECTS;
    let mut mixed = Vec::new();
    for (number, object) in trace.iter().enumerate() {
        mixed.push(*object);
        if number % every == every - 1 {
            mixed.extend(fresh..fresh + length);
            fresh += length;
        }
    }
    mixed
}

/// The share of hits among the requests for objects that are asked for by popularity.
fn ratio(trace: &[u64], mut hit: impl FnMut(u64) -> bool) -> f64 {
    let (mut hits, mut requests) = (0u32, 0u32);
    for object in trace {
        let was_hit = hit(*object);
        if *object < OBJECTS {
            requests += 1;
            hits += u32::from(was_hit);
        }
    }
    f64::from(hits) / f64::from(requests)
}

fn sieve(trace: &[u64], room: usize) -> f64 {
    let entry = |object: u64| SieveEntry {
        hash: u128::from(object).to_le_bytes(),
        variant: [0; 16],
        size: BLOCK,
    };
    let entries: HashMap<u64, SieveEntry> = trace.iter().map(|it| (*it, entry(*it))).collect();
    let (mut queue, mut visited) = (Sieve::new(), HashSet::new());
    ratio(trace, |object| {
        let entry = &entries[&object];
        let hit = queue.contains(&entry.place());
        if hit {
            visited.insert(entry.place());
        } else {
            if queue.len() == room {
                queue.evict(|place| visited.remove(place));
            }
            queue.insert(entry);
        }
        hit
    })
}

fn lru(trace: &[u64], room: usize) -> f64 {
    let (mut used, mut order, mut clock) = (HashMap::new(), BTreeMap::new(), 0u64);
    ratio(trace, |object| {
        clock += 1;
        let before = used.insert(object, clock);
        if let Some(before) = before {
            order.remove(&before);
        }
        order.insert(clock, object);
        if used.len() > room {
            if let Some((_, oldest)) = order.pop_first() {
                used.remove(&oldest);
            }
        }
        before.is_some()
    })
}

#[test]
fn sieve_beside_lru() {
    // The skew of popularity, the room in percent of the objects, how long the scans are, and by how
    // many percent SIEVE's hits are to exceed LRU's at least.
    let rows = [
        (0.7, 1, 0, 20.0),
        (0.7, 10, 0, 10.0),
        (0.9, 1, 0, 10.0),
        (0.9, 10, 0, 3.0),
        (1.1, 1, 0, 3.0),
        (1.1, 10, 0, 0.5),
        (0.9, 1, 100, 30.0),
        (0.9, 10, 1_000, 20.0),
        (1.1, 10, 1_000, 10.0),
    ];
    println!("skew  room  scans   SIEVE    LRU   gain");
    for (skew, percent, scan, least) in rows {
        let mut trace = zipf(skew, 0x5eed);
        if scan > 0 {
            trace = with_scans(&trace, 500, scan);
        }
        let room = OBJECTS as usize * percent / 100;
        let (ours, lru) = (sieve(&trace, room), lru(&trace, room));
        let gain = 100.0 * (ours / lru - 1.0);
        let (ours, lru) = (100.0 * ours, 100.0 * lru);
        println!("{skew:4}  {percent:3}%  {scan:5}  {ours:5.1}%  {lru:5.1}%  {gain:+4.1}%");
        assert!(gain >= least, "{skew} {percent} {scan}: {gain}");
    }
}

//! A small mutational fuzzer that plain `cargo test` runs: each target takes inputs from its corpus, changes
//! them at random from a fixed seed, and holds properties, not only that nothing panics.
//!
//! `FUZZ_SECONDS` is the time per target (2 by default), `FUZZ_SEED` the seed (1 by default). An input that
//! fails is printed, escaped; kept in `corpus/<target>/`, it is tried first from then on.
#![allow(clippy::unwrap_used)]

mod cached;
mod channel;
mod heads;
mod input;
mod stored;

use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use input::{Random, mutated};

/// Inputs get no longer than this.
const LONGEST: usize = 4096;

fn number(name: &str, default: u64) -> u64 {
    let text = std::env::var(name).ok();
    text.and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// The inputs kept for a target, in the order of their names.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus");
    let entries = std::fs::read_dir(folder.join(target)).expect("the target's corpus");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "{target} has a corpus");
    paths
        .iter()
        .map(|path| std::fs::read(path).unwrap())
        .collect()
}

/// Fuzzes one target. `holds` panics when a property doesn't hold, and says whether the input was accepted:
/// what was is mutated further, so that the fuzzer doesn't stay at the door.
fn fuzz(target: &str, more: Vec<Vec<u8>>, tokens: &[&[u8]], holds: impl Fn(&[u8]) -> bool) {
    let mut pool = corpus(target);
    pool.extend(more);
    let kept = pool.len();
    let check = |input: &[u8]| match std::panic::catch_unwind(AssertUnwindSafe(|| holds(input))) {
        Ok(accepted) => accepted,
        Err(_) => panic!("{target} fails on b\"{}\"", input.escape_ascii()),
    };
    let accepted = pool.iter().filter(|input| check(input)).count();
    assert!(accepted > 0, "{target}: nothing of the corpus is accepted");
    let mut random = Random::new(number("FUZZ_SEED", 1));
    let end = Instant::now() + Duration::from_secs(number("FUZZ_SECONDS", 2));
    let (mut runs, mut accepted) = (0_u64, 0_u64);
    // The clock is looked at now and then, because it costs more than many an input.
    while runs % 64 != 0 || Instant::now() < end {
        let mut input = random.pick(&pool).clone();
        for _ in 0..=random.below(4) {
            input = mutated(input, &mut random, &pool, tokens);
        }
        input.truncate(LONGEST.max(input.len().min(2 * LONGEST)));
        runs += 1;
        if check(&input) {
            accepted += 1;
            if input.len() <= LONGEST && random.below(8) == 0 {
                // The pool stays bounded, and what was kept stays in it.
                match pool.len() < kept + 256 {
                    true => pool.push(input),
                    false => pool[kept + random.below(256)] = input,
                }
            }
        }
    }
    println!("{target}: {runs} inputs, {accepted} accepted");
}

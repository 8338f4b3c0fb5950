//! Random numbers and the mutations of an input.

/// A small generator whose numbers depend on its seed alone (xorshift64*).
pub struct Random(u64);

impl Random {
    /// A generator; equal seeds give equal numbers.
    pub fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    /// A number below `bound`, or 0.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    /// One of these.
    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
}

/// Numbers at whose edges lengths go wrong.
const EDGES: [u64; 9] = [
    0,
    1,
    0x7f,
    0xff,
    0xffff,
    0x7fff_ffff,
    0xffff_ffff,
    i64::MAX as u64,
    u64::MAX,
];

/// The bytes that matter in messages.
const BYTES: &[u8] = b"\r\n\t \0:;,=\"\\/#?@%*+-_.09afAFxX[]{}\x7f\x80\xff";

/// The input with one change.
pub fn mutated(
    mut input: Vec<u8>,
    random: &mut Random,
    pool: &[Vec<u8>],
    tokens: &[&[u8]],
) -> Vec<u8> {
    let at = random.below(input.len() + 1);
    let run = 1 + random.below(16);
    let end = (at + run).min(input.len());
    let inside = random.below(input.len());
    match random.below(11) {
        0 if !input.is_empty() => input[inside] ^= 1 << random.below(8),
        1 if !input.is_empty() => input[inside] = *random.pick(BYTES),
        2 => input.insert(at, *random.pick(BYTES)),
        3 => drop(input.drain(at..end)),
        4 => insert(&mut input, at, &vec![*random.pick(BYTES); run]),
        5 => {
            let again = input[at..end].to_vec();
            insert(&mut input, at, &again);
        }
        6 if !tokens.is_empty() => insert(&mut input, at, random.pick::<&[u8]>(tokens)),
        7 => {
            let other = random.pick(pool);
            let from = random.below(other.len() + 1);
            let to = (from + random.below(64)).min(other.len());
            insert(&mut input, at, &other[from..to]);
        }
        8 => {
            let other = random.pick(pool);
            input.truncate(at);
            input.extend_from_slice(&other[random.below(other.len() + 1)..]);
        }
        9 => {
            let number = random.pick(&EDGES).to_le_bytes();
            let width = (1 << random.below(4)).min(input.len() - at);
            input[at..at + width].copy_from_slice(&number[..width]);
        }
        _ => input.truncate(at),
    }
    input
}

fn insert(input: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    input.splice(at..at, bytes.iter().copied());
}

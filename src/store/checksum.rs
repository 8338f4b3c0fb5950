//! Checksums of content and metadata: XXH3, 128 bits. They find damage, not forgery.

use xxhash_rust::xxh3::{Xxh3, xxh3_128};

/// The checksum of content that comes in pieces.
#[derive(Clone, Default)]
pub struct Checksum(Box<Xxh3>);

impl Checksum {
    /// The checksum of nothing yet.
    pub fn new() -> Checksum {
        Checksum::default()
    }

    /// The checksum of `bytes`.
    pub fn of(bytes: &[u8]) -> u128 {
        xxh3_128(bytes)
    }

    /// Takes the next piece in.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The checksum of every piece taken in, in order.
    pub fn finish(&self) -> u128 {
        self.0.digest128()
    }
}

impl std::fmt::Debug for Checksum {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Checksum({:032x})", self.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_do_not_matter() {
        let content: Vec<u8> = (0..5000u32).map(|n| n as u8).collect();
        for piece in [1, 7, 64, 1000, 5000] {
            let mut checksum = Checksum::new();
            content.chunks(piece).for_each(|part| checksum.update(part));
            assert_eq!(checksum.finish(), Checksum::of(&content));
        }
        assert_eq!(Checksum::new().finish(), Checksum::of(b""));
    }
}

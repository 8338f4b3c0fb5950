//! What is known of where a stored response came from, beside its fields: when by a clock that nobody sets, by which
//! digest it was asked for and checked, for whom it was fetched, and what a rule says of its URI.
//!
//! Kept with every stored response; what follows from it is decided elsewhere.

use bytes::Bytes;
use strum::IntoEnumIterator as _;

/// The provenance of a stored response.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[allow(missing_docs)]
pub struct Provenance {
    /// When the response was received, as `response_time` says by the wall clock.
    pub received: BootTime,
    /// The digest that its URI names: that of the content where it is whole.
    pub digest: Option<Digest>,
    pub access: Access,
    pub class: Class,
}

/// A time by the clock that begins with the machine's boot, and stops for no suspend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(missing_docs)]
pub struct BootTime {
    /// The id of the boot; zero where none is known.
    pub boot: [u8; 16],
    /// Milliseconds since then.
    pub millis: u64,
}

/// A digest algorithm for which nobody can make two contents with one digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::EnumIter)]
#[allow(missing_docs)]
pub enum DigestAlgorithm {
    Sha256,
    Sha512,
    Blake2b256,
}

impl DigestAlgorithm {
    /// The number of bytes of its digests.
    pub const fn length(self) -> usize {
        match self {
            DigestAlgorithm::Sha256 | DigestAlgorithm::Blake2b256 => 32,
            DigestAlgorithm::Sha512 => 64,
        }
    }

    /// Its name where it is written as text.
    pub const fn name(self) -> &'static str {
        match self {
            DigestAlgorithm::Sha256 => "sha256",
            DigestAlgorithm::Sha512 => "sha512",
            DigestAlgorithm::Blake2b256 => "blake2b-256",
        }
    }

    /// The algorithm of this name.
    pub fn named(name: &str) -> Option<DigestAlgorithm> {
        DigestAlgorithm::iter().find(|algorithm| algorithm.name() == name)
    }
}

/// A digest, as long as its algorithm makes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digest {
    algorithm: DigestAlgorithm,
    bytes: Bytes,
}

impl Digest {
    /// The digest of these bytes; `None` where it isn't as long as the algorithm makes it.
    pub fn new(algorithm: DigestAlgorithm, bytes: impl Into<Bytes>) -> Option<Digest> {
        let bytes = bytes.into();
        (bytes.len() == algorithm.length()).then_some(Digest { algorithm, bytes })
    }

    /// Its algorithm.
    pub fn algorithm(&self) -> DigestAlgorithm {
        self.algorithm
    }

    /// Its bytes.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }
}

/// The request that fetched a response: another client's access to it is decided from that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, strum::EnumIter)]
pub enum Access {
    /// One with nothing that authorises.
    #[default]
    Public,
    /// One with credentials, or a signature in its URI.
    Authorized,
}

/// The class of a URI, by the operator's rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, strum::EnumIter)]
pub enum Class {
    /// One whose content may change.
    #[default]
    Ordinary,
    /// One whose content never changes.
    Kept,
    /// One that names a version, which hardly ever changes.
    Versioned,
}

impl Class {
    /// Its name where it is written as text.
    pub const fn name(self) -> &'static str {
        match self {
            Class::Ordinary => "ordinary",
            Class::Kept => "kept",
            Class::Versioned => "versioned",
        }
    }

    /// The class of this name.
    pub fn named(name: &str) -> Option<Class> {
        Class::iter().find(|class| class.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_as_long_as_their_algorithm_says() {
        for algorithm in DigestAlgorithm::iter() {
            let of = |length| Digest::new(algorithm, vec![1; length]);
            let length = algorithm.length();
            let digest = of(length).expect("as long as it should be");
            assert_eq!(
                (digest.algorithm(), digest.bytes().len()),
                (algorithm, length)
            );
            for other in [0, 16, length - 1, length + 1, 3 * length] {
                assert_eq!(of(other), None, "{algorithm:?} {other}");
            }
        }
    }
}

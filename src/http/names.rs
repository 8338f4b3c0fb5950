//! Field names out of lists, as `Connection` and `private="…"` have them: found in a time that does not depend on how
//! many there are, so that a head full of names costs what its bytes cost. The usual few allocate nothing.

use std::collections::HashSet;
use std::hash::{Hash, Hasher};

/// The most names that are compared one after another.
const FEW: usize = 8;

/// Field names, compared case-insensitively.
#[derive(Debug, Clone, Default)]
pub struct FieldNames<'a> {
    first: [&'a [u8]; FEW],
    count: usize,
    /// All of them, once there are more than a few.
    many: HashSet<Name<'a>>,
}

impl FieldNames<'_> {
    /// True for a name that is among them.
    pub fn contains(&self, name: &[u8]) -> bool {
        match self.first.get(..self.count) {
            Some(few) => few.iter().any(|other| other.eq_ignore_ascii_case(name)),
            None => self.many.contains(&Name(name)),
        }
    }
}

impl<'a> FromIterator<&'a [u8]> for FieldNames<'a> {
    fn from_iter<I: IntoIterator<Item = &'a [u8]>>(names: I) -> FieldNames<'a> {
        let mut all = FieldNames::default();
        for name in names {
            if let Some(place) = all.first.get_mut(all.count) {
                *place = name;
            } else {
                if all.many.is_empty() {
                    all.many.extend(all.first.map(Name));
                }
                all.many.insert(Name(name));
            }
            all.count += 1;
        }
        all
    }
}

/// A name whose case doesn't count.
#[derive(Debug, Clone, Copy)]
struct Name<'a>(&'a [u8]);

impl PartialEq for Name<'_> {
    fn eq(&self, other: &Name<'_>) -> bool {
        self.0.eq_ignore_ascii_case(other.0)
    }
}

impl Eq for Name<'_> {}

impl Hash for Name<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for byte in self.0 {
            state.write_u8(byte.to_ascii_lowercase());
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::hash::DefaultHasher;

    use super::*;

    #[test]
    fn few_and_many_names_are_found_whatever_their_case() {
        for count in 0..=3 * FEW {
            let names: Vec<String> = (0..count).map(|number| format!("X-{number}")).collect();
            let set: FieldNames<'_> = names.iter().map(|name| name.as_bytes()).collect();
            for number in 0..4 * FEW {
                let found = set.contains(format!("x-{number}").as_bytes());
                assert_eq!(found, number < count, "{number} of {count}");
            }
            assert!(!set.contains(b"") && !set.contains(b"X-"), "{count}");
        }
    }

    /// Else finding one would take a time that grows with their number.
    #[test]
    fn hashes_tell_names_apart_but_not_their_case() {
        let hash = |name| {
            let mut hasher = DefaultHasher::new();
            Name(name).hash(&mut hasher);
            hasher.finish()
        };
        assert_eq!(hash(b"Keep-Alive"), hash(b"keep-alive"));
        assert_ne!(hash(b"Keep-Alive"), hash(b"Keep-Alivf"));
    }
}

//! Fields for the tests of all modules, as short as they can be written.

use super::fields::Fields;

/// Fields from pairs.
pub fn fields(lines: &[(&str, &str)]) -> Fields {
    lines
        .iter()
        .map(|(name, value)| (name.as_bytes(), value.as_bytes()))
        .collect()
}

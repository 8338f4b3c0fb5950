//! Limits on the size of heads and trailer sections.

use crate::http::fields::Fields;

/// The most field lines that any limit can allow.
pub(super) const MAX_FIELDS: usize = 128;

/// Limits on a head; a larger one is answered with 414 or 431.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadLimits {
    /// Bytes of one line, its CRLF not counted.
    pub line: usize,
    /// Bytes of the whole head, the empty line that ends it included.
    pub head: usize,
    /// Field lines, [`MAX_FIELDS`] at most.
    pub fields: usize,
}

/// Lines and bytes that a stored head may have beside those received: Date, a length, a part's range.
const OWN: (usize, usize) = (3, 256);

/// True for fields that one head could have brought, by the limits on every head; false where those of several came
/// together to more.
pub fn may_be_a_head(fields: &Fields) -> bool {
    let most = HeadLimits::default();
    let bytes: usize = fields
        .iter()
        .map(|(name, value)| name.len() + value.len() + 4)
        .sum();
    fields.iter().count() <= most.fields + OWN.0 && bytes <= most.head + OWN.1
}

impl Default for HeadLimits {
    fn default() -> HeadLimits {
        HeadLimits {
            line: 8 * 1024,
            head: 64 * 1024,
            fields: MAX_FIELDS,
        }
    }
}

//! Limits on the size of heads and trailer sections.

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

impl Default for HeadLimits {
    fn default() -> HeadLimits {
        HeadLimits {
            line: 8 * 1024,
            head: 64 * 1024,
            fields: MAX_FIELDS,
        }
    }
}

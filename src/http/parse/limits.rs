//! Limits on the size of heads and trailer sections.

/// Limits on a head; a larger request's is answered with 414 or 431, a larger response's is a 502.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadLimits {
    /// Bytes of one line, its end not counted.
    pub line: usize,
    /// Bytes of the whole head, the empty line that ends it included.
    pub head: usize,
    /// Field lines.
    pub fields: usize,
}

/// Lines and bytes that a stored head may have beside those received: Date, a length, a part's range.
const OWN: (usize, usize) = (3, 256);

/// True for fields that one head could have brought, by the largest limits there are; false where those of several
/// came together to more.
pub fn may_be_a_head<'a>(lines: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> bool {
    let most = HeadLimits::MOST;
    let add = |(count, bytes), (name, value): (&[u8], &[u8])| {
        (count + 1, bytes + name.len() + value.len() + 4)
    };
    let (count, bytes) = lines.fold((0, 0), add);
    count <= most.fields + OWN.0 && bytes <= most.head + OWN.1
}

impl HeadLimits {
    /// The largest limits that settings may give.
    pub const MOST: HeadLimits = HeadLimits {
        line: 64 * 1024,
        head: 256 * 1024,
        fields: 1000,
    };

    /// The limits on a head to which we have added so many field lines.
    pub(super) fn with_added(self, fields: usize) -> HeadLimits {
        HeadLimits {
            fields: self.fields + fields,
            ..self
        }
    }
}

impl Default for HeadLimits {
    fn default() -> HeadLimits {
        HeadLimits::MOST
    }
}

//! The record: one stored response as bytes. Its head says all but the content, which follows it where it is small, and is in
//! a file of its own else; the end of that file has the head once more. Beside records there are the lists of keys'
//! variants.
//!
//! Whatever is read is checked before it is used.

pub mod head;
mod text;
pub mod variants;

use crate::cache::vary;
use crate::http::parse::HeadLimits;

/// The most bytes that encoded metadata, and trailers, may take.
pub const MOST_META: usize = 512 << 10;

// The largest head that may be stored with the longest target, twice so long with its host, the longest variant and
// trailers fit: what was fetched is never too large for its head in the end.
const _: () = {
    let most = HeadLimits::MOST;
    let lengths = 8 * (most.fields + 64);
    let texts = 3 * most.line + vary::MOST_TEXT + 2 * most.fields;
    assert!(most.head + (16 << 10) + texts + lengths < MOST_META);
};

//! RFC 9111 §4.4: what unsafe methods make invalid.

use super::common::conversation::hold;

#[test]
fn section_4_4() {
    hold("", include_str!("invalidation.txt"));
}

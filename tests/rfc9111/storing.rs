//! RFC 9111 §3: what is stored, and which of its fields.

use super::common::conversation::hold;

#[test]
fn section_3() {
    hold("", include_str!("storing.txt"));
}

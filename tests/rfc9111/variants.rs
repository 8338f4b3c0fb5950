//! RFC 9111 §4.1: variants selected by Vary.

use super::common::conversation::hold;

#[test]
fn section_4_1() {
    hold("", include_str!("variants.txt"));
}

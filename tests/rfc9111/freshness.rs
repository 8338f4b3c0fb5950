//! RFC 9111 §4.2, §5.1, §5.3 and the numbers of §5.2.2: lifetimes and ages, RFC 8246.

use super::common::conversation::hold;

#[test]
fn section_4_2() {
    hold("", include_str!("freshness.txt"));
}

#[test]
fn a_ttl_of_the_operator() {
    hold("ttl = \"1h\"\n", include_str!("ttl.txt"));
}

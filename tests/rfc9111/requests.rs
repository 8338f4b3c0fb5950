//! RFC 9111 §5.2.1 and §5.4: what a request asks of the cache.

use super::common::conversation::hold;

#[test]
fn section_5_2_1() {
    hold("", include_str!("requests.txt"));
}

//! RFC 9211: the members of Cache-Status on each path.

use super::common::conversation::hold;

#[test]
fn rfc_9211() {
    hold("", include_str!("cache_status.txt"));
}

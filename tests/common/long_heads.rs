//! Heads of nearly the largest size, both ways and in what is stored.

use super::origin::ok;
use super::{Origin, Proxy};

/// So many field lines, each with its number.
pub fn numbered(count: usize) -> String {
    let lines = (0..count).map(|number| format!("X-{number}: {number}\r\n"));
    lines.collect()
}

/// Three values, two of which are together longer than any line may be.
fn long() -> String {
    let lines = [("a", 16_000), ("b", 60_000), ("c", 60_000)]
        .map(|(it, length)| format!("Y-{it}: {}\r\n", it.repeat(length)));
    lines.concat()
}

/// Asks twice for what has a long target, a long head both ways and a long variant; and once more after a restart.
pub fn long_heads_are_stored(mut proxy: Proxy, stored: impl Fn()) {
    let origin = Origin::answering(|request| {
        let fields = &request.head;
        let came = (0..950).all(|n| fields.first(&format!("x-{n}")) == Some(&n.to_string()))
            && fields
                .first("y-c")
                .is_some_and(|value| value.len() == 60_000);
        let head = format!(
            "Cache-Control: max-age=600\r\nVary: y-a\r\n{}{}",
            numbered(950),
            long()
        );
        ok(&head, came.to_string())
    });
    let path = format!("/{}", "t".repeat(60_000));
    let fields = numbered(950) + &long();
    for (round, hit) in [(1, false), (2, true), (3, true)] {
        let response = proxy.request("GET", &origin.uri(&path), &fields);
        assert_eq!(
            (response.status, response.text().as_str()),
            (200, "true"),
            "{round}"
        );
        assert_eq!(
            response.is_hit(),
            hit,
            "{round}: {}",
            response.cache_status()
        );
        assert_eq!(response.first("x-949"), Some("949"), "{round}");
        assert_eq!(response.first("y-b").map(str::len), Some(60_000), "{round}");
        match round {
            1 => stored(),
            2 => proxy.restart(),
            _ => {}
        }
    }
    assert_eq!(origin.count(), 1);
    assert_eq!(origin.last().target(), path);
}

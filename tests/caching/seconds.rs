//! Seconds that last as long as they say, whenever in a second of the clock they begin (RFC 9111 §4.2).

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::common::{Client, Origin, Proxy};
use crate::numbered;

/// The time left in this second of the clock.
fn left_of_second() -> Duration {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Duration::from_nanos(u64::from(1_000_000_000 - since.subsec_nanos()))
}

/// True for a hit; None where the machine was too slow to tell.
fn is_hit_across_a_second(proxy: &Proxy, origin: &Origin, path: &str) -> Option<bool> {
    let (mut client, uri) = (Client::of(proxy), origin.uri(path));
    let wait = left_of_second() + Duration::from_millis(930);
    std::thread::sleep(wait);
    let began = Instant::now();
    assert!(!client.get(&uri).is_hit());
    let came = Instant::now();
    std::thread::sleep(left_of_second() + Duration::from_millis(50));
    let hit = client.get(&uri).is_hit();
    let in_time = began.elapsed() < Duration::from_millis(980);
    std::thread::sleep(Duration::from_millis(1005).saturating_sub(came.elapsed()));
    assert!(!client.get(&uri).is_hit(), "after more than a second");
    in_time.then_some(hit)
}

#[test]
fn a_second_of_freshness_lasts_across_the_clock_s() {
    let proxy = Proxy::start("");
    let origin = numbered(|_| "Cache-Control: max-age=1\r\n".to_owned());
    let tried = |n: usize| is_hit_across_a_second(&proxy, &origin, &format!("/{n}"));
    let told: Vec<bool> = (0..8).filter_map(tried).take(2).collect();
    assert_eq!(told, [true, true]);
}

#[test]
fn max_age_0_always_asks() {
    let proxy = Proxy::start("");
    let origin = numbered(|target| match target {
        "/immutable" => "Cache-Control: max-age=60, immutable\r\n".to_owned(),
        _ => "Cache-Control: max-age=60\r\n".to_owned(),
    });
    let mut client = Client::of(&proxy);
    for (path, expected) in [("/", ["0", "1", "2"]), ("/immutable", ["3", "3", "3"])] {
        let uri = origin.uri(path);
        for number in expected {
            let reply = client.request("GET", &uri, "Cache-Control: max-age=0\r\n");
            assert_eq!(reply.text(), format!("answer {number}"), "{path}");
        }
    }
}

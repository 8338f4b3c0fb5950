//! The queue of what is to be stored, in front of a slow database: what finds no room in it is answered all the same, isn't stored,
//! and is counted.

use std::time::Instant;

use super::stage::{BOUND, name, proxy, stored_within, wait_until_stored, wait_until_storing};
use crate::common::postgres::Server;
use crate::common::{Client, Origin};

/// The largest content that waits in memory, and how many of those may wait: 64 MiB.
const LENGTH: usize = 256 << 10;
const MOST: usize = 256;

/// Storing takes longer than fetching, by far, but not so long that it is given up.
const SLOW: &str = "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS \
    'BEGIN PERFORM pg_sleep(3); RETURN NEW; END'; \
    CREATE TRIGGER slow BEFORE INSERT ON cacheproxy.response FOR EACH ROW EXECUTE FUNCTION slow()";

#[test]
fn what_a_full_queue_refuses_is_answered_and_counted() {
    let server = Server::shared();
    let connection = server.database();
    let origin = Origin::sized();
    let proxy = proxy(&connection);
    proxy.get(&origin.uri("/before/1"));
    wait_until_stored(server, &connection, "/before/1", 1);
    server.sql(name(&connection), SLOW);
    let mut client = Client::of(&proxy);
    let mut fetch = |number: usize| {
        let since = Instant::now();
        let response = client.get(&origin.uri(&format!("/queued/{number}/{LENGTH}")));
        assert_eq!((response.status, response.content.len()), (200, LENGTH));
        assert!(since.elapsed() < BOUND, "{number}: {:?}", since.elapsed());
        let refused =
            "going on without storing: the store is too slow: 1 responses were not stored";
        proxy.log().iter().any(|line| line.contains(refused))
    };
    let full = (1..4 * MOST).find(|number| fetch(*number));
    let full = full.expect("something is refused");
    assert!(full > MOST, "number {full} was refused");
    let last = full + 20;
    for number in full + 1..=last {
        fetch(number);
    }
    server.sql(name(&connection), "DROP FUNCTION slow() CASCADE");
    wait_until_storing(&proxy, server, &connection, &origin.uri("/after"));
    // What came later is stored, so all that waited is.
    let stored = stored_within(server, &connection, "queued");
    eprintln!("number {full} was refused, {stored} of {last} are stored");
    assert!((MOST..last).contains(&stored), "{stored} of {last}");
}

//! Hostile responses. Outcomes: `502`: that, with a reason. `cut`: 502, or the client can tell that the
//! response isn't whole. `200=content`: passed on with exactly this content. `any`: whatever it is, it is one
//! whole response. `… or …`: either. `new`: the origin's connection isn't used again.
//! The client's next request always gets its own response, and nothing refused or cut was stored.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::common::origin::fresh;
use crate::common::{Client, Conn, Ended, Gate, Origin, Proxy, Response};
use crate::{Row, each, octets, repeated, rows};

const PAUSE: Duration = Duration::from_millis(20);

/// A response that nobody asked for, and that would be stored for long.
const EVIL: &str =
    "HTTP/1.1 200 OK\\r\\nCache-Control: max-age=9999\\r\\nContent-Length: 4\\r\\n\\r\\nevil";

/// How the client asks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    /// Once it has the first response.
    InTurn,
    /// For both at once.
    Pipelined,
    /// For the second when its connection came back from the supervisor.
    Parked,
}

/// An origin that answers `/row` with the row's bytes, all else as it should; and which connections
/// `/next` came on.
struct Hostile {
    origin: Origin,
    nexts: Arc<Mutex<Vec<usize>>>,
    rows: Arc<Mutex<Vec<usize>>>,
    /// Opens when a row's bytes are all sent.
    sent: Gate,
}

impl Hostile {
    fn new(bytes: &str) -> Hostile {
        let (nexts, rows) = (Arc::default(), Arc::default());
        let sent = Gate::new();
        let origin = Origin::scripted({
            let sent = sent.clone();
            let (nexts, rows): (Arc<Mutex<Vec<usize>>>, _) =
                (Arc::clone(&nexts), Arc::clone(&rows));
            let (bytes, closes) = match bytes.strip_suffix("{close}") {
                Some(bytes) => (bytes.to_owned(), true),
                None => (bytes.to_owned(), false),
            };
            let spoilt = AtomicBool::new(false);
            move |mut conn: Conn| {
                while let Ok(request) = conn.request() {
                    let of = if request.target() == "/row" {
                        &rows
                    } else {
                        &nexts
                    };
                    Mutex::lock(of).unwrap().push(request.connection);
                    if request.target() != "/row" {
                        conn.send(fresh("next"));
                        continue;
                    }
                    let again = spoilt.swap(true, Ordering::SeqCst);
                    for (number, part) in bytes.split("{pause}").enumerate() {
                        if number > 0 && !again {
                            std::thread::sleep(PAUSE);
                        }
                        conn.send(octets(&repeated(part.to_owned())));
                    }
                    sent.open();
                    if closes {
                        return;
                    }
                }
            }
        });
        Hostile {
            origin,
            nexts,
            rows,
            sent,
        }
    }
}

/// The next final response.
fn response(client: &mut Client, method: &str) -> Result<Response, Ended> {
    loop {
        let response = client.try_response(method)?;
        if response.status >= 200 {
            return Ok(response);
        }
    }
}

/// Whether one of a row's outcomes is what the client got.
fn is_expected(outcome: &str, got: &Result<Response, Ended>) -> bool {
    outcome.split(" or ").any(|one| {
        let one = one.trim_end_matches(" new");
        match (one, got) {
            ("cut", Err(ended)) => ended.is_over(),
            ("502" | "cut", Ok(response)) => response.status == 502 && !response.content.is_empty(),
            ("any", Ok(_)) => true,
            (passed, Ok(response)) => passed.split_once('=').is_some_and(|(status, content)| {
                status == response.status.to_string() && octets(content) == response.content
            }),
            _ => false,
        }
    })
}

/// One row in one way.
fn one(proxy: &Proxy, row: &Row, way: Way) {
    let name = format!("{} ({way:?})", row.name);
    let (method, bytes) = row.bytes.split_once(' ').unwrap();
    let hostile = Hostile::new(&bytes.replace("{evil}", EVIL));
    let mut client = Client::of(proxy);
    let uri = hostile.origin.uri("/row");
    let fields = if method == "POST" {
        "Content-Length: 0\r\n"
    } else {
        ""
    };
    client.ask(method, &uri, fields);
    if way == Way::Pipelined {
        client.ask("GET", &hostile.origin.uri("/next"), "");
    }
    let got = response(&mut client, method);
    assert!(is_expected(&row.outcome, &got), "{name}: {got:?}");
    let goes_on = match &got {
        Ok(response) => !response.head.has_element("connection", "close"),
        Err(_) => false,
    };
    if !goes_on {
        client = Client::of(proxy);
    }
    if row.bytes.contains("{pause}") {
        hostile.sent.wait();
    }
    if way == Way::Parked && goes_on {
        proxy.wait_until_parked(&client);
    }
    if way != Way::Pipelined || !goes_on {
        client.ask("GET", &hostile.origin.uri("/next"), "");
    }
    let next = response(&mut client, "GET").unwrap_or_else(|ended| panic!("{name}: {ended:?}"));
    assert_eq!((next.status, next.text().as_str()), (200, "next"), "{name}");
    let nexts = hostile.nexts.lock().unwrap().clone();
    let first = hostile.rows.lock().unwrap()[0];
    let is_new = !nexts.contains(&first);
    let must_be_new = row.outcome.contains("new") || matches!(row.outcome.as_str(), "502" | "cut");
    assert!(
        is_new || !must_be_new,
        "{name}: the connection was used again"
    );
    // What the next client finds is never a mixture of the two.
    let found = proxy.get(&hostile.origin.uri("/next"));
    assert_eq!(found.text(), "next", "{name}: another client");
    if matches!(row.outcome.as_str(), "502" | "cut") {
        client.ask("GET", &uri, "Cache-Control: only-if-cached\r\n");
        let stored = response(&mut client, "GET").unwrap();
        assert_eq!(stored.status, 504, "{name}: it was stored");
    }
}

#[test]
fn hostile_responses_pass_as_listed_and_spoil_no_other() {
    let proxy = Proxy::start("ttl = \"1h\"\n[timeouts]\nworker_idle = \"20ms\"\n");
    each(rows(include_str!("responses.txt")), |row| {
        for way in [Way::InTurn, Way::Pipelined, Way::Parked] {
            // What comes when the next request is already there is its response, as far as anyone can tell.
            if way == Way::Pipelined && row.bytes.contains("{pause}") {
                continue;
            }
            one(&proxy, row, way);
        }
    });
}

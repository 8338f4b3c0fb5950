//! Hostile requests. Outcomes: `400` (or `400,501`): refused with it, closed, nothing reached an origin.
//! `~400`: refused, but its end is beyond doubt, so the next request may be served. `cut`: the head was good
//! and may have been passed on, but no origin got a whole request; 400 or nothing, and closed.
//! `pass M /t=content; …`: the origin got exactly these requests. `pass … then 400` or `then closed`: and then
//! that; `then stays`: what was read of the next request keeps the connection from being parked. `pass … or cut`: either.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::common::origin::{Received, passing, reply};
use crate::common::{Client, Ended, Origin, Proxy, Response};
use crate::{Row, each, octets, repeated, rows};

/// What may never be a trailer field (RFC 9110 §6.5.1).
const NO_TRAILERS: [&str; 5] = [
    "content-length",
    "transfer-encoding",
    "host",
    "connection",
    "authorization",
];

/// How a row's bytes come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    /// In one write with the request that follows.
    Pipelined,
    /// On a connection that was parked before and, where it persists, is parked again after.
    Parked,
}

/// An origin that notes each whole request, and how each connection ended that didn't end between two.
struct Witness {
    origin: Origin,
    broken: Arc<Mutex<Vec<Ended>>>,
}

impl Witness {
    fn new() -> Witness {
        let broken = Arc::new(Mutex::new(Vec::new()));
        let noted = broken.clone();
        let origin = Origin::scripted(move |mut conn| {
            loop {
                match conn.request() {
                    Ok(request) => {
                        conn.send(answer(&request));
                    }
                    Err(Ended::Closed | Ended::Late) => return,
                    Err(ended) => return noted.lock().unwrap().push(ended),
                }
            }
        });
        Witness { origin, broken }
    }

    /// What it got: method, target and content.
    fn seen(&self) -> Vec<String> {
        self.origin.requests().iter().map(said).collect()
    }

    /// What holds for every request that passes.
    fn hold(&self, name: &str) {
        for request in self.origin.requests() {
            let hosts = request.head.all("host");
            assert_eq!(hosts, [self.origin.authority()], "{name}: Host");
            for (field, _) in &request.trailers {
                let field = field.to_ascii_lowercase();
                assert!(!NO_TRAILERS.contains(&field.as_str()), "{name}: {field}");
            }
        }
    }
}

fn said(request: &Received) -> String {
    let content: String = request
        .content
        .iter()
        .map(|&byte| char::from(byte))
        .collect();
    format!("{} {}={content}", request.method(), request.target())
}

/// Each answer names its request, so that one taken for another shows.
fn answer(request: &Received) -> Vec<u8> {
    let content = format!("{} {}", request.method(), request.target());
    if request.method() == "HEAD" {
        return reply("200 OK", "Cache-Control: no-store\r\n", "");
    }
    passing(content)
}

/// What a row expects, taken apart.
struct Expected {
    statuses: Vec<u16>,
    may_persist: bool,
    may_be_cut: bool,
    passed: Vec<String>,
    then: String,
}

impl Expected {
    fn of(outcome: &str) -> Expected {
        let text = |text: &str| octets(text).into_iter().map(char::from).collect::<String>();
        let (outcome, may_be_cut) = match outcome.strip_suffix(" or cut") {
            Some(outcome) => (outcome, true),
            None => (outcome, outcome == "cut"),
        };
        let (passed, then) = match outcome.strip_prefix("pass ") {
            Some(passed) => passed.split_once(" then ").unwrap_or((passed, "")),
            None => ("", ""),
        };
        let statuses = match outcome {
            "cut" => "400,431",
            _ if passed.is_empty() => outcome.trim_start_matches('~'),
            _ if may_be_cut => "400",
            _ => "",
        };
        let numbers = statuses.split(',').filter(|status| !status.is_empty());
        Expected {
            statuses: numbers.map(|status| status.parse().unwrap()).collect(),
            may_persist: outcome.starts_with('~'),
            may_be_cut,
            passed: passed
                .split("; ")
                .filter(|one| !one.is_empty())
                .map(text)
                .collect(),
            then: then.to_owned(),
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

/// One row in one way.
struct Case<'a> {
    name: String,
    proxy: &'a Proxy,
    witness: Witness,
    way: Way,
    client: Client,
}

impl Case<'_> {
    fn ask(&mut self, path: &str) {
        self.client.ask("GET", &self.witness.origin.uri(path), "");
    }

    fn check(&mut self, bytes: &[u8], expected: &Expected) {
        let mut seen = Vec::new();
        if self.way == Way::Parked {
            self.ask("/first");
            assert_eq!(
                response(&mut self.client, "GET").unwrap().text(),
                "GET /first"
            );
            seen.push("GET /first=".to_owned());
            self.proxy.wait_until_parked(&self.client);
            let (one, other) = bytes.split_at(bytes.len() / 3);
            self.client.send(one);
            std::thread::sleep(Duration::from_millis(3));
            self.client.send(other);
        } else {
            self.client.send(bytes);
            self.ask("/next");
        }
        let goes_on = if expected.passed.is_empty() {
            self.refused(expected)
        } else {
            self.passed(expected, &mut seen)
        };
        if goes_on {
            if self.way == Way::Parked {
                if expected.then != "stays" {
                    self.proxy.wait_until_parked(&self.client);
                }
                self.ask("/next");
            }
            self.next(&mut seen);
        } else {
            self.over();
        }
        let name = &self.name;
        assert_eq!(self.witness.seen(), seen, "{name}: what the origin got");
        self.witness.hold(name);
        let broken = self.witness.broken.lock().unwrap().clone();
        assert!(
            broken.is_empty() || expected.may_be_cut,
            "{name}: {broken:?}"
        );
    }

    /// A request that is refused; whether the connection goes on.
    fn refused(&mut self, expected: &Expected) -> bool {
        if self.way == Way::Parked && !expected.may_persist {
            // What is in doubt may need to see what follows.
            self.ask("/next");
        }
        let name = &self.name;
        match response(&mut self.client, "GET") {
            Ok(response) => {
                let (status, text) = (response.status, response.text());
                assert!(
                    expected.statuses.contains(&status),
                    "{name}: {status} {text}"
                );
                assert!(!text.is_empty(), "{name}: it says why");
                expected.may_persist && !response.head.has_element("connection", "close")
            }
            Err(ended) => {
                assert!(expected.may_be_cut && ended.is_over(), "{name}: {ended:?}");
                false
            }
        }
    }

    /// Requests that are passed on; whether the connection goes on.
    fn passed(&mut self, expected: &Expected, seen: &mut Vec<String>) -> bool {
        let name = self.name.clone();
        for request in &expected.passed {
            let line = request.split_once('=').unwrap().0;
            let line = request.split_once("?q=").map_or(line, |_| "GET /?q");
            let method = line.split(' ').next().unwrap();
            let response = match response(&mut self.client, method) {
                Ok(response) => response,
                Err(ended) if expected.may_be_cut && ended.is_over() => return false,
                Err(ended) => panic!("{name}: no response: {ended:?}"),
            };
            if expected.may_be_cut && expected.statuses.contains(&response.status) {
                return false;
            }
            assert_eq!(response.status, 200, "{name}: {}", response.text());
            let content = if method == "HEAD" { "" } else { line };
            assert_eq!(response.text(), content, "{name}: whose response");
            seen.push(request.clone());
        }
        if let Ok(status) = expected.then.parse::<u16>() {
            if self.way == Way::Parked {
                self.ask("/next");
            }
            assert_eq!(
                response(&mut self.client, "GET").unwrap().status,
                status,
                "{name}"
            );
        }
        expected.then.is_empty() || expected.then == "stays"
    }

    /// The request that follows is served as itself, alone.
    fn next(&mut self, seen: &mut Vec<String>) {
        let name = &self.name;
        let next = response(&mut self.client, "GET");
        let next = next.unwrap_or_else(|ended| panic!("{name}: nothing next: {ended:?}"));
        assert_eq!(next.text(), "GET /next", "{name}: the next request");
        seen.push("GET /next=".to_owned());
    }

    fn over(&mut self) {
        let (rest, end) = self.client.rest();
        let name = &self.name;
        assert!(
            rest.is_empty(),
            "{name}: then {}",
            String::from_utf8_lossy(&rest)
        );
        assert!(end.is_over(), "{name}: the connection stays open");
    }
}

fn check(proxy: &Proxy, row: &Row) {
    let expected = Expected::of(&row.outcome);
    for way in [Way::Pipelined, Way::Parked] {
        let (witness, other) = (Witness::new(), Witness::new());
        let head = "{u} HTTP/1.1\\r\\nHost: {a}\\r\\n";
        let bytes = row
            .bytes
            .replace("{c}", "{post}Transfer-Encoding: chunked\\r\\n\\r\\n")
            .replace("{get}", &format!("GET {head}"))
            .replace("{post}", &format!("POST {head}"))
            .replace("{u}", &witness.origin.uri("/"))
            .replace("{a}", &witness.origin.authority())
            .replace("{o}", &other.origin.authority());
        let mut case = Case {
            name: format!("{} ({way:?})", row.name),
            proxy,
            witness,
            way,
            client: Client::of(proxy),
        };
        case.check(&octets(&repeated(bytes)), &expected);
        assert_eq!(
            other.origin.connections(),
            0,
            "{}: another origin",
            row.name
        );
    }
}

/// A worker keeps no idle client for longer than a moment, so that parking is soon.
const CONFIG: &str = "[timeouts]\nworker_idle = \"20ms\"\n";

#[test]
fn hostile_requests_pass_as_listed_or_reach_nobody() {
    let proxy = Proxy::start(CONFIG);
    each(rows(include_str!("requests.txt")), |row| check(&proxy, row));
}

#[test]
fn hostile_chunks_pass_as_listed_or_reach_nobody() {
    let proxy = Proxy::start(CONFIG);
    each(rows(include_str!("chunked.txt")), |row| check(&proxy, row));
}

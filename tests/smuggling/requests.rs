//! Hostile requests, each in two ways. Expected is a status or some, as in `400,501`: refused with it, closed, nothing reached an
//! origin server; `~400`: refused, but its end is beyond doubt, so the next request may be served; `cut`: the head was good and
//! may have been passed on, but no origin server got a whole request: a refusal or nothing, and closed; `pass M /t=content; …`:
//! the origin server got exactly these requests; `pass … then 400` or `then closed`: and then that; `then stays`: what was read
//! of the next request keeps the connection from being parked; `pass … or cut`: either.
//!
//! `{a}` is the origin server's authority, `{u}` its URI `/`, `{o}` another's authority, `{get}` and `{post}` a request's first two
//! lines, `{c}` the head of a POST with chunked content.

use std::time::Duration;

use crate::common::conversation::{Conversation, Script, octets, text_of};
use crate::common::origin::passing;
use crate::common::{Origin, Proxy};
use crate::each;

/// The way in which a row's octets come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    /// In one write with the request that follows.
    Pipelined,
    /// On a connection that was parked before and, where it persists, is parked again after.
    Parked,
}

/// A row's expectation, taken apart.
struct Expected {
    refused: String,
    may_persist: bool,
    may_be_cut: bool,
    passed: Vec<String>,
    then: String,
}

impl Expected {
    fn of(outcome: &str) -> Expected {
        let (outcome, may_be_cut) = match outcome.strip_suffix(" or cut") {
            Some(outcome) => (outcome, true),
            None => (outcome, outcome == "cut"),
        };
        let (passed, then) = match outcome.strip_prefix("pass ") {
            Some(passed) => passed.split_once(" then ").unwrap_or((passed, "")),
            None => ("", ""),
        };
        let passed = passed.split("; ").filter(|one| !one.is_empty());
        Expected {
            refused: match outcome {
                "cut" => "400,431 | why or cut".to_owned(),
                _ => format!("{} | why", outcome.trim_start_matches('~')),
            },
            may_persist: outcome.starts_with('~'),
            may_be_cut,
            passed: passed.map(|one| text_of(&octets(one))).collect(),
            then: then.to_owned(),
        }
    }
}

/// One row in one way, and what the origin server must have got so far.
struct Case<'a> {
    conversation: Conversation<'a>,
    way: Way,
    seen: Vec<String>,
}

impl Case<'_> {
    fn check(&mut self, bytes: &[u8], expected: &Expected) {
        if self.way == Way::Parked {
            self.conversation.send("GET /first");
            self.conversation.expect("200 | =GET /first");
            self.seen.push("GET /first=".to_owned());
            self.conversation.wait("parked");
            let (one, other) = bytes.split_at(bytes.len() / 3);
            self.conversation.client.send(one);
            std::thread::sleep(Duration::from_millis(3));
            self.conversation.client.send(other);
        } else {
            self.conversation.client.send(bytes);
            self.conversation.send("GET /next");
        }
        let goes_on = if expected.passed.is_empty() {
            self.refused(expected)
        } else {
            self.passed(expected)
        };
        if goes_on {
            self.next(expected);
        } else {
            self.conversation.is_closed();
        }
        let requests = self.conversation.origin.requests();
        let got = requests.iter().map(|request| {
            let (method, target) = (request.method(), request.target());
            format!("{method} {target}={}", text_of(&request.content))
        });
        let (got, name) = (got.collect::<Vec<_>>(), &self.conversation.name);
        assert_eq!(got, self.seen, "{name}: what the origin server got");
        match expected.may_be_cut {
            true => self.conversation.holds_of_requests(),
            false => self.conversation.end(),
        }
    }

    /// A request that is refused; whether the connection goes on.
    fn refused(&mut self, expected: &Expected) -> bool {
        if self.way == Way::Parked && !expected.may_persist {
            // What is in doubt may need to see what follows.
            self.conversation.send("GET /next");
        }
        self.conversation.expect(&expected.refused);
        expected.may_persist && !self.conversation.is_over()
    }

    /// Requests that are passed on; whether the connection goes on.
    fn passed(&mut self, expected: &Expected) -> bool {
        let name = self.conversation.name.clone();
        for request in &expected.passed {
            let line = request.split_once('=').unwrap().0;
            let line = request.split_once("?q=").map_or(line, |_| "GET /?q");
            let method = line.split(' ').next().unwrap();
            let response = match self.conversation.response(method) {
                Ok(response) if expected.may_be_cut && response.status == 400 => return false,
                Ok(response) => response,
                Err(ended) if expected.may_be_cut && ended.is_over() => return false,
                Err(ended) => panic!("{name}: no response: {ended:?}"),
            };
            assert_eq!(response.status, 200, "{name}: {}", response.text());
            let content = if method == "HEAD" { "" } else { line };
            assert_eq!(response.text(), content, "{name}: whose response");
            self.seen.push(request.clone());
        }
        if expected.then.parse::<u16>().is_ok() {
            if self.way == Way::Parked {
                self.conversation.send("GET /next");
            }
            self.conversation.expect(&expected.then);
        }
        expected.then.is_empty() || expected.then == "stays"
    }

    /// The request that follows is served as itself, alone.
    fn next(&mut self, expected: &Expected) {
        if self.way == Way::Parked {
            if expected.then != "stays" {
                self.conversation.wait("parked");
            }
            self.conversation.send("GET /next");
        }
        self.conversation.expect("=GET /next");
        self.seen.push("GET /next=".to_owned());
    }
}

fn check(proxy: &Proxy, row: &Script) {
    let step = &row.steps[0];
    let expected = Expected::of(&step.expects);
    for way in [Way::Pipelined, Way::Parked] {
        let other = Origin::answering(|_| passing("another"));
        let mut conversation = Conversation::with(proxy, &format!("{} ({way:?})", row.name));
        conversation.says("", "echo");
        let head = "{u} HTTP/1.1\\r\\nHost: {a}\\r\\n";
        let bytes = step
            .sends
            .replace("raw ", "")
            .replace("{c}", "{post}Transfer-Encoding: chunked\\r\\n\\r\\n")
            .replace("{get}", &format!("GET {head}"))
            .replace("{post}", &format!("POST {head}"))
            .replace("{u}", &conversation.origin.uri("/"))
            .replace("{a}", &conversation.origin.authority())
            .replace("{o}", &other.authority());
        let seen = Vec::new();
        Case {
            conversation,
            way,
            seen,
        }
        .check(&octets(&bytes), &expected);
        assert_eq!(other.connections(), 0, "{}: another origin", row.name);
    }
}

#[test]
fn hostile_requests_pass_as_listed_or_reach_nobody() {
    each("", include_str!("requests.txt"), check);
}

#[test]
fn hostile_chunks_pass_as_listed_or_reach_nobody() {
    each("", include_str!("chunked.txt"), check);
}

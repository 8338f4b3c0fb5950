//! One row: a conversation about one URI. All parts are separated by ` | `.
//!
//! - A request: method, perhaps with `/suffix` for another URI, and fields; `+2` in front waits 2 s first.
//! - An answer: status and fields, `Date: none` for none; interim ones come before, separated by ` || `. `close`
//!   ends the connection instead. The content is `answer N` with the number of the step.
//! - What comes of it: `hit N` (not asked, content of step N), `miss` (asked), `validated N` (asked with our
//!   condition, content of step N), `replaced` (the same, content of this step), `stale N` (asked in vain),
//!   `failed` (asked, the proxy's own answer),
//!   `behind N` (content of step N, asked in the background) or `own` (made by the proxy). Then checks: a status,
//!   `Name: value` or `!Name` of the response, `asked Name: value` or `asked !Name` of what the origin got,
//!   `cs text` or `cs !text` of Cache-Status, `age N` for an Age of N to N+4.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::thread::sleep;
use std::time::Duration;

use crate::common::message::Response;
use crate::common::origin::Received;
use crate::common::{Client, Origin, PATIENCE, Proxy, date, dated, each, wait_until};

/// What the client sends, what the origin would answer, what has to come of it.
pub type Step = (&'static str, &'static str, &'static str);

/// A name and its steps.
pub type Row = (&'static str, &'static [Step]);

/// How many conversations go on at the same time.
const AT_ONCE: usize = 24;

type Answers = Arc<Mutex<HashMap<String, (usize, &'static str)>>>;

/// Holds every conversation of a table.
pub fn hold(config: &str, rows: &[Row]) {
    let proxy = Proxy::start(config);
    let answers = Answers::default();
    let origin = Origin::scripted({
        let answers = answers.clone();
        move |mut conn| {
            while let Ok(request) = conn.request() {
                let (step, answer) = answers.lock().unwrap()[request.target()];
                if answer == "close" || !conn.send(bytes(&request, step, answer)) {
                    return;
                }
            }
        }
    });
    let numbered: Vec<_> = rows.iter().enumerate().collect();
    each(numbered.chunks(AT_ONCE), |chunk| {
        std::thread::scope(|scope| {
            for (number, (name, steps)) in chunk {
                let (proxy, origin, answers) = (&proxy, &origin, &answers);
                scope.spawn(move || {
                    for (at, step) in steps.iter().enumerate() {
                        // What the last step brought is on its way into the store.
                        sleep(Duration::from_millis(if at == 0 { 0 } else { 300 }));
                        converse(proxy, origin, answers, (*number, name), at, step);
                    }
                });
            }
        });
    });
}

fn converse(
    proxy: &Proxy,
    origin: &Origin,
    answers: &Answers,
    (number, name): (usize, &str),
    at: usize,
    (request, answer, expected): &Step,
) {
    let mut request = *request;
    if let Some(rest) = request.strip_prefix('+') {
        let (seconds, rest) = rest.split_once(' ').unwrap();
        sleep(Duration::from_secs(seconds.parse().unwrap()));
        request = rest;
    }
    let (line, fields) = request.split_once(" | ").unwrap_or((request, ""));
    let (method, suffix) = line.split_once(' ').unwrap_or((line, ""));
    let path = format!("/{number}{suffix}");
    answers.lock().unwrap().insert(path.clone(), (at, answer));
    let before = origin.count_of(&path);
    let mut client = Client::of(proxy);
    client.ask(method, &origin.uri(&path), &lines(fields, &path));
    let response = loop {
        let response = client.response(method);
        if response.status >= 200 {
            break response;
        }
    };
    let mut parts = expected.split(" | ");
    let outcome = parts.next().unwrap_or_default();
    if outcome.starts_with("behind") {
        wait_until(name, PATIENCE, || origin.count_of(&path) > before);
        sleep(Duration::from_millis(200));
    }
    let asked: Vec<_> = origin
        .requests()
        .into_iter()
        .filter(|r| r.target() == path)
        .skip(before)
        .collect();
    let told = format!(
        "{name}, step {at}: {request:?}: {} {:?}, asked {} times",
        response.status,
        response.head.fields,
        asked.len(),
    );
    check_outcome(outcome, method, at, &response, &asked, &told);
    parts.for_each(|part| check(&with_dates(part, &path), &response, asked.last(), &told));
}

fn check_outcome(
    outcome: &str,
    method: &str,
    at: usize,
    response: &Response,
    asked: &[Received],
    told: &str,
) {
    let (what, of) = outcome.split_once(' ').unwrap_or((outcome, ""));
    let ours = asked
        .last()
        .is_some_and(|r| r.head.has("if-none-match") || r.head.has("if-modified-since"));
    let content = match what {
        "miss" | "replaced" => format!("answer {at}"),
        _ => format!("answer {of}"),
    };
    let (asks, conditional) = match what {
        "hit" | "own" => (0, None),
        "miss" => (1, None),
        "behind" | "stale" | "failed" => (1, None),
        "validated" | "replaced" => (1, Some(true)),
        _ => panic!("{told}: what is {outcome:?}?"),
    };
    // A connection that served before may have closed in its own time: asked again over a new one.
    let repeated = matches!(what, "stale" | "failed") && asked.len() == 2;
    assert!(asked.len() == asks || repeated, "not {outcome}: {told}");
    assert!(
        conditional.is_none_or(|wanted| wanted == ours),
        "not {outcome}: {told}"
    );
    let empty = method == "HEAD" || matches!(response.status, 204 | 304);
    let made = matches!(what, "own" | "failed");
    if !made && !empty {
        assert_eq!(response.text(), content, "not {outcome}: {told}");
    }
    let says = response.cache_status();
    match what {
        "own" | "failed" => assert!(says.is_empty(), "Cache-Status: {told}"),
        "hit" | "behind" => assert!(response.is_hit(), "not a hit: {told}"),
        "stale" => assert!(!says.is_empty(), "no Cache-Status: {told}"),
        _ => assert!(!response.is_hit() && says.contains("fwd="), "a hit: {told}"),
    }
}

fn check(part: &str, response: &Response, asked: Option<&Received>, told: &str) {
    if let Ok(status) = part.parse::<u16>() {
        assert_eq!(response.status, status, "{told}");
    } else if let Some(age) = part.strip_prefix("age ") {
        let least: u64 = age.parse().unwrap();
        let age = response.age().unwrap_or(u64::MAX);
        assert!((least..=least + 4).contains(&age), "not {part}: {told}");
    } else if let Some(text) = part.strip_prefix("cs !") {
        assert!(!response.cache_status().contains(text), "{part}: {told}");
    } else if let Some(text) = part.strip_prefix("cs ") {
        assert!(response.cache_status().contains(text), "not {part}: {told}");
    } else if let Some(name) = part.strip_prefix("asked !") {
        assert!(!asked.unwrap().head.has(name), "{part}: {told}");
    } else if let Some(field) = part.strip_prefix("asked ") {
        let (name, value) = field.split_once(": ").unwrap();
        let got = asked.unwrap().head.all(name);
        assert_eq!(got, [value], "{part}: {told}");
    } else if let Some(name) = part.strip_prefix('!') {
        assert!(!response.head.has(name), "{part}: {told}");
    } else {
        let (name, value) = part.split_once(": ").unwrap();
        assert_eq!(response.head.all(name).join(", "), value, "{part}: {told}");
    }
}

/// An answer, and the interim ones before it.
fn bytes(request: &Received, step: usize, answer: &str) -> Vec<u8> {
    let mut out = String::new();
    for message in answer.split(" || ") {
        let (status, fields) = message.split_once(" | ").unwrap_or((message, ""));
        out += &format!("HTTP/1.1 {status} x\r\n{}", lines(fields, request.target()));
        if status.starts_with('1') {
            out += "\r\n";
            continue;
        }
        if !fields.contains("Date:") {
            out += &format!("Date: {}\r\n", date(0));
        }
        let content = format!("answer {step}");
        let has_content = !matches!(status, "204" | "304");
        if fields.contains("chunked") {
            out += &format!("\r\n{:x}\r\n{content}\r\n0\r\n\r\n", content.len());
            continue;
        }
        if has_content && !fields.contains("Content-Length:") {
            out += &format!("Content-Length: {}\r\n", content.len());
        }
        out += "\r\n";
        if has_content && request.method() != "HEAD" {
            out += &content;
        }
    }
    out.replace("Date: none\r\n", "").into_bytes()
}

/// Fields as lines.
fn lines(fields: &str, path: &str) -> String {
    let fields = fields.split(" | ").filter(|field| !field.is_empty());
    let lines = fields.map(|field| format!("{}\r\n", with_dates(field, path)));
    lines.collect::<Vec<_>>().concat()
}

/// Replaces `{+n}` and `{-n}` by dates, and `{path}` by the first part of the path.
fn with_dates(text: &str, path: &str) -> String {
    let first = path
        .trim_start_matches('/')
        .split('/')
        .next()
        .unwrap_or_default();
    dated(&text.replace("{path}", &format!("/{first}")))
}

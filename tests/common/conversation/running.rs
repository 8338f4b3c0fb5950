//! A conversation that goes on: a client, an origin server that says what it is told to, and what came of it.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::super::message::Response;
use super::super::{Client, Conn, Ended, Origin, Proxy, TIMEOUT, wait_until};
use super::check::Exchange;
use super::octets::octets;
use super::script::{Step, dates, lines, target};
use super::{says, settle};

/// Fields that a trailer section may not have (RFC 9110 §6.5.1).
const NO_TRAILERS: [&str; 5] = [
    "content-length",
    "transfer-encoding",
    "host",
    "connection",
    "authorization",
];

/// The origin server's answers by target (all other targets: ""), with the number of the request that it is said to.
type Answers = HashMap<String, (usize, VecDeque<String>)>;

#[derive(Default)]
struct Shared {
    answers: Mutex<Answers>,
    /// The ends of connections that didn't end between two requests.
    broken: Mutex<Vec<Ended>>,
    /// Answers that were sent to their end.
    said: AtomicUsize,
}

impl Shared {
    fn answer(&self, target: &str) -> (usize, String) {
        let mut answers = self.answers.lock().unwrap();
        let known = if answers.contains_key(target) {
            target
        } else {
            ""
        };
        let Some((number, says)) = answers.get_mut(known) else {
            return (0, "500".to_owned());
        };
        let says = match says.len() {
            1 => says[0].clone(),
            _ => says.pop_front().unwrap(),
        };
        (*number, says)
    }

    fn serve(&self, mut conn: Conn) {
        loop {
            match conn.request() {
                Ok(request) => {
                    let (number, says) = self.answer(request.target());
                    let closes = says::say(&mut conn, &request, number, &says);
                    self.said.fetch_add(1, Ordering::SeqCst);
                    if closes {
                        return;
                    }
                }
                Err(Ended::Closed | Ended::Late) => return,
                Err(ended) => return self.broken.lock().unwrap().push(ended),
            }
        }
    }
}

/// A running conversation: a client and an origin server of its own.
pub struct Conversation<'a> {
    pub name: String,
    pub origin: Origin,
    pub client: Client,
    proxy: &'a Proxy,
    shared: Arc<Shared>,
    requests: usize,
    method: String,
    asked: usize,
    over: bool,
}

impl<'a> Conversation<'a> {
    pub fn with(proxy: &'a Proxy, name: &str) -> Conversation<'a> {
        let shared = Arc::new(Shared::default());
        let serving = shared.clone();
        Conversation {
            name: name.to_owned(),
            origin: Origin::scripted(move |conn| serving.serve(conn)),
            client: Client::of(proxy),
            proxy,
            shared,
            requests: 0,
            method: String::new(),
            asked: 0,
            over: false,
        }
    }

    /// Does one step, and waits until the store has what it brought.
    pub fn step(&mut self, step: &Step) {
        if let Some(what) = step.sends.strip_prefix("wait ") {
            return self.wait(what);
        }
        if !step.says.is_empty() {
            let target = target(&step.sends);
            self.says(&target, &step.says);
        }
        self.send(&step.sends);
        if !step.expects.is_empty() {
            self.expect(&step.expects);
            settle(self.proxy);
        }
    }

    /// Waits for this.
    pub fn wait(&mut self, what: &str) {
        match what.strip_suffix('s') {
            Some(seconds) => std::thread::sleep(Duration::from_secs(seconds.parse().unwrap())),
            None if what == "parked" => self.proxy.wait_until_parked(&self.client),
            None => panic!("{}: wait for {what:?}?", self.name),
        }
    }

    /// From now on the origin server says this to requests for a target; to those for any other when that is empty.
    pub fn says(&mut self, target: &str, says: &str) {
        let says = says.split(" then ").map(dates).collect();
        let mut answers = self.shared.answers.lock().unwrap();
        answers.insert(target.to_owned(), (self.requests, says));
    }

    /// Sends a request, or octets.
    pub fn send(&mut self, sends: &str) {
        if std::mem::take(&mut self.over) {
            self.client = Client::of(self.proxy);
        }
        self.asked = self.origin.count();
        self.requests += 1;
        if let Some(raw) = sends.strip_prefix("raw ") {
            self.method = "GET".to_owned();
            return self.client.send(octets(raw));
        }
        let (line, fields) = sends.split_once(" | ").unwrap_or((sends, ""));
        self.method = line.split(' ').next().unwrap_or_default().to_owned();
        let uri = self.origin.uri(&target(sends));
        self.client.ask(&self.method, &uri, &lines(&dates(fields)));
    }

    /// The next final response to a request with this method.
    pub fn response(&mut self, method: &str) -> Result<Response, Ended> {
        let response = loop {
            match self.client.try_response(method) {
                Ok(response) if response.status < 200 => {}
                other => break other,
            }
        };
        self.over = match &response {
            Ok(response) => response.head.has_element("connection", "close"),
            Err(_) => true,
        };
        response
    }

    /// True when the last response ended the connection.
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// Reads the next response to what was sent last, and checks it.
    pub fn expect(&mut self, expects: &str) {
        let method = self.method.clone();
        let response = self.response(&method);
        if expects.starts_with("behind") {
            wait_until(&self.name, TIMEOUT, || {
                self.origin.count() > self.asked && self.has_said_all()
            });
        }
        self.check(expects, response);
    }

    /// Checks a response.
    pub fn check(&self, expects: &str, response: Result<Response, Ended>) {
        let exchange = Exchange {
            method: &self.method,
            number: self.requests.saturating_sub(1),
            asked: self.origin.requests().split_off(self.asked),
            response,
        };
        let holds = exchange.check(&dates(expects));
        let told = format!("{}, request {}", self.name, exchange.number);
        holds.unwrap_or_else(|why| panic!("{told}: {why}: {exchange}"));
    }

    /// True when the origin server has answered all that it was asked.
    pub fn has_said_all(&self) -> bool {
        self.shared.said.load(Ordering::SeqCst) >= self.origin.count()
    }

    /// Nothing more comes, and the connection is over.
    pub fn is_closed(&mut self) {
        let (rest, end) = self.client.rest();
        let (name, rest) = (&self.name, String::from_utf8_lossy(&rest));
        assert!(rest.is_empty(), "{name}: then {rest}");
        assert!(end.is_over(), "{name}: the connection stays open");
    }

    /// Checks all that the origin server got, and that it came whole.
    pub fn end(&self) {
        self.holds_of_requests();
        let broken = self.shared.broken.lock().unwrap();
        assert!(broken.is_empty(), "{}: {broken:?}", self.name);
    }

    /// The same where a request may have been cut off.
    pub fn holds_of_requests(&self) {
        let name = &self.name;
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

//! The knowledge of a name, as conversations: what happened, and what counts then.

use super::Known::{self, LookUp};
use super::*;

fn addresses(text: &str) -> Addresses {
    [text.parse().unwrap()].into()
}

fn is(text: &str) -> Known {
    Known::Answer(Ok(addresses(text)))
}

fn is_not(why: LookupError) -> Known {
    Known::Answer(Err(why))
}

fn absent() -> LookupError {
    LookupError::Absent("no such name".to_owned())
}

fn unknown() -> LookupError {
    LookupError::Unknown("try again".to_owned())
}

/// The names while a test goes through time.
struct Book {
    names: Names<u32>,
    start: Instant,
}

impl Book {
    fn new() -> Book {
        Book {
            names: Names::default(),
            start: Instant::now(),
        }
    }

    fn at(&self, seconds: f64) -> Instant {
        self.start + Duration::from_secs_f64(seconds)
    }

    fn begin(&mut self, seconds: f64) {
        self.names.begin("a", 1, self.at(seconds));
    }

    fn finish(&mut self, answer: Result<&str, LookupError>, seconds: f64) {
        let answer = answer.map(addresses);
        self.names.finish("a", &answer, self.at(seconds));
    }

    #[track_caller]
    fn expect(&mut self, seconds: f64, expected: Known) {
        let known = self.names.known("a", self.at(seconds));
        assert_eq!(known, expected, "at {seconds}");
    }

    /// The address until that time, then a look-up.
    fn instead(&self, text: &str, seconds: f64) -> Known {
        LookUp(Some((addresses(text), self.at(seconds))))
    }
}

#[test]
fn addresses_count_for_a_while() {
    let mut book = Book::new();
    book.expect(0.0, LookUp(None));
    book.begin(0.0);
    book.expect(1.0, LookUp(None));
    assert_eq!(book.names.running("a"), Some(1));
    book.finish(Ok("192.0.2.1"), 2.0);
    assert_eq!(book.names.running("a"), None);
    book.expect(2.0, is("192.0.2.1"));
    book.expect(31.9, is("192.0.2.1"));
    // Then they are used only if newer ones don't come.
    book.expect(32.0, book.instead("192.0.2.1", 32.5));
    book.begin(32.0);
    book.expect(33.0, book.instead("192.0.2.1", 32.5));
    book.finish(Ok("192.0.2.2"), 33.5);
    book.expect(33.5, is("192.0.2.2"));
}

#[test]
fn a_failure_counts_for_less_time_and_leaves_addresses_in_force() {
    let mut book = Book::new();
    book.begin(0.0);
    book.finish(Err(unknown()), 1.0);
    book.expect(1.9, is_not(unknown()));
    book.expect(2.0, LookUp(None));
    book.begin(2.0);
    book.finish(Ok("192.0.2.1"), 3.0);
    book.begin(40.0);
    book.finish(Err(unknown()), 50.0);
    book.expect(50.9, is("192.0.2.1"));
    book.expect(51.0, book.instead("192.0.2.1", 51.5));
    // Addresses that are a day old aren't used any more.
    let day = 24.0 * 3600.0;
    book.expect(day + 2.9, book.instead("192.0.2.1", day + 3.4));
    book.expect(day + 3.0, LookUp(None));
}

#[test]
fn a_name_that_is_no_more_has_no_addresses() {
    let mut book = Book::new();
    book.begin(0.0);
    book.finish(Ok("192.0.2.1"), 0.0);
    book.begin(30.0);
    book.finish(Err(absent()), 31.0);
    book.expect(35.9, is_not(absent()));
    book.expect(36.0, LookUp(None));
    // A failure after that doesn't bring them back.
    book.begin(36.0);
    book.finish(Err(unknown()), 37.0);
    book.expect(37.5, is_not(unknown()));
}

#[test]
fn addresses_that_do_not_answer_are_doubted() {
    let mut book = Book::new();
    book.begin(0.0);
    book.finish(Ok("192.0.2.1"), 0.0);
    book.names.doubt("a");
    // Not more often than once a second, however many ask for it.
    book.expect(0.9, is("192.0.2.1"));
    book.expect(1.0, book.instead("192.0.2.1", 1.5));
    book.begin(1.0);
    book.finish(Ok("192.0.2.1"), 1.0);
    book.names.doubt_all(book.at(1.0));
    book.expect(1.1, book.instead("192.0.2.1", 1.6));
    book.begin(2.0);
    book.finish(Err(absent()), 2.0);
    book.names.doubt_all(book.at(2.0));
    book.expect(2.1, LookUp(None));
}

#[test]
fn an_answer_is_taken_once() {
    let mut book = Book::new();
    book.begin(0.0);
    book.finish(Ok("192.0.2.1"), 0.0);
    book.finish(Err(absent()), 0.0);
    book.expect(1.0, is("192.0.2.1"));
    book.begin(30.0);
    book.finish(Err(absent()), 0.0);
    assert_eq!(book.names.running("a"), Some(1));
}

#[test]
fn names_are_bounded_and_what_is_used_stays() {
    let mut book = Book::new();
    book.begin(0.0);
    book.finish(Ok("192.0.2.1"), 0.0);
    book.names.begin("running", 2, book.at(0.0));
    for number in 0..2 * MOST_NAMES {
        let (host, now) = (format!("n{number}"), book.at(number as f64 / 1000.0));
        book.names.begin(&host, 3, now);
        let answer = match number % 2 {
            0 => Err(absent()),
            _ => Ok(addresses("192.0.2.9")),
        };
        book.names.finish(&host, &answer, now);
        book.names.known("a", now);
    }
    assert!(book.names.0.len() <= MOST_NAMES);
    book.expect(9.0, is("192.0.2.1"));
    assert_eq!(book.names.running("running"), Some(2));
}

//! What is remembered of servers and addresses, and for how long, as tables.

use super::*;

const WAITED: Duration = Duration::from_secs(3);
const ORIGIN: &str = "http://a.example:80";

fn address(last: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, last], 80))
}

fn server(lasts: &[u8]) -> OriginServer<'static> {
    named(ORIGIN, lasts)
}

fn named(origin: &'static str, lasts: &[u8]) -> OriginServer<'static> {
    OriginServer {
        origin,
        port: 80,
        addresses: Some(lasts.iter().map(|last| address(*last).ip()).collect()),
    }
}

fn course(steps: &[(u8, Step)]) -> Course {
    let course = Course::default();
    course.begins(steps.iter().map(|(last, _)| address(*last)));
    for (last, step) in steps {
        course.takes(address(*last), *step);
    }
    course
}

#[test]
fn a_server_hangs_when_all_its_addresses_do() {
    use Step::{Connected, Connecting, Failed, Untried};
    type Row = (&'static [(u8, Step)], bool, &'static [u8]);
    // (how far each address has come, whether the server hangs, the addresses that do)
    let table: &[Row] = &[
        (&[], true, &[]),
        (&[(1, Connecting)], true, &[1]),
        (&[(1, Connected)], true, &[1]),
        (&[(1, Connecting), (2, Connecting)], true, &[1, 2]),
        (&[(1, Failed(Duration::ZERO)), (2, Connecting)], true, &[2]),
        (&[(1, Failed(Duration::ZERO)), (2, Connected)], true, &[2]),
        (&[(1, Connected), (2, Untried)], false, &[1]),
        (&[(1, Connecting), (2, Untried)], false, &[1]),
    ];
    for (steps, hangs, of_them) in table {
        let hung = HungOrigins::new(Arc::new(Shared::create().unwrap()));
        let lasts: Vec<u8> = steps.iter().map(|(last, _)| *last).collect();
        let (server, course) = (server(&lasts), course(steps));
        hung.note_unconnected(&course, WAITED);
        hung.note_silent(&server, &course, WAITED);
        assert_eq!(hung.has(&server), *hangs, "{steps:?}");
        for last in lasts {
            let expected = of_them.contains(&last);
            let got = hung.has_address(ORIGIN, address(last));
            assert_eq!(got, expected, "{steps:?} {last}");
        }
    }
}

#[test]
fn the_other_address_is_left_until_it_hangs_too() {
    let hung = HungOrigins::new(Arc::new(Shared::create().unwrap()));
    let both = server(&[1, 2]);
    hung.note_silent(&both, &course(&[(1, Step::Connected)]), WAITED);
    assert!(!hung.has(&both));
    hung.note_silent(&both, &course(&[(2, Step::Connected)]), WAITED);
    assert!(hung.has(&both));
    hung.answers(ORIGIN, address(2));
    assert!(!hung.has(&both));
    assert!(hung.has_address(ORIGIN, address(1)) && !hung.has_address(ORIGIN, address(2)));
}

#[test]
fn an_address_without_a_connection_hangs_for_all_its_hosts_a_silent_one_for_one() {
    let hung = HungOrigins::new(Arc::new(Shared::create().unwrap()));
    let other = named("http://b.example:80", &[1]);
    hung.note_silent(&server(&[1]), &course(&[(1, Step::Connected)]), WAITED);
    assert!(!hung.has(&other));
    let unconnected = course(&[(1, Step::Connecting)]);
    hung.note_unconnected(&unconnected, WAITED);
    assert!(hung.has(&other));
    hung.fails(ORIGIN, &unconnected);
    assert!(!hung.has(&other) && !hung.has(&server(&[1])));
}

#[test]
fn of_a_server_that_cannot_be_reached_those_addresses_hang_that_took_long() {
    let hung = HungOrigins::new(Arc::new(Shared::create().unwrap()));
    let steps = [(1, Step::Failed(WAITED)), (2, Step::Failed(WAITED / 100))];
    hung.note_unreachable(ORIGIN, &course(&steps), WAITED);
    assert!(hung.has(&server(&[1, 2])) && hung.has(&named("http://b.example:80", &[1])));
    assert!(!hung.has(&named("http://b.example:80", &[2])));
}

thread_local! {
    static NOW: std::cell::Cell<u64> = const { std::cell::Cell::new(1_700_000_000_000) };
}

fn pass(seconds: u64) {
    NOW.set(NOW.get() + 1000 * seconds);
}

fn on_a_clock() -> HungOrigins {
    HungOrigins {
        shared: Arc::new(Shared::create().unwrap()),
        clock: || NOW.get(),
    }
}

#[test]
fn it_is_forgotten_after_30_s() {
    let hung = on_a_clock();
    let silent = course(&[(1, Step::Connected)]);
    hung.note_silent(&server(&[1]), &silent, WAITED);
    pass(29);
    assert!(hung.has(&server(&[1])) && hung.has_address(ORIGIN, address(1)));
    pass(1);
    assert!(!hung.has(&server(&[1])) && !hung.has_address(ORIGIN, address(1)));
}

#[test]
fn what_answers_others_does_not_hang() {
    // (seconds before now at which it answered, from which address, whether the server hangs)
    let table: &[(u64, u8, bool)] = &[
        (0, 1, false),
        (2, 1, false),
        (4, 1, true),
        (2, 2, false),
        (2, 3, true),
    ];
    for (ago, from, hangs) in table {
        let hung = on_a_clock();
        let origin = if *from == 3 {
            "http://b.example:80"
        } else {
            ORIGIN
        };
        hung.answers(origin, address(*from));
        pass(*ago);
        let silent = course(&[(1, Step::Connected)]);
        hung.note_silent(&server(&[1]), &silent, WAITED);
        assert_eq!(hung.has(&server(&[1])), *hangs, "{ago} {from}");
        // The other address answers, and is to be asked.
        let of_address = *hangs || *from == 2;
        assert_eq!(
            hung.has_address(ORIGIN, address(1)),
            of_address,
            "{ago} {from}"
        );
        hung.answers(ORIGIN, address(1));
        assert!(!hung.has(&server(&[1])));
    }
}

fn uri(text: &'static str) -> Uri {
    Uri::parse(&text.into()).unwrap()
}

#[test]
fn one_tries_at_a_time() {
    let hung = on_a_clock();
    let attempt = |text| hung.attempt(&uri(text), WAITED);
    let first = attempt("http://a.example/");
    assert!(first.is_some() && attempt("http://a.example/b").is_none());
    assert!(attempt("http://b.example/").is_some());
    drop(first);
    let lost = attempt("http://a.example/");
    assert!(lost.is_some() && attempt("http://a.example/").is_none());
    // As of a worker that was killed.
    pass(10);
    let next = attempt("http://a.example/");
    assert!(next.is_some());
    // Its end isn't that of the one after it.
    drop(lost);
    assert!(attempt("http://a.example/").is_none());
    drop(next);
    assert!(attempt("http://a.example/").is_some());
}

#[test]
fn a_uri_for_which_nothing_came_keeps_no_other_from_trying() {
    let hung = on_a_clock();
    let [slow, other] = ["http://a.example/slow", "http://a.example/"].map(uri);
    hung.note_uri(&slow);
    let of_slow = hung.attempt(&slow, WAITED);
    assert!(of_slow.is_some() && hung.attempt(&slow, WAITED).is_none());
    let of_other = hung.attempt(&other, WAITED);
    assert!(of_other.is_some() && hung.attempt(&other, WAITED).is_none());
    drop(of_slow);
    assert!(hung.attempt(&slow, WAITED).is_none(), "others go first");
    drop(of_other);
    assert!(hung.attempt(&slow, WAITED).is_some());
}

#[test]
fn a_try_has_the_time_that_an_answer_may_take() {
    let table = [(1, 10), (3, 10), (8, 16), (60, 30)];
    for (origin_hang, seconds) in table {
        let hung = on_a_clock();
        let limit = Duration::from_secs(origin_hang);
        let attempt = hung.attempt(&uri("http://a.example/"), limit);
        let limit = attempt.map(|attempt| attempt.limit().as_secs());
        assert_eq!(limit, Some(seconds), "{origin_hang}");
    }
}

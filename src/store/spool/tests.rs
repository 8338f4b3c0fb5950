//! A spool's readers at their own pace: what each of them gets, and who waits for whom.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

use super::*;
use crate::store::Checksum;

/// The output of a future, if it has one now, without anybody to wake it.
fn now<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => Some(done),
        Poll::Pending => None,
    }
}

/// Pushes pieces of this length until the writer has to wait; how many bytes those are.
fn fill(writer: &mut SpoolWriter, piece: usize, most: u64) -> u64 {
    let before = writer.len();
    while writer.len() - before < most {
        let pushed = now(writer.push(Bytes::from(vec![b'x'; piece])));
        if pushed.is_none() {
            break;
        }
    }
    writer.len() - before
}

/// Reads what is there; how many bytes, and what stands in the way of more.
fn drain(reader: &mut SpoolReader) -> (u64, Option<Piece>) {
    let mut read = 0;
    loop {
        match reader.next_now() {
            Some(Piece::Memory(bytes)) => read += bytes.len() as u64,
            other => return (read, other),
        }
    }
}

#[test]
fn a_writer_waits_for_the_fastest_reader_of_a_window() {
    for piece in [100, 8192, 65_536] {
        let (spool, mut writer) = Spool::new(Keep::Window);
        let mut alone = spool.reader().unwrap();
        let most = WINDOW + piece as u64;
        for _ in 0..5 {
            let filled = fill(&mut writer, piece, u64::MAX);
            assert!((WINDOW..=most).contains(&filled), "{piece}: {filled}");
            assert_eq!(fill(&mut writer, piece, u64::MAX), piece as u64);
            let (read, then) = drain(&mut alone);
            assert!(read == filled + piece as u64 && then.is_none(), "{piece}");
        }
    }
}

#[test]
fn who_falls_out_of_a_window_misses_what_comes_next_and_holds_up_nobody() {
    let (spool, mut writer) = Spool::new(Keep::Window);
    let (mut quick, mut slow) = (spool.reader().unwrap(), spool.reader().unwrap());
    // What both may still have is kept, as long as that isn't too much.
    for _ in 0..5 {
        assert_eq!(fill(&mut writer, 1000, 200_000), 200_000);
        assert_eq!(drain(&mut quick).0, 200_000);
    }
    let begun = slow.next_now();
    assert!(matches!(begun, Some(Piece::Memory(_))), "{begun:?}");
    for _ in 0..20 {
        assert!(fill(&mut writer, 1000, 200_000) == 200_000);
        assert_eq!(drain(&mut quick).0, 200_000);
        assert!(spool.inner.borrow().blocks.cost() as u64 <= 2 * BEHIND);
    }
    let at = slow.rest().start;
    assert!(matches!(slow.next_now(), Some(Piece::Missed { .. })));
    assert_eq!(slow.rest(), at..u64::MAX, "it knows where it would go on");
    assert!(spool.reader().is_none(), "nobody begins in the middle");
    drop(slow);
    assert!(now(spool.out_of_reach()).is_none());
    drop(quick);
    assert!(now(spool.out_of_reach()).is_some());
}

#[test]
fn a_reader_that_waits_far_ahead_has_taken_all_there_is() {
    let (spool, mut writer) = Spool::new(Keep::Window);
    let mut reader = spool.reader().unwrap();
    reader.narrow(10 * WINDOW..10 * WINDOW + 5);
    assert_eq!(fill(&mut writer, 1 << 16, 10 * WINDOW), 10 * WINDOW);
    assert!(spool.inner.borrow().blocks.cost() as u64 <= WINDOW);
    now(writer.push(Bytes::from_static(b"0123456789")));
    match (reader.next_now(), reader.next_now()) {
        (Some(Piece::Memory(part)), Some(Piece::End(ContentEnd::Whole { .. }))) => {
            assert_eq!(part, &b"01234"[..]);
        }
        other => panic!("{other:?}"),
    }
    assert!(now(spool.out_of_reach()).is_some(), "it needs nothing more");
}

#[test]
fn what_is_no_longer_kept_is_a_window() {
    let (spool, mut writer) = Spool::new(Keep::All);
    let (mut ahead, mut behind) = (spool.reader().unwrap(), spool.reader().unwrap());
    assert!(fill(&mut writer, 1000, IN_MEMORY) >= IN_MEMORY);
    assert!(now(spool.kept()).is_none());
    writer.give_up_keeping();
    assert!(now(spool.kept()).is_some());
    // Nobody has read any of it.
    assert_eq!(fill(&mut writer, 1000, 10_000), 1000);
    assert_eq!(drain(&mut ahead).0, writer.len());
    for _ in 0..10 {
        assert_eq!(fill(&mut writer, 1000, 200_000), 200_000);
        assert_eq!(drain(&mut ahead).0, 200_000);
    }
    assert!(matches!(behind.next_now(), Some(Piece::Missed { .. })));
}

#[test]
fn who_misses_content_is_told_the_checksum_of_what_came_before() {
    let content: Vec<u8> = (0..8_000_000_u32).map(|at| ((at * 7) >> 3) as u8).collect();
    let mut pieces = content.chunks(1000).map(Bytes::copy_from_slice);
    let (spool, mut writer) = Spool::new(Keep::All);
    // (how many pieces it takes while all is kept, and then)
    let rows = [(0, 0), (0, 50), (1, 0), (100, 0), (100, 17), (250, 300)];
    let mut ahead = spool.reader().unwrap();
    let mut behind = rows.map(|_| spool.reader().unwrap());
    let mut push = |ahead: &mut SpoolReader, count: usize| {
        for _ in 0..count {
            assert!(now(writer.push(pieces.next().unwrap())).is_some());
            drain(ahead);
        }
    };
    push(&mut ahead, 250);
    let take = |reader: &mut SpoolReader, pieces: u64| {
        let from = reader.rest().start;
        reader.narrow(from..from + pieces * 1000);
        drain(reader);
        reader.narrow(from + pieces * 1000..u64::MAX);
    };
    for (reader, (kept, _)) in behind.iter_mut().zip(rows) {
        take(reader, kept);
    }
    writer.give_up_keeping();
    for _ in 0..500 {
        assert!(now(writer.push(pieces.next().unwrap())).is_some());
        drain(&mut ahead);
    }
    for (reader, (_, passing)) in behind.iter_mut().zip(rows) {
        while reader.rest().start < passing * 1000 {
            assert!(matches!(reader.next_now(), Some(Piece::Memory(_))));
        }
    }
    for _ in 0..3000 {
        assert!(now(writer.push(pieces.next().unwrap())).is_some());
        drain(&mut ahead);
    }
    for (reader, row) in behind.iter_mut().zip(rows) {
        let at = reader.rest().start as usize;
        match reader.next_now() {
            Some(Piece::Missed { before }) => {
                assert_eq!(before, Some(Checksum::of(&content[..at])), "{row:?} {at}");
            }
            other => panic!("{row:?} {other:?}"),
        }
    }
}

//! Content in memory, cut in every way: what comes out, and what it costs.

use super::*;

/// Content that shows any shift, loss or doubling.
fn content(length: usize) -> Vec<u8> {
    (0..length as u32).map(|at| (at ^ at >> 7) as u8).collect()
}

/// Puts content in, in pieces of these lengths in turn.
fn cut(content: &[u8], lengths: &[usize]) -> Blocks {
    let mut blocks = Blocks::default();
    let mut rest = content;
    for length in lengths.iter().cycle() {
        let (piece, after) = rest.split_at(rest.len().min(*length));
        blocks.push(Bytes::copy_from_slice(piece));
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    blocks
}

const CUTS: [&[usize]; 7] = [
    &[1],
    &[7, 1],
    &[1, LARGE],
    &[LARGE - 1],
    &[LARGE, LARGE - 1, 1],
    &[COPIED],
    &[300, 20_000, 1],
];

#[test]
fn content_comes_out_as_it_went_in() {
    let content = content(400_000);
    for lengths in CUTS {
        let mut blocks = cut(&content, lengths);
        assert_eq!((blocks.first(), blocks.end()), (0, 400_000));
        for since in [0, 1, 4097, 65_536, 399_999, 400_000] {
            let rest = blocks.since(since).concat();
            assert!(rest == content[since as usize..], "{lengths:?} {since}");
        }
        // From the start, each piece after the one before.
        let (mut all, mut pieces) = (Vec::new(), 0);
        while let Some(piece) = blocks.at(all.len() as u64) {
            all.extend_from_slice(&piece);
            pieces += 1;
        }
        assert!(all == content, "{lengths:?}");
        assert!(
            pieces <= 2 * 400_000 / COPIED,
            "{lengths:?}: {pieces} pieces"
        );
    }
}

#[test]
fn what_was_taken_is_dropped() {
    let content = content(400_000);
    for lengths in CUTS {
        let mut blocks = cut(&content, lengths);
        let mut at = 0;
        while let Some(piece) = blocks.at(at) {
            assert!(
                piece == content[at as usize..][..piece.len()],
                "{lengths:?}"
            );
            at += piece.len() as u64;
            blocks.drop_before(at - 1);
            assert!(blocks.first() < at, "{lengths:?}");
            assert!(blocks.at(at - 1).is_some(), "{lengths:?}");
            blocks.drop_before(at);
            assert_eq!(blocks.at(at - 1), None, "{lengths:?}");
        }
        assert_eq!((at, blocks.first()), (400_000, 400_000));
        assert!(blocks.cost() <= 2 * MOST_ROOM, "{}", blocks.cost());
    }
}

#[test]
fn content_costs_memory_by_its_length() {
    for lengths in CUTS {
        for length in [10, 1000, 30_000, 400_000] {
            let blocks = cut(&content(length), lengths);
            let cost = blocks.cost();
            assert!(cost <= 2 * length + 2048, "{lengths:?} {length}: {cost}");
        }
    }
}

/// A reader that is always there for each byte as it comes.
#[test]
fn a_reader_at_the_pace_of_the_writer_has_nothing_pile_up() {
    let content = content(100_000);
    let mut kept = Blocks::default();
    let mut window = Blocks::default();
    for (at, byte) in content.iter().enumerate() {
        for blocks in [&mut kept, &mut window] {
            blocks.push(Bytes::copy_from_slice(&[*byte]));
            assert_eq!(blocks.at(at as u64).as_deref(), Some(&[*byte][..]));
        }
        window.drop_before(at as u64 + 1);
    }
    assert!(kept.since(0).concat() == content);
    assert!(kept.since(0).len() <= 100_000 / COPIED + 10);
    assert!(window.cost() <= 2048, "{}", window.cost());
}

#[test]
fn a_large_piece_stays_where_it_is() {
    let piece = Bytes::from(content(LARGE));
    let mut blocks = Blocks::default();
    blocks.push(piece.clone());
    assert_eq!(blocks.at(0).map(|out| out.as_ptr()), Some(piece.as_ptr()));
}

//! Lists of variants: selection, bounds, who takes whose place, damage.

use super::*;
use crate::cache::owner::testing::identified;
use crate::http::testing::fields;

fn names(list: &[&str]) -> Vec<String> {
    list.iter().map(ToString::to_string).collect()
}

fn request(value: &str) -> Fields {
    fields(&[("a", value)])
}

fn variant(list: &[&str], value: &str) -> Hash {
    *vary::variant_of(list, &request(value)).hash()
}

/// The request of a client that has responses of its own.
fn client(number: u8) -> Fields {
    identified(&Fields::default(), &[number])
}

fn own(number: u8) -> Hash {
    *vary::variant_of(&[CLIENT], &client(number)).hash()
}

fn no_hits(_: &Hash) -> u32 {
    0
}

fn new() -> VariantList {
    VariantList::new("GET http://a/".into())
}

fn filled() -> VariantList {
    let mut list = new();
    list.add(names(&["a"]), variant(&["a"], "1"), no_hits);
    list.add(names(&["a", "b"]), variant(&["a", "b"], "1"), no_hits);
    list.add(names(&["a"]), variant(&["a"], "2"), no_hits);
    list.add(names(&[CLIENT]), own(1), no_hits);
    list
}

fn read(bytes: Vec<u8>) -> Option<VariantList> {
    VariantList::decode(&bytes.into())
}

fn selected(list: &VariantList, request: &Fields) -> Vec<Hash> {
    let of = list.selected(request);
    of.iter().map(|variant| *variant.hash()).collect()
}

#[test]
fn selection_is_most_recent_first() {
    let mut list = filled();
    let (one, both) = (variant(&["a"], "1"), variant(&["a", "b"], "1"));
    assert_eq!(selected(&list, &request("1")), [both, one]);
    assert_eq!(selected(&list, &request("2")), [variant(&["a"], "2")]);
    assert!(selected(&list, &request("3")).is_empty());
    list.add(names(&["a"]), one, no_hits);
    assert_eq!(selected(&list, &request("1")), [one, both]);
    assert!(list.is_first(&names(&["a"]), &one));
    assert!(list.remove(&both) && !list.remove(&both) && list.remove(&own(1)));
    assert_eq!(list.sets, [names(&["a"])]);
}

/// A response without Vary, one of each of two clients, and one for all that a rule lifted, in any order.
#[test]
fn those_kept_apart_stay_beside_the_others() {
    let everybody = fields(&[(CLIENT, "all")]);
    let for_all = *vary::variant_of(&[CLIENT], &everybody).hash();
    let plain = (names(&[]), NO_VARIANT);
    let varying = (names(&["a"]), variant(&["a"], "1"));
    let apart = [own(1), own(2), for_all].map(|variant| (names(&[CLIENT]), variant));
    for of_all in [plain, varying] {
        for first in 0..=apart.len() {
            let mut list = new();
            for (at, (names, variant)) in apart.iter().enumerate() {
                if at == first {
                    assert!(list.add(of_all.0.clone(), of_all.1, no_hits).is_empty());
                }
                assert!(list.add(names.clone(), *variant, no_hits).is_empty());
            }
            if first == apart.len() {
                assert!(list.add(of_all.0.clone(), of_all.1, no_hits).is_empty());
            }
            let list = read(list.encode().unwrap()).unwrap();
            let with = |client: &Fields| client.iter().chain(request("1").iter()).collect();
            let found = |client: &Fields| selected(&list, &with(client));
            assert_eq!(found(&Fields::default()), [of_all.1]);
            assert_eq!(found(&client(1)), [own(1), of_all.1], "{first}");
            assert_eq!(found(&client(2)), [own(2), of_all.1], "{first}");
            // Neither is one client's: the most recent is.
            let mut expected = [for_all, of_all.1];
            if first == apart.len() {
                expected.reverse();
            }
            assert_eq!(found(&everybody), expected, "{first}");
        }
    }
}

#[test]
fn whose_place_a_response_takes() {
    let (one, two) = (variant(&["a"], "1"), variant(&["a"], "2"));
    let mut list = new();
    assert!(list.is_needless());
    list.add(names(&["a"]), one, no_hits);
    list.add(names(&["a"]), two, no_hits);
    list.add(names(&[CLIENT]), own(1), no_hits);
    // (names, variant, those that go, whether a list is needed then)
    let table = [
        (names(&[]), NO_VARIANT, vec![two, one]),
        (names(&[]), NO_VARIANT, vec![]),
        (names(&[CLIENT]), own(1), vec![]),
        (names(&["a"]), one, vec![NO_VARIANT]),
        (names(&["a"]), two, vec![]),
        (names(&["a"]), one, vec![]),
        (names(&[]), NO_VARIANT, vec![one, two]),
    ];
    for (row, (names, variant, gone)) in table.into_iter().enumerate() {
        assert_eq!(list.add(names, variant, no_hits), gone, "row {row}");
        assert!(!list.is_needless());
    }
    assert!(list.remove(&own(1)));
    assert!(list.is_needless() && list.variants().count() == 1);
    assert!(list.remove(&NO_VARIANT));
    assert!(list.is_needless() && list.variants().count() == 0);
}

#[test]
fn variants_are_bounded() {
    let mut list = new();
    for n in 1..=100 {
        let dropped = list.add(names(&[&format!("n{n}")]), [n; 16], no_hits);
        let gone = usize::from(n)
            .checked_sub(MOST_VARIANTS)
            .filter(|gone| *gone > 0);
        let expected = gone.map(|gone| [gone as u8; 16]);
        assert_eq!(dropped, Vec::from_iter(expected));
    }
    assert_eq!(list.sets.len(), MOST_VARIANTS);
    assert_eq!(read(list.encode().unwrap()), Some(list.clone()));
    // Clients have room of their own, and what they have there takes nothing from others.
    for n in 101..=200 {
        let dropped = list.add(names(&[CLIENT]), [n; 16], no_hits);
        assert!(
            dropped.iter().all(|variant| variant[0] > 100),
            "{n}: {dropped:?}"
        );
    }
    assert_eq!(list.variants().count(), 2 * MOST_VARIANTS);
    assert_eq!(read(list.encode().unwrap()), Some(list.clone()));
    let dropped = list.add(names(&[]), NO_VARIANT, no_hits);
    assert!(dropped.len() == MOST_VARIANTS && dropped.iter().all(|variant| variant[0] <= 100));
    assert_eq!(read(list.encode().unwrap()), Some(list));
}

#[test]
fn variants_with_long_names_take_the_place_of_older_ones() {
    let mut list = new();
    list.add(names(&[CLIENT]), [99; 16], no_hits);
    let mut dropped = 0;
    for n in 1..=40 {
        let long = format!("n{n}{}", "x".repeat(16_000));
        dropped += list.add(names(&[&long]), [n; 16], no_hits).len();
        let bytes = list.encode().unwrap();
        assert_eq!(bytes.len(), list.size());
        assert_eq!(list.variants().next(), Some(&[n; 16]));
        assert_eq!(dropped + list.variants().count(), usize::from(n) + 1);
    }
    assert_eq!(list.variants().count(), 17);
    assert_eq!(list.variants().last(), Some(&[99; 16]));
}

/// Whatever is asked for once or twice meanwhile.
#[test]
fn variants_that_are_of_use_stay() {
    let mut list = new();
    let hits = |hash: &Hash| match hash[0] {
        1 => 5,
        2 => 3,
        other => u32::from((other - 1) % 2),
    };
    for n in 1..=100 {
        list.add(names(&["a"]), [n; 16], hits);
    }
    let left: Vec<u8> = list.variants().map(|hash| hash[0]).collect();
    // The newest, those that were hit once, the most recent of them, and the two.
    let expected = (42..=100).rev().filter(|n| n % 2 == 0).chain([2, 1]);
    assert_eq!(left, expected.collect::<Vec<_>>());
}

#[test]
fn damage_is_refused() {
    let bytes = filled().encode().unwrap();
    assert_eq!(read(bytes.clone()), Some(filled()));
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1;
        assert_eq!(read(damaged), None, "byte {at}");
        assert_eq!(read(bytes[..at].to_vec()), None, "cut {at}");
    }
    let mut longer = bytes;
    longer.push(0);
    assert_eq!(read(longer), None);
    let forgeries: [fn(&mut VariantList); 4] = [
        |list| list.entries[0].set = 9,
        |list| list.entries[0].variant = NO_VARIANT,
        |list| list.sets[0] = names(&[]),
        |list| list.sets[1] = names(&["a b"]),
    ];
    for forge in forgeries {
        let mut forged = filled();
        forge(&mut forged);
        assert_eq!(read(forged.encode().unwrap()), None);
    }
}

//! What stays beside what under one key, and that all that is known of a response comes back.

use strum::IntoEnumIterator as _;

use super::*;
use crate::cache::provenance::{Access, BootTime, Class, Digest, DigestAlgorithm};
use crate::store::record::variants::MOST_PARTS;

pub(super) fn run(store: &dyn Store) {
    keeps_parts_by_their_first_byte(store);
    bounds_parts(store);
    keeps_parts_of_each_variant(store);
    a_whole_leaves_parts_that_are_for_others(store);
    keeps_what_is_for_all_beside_what_is_for_one(store);
    keeps_all_that_is_known(store);
}

/// The ranges of the parts that are found, each with its content whole.
fn parts(store: &dyn Store, key: &Key, request: &Fields) -> Vec<(u64, u64)> {
    let parts = store.parts(key, request).unwrap();
    let range = |part: &Object| {
        let first = part.meta.extent.first();
        let own = content(part.content.len(), first as u8);
        assert!(
            read(&part.content) == own,
            "the part that begins with {first}"
        );
        (first, first + own.len() as u64)
    };
    parts.iter().map(range).collect()
}

fn look_for(store: &dyn Store, key: &Key, request: &Fields) -> Option<Object> {
    match store.lookup(key, request) {
        Ok(Found::Object(object)) => Some(*object),
        Ok(Found::Nothing | Found::OtherVariants) => None,
        Err(why) => panic!("{why}"),
    }
}

fn publish_part(store: &dyn Store, whole: &Key, part: Range<u64>) -> Published {
    let content = content(part.end - part.start, part.start as u8);
    publish(store, &part_of(whole, part), &content)
}

fn keeps_parts_by_their_first_byte(store: &dyn Store) {
    let whole = plain("GET http://parts/");
    let (key, none) = (whole.key.part(), Fields::default());
    assert!(parts(store, &key, &none).is_empty());
    for part in [200_000..300_000, 0..100, 500..10_000, 100..150] {
        let published = publish_part(store, &whole.key, part);
        assert_eq!(published.hash, *key.hash());
    }
    let all = [(0, 100), (100, 150), (500, 10_000), (200_000, 300_000)];
    assert_eq!(parts(store, &key, &none), all);
    // One of them.
    let one = look(store, &key).unwrap();
    assert!(all.contains(&(
        one.meta.extent.first(),
        one.meta.extent.first() + one.content.len()
    )));
    assert!(look(store, &whole.key).is_none());
    let old = store.parts(&key, &none).unwrap().swap_remove(3);
    publish_part(store, &whole.key, 200_000..400_000);
    store.remove_part(&old).unwrap();
    let longer = [(0, 100), (100, 150), (500, 10_000), (200_000, 400_000)];
    assert_eq!(parts(store, &key, &none), longer);
    // A validation of one leaves the others.
    let old = store.parts(&key, &none).unwrap().swap_remove(2);
    let mut newer = old.meta.clone();
    newer.response_time = Timestamp::from_millis(3);
    store.refresh(&old, &newer, None).unwrap();
    assert_eq!(store.parts(&key, &none).unwrap()[2].meta, newer);
    assert_eq!(parts(store, &key, &none), longer);
    for part in store.parts(&key, &none).unwrap().drain(1..3) {
        store.remove_part(&part).unwrap();
    }
    assert_eq!(parts(store, &key, &none), [(0, 100), (200_000, 400_000)]);
    assert_eq!(store.remove(&key).unwrap().len(), 2);
    assert!(parts(store, &key, &none).is_empty());
}

fn bounds_parts(store: &dyn Store) {
    let whole = Key::new("GET http://parts/many");
    let (most, none) = (MOST_PARTS as u64, Fields::default());
    for number in 0..most + 5 {
        publish_part(store, &whole, number * 10..number * 10 + 5);
    }
    let found = parts(store, &whole.part(), &none);
    let expected = (5..most + 5).map(|number| (number * 10, number * 10 + 5));
    assert!(found.iter().copied().eq(expected), "{found:?}");
    // The shortest go, never what was just stored.
    publish_part(store, &whole, 0..9);
    publish_part(store, &whole, 5_000..5_001);
    publish_part(store, &whole, 6_000..6_001);
    let found = parts(store, &whole.part(), &none);
    assert_eq!(found.len(), MOST_PARTS);
    assert_eq!((found[0], found[MOST_PARTS - 1]), ((0, 9), (6_000, 6_001)));
    assert!(!found.contains(&(5_000, 5_001)));
    assert_eq!(store.remove(&whole.part()).unwrap().len(), MOST_PARTS);
}

/// It takes the place of the parts of what it takes the place of.
fn a_whole_leaves_parts_that_are_for_others(store: &dyn Store) {
    let whole = plain("GET http://parts/whole");
    let request = |client: &[u8]| identified(&fields(&[("A", "1")]), client);
    let (one, two) = (request(b"1"), request(b"2"));
    let part = part_of(&whole.key, 0..10);
    let key = &part.key;
    look(store, &whole.key);
    for meta in [
        part.clone(),
        part.clone().apart(&one),
        part.clone().apart(&two),
    ] {
        publish(store, &meta, &content(10, 1));
    }
    let left = || {
        [&Fields::default(), &one, &two].map(|request| {
            let parts = store.parts(key, request).unwrap();
            parts.first().map(|part| part.meta.variant.is_apart())
        })
    };
    assert_eq!(left(), [Some(false), Some(true), Some(true)]);
    publish(store, &whole.clone().apart(&one), &content(20, 1));
    assert_eq!(left(), [Some(false), Some(false), Some(true)]);
    publish(
        store,
        &meta("GET http://parts/whole", &[("Vary", "A")], &one),
        &content(20, 1),
    );
    assert_eq!(left(), [None, None, Some(true)]);
    publish(store, &part, &content(10, 1));
    publish(store, &whole, &content(20, 1));
    assert_eq!(left(), [None, None, Some(true)]);
    store.remove(key).unwrap();
    store.remove(&whole.key).unwrap();
}

fn keeps_parts_of_each_variant(store: &dyn Store) {
    let whole = Key::new("GET http://parts/vary");
    let key = whole.part();
    let request = |value: &str| fields(&[("A", value)]);
    let own = identified(&request("1"), b"a");
    let varying = |part: Range<u64>, request: &Fields| {
        let mut meta = part_of(&whole, part);
        let vary = (&b"Vary"[..], &b"A"[..]);
        meta.fields = meta.fields.iter().chain([vary]).collect();
        meta.variant = vary::variant_of(&["a"], request);
        meta
    };
    for part in [0..10, 20..30] {
        for meta in [
            varying(part.clone(), &request("1")),
            varying(part.clone(), &request("2")),
            varying(part.clone(), &own).apart(&own),
        ] {
            publish(store, &meta, &content(10, part.start as u8));
        }
    }
    let more = varying(40..50, &request("2"));
    publish(store, &more, &content(10, 40));
    let two = [(0, 10), (20, 30)];
    assert_eq!(parts(store, &key, &request("1")), two);
    assert_eq!(
        parts(store, &key, &request("2")),
        [two[0], two[1], (40, 50)]
    );
    assert!(parts(store, &key, &request("3")).is_empty());
    let of_client = store.parts(&key, &own).unwrap();
    assert!(of_client.len() == 2 && of_client.iter().all(|part| part.meta.variant.is_apart()));
    // One without Vary takes the place of those with it that are for all.
    publish_part(store, &whole, 60..70);
    assert_eq!(parts(store, &key, &request("1")), [(60, 70)]);
    assert_eq!(store.parts(&key, &own).unwrap().len(), 2);
    assert_eq!(store.remove(&key).unwrap().len(), 3);
}

fn keeps_what_is_for_all_beside_what_is_for_one(store: &dyn Store) {
    let client = |number: u8| identified(&fields(&[("A", "1")]), &[number]);
    let plain = plain("GET http://own/beside");
    let own = |number: u8| plain.clone().apart(&client(number));
    let varying = meta("GET http://own/beside", &[("Vary", "A")], &client(0));
    let found = |request: &Fields| {
        let found = look_for(store, &plain.key, request);
        found.map_or(0, |object| object.content.len())
    };
    for order in [[1, 2, 3], [2, 3, 1], [3, 1, 2]] {
        for which in order {
            match which {
                1 => publish(store, &plain, &content(1, 1)),
                2 => publish(store, &own(2), &content(2, 1)),
                _ => publish(store, &own(3), &content(70_000, 1)),
            };
        }
        let all = [
            found(&Fields::default()),
            found(&client(2)),
            found(&client(3)),
        ];
        assert_eq!(all, [1, 2, 70_000], "{order:?}");
        assert_eq!(found(&client(4)), 1, "{order:?}");
        // One with Vary takes the place of the one without, and that its.
        publish(store, &varying, &content(4, 1));
        assert_eq!([found(&Fields::default()), found(&client(4))], [0, 4]);
        publish(store, &plain, &content(5, 1));
        assert_eq!([found(&Fields::default()), found(&client(4))], [5, 5]);
        assert_eq!([found(&client(2)), found(&client(3))], [2, 70_000]);
        // What is for all is validated in its place, and what is one client's in its.
        for request in [Fields::default(), client(2)] {
            let object = look_for(store, &plain.key, &request).unwrap();
            let mut newer = object.meta.clone();
            newer.response_time = Timestamp::from_millis(3);
            store.refresh(&object, &newer, None).unwrap();
        }
        assert_eq!(
            [found(&client(4)), found(&client(2)), found(&client(3))],
            [5, 2, 70_000]
        );
        assert_eq!(store.remove(&plain.key).unwrap().len(), 3);
        assert_eq!([found(&client(2)), found(&client(4))], [0, 0]);
    }
}

fn keeps_all_that_is_known(store: &dyn Store) {
    let mut all = vec![Provenance::default()];
    let digests = DigestAlgorithm::iter()
        .map(|algorithm| Digest::new(algorithm, vec![0xe9; algorithm.length()]));
    let classes = Class::iter().cycle();
    let access = Access::iter().cycle();
    all.extend(
        digests
            .chain([None])
            .zip(classes)
            .zip(access)
            .map(|((digest, class), access)| Provenance {
                received: BootTime {
                    boot: std::array::from_fn(|at| 0xf0 + at as u8),
                    millis: i64::MAX as u64,
                },
                digest,
                access,
                class,
            }),
    );
    let mut meta = plain("GET http://known/");
    for length in [10, 70_000] {
        for provenance in &all {
            meta.provenance = provenance.clone();
            publish(store, &meta, &content(length, 1));
            let object = look(store, &meta.key).unwrap();
            assert_eq!(object.meta, meta);
            // What a validation changes is kept as well.
            for provenance in &all {
                meta.provenance = provenance.clone();
                let object = look(store, &meta.key).unwrap();
                store.refresh(&object, &meta, None).unwrap();
                assert_eq!(look(store, &meta.key).unwrap().meta, meta);
            }
        }
    }
    store.remove(&meta.key).unwrap();
}

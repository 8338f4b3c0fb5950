//! The duties of every store, as one test over `&dyn Store`, so that each kind of store runs the very same.
#![allow(clippy::unwrap_used)]

use std::ops::Range;
use std::os::unix::fs::FileExt;

use bytes::{Bytes, BytesMut};

use super::{Checksum, Content, Found, Object, Published, SMALL, Store, StoreError, Whole};
use crate::cache::extent::Extent;
use crate::cache::key::Key;
use crate::cache::owner::testing::identified;
use crate::cache::provenance::Provenance;
use crate::cache::stored::Meta;
use crate::cache::time::Timestamp;
use crate::cache::vary;
use crate::http::fields::Fields;
use crate::http::testing::fields;

mod places;

/// The metadata of a response with these fields to a request with those.
pub fn meta(key: &str, lines: &[(&str, &str)], request: &Fields) -> Meta {
    let fields = fields(lines);
    Meta {
        key: Key::new(key.to_owned()),
        variant: vary::variant_of(&vary::names(&fields).unwrap(), request),
        request_time: Timestamp::from_millis(1),
        response_time: Timestamp::from_millis(2),
        local: false,
        extent: Extent::Whole,
        provenance: Provenance::default(),
        status: 200,
        reason: "OK".into(),
        fields,
        trailers: Fields::default(),
    }
}

/// The metadata of a response without `Vary`.
pub fn plain(key: &str) -> Meta {
    meta(key, &[("ETag", "\"1\"")], &Fields::default())
}

/// The metadata of the bytes `part` of what has this key, of a representation of 1,000,000 bytes.
pub fn part_of(whole: &Key, part: Range<u64>) -> Meta {
    let range = format!("bytes {}-{}/1000000", part.start, part.end - 1);
    let lines = [("ETag", "\"1\""), ("Content-Range", &range[..])];
    Meta {
        key: whole.part(),
        status: 206,
        extent: Extent::Part {
            first: part.start,
            length: 1_000_000,
        },
        ..meta("GET http://part/", &lines, &Fields::default())
    }
}

/// Content that differs with `seed`.
pub fn content(length: u64, seed: u8) -> Bytes {
    let byte = |at: u64| (at ^ (at >> 8)) as u8 ^ seed;
    (0..length).map(byte).collect()
}

/// The content of an object as bytes.
pub fn read(content: &Content) -> Bytes {
    match content {
        Content::Memory(bytes) => bytes.clone(),
        Content::File {
            file, offset, len, ..
        } => {
            let mut bytes = vec![0; *len as usize];
            file.read_exact_at(&mut bytes, *offset).unwrap();
            bytes.into()
        }
        Content::Pieces(pieces) => {
            let mut bytes = BytesMut::new();
            while (bytes.len() as u64) < pieces.len() {
                let piece = pieces.read(bytes.len() as u64).unwrap();
                assert!(!piece.is_empty() && piece.len() <= 256 << 10);
                bytes.extend_from_slice(&piece);
            }
            bytes.freeze()
        }
    }
}

/// The response that a lookup for this key without any fields finds.
pub fn look(store: &dyn Store, key: &Key) -> Option<Object> {
    match store.lookup(key, &Fields::default()).unwrap() {
        Found::Object(object) => Some(*object),
        Found::Nothing | Found::OtherVariants => None,
    }
}

/// Publishes content from memory.
pub fn publish(store: &dyn Store, meta: &Meta, content: &Bytes) -> Published {
    store
        .publish(meta, Whole::Memory(vec![content.clone()]), None)
        .unwrap()
}

/// Publishes content through a draft, in pieces.
pub fn publish_draft(store: &dyn Store, meta: &Meta, content: &Bytes) -> Published {
    let expected = content.len() as u64;
    let draft = store.begin(meta, Some(expected)).unwrap();
    let mut checksum = Checksum::new();
    for (number, part) in content.chunks(10_000).enumerate() {
        draft.write_at(part, number as u64 * 10_000).unwrap();
        checksum.update(part);
    }
    let whole = Whole::Draft {
        draft,
        len: expected,
        checksum,
    };
    store.publish(meta, whole, None).unwrap()
}

/// Everything that holds of any store.
pub fn run(store: &dyn Store) {
    round_trips(store);
    replaces_and_removes(store);
    selects_variants(store);
    keeps_clients_apart(store);
    bounds_variants(store);
    response_without_vary_replaces_variants(store);
    refreshes(store);
    refuses_what_cannot_be_selected(store);
    leaves_out_what_never_came_from_the_network(store);
    an_unpublished_draft_leaves_nothing(store);
    places::run(store);
}

fn round_trips(store: &dyn Store) {
    assert!(matches!(
        store.lookup(&Key::new("GET http://none/"), &Fields::default()),
        Ok(Found::Nothing)
    ));
    for length in [0, 1, 5_000, SMALL, SMALL + 1, 300_000] {
        for trailers in [&[][..], &[("Digest", "x"), ("Empty", "")]] {
            let key = format!("GET http://trip/{length}/{}", trailers.len());
            let lines = [("ETag", "\"1\""), ("X", ""), ("x", "2")];
            let mut meta = meta(&key, &lines, &Fields::default());
            meta.trailers = fields(trailers);
            meta.local = trailers.is_empty();
            let content = content(length, 1);
            for publish in [publish, publish_draft] {
                let published = publish(store, &meta, &content);
                assert_eq!(published.hash, *meta.key.hash());
                assert!(published.size >= length);
                let object = look(store, &meta.key).unwrap();
                assert_eq!(object.meta, meta);
                assert_eq!(object.content.len(), length);
                assert_eq!(object.generation, published.generation);
                assert!(read(&object.content) == content, "{key}");
                let in_memory = matches!(object.content, Content::Memory(_));
                assert_eq!(in_memory, length <= SMALL);
            }
        }
    }
}

fn replaces_and_removes(store: &dyn Store) {
    let meta = plain("GET http://replace/");
    let first = publish(store, &meta, &content(100, 1));
    let before = look(store, &meta.key).unwrap();
    let second = publish(store, &meta, &content(200_000, 2));
    assert_ne!(first.generation, second.generation);
    let object = look(store, &meta.key).unwrap();
    assert!(read(&object.content) == content(200_000, 2));
    assert!(read(&before.content) == content(100, 1));
    let removed = store.remove(&meta.key).unwrap();
    assert_eq!(removed.len(), 1);
    assert_eq!(removed[0].size, second.size);
    assert!(look(store, &meta.key).is_none());
    assert!(
        read(&object.content) == content(200_000, 2),
        "still readable"
    );
    assert!(store.remove(&meta.key).unwrap().is_empty());
}

fn keeps_clients_apart(store: &dyn Store) {
    let client = |number: u8| identified(&Fields::default(), &[number]);
    for (key, vary) in [
        ("GET http://own/", &[][..]),
        ("GET http://own/vary", &[("Vary", "X")]),
    ] {
        let meta = meta(key, vary, &Fields::default());
        for (number, size) in [(1, 10), (2, 100_000)] {
            let meta = meta.clone().apart(&client(number));
            publish(store, &meta, &content(size, number));
        }
        for number in [1, 2] {
            let Ok(Found::Object(object)) = store.lookup(&meta.key, &client(number)) else {
                panic!("{key} {number}");
            };
            let own = content(object.content.len(), number);
            assert!(object.meta.variant.is_for_client() && read(&object.content) == own);
            // A validation leaves it its own.
            let mut newer = object.meta.clone();
            newer.response_time = Timestamp::from_millis(3);
            assert!(store.refresh(&object, &newer, None).is_ok());
            assert!(matches!(
                store.lookup(&meta.key, &client(number)),
                Ok(Found::Object(object)) if object.meta == newer
            ));
        }
        for other in [client(3), Fields::default()] {
            let found = store.lookup(&meta.key, &other).unwrap();
            assert!(matches!(found, Found::OtherVariants), "{key}");
        }
        assert_eq!(store.remove(&meta.key).unwrap().len(), 2);
    }
}

fn selects_variants(store: &dyn Store) {
    let key = "GET http://vary/";
    let gzip = fields(&[("Accept-Encoding", "gzip")]);
    let german = fields(&[("Accept-Language", "de")]);
    let vary_encoding = [("Vary", "Accept-Encoding")];
    publish(store, &meta(key, &vary_encoding, &gzip), &content(10, 1));
    let key = Key::new(key);
    let found = |request: &Fields| match store.lookup(&key, request).unwrap() {
        Found::Nothing => "nothing".to_owned(),
        Found::OtherVariants => "others".to_owned(),
        Found::Object(object) => (0..9)
            .find(|seed| read(&object.content) == content(object.content.len(), *seed))
            .unwrap()
            .to_string(),
    };
    assert_eq!(found(&gzip), "1");
    assert_eq!(found(&german), "others");
    // Another set of selecting fields: the most recent response that matches is used.
    let vary_language = meta("GET http://vary/", &[("Vary", "Accept-Language")], &german);
    publish_draft(store, &vary_language, &content(100_000, 2));
    assert_eq!(found(&german), "2");
    assert_eq!(found(&gzip), "1");
    let both = fields(&[("Accept-Encoding", "gzip"), ("Accept-Language", "de")]);
    assert_eq!(found(&both), "2");
    publish(
        store,
        &meta("GET http://vary/", &vary_encoding, &gzip),
        &content(10, 3),
    );
    assert_eq!(found(&both), "3");
    assert_eq!(store.remove(&key).unwrap().len(), 2);
    assert_eq!(found(&gzip), "nothing");
}

fn bounds_variants(store: &dyn Store) {
    let request = |n: usize| fields(&[("A", &n.to_string())]);
    for n in 0..40 {
        let meta = meta("GET http://many/", &[("Vary", "A")], &request(n));
        publish(store, &meta, &content(10, 1));
    }
    let key = Key::new("GET http://many/");
    let found =
        (0..40).filter(|n| matches!(store.lookup(&key, &request(*n)).unwrap(), Found::Object(_)));
    assert_eq!(found.collect::<Vec<_>>(), (8..40).collect::<Vec<_>>());
    assert_eq!(store.remove(&key).unwrap().len(), 32);
}

fn response_without_vary_replaces_variants(store: &dyn Store) {
    let key = "GET http://plain/";
    let request = fields(&[("A", "1")]);
    let varying = || {
        publish(
            store,
            &meta(key, &[("Vary", "A")], &request),
            &content(5, 1),
        )
    };
    publish(store, &plain(key), &content(5, 1));
    varying();
    assert!(look(store, &Key::new(key)).is_none());
    for publish in [publish, publish_draft] {
        varying();
        publish(store, &plain(key), &content(5, 2));
        let object = look(store, &Key::new(key)).unwrap();
        assert_eq!(read(&object.content), content(5, 2));
    }
    // What was displaced is gone, not just out of sight.
    assert_eq!(store.remove(&Key::new(key)).unwrap().len(), 1);
}

fn refreshes(store: &dyn Store) {
    for length in [100, 200_000] {
        let mut meta = plain(&format!("GET http://refresh/{length}"));
        publish_draft(store, &meta, &content(length, 1));
        // More and more metadata: at first beside the old, then in a new place.
        for round in 0..6 {
            let object = look(store, &meta.key).unwrap();
            let long = "x".repeat(round * 150);
            meta.response_time = Timestamp::from_millis(100 + round as u64);
            meta.local = round % 2 == 1;
            meta.fields = fields(&[("ETag", "\"1\""), ("Long", &long)]);
            let published = store.refresh(&object, &meta, None).unwrap();
            assert_ne!(published.generation, object.generation);
            let fresh = look(store, &meta.key).unwrap();
            assert_eq!(fresh.meta, meta, "round {round}");
            assert!(read(&fresh.content) == content(length, 1));
            assert!(read(&object.content) == content(length, 1));
        }
        let object = look(store, &meta.key).unwrap();
        publish(store, &meta, &content(length, 2));
        let gone = store.refresh(&object, &meta, None);
        assert!(matches!(gone, Err(StoreError::Gone)), "replaced: {gone:?}");
        let object = look(store, &meta.key).unwrap();
        store.remove(&meta.key).unwrap();
        match store.refresh(&object, &meta, None) {
            Err(StoreError::Gone) => assert!(length > SMALL),
            other => {
                other.unwrap();
                let object = look(store, &meta.key).unwrap();
                assert!(read(&object.content) == content(length, 2));
            }
        }
    }
}

fn refuses_what_cannot_be_selected(store: &dyn Store) {
    let mut star = plain("GET http://star/");
    star.fields = fields(&[("Vary", "*")]);
    let refused = store.publish(&star, Whole::Memory(vec![]), None);
    assert!(matches!(refused, Err(StoreError::Unselectable)));
    let mut contradiction = plain("GET http://star/");
    contradiction.fields = fields(&[("Vary", "A")]);
    let refused = store.publish(&contradiction, Whole::Memory(vec![]), None);
    assert!(matches!(refused, Err(StoreError::Unselectable)));
    let large = "x".repeat(1 << 20);
    let large = meta("GET http://star/", &[("X", &large)], &Fields::default());
    let refused = store.begin(&large, None);
    assert!(matches!(refused, Err(StoreError::MetaTooLarge(_))));
    assert!(look(store, &star.key).is_none());
}

/// Whoever wrote it there.
fn leaves_out_what_never_came_from_the_network(store: &dyn Store) {
    let bad: [&[(&str, &str)]; 4] = [
        &[("X", "a\r\nSet-Cookie: b")],
        &[("X: a\r\nY", "b")],
        &[("Transfer-Encoding", "chunked")],
        &[("Content-Length", "5")],
    ];
    for lines in bad {
        for in_trailers in [false, true] {
            let mut meta = plain("GET http://bad/");
            let of_bad = if in_trailers {
                &mut meta.trailers
            } else {
                &mut meta.fields
            };
            *of_bad = fields(lines);
            publish(store, &meta, &content(5, 1));
            assert!(look(store, &meta.key).is_none(), "{lines:?}");
            // It went: what is good is found again.
            publish(store, &plain("GET http://bad/"), &content(5, 2));
            assert!(look(store, &meta.key).is_some(), "{lines:?}");
        }
    }
}

fn an_unpublished_draft_leaves_nothing(store: &dyn Store) {
    let meta = plain("GET http://draft/");
    for expected in [None, Some(50), Some(500_000)] {
        let draft = store.begin(&meta, expected).unwrap();
        draft.write_at(&content(50, 1), 0).unwrap();
        let mut read = [0; 50];
        draft.file.read_exact_at(&mut read, 0).unwrap();
        assert_eq!(read[..], content(50, 1));
        drop(draft);
        assert!(look(store, &meta.key).is_none());
    }
}

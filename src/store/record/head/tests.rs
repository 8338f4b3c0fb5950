//! Heads that are written and read back, damaged, cut short, and of lengths that aren't to be believed.

use bytes::BytesMut;
use strum::IntoEnumIterator as _;

use super::*;

fn lines(lines: &[(&str, &str)]) -> Fields {
    let lines = lines.iter();
    let lines = lines.map(|(name, value)| (name.as_bytes(), value.as_bytes()));
    lines.collect()
}

fn plain() -> RecordHead {
    RecordHead {
        meta: Meta {
            key: Key::new("GET http://deb.example/a"),
            variant: Variant::none(),
            request_time: Timestamp::from_millis(1),
            response_time: Timestamp::from_millis(2),
            local: false,
            extent: Extent::Whole,
            provenance: Provenance::default(),
            status: 200,
            reason: Bytes::new(),
            fields: Fields::default(),
            trailers: Fields::default(),
        },
        order: 0,
        content: 0,
        content_checksum: Checksum::of(b""),
        place: ContentPlace::Here,
    }
}

/// One with something in each field.
fn full() -> RecordHead {
    RecordHead {
        meta: Meta {
            key: Key::new("GET-part http://deb.example/a"),
            variant: Variant::new("accept: a\n"),
            request_time: Timestamp::from_millis(3),
            response_time: Timestamp::from_millis(4),
            local: true,
            extent: Extent::Part {
                first: 5,
                length: 20,
            },
            provenance: Provenance {
                received: BootTime {
                    boot: [6; 16],
                    millis: 7,
                },
                digest: Digest::new(DigestAlgorithm::Sha512, vec![8; 64]),
                access: Access::Authorized,
                class: Class::Versioned,
            },
            status: 206,
            reason: Bytes::from_static(b"Partial Content"),
            fields: lines(&[
                ("ETag", "\"1\""),
                ("Empty", ""),
                ("Vary", "accept"),
                ("Content-Range", "bytes 5-14/20"),
            ]),
            trailers: lines(&[("Trailing", "yes")]),
        },
        order: u64::MAX - 9,
        content: 10,
        content_checksum: u128::MAX - 11,
        place: ContentPlace::File([12; 16]),
    }
}

/// The same read by both ways.
fn read(bytes: &[u8], key: &Key) -> Result<(RecordHead, usize), &'static str> {
    let bytes = Bytes::copy_from_slice(bytes);
    let (read, of_key) = (decode(&bytes), decode_of(&bytes, key));
    let has_key = |read: &(RecordHead, usize)| read.0.meta.key == *key;
    assert_eq!(
        of_key.ok().as_ref(),
        read.as_ref().ok().filter(|read| has_key(read))
    );
    read
}

#[test]
fn what_is_written_is_read() {
    let with = |change: &dyn Fn(&mut RecordHead)| {
        let mut head = full();
        change(&mut head);
        head
    };
    let mut heads = vec![plain(), full()];
    let digests = DigestAlgorithm::iter().map(|algorithm| {
        Digest::new(
            algorithm,
            vec![algorithm.length() as u8; algorithm.length()],
        )
    });
    heads.extend(digests.map(|digest| {
        with(&|head| {
            head.meta.provenance.digest = digest.clone();
            head.place = ContentPlace::ByDigest;
        })
    }));
    heads.extend(Access::iter().map(|access| with(&|head| head.meta.provenance.access = access)));
    heads.extend(Class::iter().map(|class| with(&|head| head.meta.provenance.class = class)));
    for head in heads {
        let mut bytes = encode(&head).unwrap();
        let end = bytes.len();
        bytes.extend_from_slice(b"content");
        assert_eq!(read(&bytes, &head.meta.key), Ok((head, end)));
    }
}

#[test]
fn the_order_number_can_be_replaced() {
    let mut head = full();
    let mut bytes = encode(&head).unwrap();
    let end = bytes.len();
    bytes.extend_from_slice(b"content");
    set_order(&mut bytes, 77);
    head.order = 77;
    assert_eq!(read(&bytes, &head.meta.key), Ok((head.clone(), end)));
    for length in 0..end {
        set_order(&mut bytes[..length], 78);
    }
    assert_eq!(read(&bytes, &head.meta.key), Ok((head, end)));
}

#[test]
fn every_damaged_byte_and_every_cut_is_found() {
    for head in [plain(), full()] {
        let bytes = encode(&head).unwrap();
        for at in 0..bytes.len() {
            for bit in [1, 0x80] {
                let mut damaged = bytes.clone();
                damaged[at] ^= bit;
                assert!(read(&damaged, &head.meta.key).is_err(), "byte {at}");
            }
            assert!(read(&bytes[..at], &head.meta.key).is_err(), "cut at {at}");
        }
    }
}

/// As if who wrote them had meant it: the checksum is right.
#[test]
fn no_length_is_trusted() {
    let key = full().meta.key;
    let bytes = encode(&full()).unwrap();
    for at in (CHECKED_FROM..bytes.len()).chain(4..8) {
        for value in [0, 1, 3, 0x7f, 0xff] {
            let mut forged = BytesMut::from(&bytes[..]);
            forged[at] = value;
            if at >= CHECKED_FROM {
                seal(&mut forged);
            }
            if let Ok((_, end)) = read(&forged, &key) {
                assert_eq!(end, bytes.len());
            }
        }
    }
}

#[test]
fn what_nobody_could_have_stored_is_refused() {
    type Change = fn(&mut RecordHead);
    let table: &[(&str, Change)] = &[
        ("status", |head| head.meta.status = 304),
        ("interim", |head| head.meta.status = 100),
        ("field", |head| {
            head.meta.fields = lines(&[("A", "1\r\nB: 2")]);
        }),
        ("content beyond its representation", |head| {
            head.content = 16
        }),
        ("content beyond all", |head| head.content = u64::MAX),
        ("no content", |head| head.content = 0),
        ("whole", |head| head.meta.extent = Extent::Whole),
        ("part of nothing", |head| {
            head.meta.extent = Extent::Part {
                first: 5,
                length: 0,
            };
        }),
        ("no variant", |head| head.meta.variant = Variant::none()),
        ("by no digest", |head| {
            head.meta.provenance.digest = None;
            head.place = ContentPlace::ByDigest;
        }),
    ];
    for (name, change) in table {
        let mut head = full();
        change(&mut head);
        let bytes = encode(&head).unwrap();
        assert!(read(&bytes, &head.meta.key).is_err(), "{name}");
    }
    let bytes = Bytes::from(encode(&full()).unwrap());
    assert!(decode_of(&bytes, &Key::new("GET-part http://deb.example/b")).is_err());
}

#[test]
fn metadata_is_bounded() {
    let long = "x".repeat(MOST_META);
    let (mut fields, mut trailers) = (plain(), plain());
    fields.meta.fields = lines(&[("A", &long)]);
    trailers.meta.trailers = lines(&[("A", &long)]);
    for head in [fields, trailers] {
        assert!(matches!(encode(&head), Err(StoreError::MetaTooLarge(_))));
    }
}

/// A record that is kept for its fields keeps no more than it has to.
#[test]
fn nothing_is_copied() {
    let bytes = Bytes::from(encode(&full()).unwrap());
    let (head, _) = decode(&bytes).unwrap();
    let within = |part: &[u8]| bytes.as_ptr_range().contains(&part.as_ptr());
    let meta = &head.meta;
    let digest = meta.provenance.digest.as_ref().unwrap().bytes();
    for part in [
        meta.key.text(),
        meta.variant.text(),
        &meta.reason,
        meta.fields.text(),
        digest,
    ] {
        assert!(within(part), "{part:?}");
    }
}

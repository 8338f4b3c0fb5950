//! Responses go in and come out; an archive that is cut short or damaged is found to be so, wherever it is.

#![allow(clippy::unwrap_used)]

use bytes::Bytes;

use super::*;
use crate::cache::extent::Extent;
use crate::cache::key::{Key, Variant};
use crate::cache::provenance::{Access, BootTime, Class, Digest, DigestAlgorithm, Provenance};
use crate::cache::stored::Meta;
use crate::cache::time::Timestamp;
use crate::http::fields::Fields;
use crate::store::{Checksum, Content, Object};

fn object(key: &str, variant: &str, content: &[u8]) -> Object {
    let varies = (!variant.is_empty()).then_some((&b"Vary"[..], &b"accept-language, foo"[..]));
    let fields: [(&[u8], &[u8]); 2] = [(b"X-Odd", b" \xe9\xff: \t"), (b"Empty", b"")];
    let trailers: [(&[u8], &[u8]); 1] = [(b"Trailing", b"yes")];
    Object {
        meta: Meta {
            key: Key::new(key.to_owned()),
            variant: Variant::new(variant.to_owned()),
            request_time: Timestamp::from_millis(1_700_000_000_123),
            response_time: Timestamp::from_millis(1_700_000_001_456),
            local: content.is_empty(),
            extent: Extent::Whole,
            provenance: Provenance::default(),
            status: 200,
            reason: Bytes::from_static(b"All right"),
            fields: varies.into_iter().chain(fields).collect(),
            trailers: trailers.into_iter().collect(),
        },
        content: Content::Memory(Bytes::copy_from_slice(content)),
        generation: 0,
        checksum: Checksum::of(content),
    }
}

/// With all that can be known of where it came from.
fn known(mut object: Object) -> Object {
    object.meta.provenance = Provenance {
        received: BootTime {
            boot: [0xa7; 16],
            millis: 5,
        },
        digest: Digest::new(DigestAlgorithm::Blake2b256, vec![0x3c; 32]),
        access: Access::Authorized,
        class: Class::Kept,
    };
    object
}

fn part(mut object: Object, first: u64) -> Object {
    let range = format!("bytes {first}-{}/20", first + 3);
    let range = (&b"Content-Range"[..], range.as_bytes());
    object.meta.fields = object.meta.fields.iter().chain([range]).collect();
    object.meta.status = 206;
    object.meta.extent = Extent::Part { first, length: 20 };
    object
}

fn archive(objects: &[Object]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer = ArchiveWriter::begin(&mut out).unwrap();
    for object in objects {
        writer.put(object).unwrap();
    }
    writer.end().unwrap();
    out
}

type Read = Vec<(Meta, Vec<u8>, Verdict)>;

/// The responses read of an archive, and how that ends.
fn read(bytes: &[u8]) -> (Read, Result<(), ArchiveError>) {
    let mut found = Vec::new();
    let mut reader = match ArchiveReader::open(bytes) {
        Ok(reader) => reader,
        Err(error) => return (found, Err(error)),
    };
    loop {
        let archived = match reader.next_response() {
            Ok(Some(archived)) => archived,
            Ok(None) => return (found, Ok(())),
            Err(error) => return (found, Err(error)),
        };
        let mut content = Vec::new();
        match reader.content(archived, &mut |part| content.extend_from_slice(part)) {
            Ok((meta, verdict)) => found.push((meta, content, verdict)),
            Err(error) => return (found, Err(error)),
        }
    }
}

fn objects() -> [Object; 6] {
    [
        object("GET http://a/", "", b""),
        object("GET http://a/x?y", "accept-language: de\nfoo\n", b"content"),
        object("HEAD http://b:81/", "", &[7; 300]),
        part(object("GET-part http://b/", "", b"part"), 10),
        part(object("GET-part http://b/", "", b"part"), 14),
        known(object("GET http://c/", "", b"known")),
    ]
}

#[test]
fn what_goes_in_comes_out() {
    assert!(archive(&[]).starts_with(b"cacheproxy archive, version 4\nend 0\n"));
    let objects = objects();
    let whole = archive(&objects);
    let text = String::from_utf8_lossy(&whole);
    assert_eq!(text.matches("\nfrom local\n").count(), 1);
    assert!(!text.contains("field :"));
    let (found, end) = read(&whole);
    end.unwrap();
    assert_eq!(found.len(), 6);
    for ((meta, content, verdict), object) in found.iter().zip(&objects) {
        assert_eq!(*meta, object.meta);
        assert_eq!(*verdict, Verdict::Whole);
        assert_eq!(Checksum::of(content), object.checksum);
    }
}

#[test]
fn an_archive_that_is_cut_short_says_so() {
    let whole = archive(&objects());
    for length in 0..whole.len() {
        let (found, end) = read(&whole[..length]);
        assert!(end.is_err(), "{length} bytes");
        assert!(found.iter().all(|(.., verdict)| *verdict == Verdict::Whole));
    }
}

#[test]
fn no_damage_is_taken_for_a_whole_response() {
    let objects = objects();
    let whole = archive(&objects);
    for at in 0..whole.len() {
        for bit in [1, 0x20, 0x80] {
            let mut damaged = whole.clone();
            damaged[at] ^= bit;
            let (found, end) = read(&damaged);
            let sound = found
                .iter()
                .filter(|(.., verdict)| *verdict == Verdict::Whole);
            for (meta, content, _) in sound.clone() {
                let original = objects.iter().find(|object| object.meta == *meta);
                assert_eq!(original.map(|it| it.checksum), Some(Checksum::of(content)));
            }
            assert!(end.is_err() || sound.count() < 6, "byte {at} by {bit}");
        }
    }
}

#[test]
fn what_the_store_has_damaged_is_left_out() {
    let [first, mut second, third, ..] = objects();
    second.checksum += 1;
    let mut odd = object("GET http://a/", "", b"");
    let line: [(&[u8], &[u8]); 1] = [(b"A", b"b\nend 0")];
    odd.meta.fields = line.into_iter().collect::<Fields>();
    let (found, end) = read(&archive(&[first, second, odd, third]));
    end.unwrap();
    let verdicts: Vec<Verdict> = found.iter().map(|(.., verdict)| *verdict).collect();
    assert_eq!(verdicts, [Verdict::Whole, Verdict::Spoiled, Verdict::Whole]);
}

#[test]
fn other_files_are_refused_with_the_reason() {
    let table: [(&[u8], &str); 13] = [
        (b"", "this is no archive that `cacheproxy export` made"),
        (b"\x1f\x8b\x08 something", "this is no archive"),
        (b"cacheproxy archive, version 1\nend 0\n", "reads version 4"),
        (b"cacheproxy archive, version 3\nend 0\n", "of version 3"),
        (
            b"cacheproxy archive, version 4\nresponse 14 0\nclass eternal\nwhole",
            "a class that isn't known",
        ),
        (
            b"cacheproxy archive, version 4\nresponse 15 0\ndigest sha1 00\nwhole",
            "a digest that isn't one",
        ),
        (
            b"cacheproxy archive, version 4\nresponse 15 0\nboot-time 5 00\nwhole",
            "a boot time that isn't one",
        ),
        (
            b"cacheproxy archive, version 4\nresponse 10 0\npart 5 20\nwhole",
            "a part that isn't one",
        ),
        (
            b"cacheproxy archive, version 4\nend 1\n",
            "damaged at byte 30: its end counts",
        ),
        (
            b"cacheproxy archive, version 4\nresponse 9999999 0\n",
            "lengths that make no sense",
        ),
        (
            b"cacheproxy archive, version 4\nresponse 15 0\nfield :local: \nwhole",
            "a field without a colon",
        ),
        (
            b"cacheproxy archive, version 4\nresponse 5 0\nkey \nwhole",
            "a head without a status",
        ),
        (
            b"cacheproxy archive, version 4\nresponse 83 0\nkey GET http://a/\nrequest-time 1\nresponse-time 1\nstatus 200 OK\n\
            field Connection: a\n",
            "one that is never stored",
        ),
    ];
    for (bytes, expected) in table {
        let error = read(bytes).1.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

//! The head of an archived response: its metadata in lines of text, each with its name first.

use std::io::Write as _;

use bytes::Bytes;

use crate::cache::extent::Extent;
use crate::cache::key::{Key, Variant};
use crate::cache::provenance::{Access, BootTime, Class, Digest, DigestAlgorithm, Provenance};
use crate::cache::sound;
use crate::cache::stored::Meta;
use crate::cache::time::Timestamp;
use crate::http::fields::FieldsBuilder;

/// Follows "from" where the response came from the proxy's own machine or link.
const LOCAL: &[u8] = b"local";
/// Follows "access" where the response was fetched with credentials or a signature.
const AUTHORIZED: &str = "authorized";

/// The metadata as lines; None when it can't be said in lines.
pub(super) fn encode(meta: &Meta) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    line(&mut out, "key", &[meta.key.text()])?;
    for selecting in meta.variant.text().split(|byte| *byte == b'\n') {
        // The text of a variant ends each of its lines.
        if !selecting.is_empty() {
            line(&mut out, "variant", &[selecting])?;
        }
    }
    // In milliseconds. Writing to a Vec can't fail.
    let _ = writeln!(out, "request-time {}", meta.request_time.millis());
    let _ = writeln!(out, "response-time {}", meta.response_time.millis());
    if meta.local {
        line(&mut out, "from", &[LOCAL])?;
    }
    provenance(&mut out, &meta.provenance);
    if let Extent::Part { first, length } = meta.extent {
        let _ = writeln!(out, "part {first} of {length}");
    }
    let status = meta.status.to_string();
    line(&mut out, "status", &[status.as_bytes(), b" ", &meta.reason])?;
    for (kind, fields) in [("field", &meta.fields), ("trailer", &meta.trailers)] {
        for (name, value) in fields.iter() {
            line(&mut out, kind, &[name, b": ", value])?;
        }
    }
    (out.len() <= super::MOST_HEAD).then_some(out)
}

/// What isn't as it is by default.
fn provenance(out: &mut Vec<u8>, from: &Provenance) {
    if from.received != BootTime::default() {
        let boot = u128::from_be_bytes(from.received.boot);
        let _ = writeln!(out, "boot-time {} {boot:032x}", from.received.millis);
    }
    if let Some(digest) = &from.digest {
        let _ = write!(out, "digest {} ", digest.algorithm().name());
        for byte in digest.bytes() {
            let _ = write!(out, "{byte:02x}");
        }
        out.push(b'\n');
    }
    if from.access == Access::Authorized {
        let _ = writeln!(out, "access {AUTHORIZED}");
    }
    if from.class != Class::default() {
        let _ = writeln!(out, "class {}", from.class.name());
    }
}

fn line(out: &mut Vec<u8>, name: &str, parts: &[&[u8]]) -> Option<()> {
    out.extend_from_slice(name.as_bytes());
    out.push(b' ');
    for part in parts {
        if part.iter().any(|byte| is_end(*byte)) {
            return None;
        }
        out.extend_from_slice(part);
    }
    out.push(b'\n');
    Some(())
}

fn is_end(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r' | 0)
}

/// The metadata that these lines say; an error says what is wrong with them.
pub(super) fn decode(text: &[u8]) -> Result<Meta, &'static str> {
    let text = text.strip_suffix(b"\n");
    let text = text.ok_or("a head without a last line's end")?;
    let (mut key, mut variant, mut status) = (None, Vec::new(), None);
    let (mut requested, mut received, mut local) = (None, None, false);
    let (mut extent, mut provenance) = (Extent::Whole, Provenance::default());
    let (mut fields, mut trailers) = (FieldsBuilder::default(), FieldsBuilder::default());
    for line in text.split(|byte| *byte == b'\n') {
        let space = line.iter().position(|byte| *byte == b' ');
        let (name, value) = line.split_at(space.ok_or("a line without a name")?);
        let value = &value[1..];
        if value.iter().any(|byte| is_end(*byte)) {
            return Err("a line with bytes that no head has");
        }
        match name {
            b"key" if key.is_none() => key = Some(Key::new(value.to_vec())),
            b"variant" => {
                variant.extend_from_slice(value);
                variant.push(b'\n');
            }
            b"request-time" => requested = Some(Timestamp::from_millis(number(value)?)),
            b"response-time" => received = Some(Timestamp::from_millis(number(value)?)),
            b"from" if value == LOCAL => local = true,
            b"boot-time" => provenance.received = read_boot_time(value)?,
            b"digest" => provenance.digest = Some(read_digest(value)?),
            b"access" if value == AUTHORIZED.as_bytes() => provenance.access = Access::Authorized,
            b"class" => provenance.class = read_class(value)?,
            b"part" => extent = read_part(value)?,
            b"status" => status = Some(read_status(value)?),
            b"field" => push(&mut fields, value)?,
            b"trailer" => push(&mut trailers, value)?,
            _ => return Err("a line with a name that isn't known"),
        }
    }
    let (status, reason) = status.ok_or("a head without a status")?;
    let meta = Meta {
        key: key.ok_or("a head without a key")?,
        variant: Variant::new(variant),
        request_time: requested.ok_or("a head without a request time")?,
        response_time: received.ok_or("a head without a response time")?,
        local,
        status,
        reason,
        extent,
        provenance,
        fields: fields.build(),
        trailers: trailers.build(),
    };
    sound::check(&meta)?;
    Ok(meta)
}

fn read_status(text: &[u8]) -> Result<(u16, Bytes), &'static str> {
    let (status, reason) = text.split_at_checked(3).ok_or("a status that isn't one")?;
    let reason = reason.strip_prefix(b" ").ok_or("a status that isn't one")?;
    // Three digits at most.
    Ok((number(status)? as u16, Bytes::copy_from_slice(reason)))
}

fn read_boot_time(text: &[u8]) -> Result<BootTime, &'static str> {
    const NONE: &str = "a boot time that isn't one";
    let (millis, boot) = in_two(text, b" ").ok_or(NONE)?;
    let boot = from_hex(boot).and_then(|boot| boot.try_into().ok());
    Ok(BootTime {
        boot: boot.ok_or(NONE)?,
        millis: number(millis)?,
    })
}

fn read_digest(text: &[u8]) -> Result<Digest, &'static str> {
    let (name, hex) = in_two(text, b" ").unwrap_or_default();
    let algorithm = std::str::from_utf8(name)
        .ok()
        .and_then(DigestAlgorithm::named);
    let digest = algorithm.zip(from_hex(hex));
    let digest = digest.and_then(|(algorithm, bytes)| Digest::new(algorithm, bytes));
    digest.ok_or("a digest that isn't one")
}

fn read_class(text: &[u8]) -> Result<Class, &'static str> {
    let class = std::str::from_utf8(text).ok().and_then(Class::named);
    class.ok_or("a class that isn't known")
}

fn read_part(text: &[u8]) -> Result<Extent, &'static str> {
    let (first, length) = in_two(text, b" of ").ok_or("a part that isn't one")?;
    let (first, length) = (number(first)?, number(length)?);
    Ok(Extent::Part { first, length })
}

fn in_two<'a>(text: &'a [u8], between: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = memchr::memmem::find(text, between)?;
    Some((&text[..at], &text[at + between.len()..]))
}

fn from_hex(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    let byte = |two: &[u8]| match two {
        [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    };
    text.chunks(2).map(byte).collect()
}

fn number(text: &[u8]) -> Result<u64, &'static str> {
    let digits = text.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(text).ok().filter(|_| digits);
    text.and_then(|text| text.parse().ok())
        .ok_or("a number that isn't one")
}

fn push(fields: &mut FieldsBuilder, line: &[u8]) -> Result<(), &'static str> {
    let colon = line.iter().position(|byte| *byte == b':');
    let colon = colon.filter(|at| *at > 0);
    let (name, value) = line.split_at(colon.ok_or("a field without a colon")?);
    let value = value.strip_prefix(b": ");
    fields.push(name, value.ok_or("a field without a colon and a space")?);
    Ok(())
}

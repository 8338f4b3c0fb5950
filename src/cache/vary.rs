//! `Vary` (RFC 9111 §4.1): the selecting fields of a response, and their values in a request as one text. A field
//! counts as the origin server gets it: one that ends at this hop is absent, whatever the client sent.
//!
//! Two requests choose the same variant exactly when the texts are equal. How many variants a key may
//! have is the store's to bound.

use std::borrow::Cow;
use std::cell::OnceCell;

use bytes::{BufMut, BytesMut};

use super::key::Variant;
use super::owner::CLIENT;
use crate::http::fields::Fields;
use crate::http::forward::{ForwardedFields, is_written_anew};
use crate::http::syntax::{elements, is_tchar, is_token, trim};

/// More selecting fields than this are as good as `*`: nothing would match twice.
const MOST_NAMES: usize = 32;
/// A list of more members than this is compared as it stands: nobody who means them sends so many.
const MOST_MEMBERS: usize = 64;

/// A variant with more text than this isn't stored: kept in every place that it goes to, it would cost more than the
/// response is worth.
pub const MOST_TEXT: usize = 16 << 10;

/// The names of the selecting fields, in lower case, sorted, each once; empty without `Vary`. `None`
/// when no request can be known to match: `*`, a member that is no field name, one that this proxy writes by itself,
/// or too many.
pub fn names(response: &Fields) -> Option<Vec<String>> {
    let mut names: Vec<String> = Vec::new();
    for member in response.elements("vary") {
        let is_name = member.iter().all(|&byte| is_tchar(byte));
        if member == b"*" || !is_name || is_written_anew(member) {
            return None;
        }
        let is_member = |name: &String| name.as_bytes().eq_ignore_ascii_case(member);
        if names.iter().any(is_member) {
            continue;
        } else if names.len() == MOST_NAMES {
            return None;
        }
        names.push(String::from_utf8_lossy(member).to_ascii_lowercase());
    }
    names.sort_unstable();
    Some(names)
}

/// The names that make the variant of a stored response: those of its Vary, and [`CLIENT`] where it is kept apart.
pub fn selecting(response: &Fields, is_apart: bool) -> Option<Vec<String>> {
    let mut names = names(response)?;
    if is_apart {
        names.push(CLIENT.to_owned());
        names.sort_unstable();
    }
    Some(names)
}

/// The variant that a request asks for: see [`SelectingFields::variant`].
pub fn variant_of<N: AsRef<str>>(names: &[N], request: &Fields) -> Variant {
    SelectingFields::of(request).variant(names)
}

/// The fields of a request as the origin server gets them, for any number of variants. They are read once, when the
/// first is asked for.
pub struct SelectingFields<'a> {
    request: &'a Fields,
    forwarded: OnceCell<ForwardedFields<'a>>,
}

impl<'a> SelectingFields<'a> {
    /// Those of this request.
    pub fn of(request: &'a Fields) -> SelectingFields<'a> {
        let forwarded = OnceCell::new();
        SelectingFields { request, forwarded }
    }

    /// The variant that the request asks for: one line `name: value` for each of `names` (as [`names`]
    /// returns them), or `name` alone when no such field of the request goes on to the origin server.
    pub fn variant<N: AsRef<str>>(&self, names: &[N]) -> Variant {
        if names.is_empty() {
            return Variant::none();
        }
        let forwarded = (self.forwarded).get_or_init(|| ForwardedFields::of(self.request));
        text_of(names, self.request, forwarded)
    }
}

fn text_of<N: AsRef<str>>(
    names: &[N],
    request: &Fields,
    forwarded: &ForwardedFields<'_>,
) -> Variant {
    let mut text = BytesMut::with_capacity(64 * names.len());
    for name in names {
        let name = name.as_ref();
        text.put_slice(name.as_bytes());
        let lines = forwarded.all(name);
        if name == CLIENT {
            // Never sent, nor taken away by what the client says of its connection.
            for line in request.all(name) {
                text.put_slice(b": ");
                text.put_slice(line);
            }
        } else if lines.clone().next().is_some() {
            text.put_u8(b':');
            write_value(&mut text, name, lines);
        }
        text.put_u8(b'\n');
    }
    Variant::new(text.freeze())
}

/// Writes a field's value, with a space before it when it is not empty, normalised as far as the
/// field's own grammar allows without a change of meaning.
fn write_value<'a>(text: &mut BytesMut, name: &str, lines: impl Iterator<Item = &'a [u8]> + Clone) {
    let listed = || lines.clone().flat_map(elements);
    // What isn't of the field's grammar may mean anything to its reader.
    let is_sorted = || {
        listed().nth(MOST_MEMBERS).is_none() && listed().all(|member| is_preference(name, member))
    };
    let members: Vec<Cow<'_, [u8]>> = match name {
        // Opaque values: a comma or space in one means what its reader makes of it.
        "authorization" | "cookie" | "referer" | "user-agent" => {
            lines.clone().map(|line| trim(line).into()).collect()
        }
        // Preference is in the weights; of equal ones the first counts for many servers (RFC 9110 §12.5.4).
        "accept" | "accept-language" if is_sorted() => {
            let members = listed().map(preference).map(Cow::from);
            let mut members: Vec<_> = members.collect();
            members.sort_by(|one, other| weight(one).cmp(weight(other)));
            // Said again with the same weight, it adds nothing.
            let mut once: Vec<Cow<'_, [u8]>> = Vec::with_capacity(members.len());
            for member in members {
                if !once.contains(&member) {
                    once.push(member);
                }
            }
            once
        }
        // Lists whose order says nothing (RFC 9110 §12.5).
        "accept-charset" | "accept-encoding" if is_sorted() => {
            let members = listed().map(preference).map(Cow::from);
            let mut members: Vec<_> = members.collect();
            members.sort_unstable();
            members.dedup();
            members
        }
        _ => listed().map(Cow::from).collect(),
    };
    // Lines of their own aren't one with a comma: they are sent so, and some servers read the first alone.
    let is_opaque = matches!(name, "authorization" | "cookie" | "referer" | "user-agent");
    let between: &[u8] = if is_opaque { b"\t" } else { b", " };
    for (index, member) in members.iter().enumerate() {
        text.put_slice(if index == 0 { b" " } else { between });
        text.put_slice(member);
    }
}

/// The weight of a member in the spelling of [`preference`], as text; empty where it is 1.
fn weight(member: &[u8]) -> &[u8] {
    memchr::memmem::rfind(member, b";q=").map_or(b"", |at| &member[at..])
}

/// True for a member that is a range and perhaps its weight, by the grammar (RFC 9110 §12.4.2, §12.5). Of a media range's
/// parameters those in quotes aren't read.
fn is_preference(name: &str, member: &[u8]) -> bool {
    let mut parts = member.split(|&byte| byte == b';').map(trim);
    let range = parts.next().unwrap_or_default();
    let is_range = match name {
        "accept" => memchr::memchr(b'/', range)
            .is_some_and(|slash| is_token(&range[..slash]) && is_token(&range[slash + 1..])),
        "accept-language" => {
            (range.iter()).all(|&byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'*'))
                && !range.is_empty()
        }
        _ => is_token(range),
    };
    let mut is_weighed = false;
    is_range
        && parts.all(|part| {
            let equals = memchr::memchr(b'=', part).unwrap_or(part.len());
            let (param, value) = (&part[..equals], part.get(equals + 1..).unwrap_or_default());
            let is_last = std::mem::replace(&mut is_weighed, param.eq_ignore_ascii_case(b"q"));
            match is_weighed {
                _ if is_last => false,
                true => is_qvalue(value),
                false => name == "accept" && is_token(param) && is_token(value),
            }
        })
}

/// `0` to `1` with three digits at most after the point (RFC 9110 §12.4.2).
fn is_qvalue(value: &[u8]) -> bool {
    match value {
        [b'0', b'.', digits @ ..] => digits.len() <= 3 && digits.iter().all(u8::is_ascii_digit),
        [b'1', b'.', zeros @ ..] => zeros.len() <= 3 && zeros.iter().all(|&byte| byte == b'0'),
        [b'0' | b'1'] => true,
        _ => false,
    }
}

/// A member for which [`is_preference`] holds in one spelling: lower case, no whitespace, the weight without
/// needless digits and left out when it is 1.
fn preference(member: &[u8]) -> Vec<u8> {
    let mut normal = Vec::with_capacity(member.len());
    for (index, part) in member.split(|&byte| byte == b';').enumerate() {
        let mut part = trim(part).to_ascii_lowercase();
        if part.starts_with(b"q=") && part.contains(&b'.') {
            let last = part.iter().rposition(|&byte| byte != b'0').unwrap_or(0);
            part.truncate(if part[last] == b'.' { last } else { last + 1 });
        }
        if part == b"q=1" {
            continue;
        }
        if index > 0 {
            normal.push(b';');
        }
        normal.extend_from_slice(&part);
    }
    normal
}

#[cfg(test)]
#[allow(clippy::type_complexity)]
mod tests {
    use super::*;
    use crate::http::testing::fields;

    #[test]
    fn selecting_names() {
        let table: &[(&[&str], Option<&[&str]>)] = &[
            (&[], Some(&[])),
            (&[""], Some(&[])),
            (&["Accept-Encoding"], Some(&["accept-encoding"])),
            (&["B, a", "A,c"], Some(&["a", "b", "c"])),
            (&["*"], None),
            (&["a, *"], None),
            (&["a", "*, b"], None),
            (&["a b"], None),
            (&["\"a\""], None),
            (&["VIA"], None),
            (&["a, If-None-Match"], None),
            (&["Content-Length"], None),
        ];
        for (lines, expected) in table {
            let lines: Vec<_> = lines.iter().map(|line| ("Vary", *line)).collect();
            let expected = expected.map(|names| names.iter().map(ToString::to_string).collect());
            assert_eq!(names(&fields(&lines)), expected, "{lines:?}");
        }
        let many: Vec<_> = (0..=MOST_NAMES).map(|n| format!("x-{n}")).collect();
        assert_eq!(names(&fields(&[("Vary", &many.join(","))])), None);
    }

    #[test]
    fn text_of_a_variant() {
        #[rustfmt::skip]
        let table: &[(&[&str], &[(&str, &str)], &str)] = &[
            (&[], &[("a", "1")], ""),
            (&["a"], &[("A", "1")], "a: 1\n"),
            (&["a"], &[], "a\n"),
            (&["a"], &[("a", "")], "a:\n"),
            (&["a", "b"], &[("b", "2"), ("a", "1")], "a: 1\nb: 2\n"),
            (&["accept-encoding"], &[("Accept-Encoding", "GZip")], "accept-encoding: gzip\n"),
        ];
        for (names, request, expected) in table {
            let variant = variant_of(names, &fields(request));
            assert_eq!(variant.text(), expected, "{request:?}");
        }
        assert_eq!(variant_of::<&str>(&[], &fields(&[])), Variant::none());
    }

    /// RFC 9110 §7.6.1, §10.1.4: what ends here, or goes on as something else.
    #[test]
    fn a_field_counts_as_it_is_sent() {
        let quoted = ("Connection", "\"x, Accept-Language\"");
        #[rustfmt::skip]
        let table: &[(&str, &[(&str, &str)], &str)] = &[
            ("accept-language", &[("Connection", "close, Accept-Language"), ("Accept-Language", "de")], "accept-language\n"),
            ("accept-language", &[("Accept-Language", "de"), ("Connection", "accept-LANGUAGE")], "accept-language\n"),
            ("accept-language", &[("Connection", "x"), ("Accept-Language", "de"), ("connection", "y,Accept-Language,")], "accept-language\n"),
            ("accept-language", &[("Connection", "close"), ("Accept-Language", "de")], "accept-language: de\n"),
            ("accept-language", &[quoted, ("Accept-Language", "de")], "accept-language: de\n"),
            ("cookie", &[("Connection", "Cookie"), ("Cookie", "a=1")], "cookie\n"),
            ("x-a", &[("Connection", "X-A"), ("X-A", "1"), ("X-A", "2")], "x-a\n"),
            // Fields that Connection can't take away.
            ("authorization", &[("Connection", "Authorization"), ("Authorization", "a")], "authorization: a\n"),
            ("range", &[("Connection", "Range"), ("Range", "bytes=0-")], "range: bytes=0-\n"),
            // Fields of this hop.
            ("connection", &[("Connection", "x")], "connection\n"),
            ("connection", &[("Connection", "TE"), ("TE", "trailers")], "connection: TE\n"),
            ("te", &[("TE", "gzip, Trailers;q=1, trailers")], "te: trailers\n"),
            ("te", &[("TE", "gzip")], "te\n"),
            ("keep-alive", &[("Keep-Alive", "5")], "keep-alive\n"),
            ("upgrade", &[("Upgrade", "h2c")], "upgrade\n"),
            ("proxy-connection", &[("Proxy-Connection", "close")], "proxy-connection\n"),
            ("proxy-authorization", &[("Proxy-Authorization", "Basic x")], "proxy-authorization\n"),
            ("proxy-foo", &[("Proxy-Foo", "1")], "proxy-foo: 1\n"),
            // Made of the target URI, which is the same for all.
            ("host", &[("Host", "A.example:80")], "host\n"),
        ];
        for (name, request, expected) in table {
            let variant = variant_of(&[name], &fields(request));
            assert_eq!(variant.text(), expected, "{request:?}");
        }
    }

    #[test]
    fn requests_that_match() {
        #[rustfmt::skip]
        let table: &[(&str, &[&str], &[&str], bool)] = &[
            ("foo", &["1"], &["1"], true),
            ("foo", &["1"], &["2"], false),
            ("foo", &["1"], &[], false),
            ("foo", &[], &[], true),
            ("foo", &[""], &[], false),
            ("foo", &["1, 2"], &["1,2"], true),
            ("foo", &["1, 2"], &[" 1 ,\t2 "], true),
            ("foo", &["1, 2"], &["1", "2"], true),
            ("foo", &["1, 2"], &["2, 1"], false),
            ("foo", &["a"], &["A"], false),
            ("foo", &["\"a, b\""], &["\"a,b\""], false),
            ("cookie", &["a=1,2"], &["a=1, 2"], false),
            ("cookie", &["a=1"], &[" a=1 "], true),
            ("user-agent", &["x (a, b)"], &["x (a,b)"], false),
            ("accept-encoding", &["gzip, br"], &["BR,gzip"], true),
            ("accept-encoding", &["gzip;q=1.0, br"], &["br, gzip"], true),
            ("accept-encoding", &["gzip;q=0.5"], &["gzip ; Q=0.500"], true),
            ("accept-encoding", &["gzip;q=0.5"], &["gzip;q=0.6"], false),
            ("accept-encoding", &["gzip;q=0"], &["gzip;q=0.0"], true),
            ("accept-encoding", &["gzip;q=0"], &["gzip"], false),
            ("accept-encoding", &["gzip"], &[""], false),
            ("accept-encoding", &["gzip, gzip"], &["gzip"], true),
            ("accept-language", &["en-GB, de;q=0.8"], &["de;q=0.8,en-gb"], true),
            ("accept-language", &["en, de;q=0.8"], &["en;q=0.8, de"], false),
            ("accept-language", &["en-US,en;q=0.5"], &["en ; q=0.50 ,\tEN-us;Q=1.000"], true),
            ("accept-language", &["de-AT, de;q=0.9, *;q=0.1"], &["*;q=0.1", "de;q=0.9", "de-at"], true),
            ("accept-language", &["fr, en, fr"], &["fr, en"], true),
            ("accept-language", &["fr, en;q=0.5, fr;q=1.0, en;q=0.5"], &["en;q=0.5, fr"], true),
            ("accept-language", &["de;q=0"], &["de;q=0.000"], true),
            // Nothing is guessed.
            ("accept-language", &["de;q=0"], &[""], false),
            ("accept-language", &["de, en;q=0"], &["de"], false),
            ("accept-language", &["de;q=0"], &["de"], false),
            ("accept-language", &["en-GB"], &["en"], false),
            ("accept-language", &["en-GB, en"], &["en-GB"], false),
            ("accept-language", &["*"], &["en"], false),
            ("accept-language", &["*"], &[], false),
            ("accept-language", &["de;q=0.8, de;q=0.5"], &["de;q=0.8"], false),
            ("accept-language", &["de;q=0.8"], &["de;q=0.80001"], false),
            ("accept-language", &["de;q=x"], &["de"], false),
            ("accept-language", &["de_AT"], &["de-AT"], false),
            // What isn't of the grammar is compared as it stands.
            ("accept-language", &["en;q=.5, de;q=0.5"], &["de;q=0.5, en;q=.5"], false),
            ("accept-language", &["en;q=1;q=0.5"], &["en;q=0.5"], false),
            ("accept-language", &["en;q=0.5;x=1, de"], &["de, en;q=0.5;x=1"], false),
            ("accept-language", &["en;x=1, de;q=0.5"], &["de;q=0.5, en;x=1"], false),
            ("accept-language", &["en;q=1.5, de;q=0.5"], &["de;q=0.5, en;q=1.5"], false),
            ("accept-language", &["en;q=1.000, de;q=x"], &["en, de;q=x"], false),
            ("accept-language", &["en;q, de;q=0.5"], &["de;q=0.5, en;q"], false),
            ("accept-language", &["en;q=0.1234, de"], &["de, en;q=0.1234"], false),
            ("accept-language", &["en;q=.5,de;q=0.5"], &["en;q=.5 ,  de;q=0.5"], true),
            ("accept-language", &["en;q=0., de"], &["de, en;q=0"], true),
            ("accept-language", &["en;q=1., de;q=0.50"], &["de;q=0.5, en"], true),
            ("accept-encoding", &["gzip;q=.5, br"], &["br, gzip;q=.5"], false),
            ("accept-encoding", &["gzip;level=1, br"], &["br, gzip;level=1"], false),
            ("accept", &["a/b;q=0.5;ext=1, c/d"], &["c/d, a/b;q=0.5;ext=1"], false),
            ("accept", &["text, a/b;q=0.5"], &["a/b;q=0.5, text"], false),
            // Of equal weights the first counts for many servers.
            ("accept-language", &["fr, en"], &["en, fr"], false),
            ("accept", &["application/json, text/html"], &["text/html, application/json"], false),
            // Two lines aren't one with a comma.
            ("user-agent", &["a (b", "c) d"], &["a (b, c) d"], false),
            ("cookie", &["a=1", "b=2"], &["a=1, b=2"], false),
            ("accept", &["text/html;level=1, */*;q=0.1"], &["*/*;q=0.10,text/html;Level=1"], true),
            ("accept", &["text/html;level=1"], &["text/html;level=2"], false),
            ("accept", &["a/b;c=\"X\""], &["a/b;c=\"x\""], false),
            // As many as are sorted, and more.
            ("accept-language", &[&"de,".repeat(MOST_MEMBERS - 1), "en"], &["de, en"], true),
            ("accept-language", &[&"de,".repeat(MOST_MEMBERS), "en"], &["en, de"], false),
        ];
        for (name, one, other, expected) in table {
            let variant = |values: &[&str]| {
                let lines: Vec<_> = values.iter().map(|value| (*name, *value)).collect();
                variant_of(&[name], &fields(&lines))
            };
            assert_eq!(
                variant(one) == variant(other),
                *expected,
                "{name}: {one:?} {other:?}"
            );
        }
    }
}

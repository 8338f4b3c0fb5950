//! Cache-Control as a grammar (RFC 9111 §5.2): directives with their arguments, in either form. A list member that isn't
//! by the grammar is taken for each token in it, so that what restricts is seen wherever it stands.
//!
//! The meaning of a request's and a response's directives is in the two modules below. Nothing here allocates.

mod request;
mod response;
mod targeted;

pub use request::RequestDirectives;
pub use response::ResponseDirectives;
pub(super) use response::withheld;
pub use targeted::TargetList;

use crate::http::syntax::{elements, is_tchar, is_token, saturating_number};

/// Infinity in delta-seconds (RFC 9111 §1.2.2): 2^31, some 68 years.
pub(super) const FOREVER: u64 = 1 << 31;

/// One directive as it stands in the field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Directive<'a> {
    /// The name, to be compared case-insensitively.
    pub name: &'a [u8],
    pub argument: Argument<'a>,
}

/// A directive's argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Argument<'a> {
    None,
    /// The token, or the inside of the quoted string.
    Text(&'a [u8]),
    /// An integer, where these have a type of their own.
    Seconds(u64),
    /// The member that it stands in isn't by the grammar: what restricts counts at its strictest, what permits doesn't.
    Malformed,
}

impl<'a> Directive<'a> {
    /// The directive that a list member holds, if it is one by the grammar.
    fn of(member: &'a [u8]) -> Option<Directive<'a>> {
        let equals = memchr::memchr(b'=', member);
        let (name, argument) = match equals.map(|equals| member.split_at(equals)) {
            None => (member, Argument::None),
            Some((name, text)) => (name, Argument::of(&text[1..])?),
        };
        is_token(name).then_some(Directive { name, argument })
    }

    /// Each token of a list member that is none.
    fn tokens_of(member: &'a [u8]) -> impl Iterator<Item = Directive<'a>> {
        let tokens = member.split(|&byte| !is_tchar(byte));
        tokens
            .filter(|token| !token.is_empty())
            .map(|name| Directive {
                name,
                argument: Argument::Malformed,
            })
    }

    /// True for the directive of that name.
    pub(super) fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }

    /// True where what it permits counts.
    pub(super) fn may_permit(&self) -> bool {
        self.argument != Argument::Malformed
    }

    /// The name in lower case; nothing when it is longer than any that is known.
    pub(super) fn lower_case<'b>(&self, space: &'b mut [u8; 24]) -> &'b [u8] {
        let Some(name) = space.get_mut(..self.name.len()) else {
            return b"";
        };
        name.copy_from_slice(self.name);
        name.make_ascii_lowercase();
        name
    }

    /// The argument as delta-seconds; `None` when it is missing or is not a non-negative integer.
    pub(super) fn seconds(&self) -> Option<u64> {
        match self.argument {
            Argument::Text(text) => delta_seconds(text),
            Argument::Seconds(seconds) => Some(seconds),
            Argument::None | Argument::Malformed => None,
        }
    }
}

impl<'a> Argument<'a> {
    /// The argument that this text is; `None` for one that isn't by the grammar.
    fn of(text: &'a [u8]) -> Option<Argument<'a>> {
        match text {
            [b'"', inside @ .., b'"'] if is_quoted(inside) => match inside.contains(&b'\\') {
                false => Some(Argument::Text(inside)),
                // No argument defined anywhere needs an escape, so one is not worth a copy.
                true => Some(Argument::Malformed),
            },
            _ => is_token(text).then_some(Argument::Text(text)),
        }
    }
}

/// True for the inside of a quoted string (RFC 9110 §5.6.4).
fn is_quoted(inside: &[u8]) -> bool {
    let mut bytes = inside.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => return false,
            b'\\' if bytes.next().is_none() => return false,
            _ => {}
        }
    }
    true
}

/// The directives of one Cache-Control field line.
pub(super) fn directives(line: &[u8]) -> impl Iterator<Item = Directive<'_>> {
    elements(line).flat_map(|member| {
        let directive = Directive::of(member);
        let is_none = directive.is_none();
        let tokens = is_none.then(|| Directive::tokens_of(member));
        directive.into_iter().chain(tokens.into_iter().flatten())
    })
}

/// A non-negative integer of seconds (RFC 9111 §1.2.2), [`FOREVER`] when it is greater than that.
pub(super) fn delta_seconds(text: &[u8]) -> Option<u64> {
    saturating_number(text).map(|seconds| seconds.min(FOREVER))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_in_both_forms() {
        let table: &[(&str, &str, Argument)] = &[
            ("no-store", "no-store", Argument::None),
            ("max-age=5", "max-age", Argument::Text(b"5")),
            ("max-age=\"5\"", "max-age", Argument::Text(b"5")),
            ("private=\"a, b\"", "private", Argument::Text(b"a, b")),
            ("private=a", "private", Argument::Text(b"a")),
            ("a=\"\"", "a", Argument::Text(b"")),
            ("a=b=c", "a", Argument::Malformed),
            ("a=", "a", Argument::Malformed),
            ("a = 1", "a", Argument::Malformed),
            ("a= 1", "a", Argument::Malformed),
            ("a=\"1", "a", Argument::Malformed),
            ("a=\"", "a", Argument::Malformed),
            ("a=\"1\"2\"", "a", Argument::Malformed),
            ("a=\"\\1\"", "a", Argument::Malformed),
            ("a=1 2", "a", Argument::Malformed),
        ];
        for (member, name, argument) in table {
            let directive = directives(member.as_bytes()).next().expect("one at least");
            assert!(directive.is(name), "{member}");
            assert_eq!(directive.argument, *argument, "{member}");
        }
    }

    #[test]
    fn members_that_are_none_have_each_token() {
        #[rustfmt::skip]
        let table: &[(&str, &[&str])] = &[
            ("a; b", &["a", "b"]),
            ("a b, c", &["a", "b", "c"]),
            ("a=b=c", &["a", "b", "c"]),
            ("a: 1;;b", &["a", "1", "b"]),
            ("a=\"1, b, c=d", &["a", "1", "b", "c", "d"]),
            ("\"a\"", &["a"]),
            ("\"a\", b", &["a", "b"]),
            ("a\"", &["a"]),
            ("=a", &["a"]),
            ("a=\"1\\\", b", &["a", "1", "b"]),
            // What is by the grammar is one, whatever it says.
            ("a=\"1; b, c\"", &["a"]),
            ("a=\"1\\\", b\", c", &["a", "c"]),
            ("a=b", &["a"]),
            ("\"\", =;, ,", &[]),
        ];
        for (line, expected) in table {
            let names: Vec<_> = directives(line.as_bytes())
                .map(|found| found.name)
                .collect();
            let expected: Vec<_> = expected.iter().map(|name| name.as_bytes()).collect();
            assert_eq!(names, expected, "{line}");
        }
    }

    #[test]
    fn seconds() {
        let table: &[(&str, Option<u64>)] = &[
            ("0", Some(0)),
            ("3600", Some(3600)),
            ("003600", Some(3600)),
            ("2147483648", Some(FOREVER)),
            ("2147483649", Some(FOREVER)),
            ("99999999999999999999999999999999", Some(FOREVER)),
            ("", None),
            ("-1", None),
            ("+1", None),
            ("1.5", None),
            ("1e3", None),
            ("0x10", None),
            ("a100", None),
            ("100a", None),
            ("'100'", None),
            (" 1", None),
        ];
        for (text, expected) in table {
            assert_eq!(delta_seconds(text.as_bytes()), *expected, "{text:?}");
        }
    }
}

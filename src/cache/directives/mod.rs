//! Cache-Control as a grammar (RFC 9111 §5.2): directives with their arguments, in either form.
//!
//! The meaning of a request's and a response's directives is in the two modules below. Nothing here allocates.

mod request;
mod response;

pub use request::RequestDirectives;
pub use response::ResponseDirectives;
pub(super) use response::withheld;

use crate::http::syntax::{elements, is_tchar, saturating_number, trim};

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
    /// It is neither a token nor a quoted string, or has whitespace before or after the equals sign.
    Malformed,
}

impl<'a> Directive<'a> {
    /// The directive that a list member holds.
    fn of(member: &'a [u8]) -> Directive<'a> {
        let equals = member.iter().position(|&byte| byte == b'=');
        let (name, argument) = match equals.map(|equals| member.split_at(equals)) {
            None => (member, Argument::None),
            Some((name, text)) if trim(name) != name || trim(&text[1..]) != &text[1..] => {
                (trim(name), Argument::Malformed)
            }
            Some((name, text)) => (name, Argument::of(&text[1..])),
        };
        Directive { name, argument }
    }

    /// True for the directive of that name.
    pub(super) fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
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
            Argument::None | Argument::Malformed => None,
        }
    }
}

impl<'a> Argument<'a> {
    fn of(text: &'a [u8]) -> Argument<'a> {
        match text {
            [b'"', inside @ .., b'"'] if !inside.contains(&b'"') && !inside.contains(&b'\\') => {
                Argument::Text(inside)
            }
            // No argument defined anywhere needs an escape, so one is not worth a copy.
            [b'"', ..] => Argument::Malformed,
            _ if !text.is_empty() && text.iter().all(|&byte| is_tchar(byte)) => {
                Argument::Text(text)
            }
            _ => Argument::Malformed,
        }
    }
}

/// The directives of one Cache-Control field line.
pub(super) fn directives(line: &[u8]) -> impl Iterator<Item = Directive<'_>> {
    elements(line).map(Directive::of)
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
            let directive = Directive::of(member.as_bytes());
            assert!(directive.is(name), "{member}");
            assert_eq!(directive.argument, *argument, "{member}");
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

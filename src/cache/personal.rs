//! The fields of a response that are for nobody but the client whose request brought it: cookies that it sets, what
//! followed from credentials, and what `private="…"` and `no-cache="…"` name (RFC 9111 §5.2.2.4, §5.2.2.7).
//!
//! Storing and sharing leave them out alike. Whether others may have the rest is decided in `storing`.

use super::directives::{TargetList, withheld};
use crate::http::fields::Fields;
use crate::http::names::FieldNames;
use crate::http::syntax::is_one_of;

/// Fields that are about one client, whatever the response says of them.
const PERSONAL: &[&str] = &["set-cookie", "set-cookie2", "authentication-info"];

/// True for a response with these fields that sets cookies.
pub fn sets_cookies(fields: &Fields) -> bool {
    fields.has("set-cookie") || fields.has("set-cookie2")
}

/// The names of the fields that a response has for one client alone.
pub struct PersonalFields<'a> {
    named: FieldNames<'a>,
}

impl<'a> PersonalFields<'a> {
    /// Those of a response with these fields.
    pub fn of(response: &'a Fields, targets: &TargetList) -> PersonalFields<'a> {
        let named = withheld(response, targets);
        PersonalFields { named }
    }

    /// True for the name of one of them.
    pub fn has(&self, name: &[u8]) -> bool {
        is_one_of(name, PERSONAL) || self.named.contains(name)
    }

    /// The lines of this header or trailer section that others may see too.
    pub fn absent_from(&self, section: &Fields) -> Fields {
        let lines = section.iter().filter(|(name, _)| !self.has(name));
        lines.collect()
    }

    /// The lines of this section that others may not see.
    pub fn alone_in(&self, section: &Fields) -> Fields {
        let lines = section.iter().filter(|(name, _)| self.has(name));
        lines.collect()
    }
}

/// The fields of a response as others see them than the client whose request brought it.
pub fn for_others(fields: &Fields, targets: &TargetList) -> Fields {
    PersonalFields::of(fields, targets).absent_from(fields)
}

#[cfg(test)]
#[allow(clippy::type_complexity)]
mod tests {
    use super::*;
    use crate::cache::testing::{fields, lines};

    #[test]
    fn every_field_is_for_all_or_for_one() {
        const PRIVATE: (&str, &str) = ("Cache-Control", "private=\"X-A\", no-cache=\"x-b\"");
        const CONTROL: &str = "Cache-Control: private=\"X-A\", no-cache=\"x-b\"";
        #[rustfmt::skip]
        let table: &[(&[(&str, &str)], &[&str], &[&str])] = &[
            (&[("A", "1"), ("Content-Length", "5")], &["A: 1", "Content-Length: 5"], &[]),
            (&[("Set-Cookie", "a=1"), ("A", "1"), ("SET-cookie", "b=2")], &["A: 1"], &["Set-Cookie: a=1", "SET-cookie: b=2"]),
            (&[("Set-Cookie2", "a=1"), ("Authentication-Info", "nextnonce=\"a\"")], &[], &["Set-Cookie2: a=1", "Authentication-Info: nextnonce=\"a\""]),
            (&[PRIVATE, ("x-a", "1"), ("X-B", "2"), ("X-C", "3")], &[CONTROL, "X-C: 3"], &["x-a: 1", "X-B: 2"]),
            (&[("X-Set-Cookie", "a"), ("Cookie", "a")], &["X-Set-Cookie: a", "Cookie: a"], &[]),
        ];
        for (received, others, alone) in table {
            let received = fields(received);
            let personal = PersonalFields::of(&received, &TargetList::NONE);
            assert_eq!(
                lines(&for_others(&received, &TargetList::NONE)),
                *others,
                "{received:?}"
            );
            assert_eq!(lines(&personal.alone_in(&received)), *alone, "{received:?}");
        }
    }
}

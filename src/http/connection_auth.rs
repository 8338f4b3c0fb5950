//! Authentication schemes that authenticate a connection and not a request: NTLM, and Negotiate with it or Kerberos
//! inside (RFC 4559 §4, §6). Whatever else is sent on such a connection counts as that user's.

use super::fields::Fields;

/// The beginnings of the schemes' names: there are Nego2, NegoEx and others besides those registered.
const SCHEMES: [&[u8]; 4] = [b"ntlm", b"nego", b"kerberos", b"spnego"];

/// True for a request that presents such credentials.
pub fn presents(request: &Fields) -> bool {
    challenges(request, &["authorization", "proxy-authorization"])
        .next()
        .is_some()
}

/// True for a response that offers such a scheme.
pub fn offers(response: &Fields) -> bool {
    challenges(response, &["www-authenticate", "proxy-authenticate"])
        .next()
        .is_some()
}

/// True for a response in the midst of such a handshake: its token is for the connection that it came on.
pub fn offers_token(response: &Fields) -> bool {
    challenges(response, &["www-authenticate", "proxy-authenticate"]).any(|token| !token.is_empty())
}

/// The bytes after the name of each such scheme, in lists too, though no list of credentials is allowed.
fn challenges<'a>(fields: &'a Fields, names: &'a [&'a str]) -> impl Iterator<Item = &'a [u8]> {
    let lines = fields.iter().filter(|(name, _)| {
        let mut names = names.iter();
        names.any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
    });
    let members = lines.flat_map(|(_, value)| value.split(|byte| *byte == b','));
    members.filter_map(|member| {
        let member = member.trim_ascii();
        let end = member.iter().position(u8::is_ascii_whitespace);
        let (scheme, token) = member.split_at(end.unwrap_or(member.len()));
        let begins = |known: &&[u8]| {
            let beginning = scheme.get(..known.len());
            beginning.is_some_and(|beginning| beginning.eq_ignore_ascii_case(known))
        };
        SCHEMES.iter().any(begins).then(|| token.trim_ascii())
    })
}

#[cfg(test)]
#[allow(clippy::type_complexity)]
mod tests {
    use super::*;
    use crate::http::testing::fields;

    #[test]
    fn requests() {
        let table: &[(&[(&str, &str)], bool)] = &[
            (&[], false),
            (&[("Authorization", "Basic eDp5")], false),
            (&[("Authorization", "Bearer ntlm")], false),
            (&[("Authorization", "Digest username=\"ntlm\"")], false),
            (&[("Authorization", "NTLM TlRMTVNTUAAB")], true),
            (&[("authorization", "ntlm TlRMTVNTUAAB")], true),
            (&[("AUTHORIZATION", "Negotiate YII=")], true),
            (&[("Authorization", "NEGOTIATE")], true),
            (&[("Authorization", "Kerberos YII=")], true),
            (&[("Authorization", "Nego2 x")], true),
            (&[("Authorization", "\t NTLM\tx")], true),
            (&[("Authorization", "Basic eDp5, NTLM x")], true),
            (&[("Authorization", "Basic \"x, NTLM y")], true),
            (
                &[("Authorization", "Basic x"), ("Authorization", "NTLM y")],
                true,
            ),
            (&[("Proxy-Authorization", "NTLM x")], true),
            (&[("Proxy-Authorization", "Basic x")], false),
            (&[("X-Authorization", "NTLM x")], false),
            (&[("WWW-Authenticate", "NTLM x")], false),
        ];
        for (lines, expected) in table {
            assert_eq!(presents(&fields(lines)), *expected, "{lines:?}");
        }
    }

    #[test]
    fn responses() {
        // The field lines; a scheme is offered; with a token.
        #[rustfmt::skip]
        let table: &[(&[(&str, &str)], bool, bool)] = &[
            (&[], false, false),
            (&[("WWW-Authenticate", "Basic realm=\"NTLM\"")], false, false),
            (&[("WWW-Authenticate", "NTLM")], true, false),
            (&[("WWW-Authenticate", "Basic realm=\"a, b\", negotiate ,NTLM")], true, false),
            (&[("WWW-Authenticate", "Negotiate"), ("www-authenticate", "ntlm TlRM")], true, true),
            (&[("WWW-Authenticate", "Negotiate oYG2")], true, true),
            (&[("Proxy-Authenticate", "NTLM TlRM")], true, true),
            (&[("Authorization", "NTLM TlRM")], false, false),
        ];
        for (lines, offered, token) in table {
            let fields = fields(lines);
            assert_eq!(offers(&fields), *offered, "{lines:?}");
            assert_eq!(offers_token(&fields), *token, "{lines:?}");
        }
    }
}

//! The grammar that fields share (RFC 9110 §5.5, §5.6): lists, optional whitespace, numbers, tokens.

/// The members of one comma-separated list value (RFC 9110 §5.6.1.2), quoted strings respected.
pub fn elements(mut rest: &[u8]) -> impl Iterator<Item = &[u8]> {
    let members = std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (mut quoted, mut escaped) = (false, false);
        let comma = rest.iter().position(|&byte| {
            match byte {
                _ if escaped => escaped = false,
                b'\\' if quoted => escaped = true,
                b'"' => quoted = !quoted,
                b',' if !quoted => return true,
                _ => {}
            }
            false
        });
        let (element, after) = rest.split_at(comma.unwrap_or(rest.len()));
        rest = after.get(1..).unwrap_or_default();
        Some(trim(element))
    });
    members.filter(|element| !element.is_empty())
}

/// Without the optional whitespace (SP and HTAB) at both ends (RFC 9110 §5.6.3).
pub fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = value {
        value = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// A value of digits alone (`1*DIGIT`), as in Content-Length; nothing when it does not fit.
pub fn number(value: &[u8]) -> Option<u64> {
    if value.is_empty() {
        return None;
    }
    value.iter().try_fold(0u64, |number, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

/// As [`number`], but [`u64::MAX`] when it does not fit.
pub(crate) fn saturating_number(value: &[u8]) -> Option<u64> {
    let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    digits.then(|| number(value).unwrap_or(u64::MAX))
}

/// True for a name that is in a list, compared case-insensitively.
pub fn is_one_of(name: &[u8], list: &[&str]) -> bool {
    list.iter()
        .any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
}

/// True for a byte of a token (RFC 9110 §5.6.2).
pub fn is_tchar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// True for a token (RFC 9110 §5.6.2), as a field's name is.
pub fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().copied().all(is_tchar)
}

/// True for what a field's value or a reason phrase may be (RFC 9110 §5.5, RFC 9112 §4).
pub fn is_field_text(text: &[u8]) -> bool {
    text.iter().copied().all(is_field_byte)
}

/// True for a byte of a field value or reason phrase (RFC 9110 §5.5).
pub(super) fn is_field_byte(byte: u8) -> bool {
    matches!(byte, b'\t' | b' '..=b'~' | 0x80..)
}

/// True for a byte of a request target: visible ASCII, and beyond it whatever clients send without percent-encoding.
pub(super) fn is_target_byte(byte: u8) -> bool {
    matches!(byte, b'!'..=b'~' | 0x80..)
}

#[cfg(test)]
mod tests {
    use crate::http::testing::fields;

    #[test]
    fn list_members() {
        let table: &[(&[&str], &[&str])] = &[
            (&["a, b ,c"], &["a", "b", "c"]),
            (&["a", "b,,c", ""], &["a", "b", "c"]),
            (&[r#"x="1,2", y"#], &[r#"x="1,2""#, "y"]),
            (&[r#"x="a\",b", y"#], &[r#"x="a\",b""#, "y"]),
            // Outside a quoted string a backslash is no escape (RFC 9110 §5.6.4).
            (&[r#"x=\, y=\"1,2""#], &[r#"x=\"#, r#"y=\"1,2""#]),
            (&[" ,\t, "], &[]),
            (&[r#"x="open, y"#], &[r#"x="open, y"#]),
        ];
        for (lines, expected) in table {
            let all: Vec<_> = lines.iter().map(|line| ("List", *line)).collect();
            let fields = fields(&all);
            let got: Vec<_> = fields
                .elements("list")
                .map(String::from_utf8_lossy)
                .collect();
            assert_eq!(&got, expected, "{lines:?}");
        }
    }
}

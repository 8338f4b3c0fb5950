//! Octets as text: `\r`, `\n`, `\t`, `\0`, `\\` and `\xNN`; `{300 x}` is 300 times `x`.

/// The octets that a text stands for.
pub fn octets(text: &str) -> Vec<u8> {
    let text = repeated(text.to_owned());
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        bytes.push(match rest.next() {
            Some(b'r') => b'\r',
            Some(b'n') => b'\n',
            Some(b't') => b'\t',
            Some(b'0') => 0,
            Some(b'\\') => b'\\',
            Some(b'x') => {
                let digits = [rest.next().unwrap(), rest.next().unwrap()];
                u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
            }
            other => panic!("an unknown escape: {other:?}"),
        });
    }
    bytes
}

/// Octets as characters, so that every one of them can be compared.
pub fn text_of(bytes: &[u8]) -> String {
    bytes.iter().map(|&byte| char::from(byte)).collect()
}

/// Replaces `{300 x}` by 300 times `x`, the innermost first.
fn repeated(mut text: String) -> String {
    let begins = |text: &str| {
        let at = |(at, _): &(usize, &str)| text[at + 1..].starts_with(|c: char| c.is_ascii_digit());
        text.rmatch_indices('{').find(at).map(|(at, _)| at)
    };
    while let Some(start) = begins(&text) {
        let end = start + text[start..].find('}').expect("a closing brace");
        let (count, what) = text[start + 1..end]
            .split_once(' ')
            .expect("a count and a text");
        let run = what.repeat(count.parse().expect("a count"));
        text.replace_range(start..=end, &run);
    }
    text
}

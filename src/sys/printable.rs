//! Text that may come from the network, a store, a server or another process, made fit for a terminal: what a terminal
//! obeys, what turns the direction of text around and what can't be seen is written as an escape.

use std::fmt::Write as _;

/// One line of it; bytes that aren't UTF-8 are escaped, too.
pub fn printable(bytes: &[u8]) -> String {
    escaped(bytes, is_unfit)
}

/// Several lines of it.
pub fn printable_lines(text: &str) -> String {
    escaped(text.as_bytes(), |character| {
        is_unfit(character) && character != '\n'
    })
}

fn escaped(bytes: &[u8], is_unfit: impl Fn(char) -> bool) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            if is_unfit(character) {
                out.extend(character.escape_default());
            } else {
                out.push(character);
            }
        }
        for byte in chunk.invalid() {
            // Writing to a String can't fail.
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    out
}

/// True for control characters (C0, DEL, C1), separators of lines, and what Unicode calls Default_Ignorable_Code_Point,
/// among them marks of direction and spaces without a width.
fn is_unfit(character: char) -> bool {
    match character {
        ' '..='~' => false,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' => {
            true
        }
        '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' => true,
        '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' => true,
        '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' => true,
        '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}' => true,
        _ => character.is_control(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_or_hide_is_escaped() {
        let table: [(&[u8], &str); 13] = [
            (b"/plain?a=b%20c\\", "/plain?a=b%20c\\"),
            (b"/\x1b[2J\r\n\t", "/\\u{1b}[2J\\r\\n\\t"),
            (b"/\0\x7f", "/\\u{0}\\u{7f}"),
            ("/ä語😀".as_bytes(), "/ä語😀"),
            (b"/\xff\xfe", "/\\xff\\xfe"),
            // CSI and NEL of C1, in UTF-8 and as bytes.
            (b"\xc2\x9b31m\xc2\x85", "\\u{9b}31m\\u{85}"),
            (b"\x9b31m\x85", "\\x9b31m\\x85"),
            (
                "\u{202e}\u{2066}\u{61c}\u{200f}".as_bytes(),
                "\\u{202e}\\u{2066}\\u{61c}\\u{200f}",
            ),
            (
                "a\u{200b}\u{200d}\u{2060}\u{feff}b".as_bytes(),
                "a\\u{200b}\\u{200d}\\u{2060}\\u{feff}b",
            ),
            (
                "\u{2028}\u{2029}\u{ad}".as_bytes(),
                "\\u{2028}\\u{2029}\\u{ad}",
            ),
            ("\u{e0041}\u{3164}".as_bytes(), "\\u{e0041}\\u{3164}"),
            ("\u{a0}\u{300}".as_bytes(), "\u{a0}\u{300}"),
            (b"", ""),
        ];
        for (bytes, expected) in table {
            assert_eq!(printable(bytes), expected);
            let again = printable(expected.as_bytes());
            assert_eq!(again, expected, "what is printable stays");
        }
        assert_eq!(printable_lines("a\n\u{9b}\r\n"), "a\n\\u{9b}\\r\n");
    }
}

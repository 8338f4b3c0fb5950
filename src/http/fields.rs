//! A message's fields (RFC 9110 §5): names and values as spans of one shared buffer, in the order received.
//!
//! Parsing keeps the bytes where they are; nothing is copied or lower-cased. Grammar of single
//! fields is not decided here, save for comma-separated lists (RFC 9110 §5.6.1).

use bytes::{BufMut, Bytes, BytesMut};

use super::syntax::elements;

/// The place of one field line in [`Fields`]' text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    name: (u32, u32),
    value: (u32, u32),
}

/// Field lines in the order received, over one shared buffer.
#[derive(Debug, Clone, Default)]
pub struct Fields {
    text: Bytes,
    spans: Vec<Span>,
}

impl Fields {
    /// Every field line as (name, value), in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&[u8], &[u8])> + Clone {
        let part = |(start, end): (u32, u32)| &self.text[start as usize..end as usize];
        let line = move |span: &Span| (part(span.name), part(span.value));
        self.spans.iter().map(line)
    }

    /// The buffer that the lines lie in: of a head that was parsed, the whole head as it was received, or as it was
    /// mended.
    pub fn text(&self) -> &Bytes {
        &self.text
    }

    /// The bytes of memory that they take, about: a buffer may have grown to twice of what is in it.
    pub fn footprint(&self) -> usize {
        2 * (self.text.len() + self.spans.len() * size_of::<Span>())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// The values of every line with this name (compared case-insensitively), in order.
    pub fn all<'a>(&'a self, name: &'a str) -> impl DoubleEndedIterator<Item = &'a [u8]> + Clone {
        self.iter()
            .filter(move |(n, _)| n.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, value)| value)
    }

    /// The value of the first line with this name.
    pub fn first<'a>(&'a self, name: &'a str) -> Option<&'a [u8]> {
        self.all(name).next()
    }

    /// True when a line with this name is there.
    pub fn has(&self, name: &str) -> bool {
        self.first(name).is_some()
    }

    /// The members of a comma-separated list field, over all its lines (RFC 9110 §5.6.1):
    /// trimmed, empty members skipped, commas in quoted strings respected.
    pub fn elements<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.all(name).flat_map(elements)
    }

    /// True when a list field has this member, compared case-insensitively (for fields of tokens).
    pub fn has_token(&self, name: &str, token: &str) -> bool {
        self.elements(name)
            .any(|element| element.eq_ignore_ascii_case(token.as_bytes()))
    }
}

impl PartialEq for Fields {
    /// Equal when the same lines come in the same order, byte for byte.
    fn eq(&self, other: &Fields) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Fields {}

/// Builds [`Fields`], either line by line or from spans of a buffer already parsed.
#[derive(Debug, Default)]
pub struct FieldsBuilder {
    text: BytesMut,
    spans: Vec<Span>,
}

impl FieldsBuilder {
    /// Appends one field line; name and value are copied.
    pub fn push(&mut self, name: &[u8], value: &[u8]) -> &mut FieldsBuilder {
        let start = self.text.len() as u32;
        self.text.put_slice(name);
        let middle = self.text.len() as u32;
        self.text.put_slice(value);
        let end = self.text.len() as u32;
        self.spans.push(Span {
            name: (start, middle),
            value: (middle, end),
        });
        self
    }

    /// The finished fields.
    pub fn build(self) -> Fields {
        Fields {
            text: self.text.freeze(),
            spans: self.spans,
        }
    }
}

impl<'a> FromIterator<(&'a [u8], &'a [u8])> for Fields {
    fn from_iter<I: IntoIterator<Item = (&'a [u8], &'a [u8])>>(lines: I) -> Fields {
        let mut builder = FieldsBuilder::default();
        for (name, value) in lines {
            builder.push(name, value);
        }
        builder.build()
    }
}

/// Writes a field line.
pub(crate) fn write_line(out: &mut BytesMut, name: &[u8], value: &[u8]) {
    out.reserve(name.len() + value.len() + 4);
    out.put_slice(name);
    out.put_slice(b": ");
    out.put_slice(value);
    out.put_slice(b"\r\n");
}

/// [`Fields`] over `text` without copying: `lines` are (name, value) slices that lie inside `text`,
/// as httparse returns them. Lines that do not are left out.
pub fn over<'a>(text: &Bytes, lines: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Fields {
    let base = text.as_ptr() as usize;
    let place = |part: &[u8]| {
        let start = (part.as_ptr() as usize).wrapping_sub(base);
        let end = start.wrapping_add(part.len());
        (start <= end && end <= text.len()).then_some((start as u32, end as u32))
    };
    let mut spans = Vec::with_capacity(lines.size_hint().1.unwrap_or(0));
    spans.extend(lines.filter_map(|(name, value)| {
        Some(Span {
            name: place(name)?,
            // An empty one may lie anywhere.
            value: place(value).or(value.is_empty().then_some((0, 0)))?,
        })
    }));
    Fields {
        text: text.clone(),
        spans,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::{Fields, over};
    use crate::http::testing::fields;

    #[test]
    fn names_are_case_insensitive_and_order_is_kept() {
        let fields = fields(&[("Set-Cookie", "a"), ("X", ""), ("set-cookie", "b")]);
        assert!(fields.all("SET-COOKIE").eq([b"a", b"b"]));
        assert_eq!(fields.first("x"), Some(&b""[..]));
        assert_eq!(fields.iter().count(), 3);
        assert!(!fields.is_empty() && Fields::default().is_empty());
    }

    #[test]
    fn equal_are_the_same_lines_in_the_same_order() {
        let lines = fields(&[("A", "1"), ("B", "2")]);
        assert_eq!(lines, fields(&[("A", "1"), ("B", "2")]));
        for other in [
            fields(&[("A", "1")]),
            fields(&[("B", "2"), ("A", "1")]),
            fields(&[("a", "1"), ("B", "2")]),
            fields(&[("A", "1"), ("B", "3")]),
        ] {
            assert_ne!(lines, other);
        }
    }

    #[test]
    fn lines_lie_in_the_text() {
        let text = Bytes::from_static(b"A: 1\r\nB:\r\n");
        let (name, value) = (&text[..1], &text[3..4]);
        let own = [(name, value), (&text[6..7], &b""[..])];
        let found = over(&text, own.into_iter());
        assert_eq!(found, fields(&[("A", "1"), ("B", "")]));
        assert_eq!(found.text(), &text);
        // Of a buffer in which the text is a part, before it and behind it.
        let part = text.slice(5..8);
        for elsewhere in [
            (name, &text[6..7]),
            (&text[6..7], value),
            (&text[9..10], &b""[..]),
        ] {
            assert!(
                over(&part, [elsewhere].into_iter()).is_empty(),
                "{elsewhere:?}"
            );
        }
    }
}

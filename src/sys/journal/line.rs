//! One line of the journal, owned, as it waits in the queue.

use std::borrow::Cow;
use std::fmt::Write as _;

use log::kv::{Error, Key, Value, VisitSource};
use log::{Level, Record};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) level: Level,
    pub(super) target: String,
    pub(super) message: String,
    /// Names in upper case, as the journal has them.
    pub(super) fields: Vec<(Cow<'static, str>, String)>,
}

impl Line {
    /// The line that a log record is. Key `reason` becomes the journal field `CACHEPROXY_REASON`.
    pub(super) fn of(record: &Record) -> Line {
        let mut fields = JournalFields(Vec::new());
        // The visitor below never fails.
        let _ = record.key_values().visit(&mut fields);
        Line {
            level: record.level(),
            target: record.target().to_string(),
            message: record.args().to_string(),
            fields: fields.0,
        }
    }

    /// The line that tells of lines that were dropped.
    pub(super) fn dropped(count: u64) -> Line {
        let lines = if count == 1 { "line was" } else { "lines were" };
        Line {
            level: Level::Warn,
            target: "journal".to_string(),
            message: format!(
                "{count} log {lines} dropped: the journal didn't take them fast enough"
            ),
            fields: vec![("CACHEPROXY_DROPPED".into(), count.to_string())],
        }
    }
}

struct JournalFields(Vec<(Cow<'static, str>, String)>);

impl<'kvs> VisitSource<'kvs> for JournalFields {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
        let key = key.as_str().to_ascii_uppercase();
        let name = format!("CACHEPROXY_{key}").into();
        self.0.push((name, value.to_string()));
        Ok(())
    }
}

/// Text that may come from the network, made fit for a terminal: control characters are escaped, and
/// so are bytes that aren't UTF-8.
pub(super) fn escaped(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            if character.is_control() {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_escaped() {
        let table: [(&[u8], &str); 5] = [
            (b"/plain?a=b%20c", "/plain?a=b%20c"),
            (b"/\x1b[2J\r\n", "/\\u{1b}[2J\\r\\n"),
            (b"/\0\x7f", "/\\u{0}\\u{7f}"),
            ("/ä".as_bytes(), "/ä"),
            (b"/\xff\xfe", "/\\xff\\xfe"),
        ];
        for (bytes, expected) in table {
            assert_eq!(escaped(bytes), expected);
        }
    }

    #[test]
    fn keys_of_a_record_become_fields() {
        let line = Line::of(
            &Record::builder()
                .level(Level::Warn)
                .target("t")
                .args(format_args!("a worker ended"))
                .key_values(&[("worker_pid", 7)])
                .build(),
        );
        assert_eq!(line.level, Level::Warn);
        assert_eq!(line.message, "a worker ended");
        let fields = [("CACHEPROXY_WORKER_PID".into(), "7".to_string())];
        assert_eq!(line.fields, fields);
    }
}

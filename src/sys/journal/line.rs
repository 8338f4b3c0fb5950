//! One line of the journal, owned, as it waits in the queue.

use std::borrow::Cow;

use log::kv::{Error, Key, Value, VisitSource};
use log::{Level, Record};

use crate::sys::printable::printable_lines;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) level: Level,
    pub(super) target: String,
    pub(super) message: String,
    /// Names in upper case, as the journal has them.
    pub(super) fields: Vec<(Cow<'static, str>, String)>,
}

impl Line {
    /// The line that a log record is, fit for a terminal, as journalctl isn't careful of all of it. Key `reason` becomes the journal field `CACHEPROXY_REASON`.
    pub(super) fn of(record: &Record) -> Line {
        let mut fields = JournalFields(Vec::new());
        // The visitor below never fails.
        let _ = record.key_values().visit(&mut fields);
        Line {
            level: record.level(),
            target: record.target().to_string(),
            message: printable_lines(&record.args().to_string()),
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
        self.0.push((name, printable_lines(&value.to_string())));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_a_record_become_fields() {
        let line = Line::of(
            &Record::builder()
                .level(Level::Warn)
                .target("t")
                .args(format_args!("a worker\u{9b}\n ended"))
                .key_values(&[("worker_pid", "7\u{202e}")])
                .build(),
        );
        assert_eq!(line.level, Level::Warn);
        assert_eq!(line.message, "a worker\\u{9b}\n ended");
        let fields = [("CACHEPROXY_WORKER_PID".into(), "7\\u{202e}".to_string())];
        assert_eq!(line.fields, fields);
    }
}

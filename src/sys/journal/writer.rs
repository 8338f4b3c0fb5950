//! The way out for lines: journald by its native protocol, or the console.

use std::io::Write;

use log::kv::{Error, Source, VisitSource};
use log::{Level, Record};
use systemd_journal_logger::{JournalLog, connected_to_journal};

use super::line::Line;
use crate::sys::printable::printable;

/// The process whose lines these are, as they are tagged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identity {
    /// Tagged `cacheproxy`.
    Supervisor,
    /// Tagged `cacheproxy@N`, with the field `CACHEPROXY_WORKER=N`.
    Worker(u16),
}

pub(super) enum LineWriter {
    Journald(JournalLog),
    Console {
        tag: String,
        out: Box<dyn Write + Send>,
    },
}

impl LineWriter {
    /// journald when this process's stderr is connected to it, else stderr.
    pub(super) fn for_stderr(who: Identity) -> LineWriter {
        let tag = tag(who);
        if connected_to_journal() {
            if let Ok(journald) = JournalLog::empty() {
                let journald = journald.with_syslog_identifier(tag);
                return LineWriter::Journald(match who {
                    Identity::Supervisor => journald,
                    Identity::Worker(index) => {
                        journald.add_extra_field("CACHEPROXY_WORKER", index.to_string())
                    }
                });
            }
        }
        let out = Box::new(std::io::stderr());
        LineWriter::Console { tag, out }
    }

    /// Writes one line. Where it can't be written there is nobody to tell.
    pub(super) fn write(&mut self, line: &Line) {
        match self {
            LineWriter::Journald(journald) => {
                let mut record = Record::builder();
                record.level(shifted(line.level)).target(&line.target);
                record.key_values(line);
                let message = &line.message;
                let _ = journald.journal_send(&record.args(format_args!("{message}")).build());
            }
            LineWriter::Console { tag, out } => {
                let _ = out.write_all(console(tag, line).as_bytes());
            }
        }
    }
}

fn tag(who: Identity) -> String {
    match who {
        Identity::Supervisor => "cacheproxy".to_string(),
        Identity::Worker(index) => format!("cacheproxy@{index}"),
    }
}

/// The level whose priority in the logger's table is the one meant: it has info as notice (5), debug as info (6).
fn shifted(level: Level) -> Level {
    match level {
        Level::Error => Level::Error,
        Level::Warn => Level::Warn,
        Level::Info => Level::Debug,
        Level::Debug | Level::Trace => Level::Trace,
    }
}

fn console(tag: &str, line: &Line) -> String {
    let level = match line.level {
        Level::Error => "error: ",
        Level::Warn => "warning: ",
        Level::Info => "",
        Level::Debug | Level::Trace => "debug: ",
    };
    let message = printable(line.message.as_bytes());
    format!("{tag}: {level}{message}\n")
}

impl Source for Line {
    fn visit<'kvs>(&'kvs self, visitor: &mut dyn VisitSource<'kvs>) -> Result<(), Error> {
        for (name, value) in &self.fields {
            visitor.visit_pair(name.as_ref().into(), value.as_str().into())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn console_lines() {
        let line = |level, message: &str| Line {
            level,
            target: "t".to_string(),
            message: message.to_string(),
            fields: Vec::new(),
        };
        let table = [
            (Identity::Supervisor, Level::Info, "up", "cacheproxy: up\n"),
            (
                Identity::Worker(2),
                Level::Warn,
                "slow",
                "cacheproxy@2: warning: slow\n",
            ),
            (
                Identity::Worker(2),
                Level::Error,
                "a\nb",
                "cacheproxy@2: error: a\\nb\n",
            ),
            (
                Identity::Supervisor,
                Level::Debug,
                "x",
                "cacheproxy: debug: x\n",
            ),
        ];
        for (who, level, message, expected) in table {
            assert_eq!(console(&tag(who), &line(level, message)), expected);
        }
    }
}

//! Answers for a person: the standard output, and numbers with their units.

use std::io::{self, Write};
use std::ops::ControlFlow;
use std::time::Duration;

use crate::config::display_duration;
use crate::sys::exit::Failure;
use crate::sys::printable::printable_lines;

/// Prints to the standard output, fit for a terminal; a reader that went away (`| head`) is no failure.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    let mut lines = Lines::default();
    let _ = lines.push(text);
    lines.end()
}

/// Lines on their way to the standard output, fit for a terminal, of which there may be very many.
#[derive(Default)]
pub(super) struct Lines {
    text: String,
    failed: Option<io::Error>,
}

impl Lines {
    /// Adds lines; breaks when nobody reads them any more.
    pub(super) fn push(&mut self, lines: &str) -> ControlFlow<()> {
        const AT_ONCE: usize = 64 << 10;
        self.text.push_str(lines);
        if self.text.len() >= AT_ONCE {
            self.write();
        }
        match &self.failed {
            Some(_) => ControlFlow::Break(()),
            None => ControlFlow::Continue(()),
        }
    }

    fn write(&mut self) {
        if self.failed.is_none() {
            let text = printable_lines(&self.text);
            let mut out = io::stdout().lock();
            let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
            self.failed = written.err();
        }
        self.text.clear();
    }

    /// Prints what is left; a reader that went away (`| head`) is no failure.
    pub(super) fn end(mut self) -> Result<(), Failure> {
        self.write();
        match self.failed {
            Some(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::unavailable(
                format!("can't write the answer: {error}"),
            )),
            _ => Ok(()),
        }
    }
}

/// Prints a warning to the standard error output.
pub(super) fn warn(text: &str) {
    // Nobody is there to be told.
    let _ = writeln!(io::stderr(), "cacheproxy: warning: {text}");
}

pub(super) fn duration(seconds: u64) -> String {
    display_duration(Duration::from_secs(seconds))
}

pub(super) fn amount(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} bytes");
    }
    let mut scaled = bytes as f64 / 1024.0;
    let mut unit = 0;
    while scaled >= 1024.0 && unit + 1 < UNITS.len() {
        scaled /= 1024.0;
        unit += 1;
    }
    format!("{scaled:.1} {}", UNITS[unit])
}

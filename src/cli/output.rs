//! Answers for a person: the standard output, and numbers with their units.

use std::io::{self, Write};
use std::time::Duration;

use crate::config::display_duration;
use crate::sys::exit::Failure;
use crate::sys::printable::printable_lines;

/// Prints to the standard output, fit for a terminal; a reader that went away (`| head`) is no failure.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    let text = printable_lines(text);
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::unavailable(
            format!("can't write the answer: {error}"),
        )),
        _ => Ok(()),
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

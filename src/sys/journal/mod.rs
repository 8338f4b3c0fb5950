//! The journal: a bounded queue, and one thread that writes from it to journald or to the console.
//!
//! The journal's socket can block, so nobody but that thread touches it: a line that finds the queue
//! full is dropped and counted, and the count is reported. Formatting of access lines is the thread's.

mod access;
mod line;
mod writer;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use log::{LevelFilter, Log, Metadata, Record};
use systemd_journal_logger::connected_to_journal;

pub use access::AccessLine;
use line::Line;
pub use writer::Identity;
use writer::LineWriter;

use super::printable::printable_lines;
use super::signals;

/// The most lines that wait for the thread.
const QUEUE: usize = 8192;
/// The most time that the end of a process waits for its last lines.
const LAST_LINES: Duration = Duration::from_secs(1);
/// The least time between reports of dropped lines.
const BETWEEN_REPORTS: Duration = Duration::from_secs(1);

enum Queued {
    Line(Line),
    Access(AccessLine),
    /// Everything before it is to be written, and this told.
    Last(SyncSender<()>),
}

struct LineQueue {
    entries: SyncSender<Queued>,
    dropped: Arc<AtomicU64>,
}

static JOURNAL: OnceLock<Journal> = OnceLock::new();

struct Journal(LineQueue);

impl LineQueue {
    fn push(&self, entry: Queued) {
        if self.entries.try_send(entry).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits, within bounds, until everything that is in the queue now is written.
    fn flush(&self, timeout: Duration) {
        let deadline = Instant::now() + timeout;
        let (written, done) = sync_channel(1);
        let mut last = Queued::Last(written);
        while let Err(TrySendError::Full(back)) = self.entries.try_send(last) {
            if Instant::now() >= deadline {
                return;
            }
            last = back;
            thread::sleep(Duration::from_millis(5));
        }
        // An error means that it took too long, or that the thread is gone: either way there is no more to do.
        let _ = done.recv_timeout(deadline.saturating_duration_since(Instant::now()));
    }
}

/// Ends the journal when dropped: the last lines are written, for which it waits a second at most.
#[must_use = "the journal's last lines are written when this is dropped"]
pub struct Guard(());

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(journal) = JOURNAL.get() {
            journal.0.flush(LAST_LINES);
        }
    }
}

/// Begins the journal of this process. Lines logged before are lost; a second call changes nothing.
///
/// Lines go to journald when this process's stderr does, else to stderr.
/// Debug lines are written only when the environment has `CACHEPROXY_LOG=debug`.
pub fn start(who: Identity) -> Guard {
    let (entries, waiting) = sync_channel(QUEUE);
    let dropped = Arc::<AtomicU64>::default();
    let queue = LineQueue {
        entries,
        dropped: dropped.clone(),
    };
    if JOURNAL.set(Journal(queue)).is_ok() {
        let writer = LineWriter::for_stderr(who);
        let thread = thread::Builder::new().name("journal".to_string());
        let thread = || thread.spawn(move || write_all(&waiting, &dropped, writer));
        // A signal that came to the thread would miss the supervisor's signalfd, and end the process.
        let started = signals::left_to_others(thread);
        // Without its thread the journal drops every line: no reason not to serve.
        if !matches!(started, Ok(Ok(_))) {
            eprintln!("cacheproxy: no thread for the journal: nothing will be logged");
        }
        if let Some(journal) = JOURNAL.get() {
            // Fails only where another logger was installed first, as in a test.
            let _ = log::set_logger(journal);
            log::set_max_level(level());
        }
    }
    Guard(())
}

/// Says on stderr why the process ends. Where stderr is the journal's, the line has the priority of an error.
pub fn last_words(message: &str) {
    let priority = if connected_to_journal() { "<3>" } else { "" };
    eprintln!("{priority}cacheproxy: {}", printable_lines(message));
}

pub fn access(access: AccessLine) {
    if let Some(journal) = JOURNAL.get() {
        journal.0.push(Queued::Access(access));
    }
}

fn level() -> LevelFilter {
    match std::env::var("CACHEPROXY_LOG").as_deref() {
        Ok("debug") => LevelFilter::Debug,
        _ => LevelFilter::Info,
    }
}

impl Log for Journal {
    fn enabled(&self, metadata: &Metadata) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record) {
        if self.enabled(record.metadata()) {
            self.0.push(Queued::Line(Line::of(record)));
        }
    }

    fn flush(&self) {
        self.0.flush(LAST_LINES);
    }
}

/// The thread: writes what comes, and reports what was dropped, once a second at most.
fn write_all(waiting: &Receiver<Queued>, dropped: &AtomicU64, mut writer: LineWriter) {
    let mut reported = 0;
    let mut last_report: Option<Instant> = None;
    loop {
        let unreported = dropped.load(Ordering::Relaxed) - reported;
        let wait = last_report.map_or(Duration::ZERO, |at| {
            BETWEEN_REPORTS.saturating_sub(at.elapsed())
        });
        if unreported > 0 && wait.is_zero() {
            writer.write(&Line::dropped(unreported));
            reported += unreported;
            last_report = Some(Instant::now());
            continue;
        }
        let next = match unreported {
            0 => waiting.recv().map_err(RecvTimeoutError::from),
            1.. => waiting.recv_timeout(wait),
        };
        match next {
            Ok(Queued::Line(line)) => writer.write(&line),
            Ok(Queued::Access(access)) => writer.write(&access.line()),
            Ok(Queued::Last(written)) => drop(written.try_send(())),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use log::Level;
    use std::io::{self, Write};
    use std::sync::Mutex;
    use std::sync::mpsc::Sender;

    /// A console that begins each write only when it is let.
    struct Gate {
        open: Receiver<()>,
        written: Arc<Mutex<String>>,
        begun: Sender<()>,
    }

    impl Write for Gate {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.begun.send(());
            let _ = self.open.recv();
            let text = String::from_utf8_lossy(bytes);
            self.written.lock().unwrap().push_str(&text);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn line(message: &str) -> Queued {
        Queued::Line(Line {
            level: Level::Info,
            target: String::new(),
            message: message.to_string(),
            fields: Vec::new(),
        })
    }

    #[test]
    fn a_blocked_journal_blocks_nobody_and_what_was_dropped_is_counted() {
        let (entries, waiting) = sync_channel(2);
        let queue = LineQueue {
            entries,
            dropped: Arc::default(),
        };
        let dropped = Arc::clone(&queue.dropped);
        let written = Arc::new(Mutex::new(String::new()));
        let (open, opened) = std::sync::mpsc::channel();
        let (begun, begins) = std::sync::mpsc::channel();
        let writer = LineWriter::Console {
            tag: "t".to_string(),
            out: Box::new(Gate {
                open: opened,
                written: Arc::clone(&written),
                begun,
            }),
        };
        let thread = thread::spawn(move || write_all(&waiting, &dropped, writer));

        queue.push(line("1"));
        begins.recv().unwrap();
        for message in ["2", "3", "4", "5"] {
            queue.push(line(message));
        }
        assert_eq!(queue.dropped.load(Ordering::Relaxed), 2);
        let asked = Instant::now();
        queue.flush(Duration::from_millis(50));
        let took = asked.elapsed();
        assert!(took >= Duration::from_millis(50) && took < Duration::from_secs(5));
        assert_eq!(*written.lock().unwrap(), "");

        drop(open);
        queue.flush(Duration::from_secs(60));
        let expected = "t: 1\nt: warning: 2 log lines were dropped: the journal didn't take them fast enough\n\
                        t: 2\nt: 3\n";
        assert_eq!(*written.lock().unwrap(), expected);
        drop(queue);
        thread.join().unwrap();
    }
}

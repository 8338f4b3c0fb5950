//! A client that waits for its response, watched meanwhile: the rest of its request's content is read, then what it sends
//! ahead, within a bound, and its connection's end is noticed though nothing is written.
//!
//! A FIN may be half of a connection (RFC 9112 §9.6 asks a server to answer what came before): after a moment an interim
//! response tells the two apart, as a host whose socket is closed resets the connection. HTTP/1.0 has none: there
//! its client has some seconds, as one has that is silent amid content.

use std::cell::Cell;
use std::time::Duration;

use bytes::BytesMut;
use tokio::time::{Instant, sleep};

use super::upload::{Upload, UploadFault};
use crate::http::head::Version;
use crate::sys::stream::Stream;

/// The most bytes that are read ahead; of a client that has sent more only a reset is seen.
const READ_AHEAD: usize = 8 << 10;
const READ: usize = 2 << 10;
/// The time in which most half-closed clients get their response.
const GRACE: Duration = Duration::from_millis(200);
/// The time without content after which a client that has closed its half is taken to have gone; and the longest between
/// two looks for a reset.
const STALLED: Duration = Duration::from_secs(1);

/// The time after which a client of HTTP/1.0 that has closed its half is taken to have gone.
const UNKNOWN: Duration = Duration::from_secs(5);

/// A client to be watched.
pub(super) struct Watched<'a> {
    pub(super) stream: &'a Stream,
    /// Bytes that were read and not yet taken.
    pub(super) buffer: &'a mut BytesMut,
    /// The content of its request, while that comes.
    pub(super) upload: &'a mut Option<Upload>,
    pub(super) response: Progress<'a>,
}

/// The part of its response that a client has got.
#[derive(Clone, Copy)]
pub(super) enum Progress<'a> {
    /// None; it speaks this version.
    Awaited(Version),
    /// None; and an interim response is being written for as long as this says so.
    Interim(Version, &'a Cell<bool>),
    /// The head; the content that has come for it, while that is waited for.
    Content(&'a dyn Fn() -> Option<u64>),
}

impl Watched<'_> {
    /// Resolves when the client has gone, or fails when its content isn't whole.
    pub(super) async fn gone(self) -> Result<(), UploadFault> {
        if let Some(upload) = self.upload {
            upload.run(self.stream, self.buffer).await?;
        }
        loop {
            if self.buffer.len() >= READ_AHEAD {
                while !self.stream.is_reset() {
                    sleep(STALLED).await;
                }
                return Ok(());
            }
            self.buffer.reserve(READ);
            match self.stream.read_some(self.buffer).await {
                Ok(0) => break,
                Ok(_) => {}
                Err(_) => return Ok(()),
            }
        }
        sleep(GRACE).await;
        let is_writing = || match self.response {
            Progress::Interim(_, writing) => writing.get(),
            Progress::Awaited(_) | Progress::Content(_) => false,
        };
        match self.response {
            Progress::Awaited(version) | Progress::Interim(version, _) => {
                while is_writing() {
                    sleep(GRACE).await;
                }
                if version == Version::Http11 {
                    // It is written whole or, to a client that reads nothing, not at all.
                    self.stream.try_write(b"HTTP/1.1 100 Continue\r\n\r\n");
                }
                let (mut wait, since) = (GRACE / 4, Instant::now());
                let is_silent = || version == Version::Http10 && since.elapsed() > UNKNOWN;
                while !self.stream.is_reset() && !is_silent() {
                    sleep(wait).await;
                    wait = (wait * 2).min(STALLED);
                }
            }
            // Writing content shows it too; while there is none, nothing else does.
            Progress::Content(come) => loop {
                let before = come();
                sleep(STALLED).await;
                let has_stalled = before.is_some() && come() == before;
                if has_stalled || self.stream.is_reset() {
                    break;
                }
            },
        }
        Ok(())
    }
}

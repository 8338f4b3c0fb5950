//! The connection to an origin server: a plain stream, or TLS. The end of a TLS connection counts only
//! after close_notify: content that ends with the connection could have been cut off (RFC 9112 §9.8).

use std::cell::RefCell;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::task::{Context, Waker};
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::client::TlsStream;

use crate::sys::stream::{Stream, is_quiet, within};

pub(crate) enum Transport {
    Plain(Stream),
    /// https; borrowed for one poll at a time, because a request may be sent while its response is read.
    Tls(Box<RefCell<TlsStream<TcpStream>>>),
}

impl Transport {
    /// Appends what there is to read to `buffer`'s spare capacity, waiting for it. `Ok(0)` is the end.
    pub(crate) async fn read_some(&self, buffer: &mut BytesMut) -> io::Result<usize> {
        match self {
            Transport::Plain(stream) => stream.read_some(buffer).await,
            Transport::Tls(tls) => {
                poll_fn(|task| {
                    let mut tls = tls.borrow_mut();
                    pin!(tls.read_buf(buffer)).poll(task)
                })
                .await
            }
        }
    }

    /// Writes all of `parts` in order; the deadline is `timeout` from the last progress.
    pub(crate) async fn write_all(
        &self,
        parts: &mut [IoSlice<'_>],
        timeout: Duration,
    ) -> io::Result<()> {
        match self {
            Transport::Plain(stream) => stream.write_all(parts, timeout).await,
            Transport::Tls(tls) => write_all(tls, parts, timeout).await,
        }
    }

    /// Writes some of `parts`, waiting without a deadline; what isn't flushed may stay here.
    pub(crate) async fn write_some(&self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Transport::Plain(stream) => stream.write_some(parts).await,
            Transport::Tls(tls) => {
                poll_fn(|task| Pin::new(&mut *tls.borrow_mut()).poll_write_vectored(task, parts))
                    .await
            }
        }
    }

    /// Sends what was written, waiting without a deadline.
    pub(crate) async fn flush(&self) -> io::Result<()> {
        match self {
            Transport::Plain(_) => Ok(()),
            Transport::Tls(tls) => {
                poll_fn(|task| Pin::new(&mut *tls.borrow_mut()).poll_flush(task)).await
            }
        }
    }

    /// True when the peer has neither closed nor sent anything that wasn't read: an idle connection that may be used.
    /// With TLS any record that waits counts: it could be content.
    pub(crate) fn is_quiet(&self) -> bool {
        let Transport::Tls(tls) = self else {
            return self.has_quiet_socket();
        };
        // What was read and not yet taken, and a close_notify, are seen by the session alone.
        let mut task = Context::from_waker(Waker::noop());
        let mut probe = BytesMut::with_capacity(1);
        self.has_quiet_socket() && {
            let mut tls = tls.borrow_mut();
            pin!(tls.read_buf(&mut probe)).poll(&mut task).is_pending()
        }
    }

    /// True when nothing waits to be read from the socket; takes nothing from it, so that it may be read meanwhile.
    pub(crate) fn has_quiet_socket(&self) -> bool {
        match self {
            Transport::Plain(stream) => stream.is_quiet(),
            Transport::Tls(tls) => is_quiet(tls.borrow().get_ref().0),
        }
    }
}

async fn write_all(
    tls: &RefCell<TlsStream<TcpStream>>,
    mut parts: &mut [IoSlice<'_>],
    timeout: Duration,
) -> io::Result<()> {
    IoSlice::advance_slices(&mut parts, 0);
    while !parts.is_empty() {
        let write =
            poll_fn(|task| Pin::new(&mut *tls.borrow_mut()).poll_write_vectored(task, parts));
        let written = within(Instant::now() + timeout, write).await?;
        IoSlice::advance_slices(&mut parts, written);
    }
    let flush = poll_fn(|task| Pin::new(&mut *tls.borrow_mut()).poll_flush(task));
    within(Instant::now() + timeout, flush).await
}

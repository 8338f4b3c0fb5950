//! The request as it goes to the origin server: its head, and its content as it comes.

use std::cell::Cell;
use std::future::Future;
use std::io::IoSlice;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::task::consume_budget;

use super::request::{FetchRequest, RequestContent};
use super::silence::OriginSilence;
use crate::cache::parts;
use crate::cache::validation::conditional_fields;
use crate::http::chunked;
use crate::http::forward::{RequestAs, write_request};
use crate::http::framing::Framing;
use crate::http::persistence::RequestSent;
use crate::store::spool::{ContentEnd, Piece};
use crate::worker::origin::transport::Transport;

/// The head, with the conditions of a validation, or those under which a stored part is added to.
pub fn request_head(
    request: &FetchRequest,
    content: Option<&RequestContent>,
    pseudonym: &str,
) -> BytesMut {
    let asked = request.parts().and_then(|known| {
        let validator = parts::validator(known.parts.fields())?;
        Some((known.missing()?.asked(known.length()), validator))
    });
    let validated = request.validates().into_iter();
    let mut extra: Vec<(&[u8], &[u8])> = validated
        .flat_map(|stored| conditional_fields(&stored.object.meta.fields))
        .map(|(name, value)| (name.as_bytes(), value))
        .collect();
    if let Some((range, validator)) = &asked {
        extra.push((b"Range", range.as_bytes()));
        extra.push((b"If-Range", validator));
    }
    let mut out = BytesMut::with_capacity(1024);
    write_request(
        &mut out,
        &request.head,
        &request.uri,
        &RequestAs {
            framing: content.map_or(Framing::None, |content| content.framing),
            pseudonym,
            extra: &extra,
            without: &[],
            upgrade: request.upgrade,
        },
    );
    out
}

/// The time for which a connection that an origin server has closed after its response is still of use without anything
/// passing: it may read on.
const CLOSED: Duration = Duration::from_secs(5);
/// Bytes read away at a time.
const AWAY: usize = 4 << 10;

/// Content that couldn't be sent.
pub enum ContentNotSent {
    /// The client didn't send all of it.
    ByClient,
    /// The origin server has closed; it may have answered all the same.
    ByOrigin,
}

/// The way of a request's content to the origin server. That it takes none for long is a matter of its silence.
#[derive(Clone)]
pub struct ContentWay {
    pub transport: Rc<Transport>,
    pub silence: Rc<OriginSilence>,
    /// True while some of a final response's head has come.
    pub response_begun: Rc<Cell<bool>>,
}

/// Content while it is sent, which goes on beside the response.
pub struct Sending {
    way: ContentWay,
    content: Pin<Box<dyn Future<Output = Result<RequestSent, ContentNotSent>>>>,
}

impl Sending {
    pub fn begin(way: ContentWay, content: RequestContent) -> Sending {
        Sending {
            way: way.clone(),
            content: Box::pin(send_content(way, content)),
        }
    }

    /// The part that was sent, at its end; of no use after that.
    pub async fn ended(&mut self) -> Result<RequestSent, ContentNotSent> {
        self.content.as_mut().await
    }

    /// Sends on after the whole response, until it ends or the origin server has closed and nothing passes any more.
    pub async fn goes_on(mut self) {
        let way = self.way.clone();
        tokio::select! {
            biased;
            _ = self.ended() => {}
            () = way.is_left() => {}
        }
    }
}

/// Sends the content as it comes.
async fn send_content(
    way: ContentWay,
    mut content: RequestContent,
) -> Result<RequestSent, ContentNotSent> {
    let mut sent = RequestSent::Whole;
    let mut left = content.framing.length();
    // Its length says where it ends: the response may come before its source says so too.
    while left != Some(0) {
        consume_budget().await;
        way.silence.awaits_content();
        let piece = content.reader.next().await;
        if way.response_begun.get() || !way.transport.has_quiet_socket() {
            sent = RequestSent::Late;
        }
        match piece {
            Piece::Memory(data) => {
                way.send_piece(&data, content.framing).await?;
                left = left.map(|left| left.saturating_sub(data.len() as u64));
            }
            Piece::End(ContentEnd::Whole { trailers }) => {
                if content.framing == Framing::Chunked {
                    let mut frame = BytesMut::new();
                    chunked::write_last(&mut frame, &trailers);
                    way.write(&mut [IoSlice::new(&frame)]).await?;
                }
                break;
            }
            // Request content is a window with one reader, and never in a file.
            Piece::File { .. } | Piece::Missed { .. } | Piece::End(ContentEnd::Cut(_)) => {
                return Err(ContentNotSent::ByClient);
            }
        }
    }
    Ok(sent)
}

impl ContentWay {
    async fn send_piece(&self, data: &[u8], framing: Framing) -> Result<(), ContentNotSent> {
        if framing != Framing::Chunked {
            return self.write(&mut [IoSlice::new(data)]).await;
        }
        let mut head = BytesMut::new();
        chunked::write_chunk_head(&mut head, data.len());
        let parts = [&head, data, chunked::CRLF];
        self.write(&mut parts.map(IoSlice::new)).await
    }

    async fn write(&self, mut parts: &mut [IoSlice<'_>]) -> Result<(), ContentNotSent> {
        IoSlice::advance_slices(&mut parts, 0);
        while !parts.is_empty() {
            self.silence.renew();
            match self.transport.write_some(parts).await {
                Ok(written) if written > 0 => IoSlice::advance_slices(&mut parts, written),
                Ok(_) | Err(_) => return Err(ContentNotSent::ByOrigin),
            }
        }
        self.silence.renew();
        let flushed = self.transport.flush().await;
        flushed.map_err(|_| ContentNotSent::ByOrigin)
    }

    /// Resolves when the origin server has closed, its response being read, and nothing passes any more.
    async fn is_left(&self) {
        let mut away = BytesMut::new();
        loop {
            consume_budget().await;
            away.clear();
            away.reserve(AWAY);
            match self.transport.read_some(&mut away).await {
                Ok(1..) => {}
                Ok(0) => return self.silence.is_mutual(CLOSED).await,
                Err(_) => return,
            }
        }
    }
}

//! The request as it goes to the origin server: its head, and its content as it comes.

use std::io::{self, IoSlice};
use std::time::Duration;

use bytes::BytesMut;

use super::request::{FetchRequest, RequestContent};
use crate::cache::parts;
use crate::cache::validation::conditional_fields;
use crate::http::chunked;
use crate::http::forward::{RequestAs, write_request};
use crate::http::framing::Framing;
use crate::store::spool::{ContentEnd, Piece};
use crate::worker::origin::transport::Transport;

/// The head, with the conditions of a validation, or those under which a stored part is added to.
pub fn request_head(
    request: &FetchRequest,
    content: Option<&RequestContent>,
    pseudonym: &str,
) -> BytesMut {
    let asked = request.part().and_then(|part| {
        let validator = parts::validator(&part.stored.object.meta.fields)?;
        Some((part.missing()?.asked(part.held.length), validator))
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

/// Content that couldn't be sent.
pub enum ContentNotSent {
    /// The client didn't send all of it.
    ByClient,
    /// The origin server didn't take it; it may have answered all the same.
    ByOrigin,
}

/// Sends the content as it comes.
pub async fn send_content(
    transport: &Transport,
    content: &mut RequestContent,
    timeout: Duration,
) -> Result<(), ContentNotSent> {
    let failed = |_: io::Error| ContentNotSent::ByOrigin;
    loop {
        let mut frame = BytesMut::new();
        match content.reader.next().await {
            Piece::Memory(data) if content.framing == Framing::Chunked => {
                chunked::write_chunk_head(&mut frame, data.len());
                let parts = &mut [
                    IoSlice::new(&frame),
                    IoSlice::new(&data),
                    IoSlice::new(chunked::CRLF),
                ];
                transport.write_all(parts, timeout).await.map_err(failed)?;
            }
            Piece::Memory(data) => {
                let parts = &mut [IoSlice::new(&data)];
                transport.write_all(parts, timeout).await.map_err(failed)?;
            }
            Piece::End(ContentEnd::Whole { trailers }) => {
                if content.framing == Framing::Chunked {
                    chunked::write_last(&mut frame, &trailers);
                    let parts = &mut [IoSlice::new(&frame)];
                    transport.write_all(parts, timeout).await.map_err(failed)?;
                }
                return Ok(());
            }
            // Request content is a window and never in a file.
            Piece::File { .. } | Piece::End(ContentEnd::Cut(_)) => {
                return Err(ContentNotSent::ByClient);
            }
        }
    }
}

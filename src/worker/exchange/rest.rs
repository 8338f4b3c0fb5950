//! The rest of stored content that its store lost while it was being sent: from the origin server, if that still
//! has the very same representation (RFC 9110 §13.1.5, §14.2).

use std::io;

use super::Exchange;
use super::sink::{Sink, SinkEnd};
use crate::cache::parts::{self, PartialContent};
use crate::cache::plan::Scope;
use crate::cache::range::ByteRange;
use crate::http::fields::Fields;
use crate::http::forward::is_condition;
use crate::http::framing::Framing;
use crate::http::head::Method;
use crate::http::target::Uri;
use crate::store::spool::SpoolReader;
use crate::worker::fetch::{self, Purpose, Visibility};
use crate::worker::stored::Stored;
use crate::worker::waiting_list::{Answer, FetchOutcome};

impl Exchange<'_> {
    /// Sends this part of the stored content from the origin server; false when that is of no use, and
    /// nothing was sent.
    pub(super) async fn send_rest(&mut self, stored: &Stored, rest: ByteRange) -> io::Result<bool> {
        let object = &stored.object;
        let held = parts::stored(&object.meta, object.content.len());
        let wanted = ByteRange {
            first: held.part.first + rest.first,
            len: rest.len,
        };
        let Some(validator) = parts::validator(&object.meta.fields) else {
            return Ok(false);
        };
        let key = object.meta.key.text();
        let uri = key.iter().position(|byte| *byte == b' ');
        let Some(Ok(uri)) = uri.map(|space| Uri::parse(&key.slice(space + 1..))) else {
            return Ok(false);
        };
        let asked = wanted.asked(held.length);
        let ours = [
            (&b"Range"[..], asked.as_bytes()),
            (&b"If-Range"[..], validator),
        ];
        let mut request = self.fetch_request(uri, Purpose::Relay, Scope::AsPresented);
        request.upgrade = false;
        request.head.method = Method::Get;
        // The client's own conditions and range are settled by its answer.
        let is_open = |name| !is_condition(name) && !name.eq_ignore_ascii_case(b"range");
        let presented = request.head.fields.iter();
        let presented = presented.filter(|(name, _)| is_open(name));
        request.head.fields = presented.chain(ours).collect::<Fields>();
        let ticket = fetch::begin(self.worker, request, Visibility::Own);
        let FetchOutcome::Answer(answer) = ticket.outcome().await else {
            return Ok(false);
        };
        let Some(mut reader) = reader(&answer, &object.meta.fields, held, wanted) else {
            return Ok(false);
        };
        let client = &mut *self.client;
        let mut sink = Sink {
            stream: &client.stream,
            out: &mut client.out,
            framing: Framing::Length(wanted.len),
            timeout: self.settings.times.body_stall,
            sent: 0,
            written: true,
        };
        let ended = sink.drain(&mut reader).await?;
        sink.flush().await?;
        let whole = matches!(ended, SinkEnd::Whole) && sink.sent == wanted.len;
        drop(ticket);
        match whole {
            true => Ok(true),
            false => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

/// Reads what is wanted of this answer, if it is of the same representation.
fn reader(
    answer: &Answer,
    stored: &Fields,
    held: PartialContent,
    wanted: ByteRange,
) -> Option<SpoolReader> {
    let content = answer.framing.length();
    let fields = &answer.head.fields;
    let first = match answer.received {
        200 if content == Some(held.length) && parts::share_validator(stored, fields) => {
            wanted.first
        }
        206 => {
            let got = parts::received(&answer.head, content)?;
            // If-Range was the condition; what it says against it counts all the same.
            let other = fields.has("etag") && !parts::share_validator(stored, fields);
            if other || got.part != wanted || got.length != held.length {
                return None;
            }
            0
        }
        _ => return None,
    };
    let mut reader = answer.spool.reader()?;
    reader.narrow(first..first + wanted.len);
    Some(reader)
}

//! The rest of content that can't go on from where it was sent: stored content that its store lost, and content that
//! passes while it is fetched, of which a client that reads slowly missed some. It comes from the origin server, if
//! that still has the very same representation (RFC 9110 §13.1.5, §14.2): by a strong validator, or, where there was
//! none, by beginning with the same bytes.

use std::cell::Cell;
use std::io;
use std::ops::Range;
use std::rc::{Rc, Weak};

use tokio::task::consume_budget;

use super::Exchange;
use super::sink::{Sink, SinkEnd};
use crate::cache::parts;
use crate::cache::plan::Scope;
use crate::cache::range::ByteRange;
use crate::http::fields::Fields;
use crate::http::framing::Framing;
use crate::http::head::Method;
use crate::http::target::Uri;
use crate::store::Checksum;
use crate::store::spool::{ContentEnd, Piece, SpoolReader};
use crate::worker::fetch::{self, Purpose, Visibility};
use crate::worker::stored::Stored;
use crate::worker::waiting_list::{Answer, FetchOutcome, Ticket};

/// A representation of which a client has the beginning.
pub(super) struct Representation<'a> {
    uri: Uri,
    fields: &'a Fields,
    /// Its length, where that is known.
    length: Option<u64>,
    /// The offset in it of the content at hand.
    first: u64,
}

impl<'a> Representation<'a> {
    /// The one that a stored response is, or has a part of.
    fn of_stored(stored: &'a Stored) -> Option<Representation<'a>> {
        let object = &stored.object;
        let held = parts::stored(&object.meta, object.content.len());
        let key = object.meta.key.text();
        let space = key.iter().position(|byte| *byte == b' ')?;
        Some(Representation {
            uri: Uri::parse(&key.slice(space + 1..)).ok()?,
            fields: &object.meta.fields,
            length: Some(held.length),
            first: held.part.first,
        })
    }

    /// The one that is being fetched; one client's own range is of none.
    pub(super) fn of_fetched(answer: &'a Answer) -> Option<Representation<'a>> {
        let known = answer.framing.length();
        (!answer.ranged).then(|| Representation {
            uri: answer.uri.clone(),
            fields: &answer.head.fields,
            length: answer.part.map(|held| held.length).or(known),
            first: answer.part.map_or(0, |held| held.part.first),
        })
    }
}

/// A range of the content at hand that a client has yet to get.
pub(super) struct Missing {
    /// The range, whose end may be one that isn't known (`u64::MAX`).
    pub(super) range: Range<u64>,
    /// The checksum of all content before it, where it is known.
    pub(super) before: Option<u128>,
}

/// The rest of a representation on its way from the origin server.
pub(super) struct Rest {
    pub(super) reader: SpoolReader,
    pub(super) answer: Rc<Answer>,
    _ticket: Ticket,
}

impl Exchange<'_> {
    /// Sends this part of the stored content from the origin server; false when that is of no use, and
    /// nothing was sent.
    pub(super) async fn send_rest(&mut self, stored: &Stored, rest: ByteRange) -> io::Result<bool> {
        let Some(of) = Representation::of_stored(stored) else {
            return Ok(false);
        };
        let wanted = Missing {
            range: rest.first..rest.end(),
            before: None,
        };
        let Some(mut from_origin) = self.ask_for_rest(&of, wanted).await else {
            return Ok(false);
        };
        let client = &mut *self.client;
        let mut sink = Sink {
            stream: &client.stream,
            transfers: &self.worker.transfers,
            out: &mut client.out,
            framing: Framing::Length(rest.len),
            timeout: self.settings.times.body_stall,
            sent: 0,
            waits: &Cell::new(false),
        };
        let ended = sink.drain(&mut from_origin.reader).await?;
        sink.flush().await?;
        match matches!(ended, SinkEnd::Whole) && sink.sent == rest.len {
            true => Ok(true),
            false => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    /// Asks the origin server for what is missing; nothing when it has another representation by now, or that can't
    /// be told.
    pub(super) async fn ask_for_rest(
        &self,
        of: &Representation<'_>,
        missing: Missing,
    ) -> Option<Rest> {
        let validator = parts::validator(of.fields);
        if validator.is_none() && missing.before.is_none() {
            return None;
        }
        let end = match missing.range.end {
            u64::MAX => of.length,
            end => Some(of.first + end),
        };
        let first = of.first + missing.range.start;
        let mut request = self.fetch_request(of.uri.clone(), Purpose::Relay, Scope::AsPresented);
        request.upgrade = false;
        // Others may read it too.
        request.pinned = Weak::new();
        request.head.method = Method::Get;
        // The client's own conditions and range are settled by its answer.
        let last = end.filter(|_| end != of.length);
        request.head.fields = parts::ask_for_rest(&self.head.fields, of.fields, first, last);
        let ticket = fetch::begin(self.worker, request, Visibility::Own);
        let FetchOutcome::Answer(answer) = ticket.outcome().await else {
            return None;
        };
        let content = match answer.received {
            200 => in_whole(&answer, of, first..end.unwrap_or(u64::MAX)),
            206 => in_part(&answer, of, (first, end)),
            _ => return None,
        }?;
        let mut reader = answer.spool.reader()?;
        if validator.is_none() && !begins_so(&mut reader, first, missing.before?).await {
            return None;
        }
        reader.narrow(content);
        Some(Rest {
            reader,
            answer,
            _ticket: ticket,
        })
    }
}

/// The place of what is wanted in a response that has the whole of the same representation, as far as its head tells.
fn in_whole(answer: &Answer, of: &Representation<'_>, wanted: Range<u64>) -> Option<Range<u64>> {
    let fields = &answer.head.fields;
    let same_length = of.length.is_none() || of.length == answer.framing.length();
    let same = match parts::validator(of.fields) {
        Some(_) => parts::share_validator(of.fields, fields),
        // Weak ones, or none at all.
        None => ["etag", "last-modified", "content-type", "content-encoding"]
            .iter()
            .all(|name| of.fields.first(name) == fields.first(name)),
    };
    (same_length && same).then_some(wanted)
}

/// The same in a response that has a part of it.
fn in_part(
    answer: &Answer,
    of: &Representation<'_>,
    (first, end): (u64, Option<u64>),
) -> Option<Range<u64>> {
    let got = parts::received(&answer.head, answer.framing.length())?;
    let other = parts::is_of_another(of.fields, &answer.head.fields);
    let same_length = of.length.is_none_or(|length| length == got.length);
    let end = end.unwrap_or(got.length);
    let fits = first < end && got.part == ByteRange::between(first, end);
    (fits && same_length && !other && answer.ranged).then_some(0..got.part.len)
}

/// True when content begins with so many bytes of this checksum, which are read.
async fn begins_so(reader: &mut SpoolReader, length: u64, checksum: u128) -> bool {
    reader.narrow(0..length);
    let mut begins = Checksum::new();
    loop {
        consume_budget().await;
        match reader.next().await {
            Piece::Memory(piece) => begins.update(&piece),
            Piece::End(ContentEnd::Whole { .. }) => return begins.finish() == checksum,
            // Passed on to one client, it is nowhere else.
            Piece::End(ContentEnd::Cut(_)) | Piece::File { .. } | Piece::Missed { .. } => {
                return false;
            }
        }
    }
}

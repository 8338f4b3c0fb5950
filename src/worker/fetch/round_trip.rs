//! One request sent and the head of its response read (RFC 9112 §9.3, RFC 9110 §15.2): over the connection pinned to
//! its client or an idle one where there is one, once more over a new one when that turns out closed, with the
//! request's content going out while the response is awaited, and beyond that.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::task::consume_budget;
use tokio::time;

use super::connection::{
    Connection, ConnectionSource, FIRST_READ, idle_connection, new_connection, pinned_connection,
};
use super::request::{FetchRequest, RequestContent};
use super::send::{ContentNotSent, ContentWay, Sending, request_head};
use super::silence::OriginSilence;
use crate::http::connection::origin_persists;
use crate::http::connection_auth::offers_token;
use crate::http::framing::Framing;
use crate::http::head::ResponseHead;
use crate::http::parse::{HeadError, SectionScan, parse_response};
use crate::http::persistence::{RequestCourse, RequestSent};
use crate::sys::stream::{Stream, is_late};
use crate::worker::origin::course::Step;
use crate::worker::origin::transport::Transport;
use crate::worker::state::Worker;
use crate::worker::waiting_list::{Fetch, FetchError};

/// The time for the rest of the content after a response that needs it.
const REST: Duration = Duration::from_secs(5);

/// The answer of an origin server.
pub enum Reply {
    /// A final response; its content is still on the connection.
    Response(Response),
    /// A 101 that was asked for, the connection, and what was read beyond the head.
    Switched(ResponseHead, Stream, BytesMut),
}

/// A final response's head, and the connection its content comes on.
pub struct Response {
    pub head: ResponseHead,
    pub connection: Connection,
    /// The rest of the request's content, where the response comes before its end.
    pub sending: Option<Sending>,
    /// What was asked for besides.
    pub after: Option<Box<RangeAfter>>,
}

/// The range after a stored part on its way, asked for besides the one before it.
pub struct RangeAfter {
    pub head: ResponseHead,
    pub framing: Framing,
    pub connection: Connection,
}

/// Sends the request and reads the response's head.
pub async fn round_trip(
    worker: &Worker,
    request: &mut FetchRequest,
    fetch: &Fetch,
) -> Result<Reply, FetchError> {
    let mut content = request.content.take();
    // A request that may not be repeated never meets a connection that may be closing (RFC 9110 §9.2.2).
    let may_repeat = content.is_none() && request.head.method.is_idempotent();
    if let Some(connection) = pinned_connection(request) {
        match converse(worker, request, connection, &mut content, fetch).await {
            Err(Failed::Unanswered(_)) if may_repeat => {}
            done => return done.map_err(Failed::into_error),
        }
    } else if may_repeat {
        if let Some(connection) = idle_connection(worker, request) {
            match converse(worker, request, connection, &mut content, fetch).await {
                Err(Failed::Unanswered(_)) => {}
                done => return done.map_err(Failed::into_error),
            }
        }
    }
    let connection = new_connection(worker, request, &fetch.course).await?;
    let done = converse(worker, request, connection, &mut content, fetch).await;
    done.map_err(Failed::into_error)
}

/// A failed conversation; one in which nothing came back may be tried again.
enum Failed {
    Unanswered(FetchError),
    Answered(FetchError),
}

impl Failed {
    fn into_error(self) -> FetchError {
        match self {
            Failed::Unanswered(error) | Failed::Answered(error) => error,
        }
    }
}

async fn converse(
    worker: &Worker,
    request: &FetchRequest,
    mut connection: Connection,
    content: &mut Option<RequestContent>,
    fetch: &Fetch,
) -> Result<Reply, Failed> {
    let address = connection.destination.address;
    fetch.course.takes(address, Step::Connected);
    let timeout = request.settings.times.body_stall;
    let head = request_head(request, content.as_ref(), &worker.pseudonym);
    let parts = &mut [IoSlice::new(&head)];
    let written = connection.transport.write_all(parts, timeout).await;
    let unsent = match written {
        Ok(()) => None,
        // One that answers and closes before it has read the request has answered all the same.
        Err(why) if connection.source == ConnectionSource::New && !is_late(&why) => Some(why),
        Err(why) => return Err(Failed::Unanswered(io_error(request, why))),
    };
    let Connection {
        transport,
        buffer,
        course,
        source,
        ..
    } = &mut connection;
    let expects = content.is_some() && request.head.fields.has("expect");
    let progress = ResponseProgress::begin(expects);
    let reading = Reading {
        worker,
        request,
        address,
        transport: transport.clone(),
        buffer,
        progress: &progress,
        source: *source,
    };
    course.upgrade = request.upgrade;
    let (head, sending) = match (content.take(), unsent) {
        (_, Some(why)) => {
            let head = reading.in_time(fetch).await;
            let head = head.map_err(|_| Failed::Answered(io_error(request, why)))?;
            (head, None)
        }
        (None, None) => {
            course.sent = RequestSent::Whole;
            (reading.in_time(fetch).await?, None)
        }
        (Some(content), None) => reading.while_sending(content, course, fetch).await?,
    };
    course.continues = progress.continues.get();
    course.closing = progress.closing.get();
    if head.status == 101 {
        // What lacks of the request would reach the other protocol.
        if course.sent == RequestSent::Partly {
            return Err(Failed::Answered(FetchError::Closed(request.host())));
        }
        // A TLS connection is never asked to switch.
        let Some(Transport::Plain(stream)) = Rc::into_inner(connection.transport) else {
            return Err(Failed::Answered(FetchError::Switched(request.host())));
        };
        return Ok(Reply::Switched(head, stream, connection.buffer));
    }
    Ok(Reply::Response(Response {
        head,
        connection,
        sending,
        after: None,
    }))
}

/// The part of a response that has come.
struct ResponseProgress {
    /// Some of a head that isn't whole yet.
    begun: Rc<Cell<bool>>,
    /// The number of 100 (Continue) responses.
    continues: Cell<usize>,
    /// An interim response says that the connection closes.
    closing: Cell<bool>,
    /// The wait for the next head: each interim response begins it anew.
    silence: Rc<OriginSilence>,
}

impl ResponseProgress {
    fn begin(expects: bool) -> ResponseProgress {
        ResponseProgress {
            begun: Rc::default(),
            continues: Cell::new(0),
            closing: Cell::new(false),
            silence: Rc::new(OriginSilence::begin(expects)),
        }
    }
}

/// The head of the response being read.
struct Reading<'a> {
    worker: &'a Worker,
    request: &'a FetchRequest,
    address: SocketAddr,
    transport: Rc<Transport>,
    buffer: &'a mut BytesMut,
    progress: &'a ResponseProgress,
    /// Only a connection that served before may have been closed for its age: a new one is not
    /// tried again.
    source: ConnectionSource,
}

impl Reading<'_> {
    /// Reads heads until the final one while the content is sent: the origin server may answer, or ask for it, before
    /// it has all of it.
    async fn while_sending(
        self,
        content: RequestContent,
        course: &mut RequestCourse,
        fetch: &Fetch,
    ) -> Result<(ResponseHead, Option<Sending>), Failed> {
        let (request, progress) = (self.request, self.progress);
        let times = &request.settings.times;
        course.content = content.framing;
        let way = ContentWay {
            transport: self.transport.clone(),
            silence: progress.silence.clone(),
            response_begun: progress.begun.clone(),
        };
        let mut reading = pin!(self.final_head(fetch));
        let mut sending = Sending::begin(way, content);
        let mut sending_ended = false;
        loop {
            tokio::select! {
                biased;
                // First, so that what has come is seen before more is sent.
                head = &mut reading => {
                    let head = head?;
                    if sending_ended {
                        return Ok((head, None));
                    }
                    let rest = match head.status {
                        101 => Duration::MAX,
                        _ if needs_the_rest(request, &head, progress) => REST,
                        _ => return Ok((head, Some(sending))),
                    };
                    return Ok(match time::timeout(rest, sending.ended()).await {
                        Ok(Err(ContentNotSent::ByClient)) if head.status == 101 => {
                            return Err(Failed::Answered(FetchError::ClientContent));
                        }
                        Ok(sent) => {
                            course.sent = sent.map_or(RequestSent::Partly, |_| RequestSent::Late);
                            (head, None)
                        }
                        Err(_) => (head, Some(sending)),
                    });
                }
                sent = sending.ended(), if !sending_ended => {
                    course.sent = match sent {
                        Ok(sent) => sent,
                        Err(ContentNotSent::ByOrigin) => RequestSent::Partly,
                        Err(ContentNotSent::ByClient) => {
                            return Err(Failed::Answered(FetchError::ClientContent));
                        }
                    };
                    sending_ended = true;
                    progress.silence.renew();
                }
                () = progress.silence.exceeds(times.origin_response) => {
                    return Err(timed_out(request, times.origin_response));
                }
            }
        }
    }

    /// Reads heads until the final one, each of which comes in time.
    async fn in_time(self, fetch: &Fetch) -> Result<ResponseHead, Failed> {
        let (request, progress) = (self.request, self.progress);
        let limit = request.settings.times.origin_response;
        tokio::select! {
            biased;
            head = self.final_head(fetch) => head,
            () = progress.silence.exceeds(limit) => Err(timed_out(request, limit)),
        }
    }

    /// Reads heads until the final one, or a 101 that was asked for; passes interim ones on.
    async fn final_head(self, fetch: &Fetch) -> Result<ResponseHead, Failed> {
        let request = self.request;
        let limits = &request.settings.heads;
        let (mut scan, mut answered) = (SectionScan::default(), false);
        loop {
            let parsed = parse_response(self.buffer, &mut scan, limits);
            match parsed.map_err(|why| malformed(request, why))? {
                None => {}
                Some(head) if head.status == 101 && !request.upgrade => {
                    return Err(Failed::Answered(FetchError::Switched(request.host())));
                }
                Some(head) if head.status == 101 || head.status >= 200 => return Ok(head),
                Some(head) => {
                    // Many may be there already.
                    consume_budget().await;
                    let continues = &self.progress.continues;
                    continues.set(continues.get() + usize::from(head.status == 100));
                    let closing = &self.progress.closing;
                    closing.set(closing.get() || !origin_persists(&head));
                    let status = head.status;
                    fetch.add_interim(head).await;
                    self.progress.silence.note_interim(status);
                    continue;
                }
            }
            self.progress.begun.set(!self.buffer.is_empty());
            self.buffer.reserve(FIRST_READ);
            let failure = match self.transport.read_some(self.buffer).await {
                Ok(1..) => {
                    answered = true;
                    fetch.course.hears();
                    let origin = request.uri.origin();
                    self.worker.hung.answers(origin, self.address);
                    continue;
                }
                Ok(0) => FetchError::Closed(request.host()),
                Err(why) => io_error(request, why),
            };
            return Err(if answered || self.source == ConnectionSource::New {
                Failed::Answered(failure)
            } else {
                Failed::Unanswered(failure)
            });
        }
    }
}

/// True for a response in the midst of authenticating a connection, on which the handshake goes on once the rest of
/// the content is out of the way: a client that doesn't wait for 100 (Continue) sends it.
fn needs_the_rest(
    request: &FetchRequest,
    head: &ResponseHead,
    progress: &ResponseProgress,
) -> bool {
    let comes = progress.continues.get() > 0 || !request.head.fields.has("expect");
    comes && offers_token(&head.fields) && origin_persists(head)
}

fn malformed(request: &FetchRequest, why: HeadError) -> Failed {
    let host = request.host();
    Failed::Answered(FetchError::Head { host, why })
}

fn timed_out(request: &FetchRequest, limit: Duration) -> Failed {
    Failed::Answered(silent(request, limit))
}

fn silent(request: &FetchRequest, limit: Duration) -> FetchError {
    FetchError::TimedOut {
        host: request.host(),
        limit,
    }
}

fn io_error(request: &FetchRequest, why: io::Error) -> FetchError {
    if is_late(&why) {
        return silent(request, request.settings.times.body_stall);
    }
    FetchError::Io {
        host: request.host(),
        why,
    }
}

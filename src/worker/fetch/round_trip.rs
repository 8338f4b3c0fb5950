//! One request sent and the head of its response read (RFC 9112 §9.3, RFC 9110 §15.2): over the connection pinned to
//! its client or an idle one where there is one, once more over a new one when that turns out closed, with the
//! request's content going out while the response is awaited.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::pin::pin;
use std::time::Duration;

use bytes::BytesMut;
use tokio::time::{self, Instant, sleep_until};

use super::connection::{
    Connection, ConnectionSource, FIRST_READ, idle_connection, new_connection, pinned_connection,
};
use super::request::{FetchRequest, RequestContent};
use super::send::{ContentNotSent, ContentWay, request_head, send_content};
use crate::http::connection::origin_persists;
use crate::http::connection_auth::offers_token;
use crate::http::framing::Framing;
use crate::http::head::ResponseHead;
use crate::http::parse::{HeadError, parse_response};
use crate::http::persistence::{RequestCourse, RequestSent};
use crate::sys::stream::Stream;
use crate::worker::origin::course::Step;
use crate::worker::origin::transport::Transport;
use crate::worker::state::Worker;
use crate::worker::waiting_list::{Fetch, FetchError};

/// The most interim responses to one request.
const MOST_INTERIM: usize = 32;
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
    let pseudonym = &worker.pseudonym;
    // A request that may not be repeated never meets a connection that may be closing (RFC 9110 §9.2.2).
    let may_repeat = content.is_none() && request.head.method.is_idempotent();
    if let Some(connection) = pinned_connection(request) {
        match converse(request, connection, &mut content, fetch, pseudonym).await {
            Err(Failed::Unanswered(_)) if may_repeat => {}
            done => return done.map_err(Failed::into_error),
        }
    } else if may_repeat {
        if let Some(connection) = idle_connection(worker, request) {
            match converse(request, connection, &mut content, fetch, pseudonym).await {
                Err(Failed::Unanswered(_)) => {}
                done => return done.map_err(Failed::into_error),
            }
        }
    }
    let connection = new_connection(worker, request, &fetch.course).await?;
    let done = converse(request, connection, &mut content, fetch, pseudonym).await;
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
    request: &FetchRequest,
    mut connection: Connection,
    content: &mut Option<RequestContent>,
    fetch: &Fetch,
    pseudonym: &str,
) -> Result<Reply, Failed> {
    let address = connection.destination.address;
    fetch.course.takes(address, Step::Connected);
    let timeout = request.settings.times.body_stall;
    let head = request_head(request, content.as_ref(), pseudonym);
    let parts = &mut [IoSlice::new(&head)];
    if let Err(why) = connection.transport.write_all(parts, timeout).await {
        return Err(Failed::Unanswered(io_error(request, why)));
    }
    let limit = request.settings.times.origin_response;
    let Connection {
        transport,
        buffer,
        course,
        source,
        ..
    } = &mut connection;
    let transport: &Transport = transport;
    let progress = ResponseProgress::default();
    let reading = Reading {
        request,
        transport,
        buffer,
        progress: &progress,
        source: *source,
    };
    course.upgrade = request.upgrade;
    let head = match content {
        None => {
            course.sent = RequestSent::Whole;
            let reading = reading.final_head(fetch);
            time::timeout(limit, reading)
                .await
                .unwrap_or_else(|_| Err(timed_out(request, limit)))?
        }
        Some(content) => reading.while_sending(content, course, fetch).await?,
    };
    course.continues = progress.continues.get();
    if head.status == 101 {
        // A TLS connection is never asked to switch.
        let Transport::Plain(stream) = connection.transport else {
            return Err(Failed::Answered(FetchError::Switched(request.host())));
        };
        return Ok(Reply::Switched(head, stream, connection.buffer));
    }
    Ok(Reply::Response(Response {
        head,
        connection,
        after: None,
    }))
}

/// The part of a response that has come while its request is still being sent.
#[derive(Default)]
struct ResponseProgress {
    /// Some of a head that isn't whole yet.
    begun: Cell<bool>,
    /// The number of 100 (Continue) responses.
    continues: Cell<usize>,
}

/// The head of the response being read.
struct Reading<'a> {
    request: &'a FetchRequest,
    transport: &'a Transport,
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
        content: &mut RequestContent,
        course: &mut RequestCourse,
        fetch: &Fetch,
    ) -> Result<ResponseHead, Failed> {
        let (request, progress) = (self.request, self.progress);
        let times = &request.settings.times;
        course.content = content.framing;
        let way = ContentWay {
            transport: self.transport,
            timeout: times.body_stall,
            response_begun: &progress.begun,
        };
        let mut reading = pin!(self.final_head(fetch));
        let mut sending = pin!(send_content(way, content));
        let mut sending_ended = false;
        let mut deadline = Instant::now();
        loop {
            tokio::select! {
                biased;
                // First, so that what has come is seen before more is sent.
                head = &mut reading => {
                    let head = head?;
                    if !sending_ended && needs_the_rest(request, &head, progress) {
                        if let Ok(Ok(_)) = time::timeout(REST, sending).await {
                            course.sent = RequestSent::Late;
                        }
                    }
                    return Ok(head);
                }
                sent = &mut sending, if !sending_ended => {
                    course.sent = match sent {
                        Ok(sent) => sent,
                        Err(ContentNotSent::ByOrigin) => RequestSent::Partly,
                        Err(ContentNotSent::ByClient) => {
                            return Err(Failed::Answered(FetchError::ClientContent));
                        }
                    };
                    sending_ended = true;
                    deadline = Instant::now() + times.origin_response;
                }
                () = sleep_until(deadline), if sending_ended => {
                    return Err(timed_out(request, times.origin_response));
                }
            }
        }
    }

    /// Reads heads until the final one, or a 101 that was asked for; passes interim ones on.
    async fn final_head(self, fetch: &Fetch) -> Result<ResponseHead, Failed> {
        let request = self.request;
        let limits = &request.settings.heads;
        let (mut scanned, mut interim, mut answered) = (0, 0, false);
        loop {
            let parsed = parse_response(self.buffer, &mut scanned, limits);
            match parsed.map_err(|why| malformed(request, why))? {
                None => {}
                Some(head) if head.status == 101 && !request.upgrade => {
                    return Err(Failed::Answered(FetchError::Switched(request.host())));
                }
                Some(head) if head.status == 101 || head.status >= 200 => return Ok(head),
                Some(head) => {
                    interim += 1;
                    if interim > MOST_INTERIM {
                        return Err(Failed::Answered(FetchError::Interim(request.host())));
                    }
                    let continues = &self.progress.continues;
                    continues.set(continues.get() + usize::from(head.status == 100));
                    fetch.add_interim(head);
                    continue;
                }
            }
            self.progress.begun.set(!self.buffer.is_empty());
            self.buffer.reserve(FIRST_READ);
            let failure = match self.transport.read_some(self.buffer).await {
                Ok(1..) => {
                    answered = true;
                    fetch.course.hears();
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
        seconds: limit.as_secs(),
    }
}

fn io_error(request: &FetchRequest, why: io::Error) -> FetchError {
    if why.kind() == io::ErrorKind::TimedOut {
        return silent(request, request.settings.times.body_stall);
    }
    FetchError::Io {
        host: request.host(),
        why,
    }
}

//! The content of a response on its way into the spool: from the connection, and from the store where it is
//! combined with a stored part.

use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use tokio::task::consume_budget;
use tokio::time::{sleep, timeout};

use super::connection::Connection;
use super::context::Context;
use super::precedent;
use super::resume::{Rest, Resumable};
use super::round_trip::RangeAfter;
use crate::cache::parts::Lacking;
use crate::cache::range::ByteRange;
use crate::cache::stored::Meta;
use crate::config::display_duration;
use crate::http::content::{ContentDecoder, ContentError, ContentStep};
use crate::http::fields::Fields;
use crate::http::framing::Framing;
use crate::http::head::{ResponseHead, Sender};
use crate::store;
use crate::store::spool::{Spool, SpoolWriter};
use crate::sys::completions::blocking;
use crate::worker::stored_parts::StoredParts;
use crate::worker::waiting_list::{FetchError, NoStoreReason};

/// Bytes read at a time.
const READ: usize = 64 << 10;

/// The time for the last CRLF of chunked content: all before it is there, and some origin servers never send it.
const LAST_LINE: Duration = Duration::from_secs(1);

/// More of the content.
enum More {
    /// So many bytes were read; none at the connection's end.
    Bytes(usize),
    /// It goes on on another connection, in this framing.
    Resumed(Framing),
}

/// Stored parts that are combined with the content.
pub struct Joint<'a> {
    pub parts: &'a StoredParts,
    /// All that is put together, and what of it isn't stored.
    pub lacking: Lacking,
    /// The head of the response that brings what they lack, or the first of it.
    pub head: &'a ResponseHead,
    /// The way to have all of it from the origin server after all, where they can't be read.
    pub instead: Resumable<'a>,
    /// What they lack besides, and how that goes on if it breaks off: it has had to wait for all that is before it.
    pub after: Option<(Box<RangeAfter>, Resumable<'a>)>,
}

/// An early end of what is put together.
enum JointEnd {
    /// Something that is stored can't be read.
    Unreadable(String),
    /// It is cut off.
    Cut(String),
}

impl From<String> for JointEnd {
    fn from(why: String) -> JointEnd {
        JointEnd::Cut(why)
    }
}

/// Content on its way from a connection into a spool.
pub struct IncomingContent<'a> {
    context: Context<'a>,
    connection: Connection,
    writer: SpoolWriter,
    /// Its length, where the head told it.
    expected: Option<u64>,
    taken: u64,
    /// The response, where its content may be continued on another connection.
    resumable: Option<Resumable<'a>>,
    resumed: bool,
    /// Another recipient could have read it differently.
    doubtful: bool,
    /// The connection is over.
    ended: bool,
}

impl<'a> IncomingContent<'a> {
    pub fn new(
        context: Context<'a>,
        connection: Connection,
        writer: SpoolWriter,
        expected: Option<u64>,
        resumable: Option<Resumable<'a>>,
    ) -> IncomingContent<'a> {
        IncomingContent {
            context,
            connection,
            writer,
            expected,
            taken: 0,
            resumable,
            resumed: false,
            doubtful: false,
            ended: false,
        }
    }

    /// The connection, if the whole response came on it and no more and it goes on, and the writer.
    pub fn into_parts(self) -> (Option<Connection>, SpoolWriter) {
        let is_fit = !self.resumed && !self.doubtful && !self.ended;
        let connection = is_fit.then_some(self.connection);
        (connection, self.writer)
    }

    /// Takes all of it, with what stored parts have in its place; its trailer section, or the reason why it is cut
    /// off.
    pub async fn take_all(
        &mut self,
        framing: Framing,
        joint: Option<Joint<'a>>,
        meta: Option<&Meta>,
    ) -> Result<Fields, String> {
        let spool = self.writer.spool().clone();
        tokio::select! {
            biased;
            taken = self.take_in_order(framing, joint, meta) => taken,
            () = spool.out_of_reach() => Err("every client has left".to_owned()),
        }
    }

    async fn take_in_order(
        &mut self,
        framing: Framing,
        joint: Option<Joint<'a>>,
        meta: Option<&Meta>,
    ) -> Result<Fields, String> {
        let Some(mut joint) = joint else {
            return self.read(framing, meta).await;
        };
        match self.take_joint(framing, &mut joint, meta).await {
            Ok(trailers) => Ok(trailers),
            Err(JointEnd::Cut(why)) => Err(why),
            Err(JointEnd::Unreadable(why)) => {
                self.resumable = Some(joint.instead);
                let framing = self.rest_after(why).await?;
                self.read(framing, meta).await
            }
        }
    }

    /// Takes what comes, with what stored parts have in its place.
    async fn take_joint(
        &mut self,
        framing: Framing,
        joint: &mut Joint<'a>,
        meta: Option<&Meta>,
    ) -> Result<Fields, JointEnd> {
        let (content, has) = joint.parts.content();
        let content = &content;
        let Lacking { of, first, then } = joint.lacking;
        let held = |first, end| has.within(ByteRange::between(first, end));
        self.copy(content, held(of.first, first.first), meta)
            .await?;
        let trailers = self.read(framing, meta).await?;
        let end = then.map_or(of.end(), |then| then.first);
        self.copy(content, held(first.end(), end), meta).await?;
        let Some(((after, resumable), then)) = joint.after.take().zip(then) else {
            return Ok(trailers);
        };
        let before = std::mem::replace(&mut self.connection, after.connection);
        if !self.doubtful && !self.ended {
            self.context.give_back(before, joint.head, framing);
        }
        (self.doubtful, self.ended) = (false, false);
        self.resumable = Some(resumable);
        let trailers = self.read(after.framing, meta).await?;
        self.copy(content, held(then.end(), of.end()), meta).await?;
        Ok(trailers)
    }

    /// Takes a range of what is stored, which may be empty.
    async fn copy(
        &mut self,
        content: &store::Content,
        range: ByteRange,
        meta: Option<&Meta>,
    ) -> Result<(), JointEnd> {
        let mut at = range.first;
        while at < range.end() {
            let content = content.clone();
            let piece = blocking(move || content.piece(at));
            let piece = piece.await.map_err(|lost| lost.to_string())?;
            let piece = piece.map_err(|failure| {
                self.context.worker.note_lost(&failure);
                JointEnd::Unreadable(format!("the stored part can't be read: {failure}"))
            })?;
            let most = usize::try_from(range.end() - at).unwrap_or(usize::MAX);
            let piece = piece.slice(..piece.len().min(most));
            at += piece.len() as u64;
            self.take(piece, meta).await;
        }
        Ok(())
    }

    /// Reads all that comes on the connection.
    async fn read(&mut self, framing: Framing, meta: Option<&Meta>) -> Result<Fields, String> {
        let mut decoder = ContentDecoder::new(framing, Sender::OriginServer);
        loop {
            // Many chunks may be there already.
            consume_budget().await;
            match decoder.next(&mut self.connection.buffer) {
                Ok(ContentStep::Data(data)) => {
                    self.take(data, meta).await;
                }
                Ok(ContentStep::End { trailers }) => {
                    self.doubtful = decoder.is_doubtful();
                    return Ok(trailers);
                }
                Ok(ContentStep::More) => match self.more_after(&decoder).await {
                    Ok(More::Bytes(1..)) => {}
                    Ok(More::Bytes(0)) => {
                        self.ended = true;
                        match decoder.eof(&self.connection.buffer) {
                            Ok(()) => return Ok(Fields::default()),
                            Err(why) => decoder = self.go_on(self.failure(why)).await?,
                        }
                    }
                    Ok(More::Resumed(framing)) => {
                        decoder = ContentDecoder::new(framing, Sender::OriginServer)
                    }
                    Err(_) if decoder.has_all(&self.connection.buffer) => {
                        self.ended = true;
                        return Ok(Fields::default());
                    }
                    Err(why) => decoder = self.go_on(why).await?,
                },
                Err(why) => return Err(self.failure(why)),
            }
        }
    }

    /// Goes on with the rest on another connection after this failure, which it is if that can't be.
    async fn go_on(&mut self, failure: String) -> Result<ContentDecoder, String> {
        let framing = self.rest_after(failure).await?;
        Ok(ContentDecoder::new(framing, Sender::OriginServer))
    }

    /// The framing of the rest on another connection.
    async fn rest_after(&mut self, failure: String) -> Result<Framing, String> {
        let (context, taken) = (self.context, self.taken);
        let rest = match &mut self.resumable {
            Some(resumable) => resumable.after_end(context, taken).await,
            None => None,
        };
        Ok(self.resume(rest.ok_or(failure)?))
    }

    fn resume(&mut self, rest: Rest) -> Framing {
        self.connection = rest.connection;
        self.resumed = true;
        rest.framing
    }

    fn failure(&self, why: ContentError) -> String {
        let host = self.context.request.host();
        FetchError::Content { host, why }.to_string()
    }

    /// More of the content, which may have come to its end but for the line that says so.
    async fn more_after(&mut self, decoder: &ContentDecoder) -> Result<More, String> {
        if !decoder.has_all(&self.connection.buffer) {
            return self.more().await;
        }
        let more = timeout(LAST_LINE, self.more()).await;
        more.unwrap_or_else(|_| Err("the last line didn't come".to_owned()))
    }

    async fn more(&mut self) -> Result<More, String> {
        let host = self.context.request.uri.authority();
        let timeout = self.context.request.settings.times.body_stall;
        let connection = &mut self.connection;
        connection.buffer.reserve(READ);
        let spool = self.writer.spool().clone();
        let (context, taken) = (self.context, self.taken);
        let resumable = &mut self.resumable;
        let rest = async move {
            match resumable {
                Some(resumable) => resumable.after_stall(context, taken).await,
                None => None,
            }
        };
        let read = {
            let mut read = pin!(connection.transport.read_some(&mut connection.buffer));
            let mut rest = pin!(rest);
            let mut stalled = pin!(stalled(&spool, timeout));
            let mut may_resume = true;
            loop {
                tokio::select! {
                    biased;
                    read = &mut read => break Ok(read),
                    rest = &mut rest, if may_resume => match rest {
                        Some(rest) => break Err(rest),
                        None => may_resume = false,
                    },
                    () = &mut stalled => {
                        return Err(format!("{host} sent nothing for {}", display_duration(timeout)));
                    }
                }
            }
        };
        match read {
            Ok(Ok(bytes)) => Ok(More::Bytes(bytes)),
            Ok(Err(why)) => Err(format!("the connection to {host} failed: {why}")),
            Err(rest) => Ok(More::Resumed(self.resume(rest))),
        }
    }

    async fn take(&mut self, data: Bytes, meta: Option<&Meta>) {
        self.taken += data.len() as u64;
        if self.taken > self.context.request.settings.largest_object && self.writer.keeps_all() {
            self.give_up_keeping();
            precedent::note(
                self.context.worker,
                self.context.request,
                Err(NoStoreReason::TooLarge),
            );
        }
        if let Err(failure) = self.writer.push(data).await {
            self.context.worker.warn_of_failure(&failure);
            self.give_up_keeping();
        }
        let Some(meta) = meta.filter(|_| self.writer.wants_draft()) else {
            return;
        };
        let Some(store) = self.context.worker.store.get() else {
            return self.give_up_keeping();
        };
        match store.begin(meta, self.expected).await {
            Ok(draft) => self.writer.spill_to(draft, store.drafts().clone()),
            Err(failure) => {
                self.context.worker.warn_of_failure(&failure);
                self.give_up_keeping();
            }
        }
    }

    /// Lets the content pass from now on. Who comes later would miss its beginning, and finds the fetch no more.
    fn give_up_keeping(&mut self) {
        let Context {
            worker,
            request,
            fetch,
        } = self.context;
        self.writer.give_up_keeping();
        if let Some(key) = request.key() {
            worker.waiting_lists.strike(key, fetch);
        }
    }
}

/// Resolves when nothing has come for this time, unless it is for one client alone: nobody else waits, and it
/// sees for itself that its stream is silent.
async fn stalled(spool: &Spool, time: Duration) {
    loop {
        spool.has_many_readers_or_none().await;
        tokio::select! {
            biased;
            () = spool.has_one_reader() => {}
            () = sleep(time) => return,
        }
    }
}

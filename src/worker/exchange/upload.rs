//! A request with content: its upload goes on beside the response for as long as both like, and after that. A client
//! that still sends when it has its response isn't cut off, so that it sees the response (RFC 9112 §9.6); its
//! connection is kept when all of the content came.

use std::time::Duration;

use super::{After, ClientContent, Exchange};
use crate::http::connection::origin_persists;
use crate::http::framing::Framing;
use crate::worker::fetch::RequestContent;
use crate::worker::upload::{Patience, Upload};
use crate::worker::waiting_list::{Answer, FetchOutcome};

/// The silence after which a client that has its response and whose connection ends has sent what it will, where the origin
/// server takes no more.
const SILENCE: Duration = Duration::from_secs(2);
/// The longest that content is read away after the response, which nobody takes.
const AWAY: Duration = Duration::from_secs(30);

impl Exchange<'_> {
    /// Begins to take the content, which goes on whenever the client is watched.
    pub(super) fn begin_upload(&mut self, framing: Framing) -> Option<RequestContent> {
        let patience = Patience::First(self.settings.times.body_stall);
        // 100 (Continue) comes from the origin server, whose silence is bounded.
        let expects = self.head.fields.has("expect");
        let (upload, reader) = Upload::new(framing, patience, expects);
        self.client.upload = Some(upload);
        reader.map(|reader| RequestContent { framing, reader })
    }

    /// Takes note of a response that begins, maybe before the content has ended: from now on each direction may be silent.
    pub(super) fn response_begins(&mut self, outcome: &FetchOutcome) {
        let Some(upload) = &mut self.client.upload else {
            return;
        };
        if upload.is_over() {
            self.content = ClientContent::Read;
            return;
        }
        upload.set_patience(Patience::Unlimited);
        let is_lasting = |answer: &Answer| origin_persists(&answer.head);
        let persists = matches!(outcome, FetchOutcome::Answer(answer) if is_lasting(answer));
        // Who has waited for 100 (Continue) may send its content now, or not: what comes next can't be told from it.
        let comes = upload.has_begun() || !self.head.fields.has("expect");
        self.keep &= persists && comes;
    }

    /// Takes the rest of the content after the response.
    pub(super) async fn finish_upload(&mut self, after: After) -> After {
        let Some(mut upload) = self.client.upload.take() else {
            return after;
        };
        if upload.is_over() {
            self.content = ClientContent::Read;
            return after;
        }
        let ends = match after {
            After::Keep => false,
            After::Close | After::Linger => true,
            After::HandOver(_) | After::Over => return after,
        };
        if self.flush().await.is_err() {
            return After::Over;
        }
        let client = &mut *self.client;
        if ends && client.stream.shut_write().is_err() {
            return After::Over;
        }
        let silence = match ends {
            true => SILENCE,
            false => self.settings.times.body_stall,
        };
        upload.set_patience(Patience::Away {
            silence,
            whole: AWAY,
        });
        match upload.run(&client.stream, &mut client.buffer).await {
            Ok(()) => {
                self.content = ClientContent::Read;
                after
            }
            Err(_) => After::Over,
        }
    }
}

//! Answers of the proxy itself: its own pages, refusals, OPTIONS and TRACE that end here.

use bytes::Bytes;

use super::access_log::RequestOutcome;
use super::{After, ClientContent, Exchange};
use crate::http::head::Method;
use crate::worker::pages::{PageWriter, WrittenPage};

impl Exchange<'_> {
    pub(super) fn own_page(&mut self, path: &Bytes) -> After {
        self.settle_content();
        let page = self.page().own(path);
        self.answered_itself(page, RequestOutcome::OwnPage)
    }

    pub(super) fn own_options(&mut self) -> After {
        self.settle_content();
        let page = PageWriter::answering(&mut self.client.out, &self.head, self.keep);
        let page = match self.head.method == Method::Trace {
            true => page.trace(&self.head),
            false => page.options(),
        };
        self.answered_itself(page, RequestOutcome::OwnPage)
    }

    /// Refuses the request with a reason that the client sees.
    pub(super) fn refuse(&mut self, status: u16, why: &str) -> After {
        self.settle_content();
        let page = self.page().refusal(status, why);
        log::debug!("{status}: {why}");
        self.answered_itself(page, RequestOutcome::Refused)
    }

    /// Ends a request that this page answers.
    pub(super) fn answered_itself(&mut self, page: WrittenPage, outcome: RequestOutcome) -> After {
        self.record.answered_by(page);
        self.record.outcome = outcome;
        self.after()
    }

    /// Content that nobody will read makes the connection unfit for another request.
    pub(super) fn settle_content(&mut self) {
        if matches!(self.content, ClientContent::Unread(_)) {
            self.keep = false;
        }
    }
}

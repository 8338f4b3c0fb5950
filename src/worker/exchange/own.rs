//! Answers of the proxy itself: its own pages, OPTIONS and TRACE that end here.

use bytes::Bytes;

use super::access_log::RequestOutcome;
use super::{After, Exchange};
use crate::http::head::Method;
use crate::worker::pages::PageWriter;

impl Exchange<'_> {
    pub(super) fn own_page(&mut self, path: &Bytes) -> After {
        self.settle_content();
        self.page().own(path);
        self.answered_itself()
    }

    pub(super) fn own_options(&mut self) -> After {
        self.settle_content();
        let page = PageWriter::answering(&mut self.client.out, &self.head, self.keep);
        if self.head.method == Method::Trace {
            page.trace(&self.head);
        } else {
            page.options();
        }
        self.answered_itself()
    }

    fn answered_itself(&mut self) -> After {
        self.record.status = 200;
        self.record.outcome = RequestOutcome::OwnPage;
        self.after()
    }
}

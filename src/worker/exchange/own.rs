//! Answers of the proxy itself: its own pages, OPTIONS and TRACE that end here.

use bytes::Bytes;

use super::access_log::RequestOutcome;
use super::{After, Exchange};
use crate::http::head::Method;
use crate::worker::pages;

impl Exchange<'_> {
    pub(super) fn own_page(&mut self, path: &Bytes) -> After {
        self.settle_content();
        let with_content = self.head.method != Method::Head;
        let out = &mut self.client.out;
        pages::own(out, &self.head, path, self.keep, with_content);
        self.answered_itself()
    }

    pub(super) fn own_options(&mut self) -> After {
        self.settle_content();
        let out = &mut self.client.out;
        if self.head.method == Method::Trace {
            pages::trace(out, &self.head, self.keep);
        } else {
            pages::options(out, &self.head, self.keep);
        }
        self.answered_itself()
    }

    fn answered_itself(&mut self) -> After {
        self.record.status = 200;
        self.record.outcome = RequestOutcome::OwnPage;
        self.after()
    }
}

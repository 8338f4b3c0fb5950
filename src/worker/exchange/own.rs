//! Answers of the proxy itself: its own pages, refusals, OPTIONS and TRACE that end here.

use bytes::Bytes;

use super::access_log::RequestOutcome;
use super::{After, ClientContent, Exchange};
use crate::http::head::Method;
use crate::http::target::{TargetUri, Uri};
use crate::sys::printable::printable;
use crate::worker::pages::{PageWriter, WrittenPage};

impl Exchange<'_> {
    pub(super) fn own_page(&mut self, path: &Bytes) -> After {
        self.settle_content();
        let page = match (path.as_ref(), TargetUri::in_path(path)) {
            (b"/", _) => self.page().welcome(),
            (_, Some(named)) => {
                let why = not_served(&named.uri, self.head.fields.first("host"));
                self.page().refusal(404, &why)
            }
            (_, None) => self
                .page()
                .refusal(404, "this is a proxy: it has no such page of its own"),
        };
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

/// Says why a host that is named in a path isn't served, and how its resources are had.
fn not_served(uri: &Uri, own_host: Option<&[u8]>) -> String {
    let own = own_host
        .filter(|host| !host.is_empty())
        .map_or("THIS_HOST:PORT".to_owned(), printable);
    let (host, uri) = (uri.authority(), printable(uri.as_bytes()));
    format!(
        "this is a proxy: it has no such page of its own. If {uri} is meant, make http://{own} the HTTP proxy:\n\
         \x20   http_proxy=http://{own} curl {uri}\n\
         \x20   Acquire::http::Proxy \"http://{own}\";      in /etc/apt/apt.conf.d/30proxy\n\
         In this form, http://{own}/{host}/, it is served where the operator names the host in the configuration: \
         mirror_hosts = [\"{host}\"]"
    )
}

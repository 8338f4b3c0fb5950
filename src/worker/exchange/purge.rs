//! PURGE: what is stored for a URI goes, with all its variants, in every worker before the answer.
//! It is never forwarded.

use super::access_log::RequestOutcome;
use super::{After, Exchange};
use crate::cache::key::Key;
use crate::http::target::Uri;
use crate::sys::credentials;
use crate::sys::printable::printable;
use crate::worker::fetch;
use crate::worker::state::cache_uri;

impl Exchange<'_> {
    pub(super) async fn purge(&mut self, uri: &Uri) -> After {
        if self.flush().await.is_err() {
            return After::Over;
        }
        if let Some(why) = self.purge_denied() {
            return self.refuse(403, &why);
        }
        let cache_uri = cache_uri(&self.settings, uri);
        let keys = vec![Key::of(&cache_uri), Key::of_head(&cache_uri)];
        let removed = fetch::invalidate(self.worker, keys).await;
        self.settle_content();
        if removed != Some(0) {
            log::info!("{} was purged by a client", printable(uri.as_bytes()));
        }
        let page = match removed {
            Some(0) => self.page().refusal(404, "nothing was stored for this URI"),
            Some(removed) => self.page().done(&format!("purged: {removed} stored\n")),
            None => self.page().done(
                "purged: the store can't remove it now, but what it has of it answers no more\n",
            ),
        };
        self.answered_itself(page, RequestOutcome::Purge)
    }

    /// The reason for which the client may not purge; none for one at an address that the operator named, and for root
    /// and the service's own user on a Unix socket: on this machine an address says nothing of the user.
    fn purge_denied(&self) -> Option<String> {
        let Some(address) = self.client.address() else {
            let uid = credentials::peer_uid(&self.client.stream);
            let denied = "on this socket PURGE is for root and the service's own user: try `sudo cacheproxy purge`";
            return (!uid.is_ok_and(credentials::may_order)).then(|| denied.to_owned());
        };
        (!self.settings.allows_purge(address)).then(|| {
            format!(
                "{address} may not purge: its operator can allow it with \"purge_allow\" in the configuration, or use \
                 `cacheproxy purge`"
            )
        })
    }
}

//! PURGE: what is stored for a URI goes, with all its variants, in every worker before the answer.
//! It is never forwarded.

use super::access_log::RequestOutcome;
use super::{After, Exchange};
use crate::cache::key::Key;
use crate::http::target::Uri;
use crate::sys::credentials;
use crate::worker::fetch;
use crate::worker::state::cache_uri;

impl Exchange<'_> {
    pub(super) async fn purge(&mut self, uri: &Uri) -> After {
        if self.flush().await.is_err() {
            return After::Over;
        }
        if !self.may_purge() {
            let client = self.client.address();
            let client = client.map_or("this user".to_owned(), |address| address.to_string());
            let why = format!(
                "{client} may not purge: use \"cacheproxy purge\", or have the operator allow it with \"purge_allow\" \
                 in the configuration"
            );
            return self.refuse(403, &why);
        }
        let cache_uri = cache_uri(&self.settings, uri);
        let keys = vec![Key::of(&cache_uri), Key::of_head(&cache_uri)];
        let removed = fetch::invalidate(self.worker, keys).await;
        if removed == 0 {
            return self.refuse(404, "nothing was stored for this URI");
        }
        self.settle_content();
        let text = format!("purged: {removed} stored\n");
        self.page().done(&text);
        self.record.status = 200;
        self.record.outcome = RequestOutcome::Purge;
        log::info!("{uri} was purged by a client");
        self.after()
    }

    /// True for a client at an address that the operator named, and for root and the service's own user on a Unix
    /// socket: on this machine an address says nothing of the user.
    fn may_purge(&self) -> bool {
        match self.client.address() {
            Some(address) => self.settings.allows_purge(address),
            None => {
                let uid = credentials::peer_uid(&self.client.stream);
                uid.is_ok_and(credentials::may_order)
            }
        }
    }
}

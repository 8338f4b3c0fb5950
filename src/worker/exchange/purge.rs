//! PURGE: what is stored for a URI goes, with all its variants, in every worker before the answer.
//!
//! No RFC has the method; it is what operators know from other caches. It is never forwarded.

use super::{After, Exchange};
use crate::cache::key::Key;
use crate::http::head::Method;
use crate::http::target::Uri;
use crate::worker::fetch;
use crate::worker::pages;
use crate::worker::state::cache_uri;

/// Whether this method asks for it.
pub(super) fn is_asked(method: &Method) -> bool {
    matches!(method, Method::Other(token) if token.as_ref() == b"PURGE")
}

impl Exchange<'_> {
    /// Removes what is stored for the URI, if this client may ask for that.
    pub(super) async fn purge(&mut self, uri: &Uri) -> After {
        if let Some(address) = self.client.address() {
            if !self.settings.allows_purge(address) {
                let why = format!(
                    "{address} may not purge: its operator can allow it with \"purge_allow\" in the configuration"
                );
                return self.refuse(403, &why);
            }
        }
        let cache_uri = cache_uri(&self.settings, uri);
        let keys = vec![Key::of(&cache_uri), Key::of_head(&cache_uri)];
        let removed = fetch::invalidate(self.worker, keys).await;
        if removed == 0 {
            return self.refuse(404, "nothing was stored for this URI");
        }
        self.settle_content();
        let text = format!("purged: {removed} stored\n");
        let (out, version) = (&mut self.client.out, self.head.version);
        pages::done(out, version, &text, self.keep);
        self.record.status = 200;
        self.record.outcome = "purge";
        log::info!("{} was purged by a client", uri);
        self.after()
    }
}

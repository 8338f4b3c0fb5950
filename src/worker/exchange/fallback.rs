//! A stored response instead of the origin server's: after a failed validation, where that is allowed (RFC 9111 §4.2.4,
//! RFC 5861 §4).

use std::rc::Rc;

use super::access_log::RequestOutcome;
use super::respond::FromStore;
use super::{After, Exchange};
use crate::cache::plan::{ValidationFailure, answers_instead};
use crate::cache::reuse::OnError;
use crate::cache::status::CacheStatus;
use crate::worker::stored::Stored;
use crate::worker::waiting_list::{FetchError, FetchOutcome};

/// A stored response that is being validated, and its use if that fails.
pub(super) struct Fallback {
    pub(super) stored: Rc<Stored>,
    pub(super) on_error: OnError,
}

impl Fallback {
    /// True when it answers instead of what was received.
    pub(super) fn answers_instead(&self, outcome: &FetchOutcome) -> bool {
        let failure = match outcome {
            FetchOutcome::Answer(answer) => ValidationFailure::Answered {
                status: answer.head.status,
                is_stored: answer.sharing.is_ok(),
            },
            FetchOutcome::Failed(error) if matches!(**error, FetchError::ClientContent) => {
                ValidationFailure::ClientContent
            }
            FetchOutcome::Failed(_) => ValidationFailure::Unreachable,
            FetchOutcome::Validated(_) | FetchOutcome::Stored(_) | FetchOutcome::Switched(_) => {
                return false;
            }
        };
        answers_instead(self.on_error, failure)
    }
}

impl Exchange<'_> {
    /// Answers with what is stored, since its validation failed.
    pub(super) async fn stale_instead(
        &mut self,
        fallback: &Fallback,
        outcome: &FetchOutcome,
        status: CacheStatus<'_>,
    ) -> After {
        let mut from = FromStore::now(&fallback.stored, status);
        if let FetchOutcome::Answer(answer) = outcome {
            from.status.set_received(answer.head.status);
            from.status.detail = Some("stale-if-error");
        } else {
            let left = fallback.stored.facts.freshness_left(from.age);
            from.status = CacheStatus::hit(left.seconds());
            from.status.detail = Some("origin-unreachable");
        }
        self.record.outcome = RequestOutcome::Stale;
        self.answer_stored(from).await
    }
}

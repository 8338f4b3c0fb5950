//! A stored response instead of the origin server's: after a failed validation, where that is allowed (RFC 9111 §4.2.4,
//! RFC 5861 §4).

use std::rc::Rc;

use super::access_log::RequestOutcome;
use super::respond::{FromStore, ORIGIN_HANGS};
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
    /// The failure for which it answers instead of what was received.
    pub(super) fn failure(&self, outcome: &FetchOutcome) -> Option<ValidationFailure> {
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
                return None;
            }
        };
        answers_instead(self.on_error, failure).then_some(failure)
    }

    /// True when it answers while nothing is received.
    pub(super) fn answers_for_hung(&self) -> bool {
        answers_instead(self.on_error, ValidationFailure::Hangs)
    }
}

impl Exchange<'_> {
    /// Answers with what is stored, since its validation failed.
    pub(super) async fn stale_instead(
        &mut self,
        fallback: &Fallback,
        failure: ValidationFailure,
        status: CacheStatus<'_>,
    ) -> After {
        let mut from = FromStore::now(&fallback.stored, status);
        let left = fallback.stored.facts.freshness_left(from.age);
        match failure {
            ValidationFailure::Answered { status, .. } => {
                from.status.set_received(status);
                // What is fresh keeps the reason for which it was asked about.
                if fallback.on_error != OnError::Refused {
                    from.status.detail = Some("stale-if-error");
                }
            }
            ValidationFailure::Hangs => {
                from.status = CacheStatus::hit(left.seconds());
                from.status.detail = Some(ORIGIN_HANGS);
            }
            ValidationFailure::Unreachable | ValidationFailure::ClientContent => {
                from.status = CacheStatus::hit(left.seconds());
                from.status.detail = Some("origin-unreachable");
            }
        }
        self.record.outcome = RequestOutcome::of_stored(left);
        self.answer_stored(from).await
    }
}

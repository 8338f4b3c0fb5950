//! A validation that failed, or takes too long: may the stored response answer instead (RFC 9111 §4.2.4, §4.3.3; RFC 5861
//! §4)? What a response allows is for `reuse` to say.

use crate::cache::reuse::{OnError, is_error, is_refusal};

/// The failure of a validation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValidationFailure {
    Unreachable,
    /// It hasn't answered for so long that it counts as unreachable, though it may only be slow.
    Hangs,
    /// It answered with this status.
    Answered {
        status: u16,
        /// The response is to be stored.
        is_stored: bool,
    },
    /// The client didn't send all of its content.
    ClientContent,
}

/// True when the stored response may answer instead: for an error as `stale-if-error` means it, or one that is
/// taken as a failure to respond (RFC 9111 §4.3.3), unless that is to be remembered. One that is fresh, and was validated
/// for its class, answers instead of whatever says nothing of it.
pub fn answers_instead(on_error: OnError, failure: ValidationFailure) -> bool {
    match failure {
        ValidationFailure::Unreachable | ValidationFailure::Hangs => on_error != OnError::No,
        ValidationFailure::Answered { status, .. } if on_error == OnError::Refused => {
            is_refusal(status)
        }
        ValidationFailure::Answered { status, is_stored } if is_error(status) => match on_error {
            OnError::No => false,
            OnError::Disconnected => !is_stored,
            OnError::Error | OnError::Refused => true,
        },
        ValidationFailure::Answered { .. } | ValidationFailure::ClientContent => false,
    }
}

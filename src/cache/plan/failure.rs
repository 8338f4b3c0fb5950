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

#[cfg(test)]
#[allow(clippy::type_complexity)]
mod tests {
    use super::*;

    #[test]
    fn failures_of_a_validation() {
        use OnError::{Disconnected, Error, No, Refused};
        use ValidationFailure::{ClientContent, Hangs, Unreachable};
        let answered = |status, is_stored| ValidationFailure::Answered { status, is_stored };
        #[rustfmt::skip]
        let table: &[(OnError, ValidationFailure, bool)] = &[
            // RFC 9111 §4.2.4
            (No, Unreachable, false),
            (Disconnected, Unreachable, true),
            (Error, Unreachable, true),
            (Error, ClientContent, false),
            (No, Hangs, false),
            (Disconnected, Hangs, true),
            // §4.3.3: a 5xx may be taken as no response, unless it is to be remembered
            (No, answered(503, false), false),
            (Disconnected, answered(503, false), true),
            (Disconnected, answered(503, true), false),
            // RFC 5861 §4
            (Error, answered(503, true), true),
            (Error, answered(500, false), true),
            (Error, answered(501, false), false),
            (Error, answered(404, false), false),
            (Disconnected, answered(200, true), false),
            // It is fresh: whatever isn't about it is no answer.
            (Refused, Unreachable, true),
            (Refused, Hangs, true),
            (Refused, ClientContent, false),
            (Refused, answered(200, true), false),
            (Refused, answered(206, false), false),
            (Refused, answered(301, true), false),
            (Refused, answered(404, true), false),
            (Refused, answered(410, false), false),
            (Refused, answered(400, false), true),
            (Refused, answered(403, false), true),
            (Refused, answered(429, true), true),
            (Refused, answered(501, true), true),
            (Refused, answered(503, true), true),
        ];
        for (on_error, failure, expected) in table {
            let got = answers_instead(*on_error, *failure);
            assert_eq!(got, *expected, "{on_error:?} {failure:?}");
        }
    }
}

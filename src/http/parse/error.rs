//! Faults of heads and trailer sections.

/// A fault of a head or trailer section.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum HeadError {
    #[error("what was received does not begin as an HTTP request does")]
    NotHttp,
    #[error("the request line is not a method, a target and a version with one space between them")]
    RequestLine,
    #[error("the request target has control characters")]
    TargetBytes,
    #[error("the status line is not a version, a status code and a reason")]
    StatusLine,
    #[error("the HTTP version is not 1.0 or 1.1")]
    Version,
    #[error("a CR is not followed by an LF")]
    BareCr,
    #[error("an LF is not preceded by a CR")]
    BareLf,
    #[error("a line begins with whitespace, as folded field lines do")]
    Folded,
    #[error("a field name is empty, has a forbidden character or has whitespace before its colon")]
    FieldName,
    #[error("a field value has a control character")]
    FieldValue,
    #[error("the request line is too long")]
    RequestLineTooLong,
    #[error("a field line is too long")]
    FieldLineTooLong,
    #[error("the header section is too large")]
    TooLarge,
    #[error("there are too many field lines")]
    TooManyFields,
}

impl HeadError {
    /// The status code that answers a request with this fault. For a response it is always 502.
    pub fn status(self) -> u16 {
        match self {
            HeadError::Version => 505,
            HeadError::RequestLineTooLong => 414,
            HeadError::FieldLineTooLong | HeadError::TooLarge | HeadError::TooManyFields => 431,
            HeadError::NotHttp
            | HeadError::RequestLine
            | HeadError::TargetBytes
            | HeadError::StatusLine
            | HeadError::BareCr
            | HeadError::BareLf
            | HeadError::Folded
            | HeadError::FieldName
            | HeadError::FieldValue => 400,
        }
    }
}

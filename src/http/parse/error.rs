//! Faults of heads and trailer sections.

/// A fault of a head or trailer section.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    /// The first bytes cannot begin an HTTP/1 request line (TLS on a plain port, for example).
    #[error("what was received does not begin as an HTTP request does")]
    NotHttp,
    /// The request line is not `method SP target SP version`.
    #[error("the request line is not a method, a target and a version with one space between them")]
    RequestLine,
    /// The target has bytes that must be percent-encoded.
    #[error("the request target has bytes outside of visible ASCII")]
    TargetBytes,
    /// The status line is not `version SP status SP reason`.
    #[error("the status line is not a version, a status code and a reason")]
    StatusLine,
    /// The major version is not 1.
    #[error("the HTTP version is not 1.0 or 1.1")]
    Version,
    /// CR without LF.
    #[error("a CR is not followed by an LF")]
    BareCr,
    /// LF without CR.
    #[error("an LF is not preceded by a CR")]
    BareLf,
    /// A field line continued on the next.
    #[error("a line begins with whitespace, as folded field lines do")]
    Folded,
    /// A field name is not a token.
    #[error("a field name is empty, has a forbidden character or has whitespace before its colon")]
    FieldName,
    /// A field value has control characters.
    #[error("a field value has a control character")]
    FieldValue,
    /// The request line is longer than the limit.
    #[error("the request line is too long")]
    RequestLineTooLong,
    /// A field line is longer than the limit.
    #[error("a field line is too long")]
    FieldLineTooLong,
    /// The head is larger than the limit.
    #[error("the header section is too large")]
    TooLarge,
    /// There are more field lines than the limit.
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

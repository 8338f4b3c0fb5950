//! Failures of the database, in words for the person who reads the journal.

use std::error::Error as _;

use postgres::Error;
use postgres::error::SqlState;

/// The reason of a failure, and what to do about it where that can be said.
pub fn reason(error: &Error) -> String {
    let Some(code) = error.code() else {
        return match error.source() {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        };
    };
    let said = error.as_db_error().map_or("", |error| error.message());
    let advice = match code.code() {
        "25006" => "it takes no writes: a standby, or default_transaction_read_only is on",
        "53100" => "its disk is full",
        "53200" => "it is out of memory",
        "53300" | "53400" => {
            "it has too many connections: raise its max_connections, or lower \"workers\" here"
        }
        "28P01" | "28000" => "see the user and password, and the server's pg_hba.conf",
        "3D000" => "create the database, owned by this user",
        "42501" => {
            "have the database's owner run \"cacheproxy db init\", or give this user the rights"
        }
        "57P01" | "57P02" => "it is stopping or was stopped",
        "57014" => "it took too long",
        _ => return said.to_owned(),
    };
    format!("{said} ({advice})")
}

/// True when the server refused the connection, or a change, only because it takes no writes.
pub fn refuses_writes(error: &Error) -> bool {
    match error.code() {
        Some(code) => *code == SqlState::READ_ONLY_SQL_TRANSACTION,
        None => error
            .source()
            .is_some_and(|source| source.to_string().contains("does not allow writes")),
    }
}

/// True when there are more connections than the server takes.
pub fn is_crowded(error: &Error) -> bool {
    matches!(error.code(), Some(code) if code.code().starts_with("533"))
}

/// True when it succeeds if it is done again: two changes stood in each other's way.
pub fn is_passing(error: &Error) -> bool {
    matches!(error.code(), Some(code) if matches!(code.code(), "40001" | "40P01"))
}

/// True when the connection is of no more use after this, or what is prepared on it.
pub fn ends_session(error: &Error) -> bool {
    let Some(error) = error.as_db_error() else {
        // The question could not be told to the server, or its answer not be understood.
        return true;
    };
    let code = error.code().code();
    // A prepared statement that went, or that the schema it was made for went from under.
    let stale = matches!(code, "26000" | "0A000") || needs_schema_code(code);
    stale || code.starts_with("57P") || matches!(error.severity(), "FATAL" | "PANIC")
}

/// True when the schema isn't there, or not as it should be.
fn needs_schema_code(code: &str) -> bool {
    matches!(code, "3F000" | "42P01" | "42883" | "42703")
}

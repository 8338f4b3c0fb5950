//! Tables of what is read and of what is refused, with the words; a password is never shown.

#![allow(clippy::unwrap_used)]

use super::*;

#[test]
fn both_forms_are_read() {
    let table = [
        (
            "host=/run/postgresql dbname=cacheproxy",
            "host=/run/postgresql dbname=cacheproxy",
        ),
        (" host = a  port=5433 ", "host=a port=5433"),
        ("host=a password='it''s'", ""),
        (r"host=a password='it\'s a secret'", "host=a password=…"),
        (r"host=a user=x\ y", "host=a user='x y'"),
        ("host=a host=b", "host=b"),
        ("host=a,b port=1,2", "host=a,b port=1,2"),
        (
            "host=a,b load_balance_hosts=disable",
            "host=a,b load_balance_hosts=disable",
        ),
        (
            "postgresql://db.example/cache",
            "host=db.example port=5432 dbname=cache",
        ),
        (
            "postgres://u:s%40c@a:1,b/c",
            "host=a,b port=1,5432 user=u password=… dbname=c",
        ),
        (
            "postgresql://u@[::1]:6/c?sslmode=require",
            "host=::1 port=6 user=u dbname=c sslmode=require",
        ),
        (
            "postgresql://%2Frun%2Fpostgresql/c",
            "host=/run/postgresql port=5432 dbname=c",
        ),
        (
            "postgresql:///c?host=/run/postgresql",
            "dbname=c host=/run/postgresql",
        ),
        (
            "postgresql://a/c?ssl=true",
            "host=a port=5432 dbname=c sslmode=require",
        ),
    ];
    for (text, expected) in table {
        let read = Database::parse(text);
        let shown = read.as_ref().map_or(String::new(), Database::masked);
        assert_eq!(shown, expected, "{text} {read:?}");
    }
    let default = Database::default();
    assert_eq!(Database::parse(default.as_str()).unwrap(), default);
    let decoded = Database::parse("postgres://u:s%40c@a/c").unwrap();
    assert_eq!(decoded.value("password"), Some("s@c"));
    assert_eq!(decoded.place(), "c on a");
    let other = default.with_password(r"it's \ odd");
    assert_eq!(Database::parse(other.as_str()).unwrap(), other);
    assert_eq!(other.value("password"), Some(r"it's \ odd"));
    assert!(!format!("{decoded:?}").contains("s@c"));
}

#[test]
fn refusals_say_what_and_where_and_no_password() {
    let table = [
        ("", "it names no server"),
        ("dbname=x", "it names no server"),
        ("db.example", "at its byte 1: expected name=value"),
        (
            "host=a prot=1",
            "at its byte 8: unknown parameter \"prot\": did you mean \"port\"?",
        ),
        (
            "host=a x=1",
            "at its byte 8: unknown parameter \"x\": expected one of host, ",
        ),
        (
            "host=a password=secret secret2=3",
            "at its byte 24: unknown parameter: expected",
        ),
        (
            "host=a password=secret secret2",
            "at its byte 24: expected name=value",
        ),
        (
            "host=a password='secret",
            "at its byte 17: the quote that begins here never ends",
        ),
        (
            "host=a port=http",
            "port=http: expected a number from 1 to 65535",
        ),
        (
            "host=a,b,c port=1,2",
            "port=1,2: expected one port, or one for each of the 3 hosts",
        ),
        ("host=a,b hostaddr=1.2.3.4", "expected as many addresses"),
        (
            "host=a sslmode=on",
            "sslmode=on: expected one of disable, prefer",
        ),
        ("host=a sslmode=allow", "sslmode=allow: expected one of"),
        (
            "host=a,b load_balance_hosts=random",
            "load_balance_hosts=random: it isn't supported; hosts are tried in the order",
        ),
        (
            "host=a target_session_attrs=primary",
            "target_session_attrs=primary: expected",
        ),
        (
            "host=a connect_timeout=1s",
            "connect_timeout=1s: expected a whole number",
        ),
        (
            "host=a passfile=/x",
            "it isn't supported; see database_password_file",
        ),
        (
            "postgresql://u:secret%4@a/",
            "at its byte 14: password has a % without",
        ),
        (
            "postgresql://u:sec/ret@a/x",
            "at its byte 19: a / before the @ is written %2F",
        ),
        ("postgresql://a:0/x", "port=0: expected"),
        (
            "postgresql://a/x?sslmod=require",
            "at its byte 18: unknown parameter \"sslmod\": did you mean \"sslmode\"?",
        ),
        (
            "postgresql://a/x?sslmode",
            "at its byte 18: expected name=value after ? and &",
        ),
    ];
    for (text, expected) in table {
        let refused = Database::parse(text).unwrap_err();
        assert!(
            refused.starts_with(expected) || refused.ends_with(expected),
            "{text}: {refused}"
        );
        assert!(!refused.contains("secret"), "{refused}");
    }
}

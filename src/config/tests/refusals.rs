//! A table of what is refused, with the whole message.

use super::main_file;

/// The text written, and the whole message that refuses it.
const REFUSED: &[(&str, &str)] = &[
    // Durations.
    (
        "\n\nmax_ttl = \"soon\"",
        r#"f.toml:3: max_ttl = "soon": expected "none" or a duration such as "30s", "10m", "12h" or "7d""#,
    ),
    (
        "ttl = \"1h30m\"",
        r#"f.toml:1: ttl = "1h30m": expected "heuristic" or a duration such as "30s", "10m", "12h" or "7d""#,
    ),
    (
        "ttl = 30",
        r#"f.toml:1: ttl = 30: expected a duration such as "30s", "10m", "12h" or "7d"; a plain number has no unit, "30s" would do"#,
    ),
    (
        "ttl = \"9999d\"",
        r#"f.toml:1: ttl = "9999d": expected whole seconds, at most "3650d""#,
    ),
    (
        "max_ttl = \"5ms\"",
        r#"f.toml:1: max_ttl = "5ms": expected whole seconds, at most "3650d""#,
    ),
    (
        "[timeouts]\nclient_idle = \"5m\"\nconnect = \"0s\"",
        r#"f.toml:3: timeouts.connect = "0s": expected a duration from "1ms" to "30d""#,
    ),
    (
        "timeouts.drain = true",
        r#"f.toml:1: timeouts.drain = true: expected a duration such as "30s", "10m", "12h" or "7d""#,
    ),
    (
        "timeouts = \"5s\"",
        r#"f.toml:1: timeouts = "5s": expected a table"#,
    ),
    // Sizes.
    (
        "store_size = \"much\"",
        r#"f.toml:1: store_size = "much": expected a size such as "64KiB", "500MB" or "10GiB""#,
    ),
    (
        "memory = 64",
        r#"f.toml:1: memory = 64: expected a size such as "64KiB", "500MB" or "10GiB"; a plain number has no unit, "64MB" would do"#,
    ),
    (
        "store_size = \"1kB\"",
        r#"f.toml:1: store_size = "1kB": expected a size of at least "1MiB""#,
    ),
    (
        "largest_object = \"0B\"",
        r#"f.toml:1: largest_object = "0B": expected a size of at least "1B""#,
    ),
    // Numbers and switches.
    (
        "workers = 0",
        r#"f.toml:1: workers = 0: expected "auto" or a number from 1 to 16"#,
    ),
    (
        "workers = 17",
        r#"f.toml:1: workers = 17: expected "auto" or a number from 1 to 16"#,
    ),
    (
        "workers = \"many\"",
        r#"f.toml:1: workers = "many": expected "auto" or a number from 1 to 16"#,
    ),
    (
        "max_clients = -1",
        "f.toml:1: max_clients = -1: expected a number from 1 to 1000000",
    ),
    (
        "max_header_line = \"65KiB\"",
        r#"f.toml:1: max_header_line = "65KiB": expected a size from "1KiB" to "64KiB""#,
    ),
    (
        "max_header_size = \"1MiB\"",
        r#"f.toml:1: max_header_size = "1MiB": expected a size from "1KiB" to "256KiB""#,
    ),
    (
        "max_header_fields = 1001",
        "f.toml:1: max_header_fields = 1001: expected a number from 16 to 1000",
    ),
    (
        "max_clients_per_address = \"none\"",
        r#"f.toml:1: max_clients_per_address = "none": expected "auto" or a number from 1 to 1000000"#,
    ),
    (
        "access_log = \"yes\"",
        r#"f.toml:1: access_log = "yes": expected true or false"#,
    ),
    // Networks and ports.
    (
        "allow = [\n  \"::1\",\n  \"10.0.0.0/33\",\n]",
        r#"f.toml:3: allow = "10.0.0.0/33": expected an address or a network such as "192.168.1.0/24" or "2001:db8::/32""#,
    ),
    (
        "allow = \"::1\"",
        r#"f.toml:1: allow = "::1": expected a list such as ["127.0.0.0/8", "::1"]"#,
    ),
    (
        "connect_ports = [443, 0]",
        r#"f.toml:1: connect_ports = 0: expected a port such as 443 or a range such as "8000-8999""#,
    ),
    (
        "http_ports = [80, 65536]",
        r#"f.toml:1: http_ports = 65536: expected a port such as 443 or a range such as "8000-8999""#,
    ),
    (
        "targeted = \"CDN-Cache-Control\"",
        r#"f.toml:1: targeted = "CDN-Cache-Control": expected a list of fields such as ["CDN-Cache-Control"]"#,
    ),
    (
        "targeted = [\"cache-control\"]",
        r#"f.toml:1: targeted = "cache-control": expected the name of a field such as "CDN-Cache-Control"; Cache-Control counts without them"#,
    ),
    (
        "targeted = [\"CDN Cache\"]",
        r#"f.toml:1: targeted = "CDN Cache": expected the name of a field such as "CDN-Cache-Control"; Cache-Control counts without them"#,
    ),
    (
        "own_destinations = \"192.0.2.1:80\"",
        r#"f.toml:1: own_destinations = "192.0.2.1:80": expected a list such as ["192.0.2.1:3141"]"#,
    ),
    (
        "own_destinations = [\"192.0.2.1\"]",
        r#"f.toml:1: own_destinations = "192.0.2.1": expected an address with its port such as "192.0.2.1:3141" or "[2001:db8::1]:3141""#,
    ),
    (
        "own_destinations = [\"[::1]:0\"]",
        r#"f.toml:1: own_destinations = "[::1]:0": expected an address with its port such as "192.0.2.1:3141" or "[2001:db8::1]:3141""#,
    ),
    (
        "mirror_hosts = [\"http://a\"]",
        r#"f.toml:1: mirror_hosts = "http://a": expected a host such as "deb.example", "mirror.example:8080", "*.deb.example" or "*""#,
    ),
    (
        "connect_ports = [\"9-8\"]",
        r#"f.toml:1: connect_ports = "9-8": expected a port such as 443 or a range such as "8000-8999""#,
    ),
    (
        "connect_ports = 443",
        "f.toml:1: connect_ports = 443: expected a list of ports such as [443, 8443]",
    ),
    // The store.
    (
        "store = \"redis\"",
        r#"f.toml:1: store = "redis": expected "filesystem" or "postgres""#,
    ),
    (
        "\ndatabase = \"host=db.example prot=5433\"",
        r#"f.toml:2: database: at its byte 17: unknown parameter "prot": did you mean "port"?"#,
    ),
    (
        "database = \"postgresql://u:hidden@db:x/y\"",
        r#"f.toml:1: database: port=x: expected a number from 1 to 65535"#,
    ),
    (
        "database = [\"postgresql://u:hidden@db/y\"]",
        r#"f.toml:1: database: expected a connection string such as "host=/run/postgresql dbname=cacheproxy""#,
    ),
    (
        "database_password_file = \"hidden\"",
        r#"f.toml:1: database_password_file = "hidden": expected an absolute path such as "/etc/cacheproxy/database-password""#,
    ),
    (
        "database_logged = \"no\"",
        r#"f.toml:1: database_logged = "no": expected true or false"#,
    ),
    (
        "store_path = \"cache\"",
        r#"f.toml:1: store_path = "cache": expected an absolute path such as "/var/cache/cacheproxy""#,
    ),
    // Rules.
    (
        "[[rule]]\nttl = \"1h\"",
        "f.toml:1: [[rule]] has no match, such as match = \"*.deb\"",
    ),
    (
        "[[rule]]\nmatch = \"*\"",
        "f.toml:1: [[rule]] has no ttl, such as ttl = \"30d\"",
    ),
    (
        "[[rule]]\nmatch = \"*\"\noverride = true\nbypass = true",
        "f.toml:1: [[rule]] has no ttl, such as ttl = \"30d\"",
    ),
    (
        "[[rule]]\nmatch = \"*\"\nclass = \"keep\"",
        r#"f.toml:3: rule.class = "keep": did you mean "kept"?"#,
    ),
    (
        "[[rule]]\nmatch = \"*\"\nclass = \"immutable\"",
        r#"f.toml:3: rule.class = "immutable": expected one of kept, versioned"#,
    ),
    (
        "[[rule]]\nmatch = \"*\"\nclass = true",
        "f.toml:3: rule.class = true: expected one of kept, versioned",
    ),
    (
        "[[rule]]\nmatch = \"*\"\nclass = \"kept\"\nttl = \"1d\"",
        "f.toml:1: [[rule]] with class = \"kept\" takes no ttl and no override: what it matches is never stale",
    ),
    (
        "[[rule]]\nmatch = \"*\"\noverride = false\nclass = \"kept\"",
        "f.toml:1: [[rule]] with class = \"kept\" takes no ttl and no override: what it matches is never stale",
    ),
    (
        "[[rule]]\nmatch = \"*\"\nstore = \"alway\"",
        r#"f.toml:3: rule.store = "alway": did you mean "always"?"#,
    ),
    (
        "[[rule]]\nmatch = \"*\"\nstore = \"rules\"\npublic = true",
        "f.toml:1: [[rule]] with public = true needs store = \"always\": it says that others get what only that stores",
    ),
    (
        "[[rule]]\nmatch = \"*\"\nttl = \"1d\"\npublic = true",
        "f.toml:1: [[rule]] with public = true needs store = \"always\": it says that others get what only that stores",
    ),
    (
        "[[rule]]\nmatch = \"*\"\npublic = 1",
        "f.toml:3: rule.public = 1: expected true or false",
    ),
    (
        "[[rule]]\nmatch = \"*\"\nbypass = \"yes\"",
        "f.toml:3: rule.bypass = \"yes\": expected true or false",
    ),
    (
        "[[rule]]\nmatch = \"*\"\nignore_query = \"utm_*\"",
        r#"f.toml:3: rule.ignore_query = "utm_*": expected a list of names such as ["utm_*", "fbclid"]"#,
    ),
    (
        "[[rule]]\nmatch = \"*\"\nignore_query = [1]",
        r#"f.toml:3: rule.ignore_query = 1: expected a name or a pattern such as "utm_*""#,
    ),
    (
        "stale_if_error = \"never\"",
        r#"f.toml:1: stale_if_error = "never": expected "none" or a duration such as "30s", "10m", "12h" or "7d""#,
    ),
    (
        "stale_while_revalidate = \"1ms\"",
        r#"f.toml:1: stale_while_revalidate = "1ms": expected whole seconds, at most "3650d""#,
    ),
    (
        "ca_file = \"ca.pem\"",
        r#"f.toml:1: ca_file = "ca.pem": expected an absolute path such as "/etc/ssl/certs/ca-certificates.crt""#,
    ),
    (
        "[[rule]]\nmatch = []\nttl = \"1h\"",
        r#"f.toml:2: rule.match = []: expected a pattern such as "*.deb", or a list of them"#,
    ),
    (
        "[[rule]]\nmatch = [\"\"]\nttl = \"1h\"",
        r#"f.toml:2: rule.match = "": expected a pattern such as "*.deb" or "http://example.com/*""#,
    ),
    (
        "[rule]\nmatch = \"*\"",
        "f.toml:1: rule = [rule]: expected tables, each beginning with [[rule]]",
    ),
    // Keys.
    (
        "tll = \"1h\"",
        "f.toml:1: unknown key \"tll\": did you mean \"ttl\"?",
    ),
    (
        "store_dir = \"/x\"",
        "f.toml:1: unknown key \"store_dir\": did you mean \"store_size\"?",
    ),
    (
        "[timeouts]\n\nconect = \"5s\"",
        "f.toml:3: unknown key \"timeouts.conect\": did you mean \"timeouts.connect\"?",
    ),
    (
        "[[rule]]\nmatch = \"*\"\nttl = \"1h\"\nforce = true",
        "f.toml:4: unknown key \"rule.force\": expected one of match, class, ttl, override, bypass, store, public, ignore_query, ignore_cookies, stale_while_revalidate, stale_if_error",
    ),
    // TOML itself.
    (
        "ttl = \"1h\"\nttl = \"2h\"",
        "f.toml:2: not valid TOML: duplicate key",
    ),
    ("ttl = 1h", "f.toml:1: not valid TOML: "),
    ("\nttl = \"1h", "f.toml:2: not valid TOML: "),
    ("ttl \"1h\"", "f.toml:1: not valid TOML: "),
];

#[test]
fn refusals_name_file_line_key_what_was_found_and_what_was_expected() {
    for (toml, expected) in REFUSED {
        let message = main_file(toml).unwrap_err().to_string();
        match expected.strip_suffix("TOML: ") {
            // The parser's own words follow.
            Some(_) => assert!(message.starts_with(expected), "{message}"),
            None => assert_eq!(message, *expected),
        }
        assert!(!message.contains('\n'), "{message}");
    }
}

#[test]
fn the_first_mistake_in_the_file_is_the_one_named() {
    let message = main_file("ttl = \"x\"\naccess_log = 1\n")
        .unwrap_err()
        .to_string();
    assert!(message.starts_with("f.toml:1: ttl"), "{message}");
}

#[test]
fn what_was_found_is_shortened() {
    let long = format!("ttl = \"{}\"", "x".repeat(500));
    assert!(main_file(&long).unwrap_err().to_string().len() < 200);
    let lines = main_file("ttl = \"\"\"a\nb\"\"\"").unwrap_err().to_string();
    assert!(
        lines.starts_with("f.toml:1: ttl = \"\"\"a…: expected"),
        "{lines}"
    );
}

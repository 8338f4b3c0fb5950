//! Values that are accepted, and what they come to.

use super::*;
use crate::cache::directives::TargetList;
use crate::http::target::HostPatterns;

#[test]
fn good_values_are_taken() {
    let settings = main_file(
        r#"
        workers = 3
        allow = ["192.168.1.7/24", "10.0.0.1", "2001:db8::/32"]
        purge_allow = []
        http_ports = [80, "3000 - 3999"]
        connect_ports = [443, "8000-8999"]
        own_destinations = ["192.0.2.1:3141", "[2001:db8::1]:80", "[::ffff:192.0.2.2]:80"]
        store = "filesystem"
        store_path = "/srv/cache"
        store_size = "2GB"
        min_free_disk = "0B"
        largest_object = "100MiB"
        memory = "0B"
        ttl = "10m"
        max_ttl = "7d"
        stale_while_revalidate = "30s"
        stale_if_error = "1d"
        access_log = false
        max_clients = 1_00
        max_header_line = "16KiB"
        max_header_size = "100KiB"
        max_header_fields = 200
        max_clients_per_address = 50
        timeouts = { connect = "3s", worker_idle = "1s" }
        [[rule]]
        match = "*.iso"
        ttl = "1w"
        override = true
        stale_if_error = "none"
        [[rule]]
        match = ["http://a/*", "http://b/*"]
        bypass = true
        store = "always"
        ignore_query = ["utm_*"]
        ignore_cookies = true
        stale_while_revalidate = "1m"
        stale_if_error = "1h"
        "#,
    )
    .unwrap();
    let networks = ["192.168.1.0/24", "10.0.0.1/32", "2001:db8::/32"];
    let destinations = ["192.0.2.1:3141", "[2001:db8::1]:80", "192.0.2.2:80"];
    let ttl = RuleFreshness::Ttl(RuleTtl {
        seconds: 7 * 86_400,
        force: true,
    });
    let expected = Settings {
        workers: 3,
        allow: networks.map(|network| network.parse().unwrap()).to_vec(),
        purge_allow: Vec::new(),
        http_ports: Ports(vec![80..=80, 3000..=3999]),
        connect_ports: Ports(vec![443..=443, 8000..=8999]),
        own_destinations: destinations.map(|it| it.parse().unwrap()).to_vec(),
        store: StoreChoice {
            kind: StoreKind::Filesystem,
            path: PathBuf::from("/srv/cache"),
            size: 2_000_000_000,
            min_free: 0,
        },
        largest_object: 100 << 20,
        memory: 0,
        rules: Rules(vec![
            Rule {
                globs: vec!["*.iso".to_string()],
                freshness: Some(ttl),
                stale_if_error: Some(None),
                ..Rule::default()
            },
            Rule {
                globs: vec!["http://a/*".to_string(), "http://b/*".to_string()],
                bypass: Some(true),
                store: Some(StoreRule::Always { public: false }),
                ignore_query: Some(vec!["utm_*".to_string()]),
                ignore_cookies: Some(true),
                stale_while_revalidate: Some(60),
                stale_if_error: Some(Some(3600)),
                ..Rule::default()
            },
        ]),
        ttl: Ttl::Fixed(600),
        max_ttl: Some(7 * 86_400),
        stale_while_revalidate: 30,
        stale_if_error: Some(86_400),
        times: Times {
            connect: Duration::from_secs(3),
            worker_idle: Duration::from_secs(1),
            ..Times::default()
        },
        access_log: false,
        heads: HeadLimits {
            line: 16 << 10,
            head: 100 << 10,
            fields: 200,
        },
        max_clients: 100,
        max_clients_per_address: 50,
        ..Settings::default()
    };
    assert_eq!(settings, expected);
}

#[test]
fn names_of_targeted_fields_keep_their_order() {
    let settings =
        main_file("targeted = [\"My-CDN-Cache-Control\", \"CDN-Cache-Control\"]").unwrap();
    let names = ["My-CDN-Cache-Control", "CDN-Cache-Control"];
    let list = TargetList::new(names.map(str::to_owned).to_vec());
    assert_eq!(settings.targeted, list);
    assert_eq!(settings.policy(b"http://a/").targeted, list);
    assert_eq!(main_file("targeted = []").unwrap(), Settings::default());
}

#[test]
fn keys_of_a_rule_that_count_together() {
    let versioned = |seconds, force| Some(RuleFreshness::Versioned(RuleTtl { seconds, force }));
    let always = |public| Some(StoreRule::Always { public });
    let month = 30 * 86_400;
    let table = [
        (r#"class = "kept""#, Some(RuleFreshness::Kept), None),
        (r#"class = "versioned""#, versioned(month, false), None),
        (
            "class = \"versioned\"\noverride = true",
            versioned(month, true),
            None,
        ),
        (
            "ttl = \"90d\"\nclass = \"versioned\"",
            versioned(90 * 86_400, false),
            None,
        ),
        (r#"store = "rules""#, None, Some(StoreRule::Standard)),
        (r#"store = "always""#, None, always(false)),
        ("public = true\nstore = \"always\"", None, always(true)),
        (
            "store = \"always\"\npublic = false\nclass = \"kept\"",
            Some(RuleFreshness::Kept),
            always(false),
        ),
    ];
    for (toml, freshness, store) in table {
        let settings = main_file(&format!("[[rule]]\nmatch = \"*\"\n{toml}")).unwrap();
        let rule = &settings.rules.0[0];
        assert_eq!((rule.freshness, rule.store), (freshness, store), "{toml}");
    }
}

#[test]
fn of_each_key_the_first_rule_counts_that_has_it() {
    let text = r#"
        [[rule]]
        match = "http://a/*"
        ttl = "1h"
        [[rule]]
        match = "*/by-hash/*"
        class = "kept"
        [[rule]]
        match = "*"
        class = "versioned"
        store = "always"
    "#;
    let settings = main_file(text).unwrap();
    for (uri, is_kept, is_versioned) in [
        ("http://a/by-hash/x", false, false),
        ("http://b/by-hash/x", true, false),
        ("http://b/x.deb", false, true),
    ] {
        let policy = settings.policy(uri.as_bytes());
        assert_eq!(policy.rule == Some(RuleFreshness::Kept), is_kept, "{uri}");
        assert_eq!(policy.is_versioned(), is_versioned, "{uri}");
        assert_eq!(policy.store, StoreRule::Always { public: false }, "{uri}");
    }
}

#[test]
fn an_address_has_a_quarter_of_all_places() {
    for (text, expected) in [
        ("", 5000),
        ("max_clients = 100", 25),
        ("max_clients = 3", 1),
        ("max_clients_per_address = \"auto\"\nmax_clients = 40", 10),
        ("max_clients_per_address = 90\nmax_clients = 40", 90),
    ] {
        let settings = main_file(text).unwrap();
        assert_eq!(settings.max_clients_per_address, expected, "{text}");
    }
}

#[test]
fn a_database_is_a_store_too() {
    let postgres = |database: &str, password_file: Option<&str>, logged| {
        let kind = StoreKind::Postgres(DatabaseSettings {
            database: Database::parse(database).unwrap(),
            password_file: password_file.map(PathBuf::from),
            logged,
        });
        StoreChoice {
            kind,
            ..Settings::default().store
        }
    };
    let default = "host=/run/postgresql dbname=cacheproxy";
    let table = [
        ("store = \"postgres\"", postgres(default, None, false)),
        (
            "store = \"postgres\"\ndatabase = \"host=b,c user=d\"\ndatabase_logged = true\ndatabase_password_file = \"/x\"",
            postgres("host=b,c user=d", Some("/x"), true),
        ),
        (
            "database = \"host=b\"\nstore = \"filesystem\"",
            Settings::default().store,
        ),
    ];
    for (toml, expected) in table {
        assert_eq!(main_file(toml).unwrap().store, expected, "{toml}");
    }
    // The last one who says which store it is counts.
    let given = ConfigSource {
        overrides: Overrides {
            database: Some("postgresql://u:secret@h/d".to_owned()),
            ..Overrides::default()
        },
        default_store: Some(PathBuf::from("/home/x")),
        ..ConfigSource::default()
    };
    let loaded = load(&given).unwrap();
    let store = &loaded.settings.store;
    assert!(
        matches!(&store.kind, StoreKind::Postgres(settings) if settings.database.value("password") == Some("secret"))
    );
    assert_eq!(store.path, Path::new("/home/x"));
    assert!(!format!("{store:?}").contains("secret"));
    assert_eq!(decode(&loaded.encode()).unwrap(), loaded.settings);
}

#[test]
fn clients_are_allowed_by_network() {
    let settings = main_file(r#"allow = ["127.0.0.0/8", "192.168.0.0/16", "::1"]"#).unwrap();
    let table = [
        ("127.0.0.5", true),
        ("192.168.9.9", true),
        ("::ffff:192.168.9.9", true),
        ("::1", true),
        ("10.0.0.1", false),
        ("::2", false),
        ("::ffff:10.0.0.1", false),
    ];
    for (client, allowed) in table {
        assert_eq!(
            settings.allows(client.parse().unwrap()),
            allowed,
            "{client}"
        );
    }
}

#[test]
fn an_object_is_never_larger_than_the_store() {
    let settings = main_file("store_size = \"1GiB\"").unwrap();
    assert_eq!(settings.largest_object, 1 << 30);
}

#[test]
fn hosts_in_paths_are_taken() {
    let settings = main_file(r#"mirror_hosts = ["Deb.example", "*.example:8080", "*"]"#);
    let expected = HostPatterns::of(["deb.example", "*.example:8080", "*"]);
    assert_eq!(settings.unwrap().mirror_hosts, expected.unwrap());
}

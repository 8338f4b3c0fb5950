//! Refusals of a server, and what is said of them.

use super::*;
use crate::cache::key::Key;
use crate::postgres_server::{Authority, Login};

/// The reason why the store can't be used.
fn refusal(bench: &Bench) -> String {
    let found = bench
        .store
        .lookup(&Key::new("GET http://a/"), &Fields::default());
    found.unwrap_err().to_string()
}

#[test]
fn what_keeps_it_from_being_used_is_said() {
    let server = Server::shared();
    server.create_role("stranger");
    for name in ["newer", "foreigner", "closed"] {
        server.create_database(name, "cacheproxy");
    }
    server.sql("closed", "REVOKE CREATE ON DATABASE closed FROM PUBLIC");
    drop(
        bench(&server.connection("newer"))
            .store
            .remove(&Key::new("a")),
    );
    server.sql("newer", "UPDATE cacheproxy.state SET value = '999'");
    let foreign = "CREATE SCHEMA cacheproxy; CREATE TABLE cacheproxy.state (name text, value text); \
        GRANT ALL ON SCHEMA cacheproxy TO cacheproxy; GRANT ALL ON cacheproxy.state TO cacheproxy";
    server.sql("foreigner", foreign);
    let stranger = server
        .connection("closed")
        .replace("user=cacheproxy", "user=stranger");
    let table = [
        (server.connection("nowhere"), "create the database"),
        (server.connection("newer"), "version 999"),
        (server.connection("foreigner"), "not made by cacheproxy"),
        (stranger, "db init"),
        ("host=/nowhere dbname=a".to_owned(), "/nowhere"),
        ("host=127.0.0.1 port=1 dbname=a".to_owned(), "refused"),
        (
            "host=nowhere.invalid dbname=a".to_owned(),
            "nowhere.invalid",
        ),
    ];
    for (database, expected) in table {
        let why = refusal(&bench(&database));
        assert!(why.contains(expected), "{database}: {why}");
    }
}

/// In a schema that another has made for this user, who may make none.
#[test]
fn an_older_schema_is_made_anew() {
    let server = Server::shared();
    server.create_database("older", "postgres");
    server.sql("older", "CREATE SCHEMA cacheproxy AUTHORIZATION cacheproxy");
    let meta = plain("GET http://older/");
    let database = server.connection("older");
    publish(&bench(&database).store, &meta, &content(70_000, 1));
    let older = "UPDATE cacheproxy.state SET value = '1' WHERE name = 'version'; \
        ALTER TABLE cacheproxy.response DROP COLUMN local";
    server.sql("older", older);
    let bench = bench(&database);
    assert!(suite::look(&bench.store, &meta.key).is_none());
    publish(&bench.store, &meta, &content(70_000, 1));
    assert!(suite::look(&bench.store, &meta.key).is_some());
}

#[test]
fn an_older_schema_is_brought_up_to_date_and_keeps_what_is_stored() {
    let server = Server::shared();
    for (name, version) in [("version_2", 2), ("version_3", 3)] {
        server.create_database(name, "cacheproxy");
        let database = server.connection(name);
        let whole = plain("GET http://older/same");
        let part = suite::part_of(&plain("GET http://older/part").key, 7..80_007);
        let made = bench(&database);
        for meta in [&whole, &part] {
            publish(&made.store, meta, &content(80_000, 1));
        }
        let shape = server.sql(name, SHAPE);
        drop(made);
        server.sql(name, VERSION_3);
        if version == 2 {
            server.sql(name, VERSION_2);
        }
        assert_ne!(server.sql(name, SHAPE), shape);
        let bench = bench(&database);
        for meta in [&whole, &part] {
            let found = suite::look(&bench.store, &meta.key).unwrap();
            assert_eq!(found.meta, *meta);
            assert!(suite::read(&found.content) == content(80_000, 1));
            publish(&bench.store, meta, &content(80_000, 2));
        }
        until("it listens", || bench.store.waiters.is_heard());
        let state = "SELECT string_agg(name, ' ' ORDER BY name) FROM cacheproxy.state \
                WHERE name = 'secret' OR (name, value) = ('version', '4'); \
            SELECT proconfig FROM pg_proc WHERE oid = 'cacheproxy.publish'::regproc";
        let expected = "secret version\n{\"search_path=pg_catalog, pg_temp\"}";
        assert_eq!(server.sql(name, state), expected);
        assert_eq!(server.sql(name, SHAPE), shape, "as if made anew");
    }
}

/// The tables, indexes and functions of the schema, in any order of columns.
const SHAPE: &str = "SELECT string_agg(thing, E'\\n' ORDER BY thing) FROM ( \
    SELECT concat_ws(' ', table_name, column_name, data_type, is_nullable, column_default) \
        FROM information_schema.columns WHERE table_schema = 'cacheproxy' \
    UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'cacheproxy' \
    UNION ALL SELECT concat_ws(' ', conrelid::regclass, pg_get_constraintdef(oid)) FROM pg_constraint \
        WHERE connamespace = 'cacheproxy'::regnamespace \
    UNION ALL SELECT description FROM pg_description JOIN pg_class c ON c.oid = objoid \
        WHERE relnamespace = 'cacheproxy'::regnamespace \
    UNION ALL SELECT oid::regprocedure::text FROM pg_proc WHERE pronamespace = 'cacheproxy'::regnamespace) things (thing)";

/// Makes of this version's schema the one that version 3 had.
const VERSION_3: &str = "UPDATE cacheproxy.state SET value = '3' WHERE name = 'version'; \
    ALTER TABLE cacheproxy.response DROP COLUMN first_byte, DROP COLUMN whole_length, DROP COLUMN boot, \
        DROP COLUMN boot_millis, DROP COLUMN digest_algorithm, DROP COLUMN digest, DROP COLUMN authorized, \
        DROP COLUMN class, ADD UNIQUE (key_hash, variant_hash); \
    ALTER TABLE cacheproxy.piece DROP COLUMN checksum; \
    DROP FUNCTION cacheproxy.displaces, cacheproxy.remove_part, cacheproxy.publish, cacheproxy.refresh; \
    CREATE FUNCTION cacheproxy.publish(text) RETURNS bigint LANGUAGE sql AS 'SELECT 1::bigint'; \
    CREATE FUNCTION cacheproxy.refresh(text) RETURNS text LANGUAGE sql AS 'SELECT NULL::text'; \
    ALTER TABLE cacheproxy.response OWNER TO cacheproxy; ALTER FUNCTION cacheproxy.publish OWNER TO cacheproxy; \
    ALTER FUNCTION cacheproxy.refresh OWNER TO cacheproxy";
/// And of that the one of version 2.
const VERSION_2: &str = "UPDATE cacheproxy.state SET value = '2' WHERE name = 'version'; \
    DELETE FROM cacheproxy.state WHERE name = 'secret'; DROP FUNCTION cacheproxy.notify";

#[test]
fn a_full_disk_is_said() {
    let server = Server::shared();
    server.create_database("full_disk", "cacheproxy");
    let bench = bench(&server.connection("full_disk"));
    let meta = plain("GET http://full/");
    publish(&bench.store, &meta, &content(10, 1));
    let trigger = "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS \
        $$ BEGIN RAISE 'could not extend file' USING ERRCODE = '53100'; END $$; \
        CREATE TRIGGER full_disk BEFORE INSERT ON cacheproxy.response EXECUTE FUNCTION full_disk()";
    server.sql("full_disk", trigger);
    for length in [10, 600_000] {
        let whole = Whole::Memory(vec![content(length, 2)]);
        let full = bench.store.publish(&meta, whole, None).unwrap_err();
        assert!(full.to_string().contains("disk is full"), "{full}");
    }
    assert!(
        suite::look(&bench.store, &meta.key).is_some(),
        "what it has is used"
    );
    server.sql("full_disk", "DROP TRIGGER full_disk ON cacheproxy.response");
    publish(&bench.store, &meta, &content(600_000, 2));
    assert_eq!(
        server.sql("full_disk", "SELECT count(*) FROM cacheproxy.content"),
        "1"
    );
}

#[test]
fn a_crowded_server_is_used_with_fewer_connections() {
    let server = Server::with()
        .setting("max_connections = 8")
        .setting("superuser_reserved_connections = 3")
        .setting("max_wal_senders = 0")
        .start();
    let database = server.database();
    let bench = bench(&database);
    let meta = plain("GET http://crowded/");
    publish(&bench.store, &meta, &content(10, 1));
    // Two connections are the store's by now; three more are all there are.
    let patience = Duration::from_secs(5);
    let _others: Vec<_> = (0..2)
        .map(|_| connect(&database, None, patience).unwrap())
        .collect();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..50 {
                    assert!(suite::look(&bench.store, &meta.key).is_some());
                }
            });
        }
    });
    let _last = connect(&database, None, patience);
    let refused = connect(&database, None, patience)
        .err()
        .unwrap()
        .to_string();
    assert!(refused.contains("too many connections"), "{refused}");
    assert!(!bench.shared.is_store_down());
}

#[test]
fn a_schema_that_went_is_made_again() {
    let server = Server::shared();
    server.create_database("dropped", "cacheproxy");
    let bench = bench(&server.connection("dropped"));
    let meta = plain("GET http://dropped/");
    publish(&bench.store, &meta, &content(10, 1));
    server.sql("dropped", "DROP SCHEMA cacheproxy CASCADE");
    assert!(bench.store.lookup(&meta.key, &Fields::default()).is_err());
    wait_for_server(&bench, true);
    publish(&bench.store, &meta, &content(10, 1));
}

#[test]
fn many_make_the_schema_at_once() {
    let database = Server::shared().database();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let bench = bench(&database);
                publish(&bench.store, &plain("GET http://at-once/"), &content(10, 1));
            });
        }
    });
}

#[test]
fn certificates_are_checked_as_libpq_does() {
    let (ours, other) = (Authority::new(), Authority::new());
    let server = Server::with().tls(&ours, &["localhost"]).start();
    server.create_database("tls", "cacheproxy");
    let (ours, other) = (ours.file(), other.file());
    let (ours, other) = (ours.display(), other.display());
    let table = [
        (
            "localhost",
            format!("sslmode=verify-full sslrootcert={ours}"),
            None,
        ),
        (
            "127.0.0.1",
            format!("sslmode=verify-full sslrootcert={ours}"),
            Some("certificate"),
        ),
        (
            "127.0.0.1",
            format!("sslmode=verify-ca sslrootcert={ours}"),
            None,
        ),
        (
            "localhost",
            format!("sslmode=verify-ca sslrootcert={other}"),
            Some("certificate"),
        ),
        (
            "localhost",
            format!("sslmode=require sslrootcert={other}"),
            Some("certificate"),
        ),
        (
            "localhost",
            "sslmode=verify-full".to_owned(),
            Some("certificate"),
        ),
        ("localhost", "sslmode=require".to_owned(), None),
        ("localhost", String::new(), None),
        (
            "localhost",
            "sslmode=disable".to_owned(),
            Some("pg_hba.conf"),
        ),
    ];
    for (host, how, refused) in table {
        let database = format!("{} {how}", server.connection_by(host, "tls"));
        let outcome = connect(&database, None, Duration::from_secs(10));
        let why = outcome.err().map(|why| why.to_string());
        match (refused, &why) {
            (None, None) => {}
            (Some(expected), Some(why)) if why.contains(expected) => {}
            _ => panic!("{host} {how}: {why:?}"),
        }
    }
}

#[test]
fn the_password_is_read_from_its_file_each_time() {
    let server = Server::with()
        .login(Login::Password("s3cret".to_owned()))
        .start();
    let database = server.database();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("password");
    let patience = Duration::from_secs(10);
    let outcome = || {
        connect(&database, Some(&file), patience)
            .err()
            .map(|why| why.to_string())
    };
    assert!(outcome().unwrap().contains("can't be read from"));
    std::fs::write(&file, "wrong\n").unwrap();
    assert!(
        outcome()
            .unwrap()
            .contains("password authentication failed")
    );
    std::fs::write(&file, "s3cret\n").unwrap();
    assert_eq!(outcome(), None);
}

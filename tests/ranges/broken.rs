//! The rest of a response that broke off (RFC 9111 §3.3): a part like any other, which goes when the whole
//! would have to.

use std::time::Duration;

use super::common::conversation::{as_asked, served, settle, start};
use super::common::origin::reply;
use super::common::proxy::run;
use super::common::{Client, Origin, TIMEOUT, each, pattern, wait_until};
use super::{DIGITS, ask, have_stored};

/// True when the answer breaks off, or is a 502 where nothing of it had been sent.
fn is_cut_off(client: &mut Client) -> bool {
    client
        .try_response("GET")
        .map_or(true, |got| got.status == 502)
}

/// §3.3: a response that broke off is a part, and its rest is asked for.
#[test]
fn what_broke_off_is_resumed() {
    const LEN: usize = 900_000;
    let content = pattern(LEN);
    let proxy = start("");
    let cut = [
        ("/small", 5),
        ("/memory", 100_000),
        ("/file", 800_001),
        ("/weak", 5),
        ("/none", 5),
    ];
    let origin = Origin::scripted({
        let content = content.clone();
        move |mut conn| {
            while let Ok(request) = conn.request() {
                let tag = if request.target() == "/weak" {
                    "W/\"a\""
                } else {
                    "\"a\""
                };
                let ranges = if request.target() == "/none" {
                    "Accept-Ranges: none\r\n"
                } else {
                    ""
                };
                let fields = format!("ETag: {tag}\r\nCache-Control: max-age=60\r\n{ranges}");
                let all = served(&request, &fields, &content);
                let first = cut
                    .iter()
                    .find(|(path, _)| *path == request.target())
                    .unwrap();
                // The whole is never sent whole.
                match request.head.has("range") {
                    true => conn.send(all),
                    false => {
                        conn.send(&all[..all.len() - LEN + first.1]);
                        return;
                    }
                };
            }
        }
    });
    each(cut, |(path, first)| {
        let mut client = Client::asking(&proxy, &origin.uri(path));
        assert!(is_cut_off(&mut client), "{path}");
        settle(&proxy);
        if matches!(path, "/weak" | "/none") {
            let mut client = Client::asking(&proxy, &origin.uri(path));
            assert!(is_cut_off(&mut client), "{path}");
            assert!(!origin.last().head.has("range"), "{path}");
            return;
        }
        let within = ask(&proxy, &origin, path, "Range: bytes=1-3\r\n");
        assert!(within.is_hit() && within.content == content[1..4], "{path}");
        // As apt goes on with what it has.
        let got = ask(
            &proxy,
            &origin,
            path,
            "Range: bytes=3-\r\nIf-Range: \"a\"\r\n",
        );
        assert_eq!(got.status, 206, "{path}");
        assert!(got.content == content[3..], "{path}");
        assert_eq!(
            as_asked(&origin.last()),
            format!("bytes={first}- if \"a\""),
            "{path}"
        );
        have_stored(&proxy, &origin, path);
        assert!(proxy.get(&origin.uri(path)).content == content, "{path}");
        assert_eq!(origin.count_of(path), 2, "{path}");
    });
}

/// Clients that leave early leave a part behind too, and it outlives the proxy.
#[test]
fn what_clients_left_is_resumed() {
    const LEN: usize = 8_000_000;
    let content = pattern(LEN);
    let mut proxy = start("");
    let origin = Origin::scripted({
        let content = content.clone();
        move |mut conn| {
            while let Ok(request) = conn.request() {
                let all = served(
                    &request,
                    "ETag: \"a\"\r\nCache-Control: max-age=600\r\n",
                    &content,
                );
                if request.head.has("range") {
                    conn.send(all);
                    continue;
                }
                conn.send(&all[..1_200_000]);
                // Little by little from here: the proxy closes when nobody wants the rest.
                for piece in all[1_200_000..1_900_000].chunks(1_000) {
                    if !conn.send(piece) {
                        return;
                    }
                    std::thread::sleep(Duration::from_millis(10));
                }
                return;
            }
        }
    });
    let mut client = Client::asking(&proxy, &origin.uri("/"));
    client.response_head("GET");
    client.wire.exactly(1_000_000).unwrap();
    drop(client);
    wait_until("a part is stored", TIMEOUT, || {
        let got = ask(
            &proxy,
            &origin,
            "/",
            "Range: bytes=7-8\r\nCache-Control: only-if-cached\r\n",
        );
        got.status == 206 && got.content == content[7..9]
    });
    proxy.restart();
    let got = proxy.get(&origin.uri("/"));
    assert!(got.status == 200 && got.content == content);
    let asked = as_asked(&origin.last());
    assert!(
        asked.starts_with("bytes=1") && asked.ends_with("- if \"a\""),
        "{asked}"
    );
    have_stored(&proxy, &origin, "/");
    assert_eq!(origin.count(), 2);
}

/// RFC 9111 §4.4: what makes the whole invalid makes a part of it invalid.
#[test]
fn parts_are_invalidated_and_purged() {
    let proxy = start("");
    let origin = Origin::answering(|request| match request.method() {
        "POST" => reply("204 x", "", ""),
        _ => served(
            request,
            "ETag: \"a\"\r\nCache-Control: max-age=60\r\n",
            DIGITS.as_bytes(),
        ),
    });
    let directories = [
        ("--store", proxy.store()),
        ("--runtime-dir", proxy.runtime_dir()),
    ];
    let command = |name: &str, uri: &str| {
        let mut args = vec![name, uri];
        let options = directories.iter();
        args.extend(options.flat_map(|(option, path)| [option, path.to_str().unwrap()]));
        String::from_utf8(run(&args).stdout).unwrap()
    };
    for method in ["POST", "PURGE", "purge"] {
        let path = format!("/{method}");
        let uri = origin.uri(&path);
        for again in 1..=2 {
            let got = ask(&proxy, &origin, &path, "Range: bytes=2-5\r\n");
            assert_eq!(got.text(), "2345");
            settle(&proxy);
            assert!(ask(&proxy, &origin, &path, "Range: bytes=2-5\r\n").is_hit());
            let gets = origin.requests().into_iter();
            let gets = gets.filter(|r| r.target() == path && r.method() == "GET");
            assert_eq!(gets.count(), again, "{method}");
            if method == "purge" {
                let told = command("explain", &uri);
                let lacking = "asked for bytes 0 to 1 and bytes 6 to 9 of it";
                assert!(told.contains(lacking), "{told}");
                let one_thing = "Only a part of a response is stored for ";
                assert!(told.starts_with(one_thing), "{told}");
                assert!(
                    told.contains("4 bytes of it are stored: bytes 2 to 5 of 10."),
                    "{told}"
                );
                let told = command(method, &uri);
                assert!(told.contains("removed 1 stored response"), "{told}");
            } else {
                proxy.request(method, &uri, "Content-Length: 0\r\n");
            }
        }
    }
}

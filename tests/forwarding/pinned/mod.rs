//! Authentication that belongs to a connection (NTLM, Negotiate; RFC 4559): an origin connection on which a client has
//! authenticated serves that client's connection alone, until either ends.

mod lifetime;

use crate::common::origin::{Received, passing, reply};
use crate::common::{Client, Gate, Origin, Proxy, Response, each};

/// The state of a connection in the eyes of an origin that authenticates connections.
#[derive(Default)]
struct Authenticated {
    challenged: bool,
    user: Option<String>,
}

impl Authenticated {
    /// The answer to a request: `SCHEME 1` begins a handshake, `SCHEME 3NAME` ends it.
    fn answer(&mut self, request: &Received) -> Vec<u8> {
        let credentials = request.head.first("authorization").unwrap_or_default();
        let (scheme, message) = credentials.split_once(' ').unwrap_or_default();
        let was_challenged = std::mem::take(&mut self.challenged);
        match message.as_bytes() {
            [b'1', ..] => {
                self.challenged = true;
                return reply("401 No", &format!("WWW-Authenticate: {scheme} 2\r\n"), "");
            }
            [b'3', ..] if was_challenged => self.user = Some(message[1..].to_owned()),
            _ => {}
        }
        let content = String::from_utf8_lossy(&request.content);
        let fields = match request.target() {
            "/fresh" => "Cache-Control: max-age=60\r\n",
            "/public" => "Cache-Control: public, max-age=60\r\nContent-Location: /public\r\n",
            _ => "ETag: \"a\"\r\n",
        };
        match &self.user {
            Some(user) => reply("200 OK", fields, format!("{user}{content}")),
            None => reply(
                "401 No",
                "WWW-Authenticate: Negotiate\r\nwww-authenticate: NTLM\r\n",
                "",
            ),
        }
    }
}

/// An origin that authenticates connections.
fn authenticating() -> Origin {
    gated(&[], &Gate::new())
}

/// The same, which waits at the gate before it answers to one of these paths.
fn gated(held: &'static [&str], gate: &Gate) -> Origin {
    let gate = gate.clone();
    Origin::scripted(move |mut conn| {
        let mut state = Authenticated::default();
        while let Ok(request) = conn.request() {
            let answer = state.answer(&request);
            if held.contains(&request.target()) {
                gate.wait();
            }
            if !conn.send(answer) {
                return;
            }
        }
    })
}

fn ask(
    client: &mut Client,
    origin: &Origin,
    method: &str,
    fields: &str,
    content: &str,
) -> Response {
    let (uri, authority, length) = (origin.uri("/"), origin.authority(), content.len());
    let length = match method {
        "GET" | "HEAD" => String::new(),
        _ => format!("Content-Length: {length}\r\n"),
    };
    client.send(format!(
        "{method} {uri} HTTP/1.1\r\nHost: {authority}\r\n{length}{fields}\r\n{content}"
    ));
    client.response(method)
}

fn with_scheme(client: &mut Client, origin: &Origin, scheme: &str, user: &str) {
    let challenge = ask(
        client,
        origin,
        "GET",
        &format!("Authorization: {scheme} 1\r\n"),
        "",
    );
    assert_eq!(challenge.status, 401, "{scheme}");
    assert_eq!(
        challenge.head.all("www-authenticate"),
        [format!("{scheme} 2")]
    );
    let fields = format!("Authorization: {scheme} 3{user}\r\n");
    let done = ask(client, origin, "GET", &fields, "");
    assert_eq!((done.status, done.text().as_str()), (200, user), "{scheme}");
}

fn authenticate(client: &mut Client, origin: &Origin, user: &str) {
    with_scheme(client, origin, "NTLM", user);
}

/// The user as whom a plain request is answered; nothing for none.
#[track_caller]
fn user(client: &mut Client, origin: &Origin, path: &str) -> String {
    let response = client.get(&origin.uri(path));
    assert_eq!(response.status == 401, response.text().is_empty());
    response.text()
}

#[test]
fn strangers_are_never_that_user() {
    let proxy = Proxy::start("");
    each(
        [
            "NTLM",
            "ntlm",
            "Negotiate",
            "NEGOTIATE",
            "Kerberos",
            "Nego2",
        ],
        |scheme| {
            let origin = authenticating();
            let (mut alice, mut bob) = (Client::of(&proxy), Client::of(&proxy));
            with_scheme(&mut alice, &origin, scheme, "alice");
            with_scheme(&mut bob, &origin, scheme, "bob");
            for round in 0..10 {
                assert_eq!(user(&mut alice, &origin, "/"), "alice", "{scheme} {round}");
                assert_eq!(
                    user(&mut Client::of(&proxy), &origin, "/"),
                    "",
                    "{scheme} {round}"
                );
                assert_eq!(user(&mut bob, &origin, "/"), "bob", "{scheme} {round}");
            }
            drop(alice);
            for _ in 0..5 {
                assert_eq!(user(&mut Client::of(&proxy), &origin, "/"), "", "{scheme}");
            }
        },
    );
}

#[test]
fn a_client_is_told_that_it_may_authenticate_through_this_proxy() {
    // RFC 4559 §6.
    let proxy = Proxy::start("");
    let origin = authenticating();
    let challenge = proxy.get(&origin.uri("/"));
    assert_eq!(
        challenge.head.all("proxy-support"),
        ["Session-Based-Authentication"]
    );
    assert!(challenge.head.has_element("connection", "proxy-support"));
    let plain = Origin::answering(|_| passing("ok"));
    assert!(!proxy.get(&plain.uri("/")).head.has("proxy-support"));
}

#[test]
fn requests_with_content_go_over_the_same_connection() {
    let proxy = Proxy::start("");
    let origin = authenticating();
    let mut client = Client::of(&proxy);
    for (first, content) in [("", "hello"), ("hello", "hello")] {
        let challenge = ask(
            &mut client,
            &origin,
            "POST",
            "Authorization: NTLM 1\r\n",
            first,
        );
        assert_eq!(challenge.status, 401, "{first}");
        let done = ask(
            &mut client,
            &origin,
            "POST",
            "Authorization: NTLM 3al\r\n",
            content,
        );
        assert_eq!(done.text(), "alhello", "{first}");
    }
    for method in ["POST", "PUT", "PROPFIND", "GET", "POST"] {
        let content = if method == "GET" { "" } else { "again" };
        let done = ask(&mut client, &origin, method, "", content);
        assert_eq!(done.text(), format!("al{content}"), "{method}");
    }
    assert_eq!(origin.connections(), 1);
}

#[test]
fn a_challenge_before_the_end_of_the_content_ends_nothing() {
    // It comes as soon as the head is there; the server reads the content all the same.
    let proxy = Proxy::start("");
    let answered = Gate::new();
    let origin = Origin::scripted({
        let answered = answered.clone();
        move |mut conn| {
            let mut state = Authenticated::default();
            while let Ok(head) = conn.head() {
                let request = Received {
                    connection: conn.number,
                    head,
                    content: Vec::new(),
                    trailers: Vec::new(),
                };
                conn.send(state.answer(&request));
                answered.open();
                if conn.wire.exactly(5).is_err() {
                    return;
                }
            }
        }
    });
    let mut client = Client::of(&proxy);
    let mut head = |credentials: &str| {
        let (uri, authority) = (origin.uri("/"), origin.authority());
        client.send(format!(
            "POST {uri} HTTP/1.1\r\nHost: {authority}\r\nAuthorization: NTLM {credentials}\r\nContent-Length: 5\r\n\r\n"
        ));
        if credentials == "1" {
            answered.wait();
        }
        client.send("hello");
        client.response("POST")
    };
    assert_eq!(head("1").head.all("www-authenticate"), ["NTLM 2"]);
    let done = head("3alice");
    assert_eq!((done.status, done.text().as_str()), (200, "alice"));
    assert_eq!(origin.connections(), 1);
}

#[test]
fn what_a_user_gets_is_for_nobody_else() {
    let proxy = Proxy::start("");
    let gate = Gate::new();
    let origin = gated(&["/held"], &gate);
    let mut alice = Client::of(&proxy);
    authenticate(&mut alice, &origin, "alice");
    for path in ["/fresh", "/public", "/"] {
        let response = alice.get(&origin.uri(path));
        assert_eq!(response.text(), "alice", "{path}");
        let said = response.head.first("cache-status").unwrap();
        assert!(said.ends_with("; detail=connection-auth"), "{said}");
        for _ in 0..2 {
            assert_eq!(user(&mut Client::of(&proxy), &origin, path), "", "{path}");
        }
    }
    // Nor is what POST brings, though it says that it is what GET would.
    let (uri, authority) = (origin.uri("/public"), origin.authority());
    let head = format!("POST {uri} HTTP/1.1\r\nHost: {authority}\r\n");
    alice.send(format!("{head}Content-Length: 0\r\n\r\n"));
    assert_eq!(alice.response("POST").text(), "alice");
    assert_eq!(user(&mut Client::of(&proxy), &origin, "/public"), "");
    // Nor do others wait for it, or it for them.
    let before = origin.count();
    alice.ask("GET", &origin.uri("/held"), "");
    origin.wait_for(before + 1);
    let mut stranger = Client::asking(&proxy, &origin.uri("/held"));
    origin.wait_for(before + 2);
    alice.ask("HEAD", &origin.uri("/"), "");
    gate.open_for_all();
    assert_eq!(alice.response("GET").text(), "alice");
    assert_eq!(alice.response("HEAD").status, 200);
    assert_eq!(stranger.response("GET").status, 401);
}

#[test]
fn what_is_stored_doesnt_answer_a_user() {
    let proxy = Proxy::start("");
    let origin = Origin::scripted(|mut conn| {
        let mut state = Authenticated::default();
        while let Ok(request) = conn.request() {
            let mut answer = state.answer(&request);
            if state.user.is_none() && !request.head.has("authorization") {
                answer = reply("200 OK", "Cache-Control: max-age=60\r\n", "anyone");
            }
            conn.send(answer);
        }
    });
    let mut alice = Client::of(&proxy);
    assert_eq!(proxy.get(&origin.uri("/")).text(), "anyone");
    assert_eq!(alice.get(&origin.uri("/")).text(), "anyone");
    authenticate(&mut alice, &origin, "alice");
    assert_eq!(alice.get(&origin.uri("/")).text(), "alice");
    assert_eq!(proxy.get(&origin.uri("/")).text(), "anyone");
    let refused = alice.request("GET", &origin.uri("/"), "Cache-Control: only-if-cached\r\n");
    assert_eq!(refused.status, 504);
}

#[test]
fn other_origins_are_asked_as_ever_meanwhile() {
    let proxy = Proxy::start("");
    let origin = authenticating();
    let other = Origin::answering(|_| passing("other"));
    let mut alice = Client::of(&proxy);
    authenticate(&mut alice, &origin, "alice");
    for _ in 0..3 {
        assert_eq!(alice.get(&other.uri("/")).text(), "other");
        assert_eq!(proxy.get(&other.uri("/")).text(), "other");
        assert_eq!(user(&mut alice, &origin, "/"), "alice");
    }
    assert_eq!(other.connections(), 1);
    assert_eq!(origin.connections(), 1);
    // Several at once, but not without end: the one that was used the longest ago goes.
    let more: Vec<Origin> = (0..4).map(|_| authenticating()).collect();
    for one in &more {
        authenticate(&mut alice, one, "alice");
    }
    for one in &more {
        assert_eq!(user(&mut alice, one, "/"), "alice");
    }
    assert_eq!(user(&mut alice, &origin, "/"), "");
}

#[test]
fn an_upgrade_goes_through_the_handshake() {
    let proxy = Proxy::start("");
    let origin = Origin::scripted(|mut conn| {
        let mut state = Authenticated::default();
        while let Ok(request) = conn.request() {
            let answer = state.answer(&request);
            if state.user.is_some() && request.head.has("upgrade") {
                conn.send("HTTP/1.1 101 S\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\nhello");
                return conn.hold();
            }
            conn.send(answer);
        }
    });
    let mut client = Client::of(&proxy);
    let upgrade = "Upgrade: x\r\nConnection: Upgrade\r\n";
    let first = format!("{upgrade}Authorization: NTLM 1\r\n");
    assert_eq!(ask(&mut client, &origin, "GET", &first, "").status, 401);
    let third = format!("{upgrade}Authorization: NTLM 3alice\r\n");
    client.ask("GET", &origin.uri("/"), &third);
    assert_eq!(client.response_head("GET").status, 101);
    assert_eq!(client.wire.exactly(5).unwrap(), b"hello");
    assert_eq!(origin.connections(), 1);
}

#[test]
fn a_token_that_nobody_asked_for_is_for_nobody_else() {
    // Even where the response says that it is for everyone.
    let proxy = Proxy::start("");
    let origin = Origin::answering(|_| {
        let fields = "Cache-Control: public, max-age=60\r\nWWW-Authenticate: Negotiate token\r\n";
        reply("200 OK", fields, "x")
    });
    for round in 0..3 {
        proxy.get(&origin.uri("/"));
        assert_eq!(origin.last().connection, round);
    }
}

//! The access line of each request: the status that was sent, one of the outcomes that README.md lists, and the bytes of content,
//! whichever way an answer took; and Cache-Status, which says the same.

use std::net::TcpListener;

use crate::common::origin::{fresh, ok, passing, reply};
use crate::common::{
    Client, Gate, Origin, Proxy, Response, TIMEOUT, conversation, each, wait_until,
};

/// The lines of requests with this method and target so far, from the status to the bytes.
fn lines(proxy: &Proxy, method: &str, target: &str) -> Vec<String> {
    let begins = format!(" {method} {target} ");
    let log = proxy.log();
    let mine = log.iter().filter_map(|line| line.split_once(&begins));
    mine.map(|(_, told)| told.rsplit_once(' ').unwrap().0.to_owned())
        .collect()
}

/// Waits for the lines of these requests.
#[track_caller]
fn expect(proxy: &Proxy, method: &str, target: &str, expected: &[&str]) {
    wait_until("the access lines", TIMEOUT, || {
        lines(proxy, method, target).len() >= expected.len()
    });
    assert_eq!(lines(proxy, method, target), expected, "{method} {target}");
}

fn answer(target: &str, is_conditional: bool) -> Vec<u8> {
    let aged = |cache: &str| format!("Cache-Control: {cache}\r\nETag: \"a\"\r\n");
    match target {
        "/held" if is_conditional => reply("304 Not Modified", &aged("max-age=0"), ""),
        "/held" | "/changed" => ok(&aged("max-age=0"), "content"),
        "/behind" => ok(&aged("max-age=0, stale-while-revalidate=600"), "content"),
        "/if-error" if is_conditional => reply("503 Service Unavailable", "", "sorry"),
        "/if-error" => ok(&aged("max-age=0, stale-if-error=600"), "content"),
        "/private" => passing("content"),
        "/garbage" => b"nonsense\r\n\r\n".to_vec(),
        "/cut" => {
            let content = "x".repeat(0x80000);
            let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
            format!("{head}80000\r\n{content}\r\nnonsense\r\n").into()
        }
        _ => ok(&aged("max-age=600"), "content"),
    }
}

/// Requests one after another: path, method, a field, `>` what the line and, after another, Cache-Status say.
const CACHED: &str = "\
/plain GET > 200 miss 7B > fwd=uri-miss; fwd-status=200; stored
/plain GET > 200 hit 7B > hit; ttl=
/plain HEAD > 200 hit 0B > hit; ttl=
/plain GET If-None-Match: \"a\" > 304 hit 0B > hit; ttl=
/plain GET Range: bytes=1-2 > 206 hit 2B > hit; ttl=
/plain GET Range: bytes=0-1,4-4 > 206 hit 
/plain GET Range: bytes=9- > 416 hit > hit; ttl=
/plain GET Cache-Control: no-cache > 200 expired 7B > fwd=request; fwd-status=200; stored; detail=request-no-cache
/head HEAD > 200 miss 0B > fwd=uri-miss; fwd-status=200; stored
/held GET > 200 miss 7B > fwd=uri-miss; fwd-status=200; stored
/held GET > 200 revalidated 7B > fwd=stale; fwd-status=304; stored
/held GET If-None-Match: \"a\" > 304 revalidated 0B > fwd=stale; fwd-status=304; stored
/held HEAD > 200 revalidated 0B > fwd=stale; fwd-status=304; stored
/held GET Range: bytes=0-0 > 206 revalidated 1B > fwd=stale; fwd-status=304; stored
/held GET Cache-Control: max-stale > 200 stale 7B > hit; ttl=
/changed GET > 200 miss 7B > fwd=uri-miss; fwd-status=200; stored
/changed GET > 200 expired 7B > fwd=stale; fwd-status=200; stored; detail=stale
/behind GET > 200 miss 7B > fwd=uri-miss; fwd-status=200; stored
/behind GET > 200 stale 7B > hit; ttl=
/behind GET Range: bytes=0-1 > 206 stale 2B > hit; ttl=
/behind HEAD > 200 stale 0B > hit; ttl=
/if-error GET > 200 miss 7B > fwd=uri-miss; fwd-status=200; stored
/if-error GET > 200 stale 7B > fwd=stale; fwd-status=503; detail=stale-if-error
/if-error GET If-None-Match: \"a\" > 304 stale 0B > fwd=stale; fwd-status=503; detail=stale-if-error
/private GET > 200 miss 7B > fwd=uri-miss; fwd-status=200; detail=no-store
/private GET Cache-Control: no-store > 200 bypass 7B > fwd=bypass
/private GET Content-Length: 0 > 200 miss 7B > fwd=uri-miss; fwd-status=200; detail=no-store
/private POST Content-Length: 0 > 200 pass 7B > fwd=method; fwd-status=200
/private DELETE > 200 pass 7B > fwd=method; fwd-status=200
/rule/x GET > 200 bypass 7B > fwd=bypass; fwd-status=200; detail=rule
/only GET Cache-Control: only-if-cached > 504 refused
/garbage GET > 502 error
/purged PURGE > 404 purge
/purged GET > 200 miss 7B > fwd=uri-miss; fwd-status=200; stored
/purged PURGE > 200 purge
/purged GET > 200 miss 7B > fwd=uri-miss; fwd-status=200; stored
/own OPTIONS Max-Forwards: 0 > 200 own-page 0B
/cut GET > 200 cut-off";

/// Requests for the proxy itself, and those that it refuses: `{o}` is the origin server's authority, `{dead}` one where nobody listens.
const OWN: [(&str, &str, &str); 13] = [
    ("GET /", "", "200 own-page"),
    ("HEAD /", "", "200 own-page 0B"),
    ("GET /nothing", "", "404 own-page"),
    ("HEAD /nothing/", "", "404 own-page 0B"),
    (
        "POST /nothing/at/all",
        "Content-Length: 0\r\n",
        "404 own-page",
    ),
    ("OPTIONS *", "", "200 own-page 0B"),
    ("TRACE /traced", "", "404 own-page"),
    ("GET ftp://h/", "", "501 refused"),
    ("GET http://h:1/", "", "403 refused"),
    ("CONNECT {o}", "", "403 refused"),
    ("CONNECT h", "", "400 refused"),
    ("CONNECT {o}/", "", "400 refused"),
    ("CONNECT {dead}", "", "502 error"),
];

#[test]
fn a_line_has_the_outcome_and_cache_status_says_the_same() {
    let origin =
        Origin::answering(|request| answer(request.target(), request.head.has("if-none-match")));
    let rule = format!(
        "[[rule]]\nmatch = [\"{}\"]\nbypass = true\n",
        origin.uri("/rule/*")
    );
    let proxy = conversation::start(&rule);
    each(CACHED.lines(), |row| {
        let (request, expected) = row.split_once(" > ").unwrap();
        let (line, status) = expected.split_once(" > ").unwrap_or((expected, ""));
        let mut words = request.splitn(3, ' ');
        let (uri, method) = (origin.uri(words.next().unwrap()), words.next().unwrap());
        let field = words.next().map(|field| format!("{field}\r\n"));
        let before = lines(&proxy, method, &uri).len();
        let mut client = Client::of(&proxy);
        client.ask(method, &uri, &field.unwrap_or_default());
        let response = client.try_response(method);
        wait_until("its line", TIMEOUT, || {
            lines(&proxy, method, &uri).len() > before
        });
        // The next one needs what this one stored, and what is done behind it.
        conversation::settle(&proxy);
        let told = lines(&proxy, method, &uri).remove(before);
        assert!(told.starts_with(line), "{row}: {told}");
        let Ok(response) = response else {
            return assert!(line.contains("cut-off"), "{row}: {told}");
        };
        checks_out(&told, &response);
        let said = response.cache_status();
        assert!(said.contains(status), "{row}: {said}");
    });
}

/// Holds a line against what was sent.
#[track_caller]
fn checks_out(told: &str, response: &Response) {
    let begins = format!("{} ", response.status);
    let ends = format!(" {}B", response.content.len());
    let is_multipart = told.contains("206") && response.text().contains("Content-Range");
    assert!(
        told.starts_with(&begins) && (told.ends_with(&ends) || is_multipart),
        "{told}"
    );
}

#[test]
fn what_the_proxy_answers_itself_has_the_status_that_was_sent() {
    let origin = Origin::answering(|_| passing(""));
    let dead = TcpListener::bind("127.0.0.1:0").unwrap().local_addr();
    let dead = dead.unwrap();
    let proxy = Proxy::start(&format!("connect_ports = [{}]\n", dead.port()));
    each(OWN, |(request, fields, line)| {
        let request = request.replace("{o}", &origin.authority());
        let request = request.replace("{dead}", &dead.to_string());
        let (method, target) = request.split_once(' ').unwrap();
        let mut client = Client::of(&proxy);
        client.send(format!("{request} HTTP/1.1\r\nHost: h\r\n{fields}\r\n"));
        let response = client.response(method);
        wait_until(&request, TIMEOUT, || {
            !lines(&proxy, method, target).is_empty()
        });
        let told = lines(&proxy, method, target).remove(0);
        assert!(told.starts_with(line), "{request}: {told}");
        checks_out(&told, &response);
    });
}

#[test]
fn what_another_fetches_is_a_hit_or_collapsed() {
    let gate = Gate::new();
    let origin = Origin::halved(&gate);
    let proxy = Proxy::with("").workers(2).start();
    let uri = origin.uri("/");
    let mut first = Client::asking(&proxy, &uri);
    first.response_head("GET");
    first.wire.exactly(5).unwrap();
    // Whichever worker they come to.
    let mut others: Vec<_> = (0..6).map(|_| Client::asking(&proxy, &uri)).collect();
    for other in &mut others {
        let status = other.response_head("GET").cache_status();
        assert!(status.contains("hit"), "{status}");
    }
    let head = proxy.request("HEAD", &uri, "");
    assert!(head.is_hit());
    expect(&proxy, "HEAD", &uri, &["200 hit 0B"]);
    gate.open_for_all();
    let mut expected = vec!["200 hit 10B"; 6];
    expected.push("200 miss 10B");
    wait_until("their lines", TIMEOUT, || {
        let mut got = lines(&proxy, "GET", &uri);
        got.sort();
        got == expected
    });
    let gate = Gate::new();
    let origin = Origin::held(&gate, || fresh("content"));
    let uri = origin.uri("/");
    let mut all: Vec<_> = (0..4).map(|_| Client::asking(&proxy, &uri)).collect();
    origin.wait_for(1);
    proxy.wait_until_together(&all);
    gate.open();
    for client in &mut all {
        assert_eq!(client.response("GET").text(), "content");
    }
    let expected = [
        "200 collapsed 7B",
        "200 collapsed 7B",
        "200 collapsed 7B",
        "200 miss 7B",
    ];
    wait_until("their lines", TIMEOUT, || {
        let mut got = lines(&proxy, "GET", &uri);
        got.sort();
        got == expected
    });
}

#[test]
fn tunnels_and_those_who_left() {
    let origin = Origin::scripted(|mut conn| {
        let _ = conn.head();
        conn.hold();
    });
    let proxy = Proxy::start(&format!("connect_ports = [{}]\n", origin.address().port()));
    let authority = origin.authority();
    let mut client = Client::of(&proxy);
    client.send(format!("CONNECT {authority} HTTP/1.1\r\n\r\n"));
    assert_eq!(client.response("CONNECT").status, 200);
    drop(client);
    expect(&proxy, "CONNECT", &authority, &["200 tunnel 0B"]);
    let uri = origin.uri("/");
    let client = Client::asking(&proxy, &uri);
    wait_until("the request", TIMEOUT, || origin.connections() == 2);
    drop(client);
    expect(&proxy, "GET", &uri, &["0 abandoned 0B"]);
}

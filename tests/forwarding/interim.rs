//! Interim responses, `Expect: 100-continue`, and answers that come before the content is there.

use std::time::Duration;

use crate::common::origin::{fresh, passing};
use crate::common::{Client, Gate, Origin, Proxy};

#[test]
fn expect_100_continue_goes_to_the_origin_and_back() {
    let proxy = Proxy::start("");
    let origin = Origin::scripted(|mut conn| {
        while let Ok(head) = conn.head() {
            if head.line.contains("/refuse") {
                conn.send("HTTP/1.1 417 Expectation Failed\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno");
                return;
            }
            conn.send("HTTP/1.1 100 Continue\r\n\r\n");
            let content = conn.wire.exactly(5).unwrap();
            conn.send(passing(content));
        }
    });
    let head = |path: &str| {
        format!(
            "POST {} HTTP/1.1\r\nHost: {}\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n",
            origin.uri(path),
            origin.authority()
        )
    };
    let mut client = Client::of(&proxy);
    client.send(head("/take"));
    assert_eq!(client.response("POST").status, 100);
    client.send("hello");
    let response = client.response("POST");
    assert_eq!((response.status, response.text().as_str()), (200, "hello"));
    assert!(origin.last().head.has_element("expect", "100-continue"));

    let mut client = Client::of(&proxy);
    client.send(head("/refuse"));
    assert_eq!(client.response("POST").status, 417, "before any content");
}

#[test]
fn content_that_does_not_wait_for_100_continue_passes_too() {
    let proxy = Proxy::start("");
    let origin = Origin::answering(|request| passing(&request.content));
    let mut client = Client::of(&proxy);
    client.send(format!(
        "POST {} HTTP/1.1\r\nHost: {}\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello",
        origin.uri("/"),
        origin.authority()
    ));
    let mut response = client.response("POST");
    if response.status == 100 {
        response = client.response("POST");
    }
    assert_eq!((response.status, response.text().as_str()), (200, "hello"));
}

#[test]
fn interim_responses_pass() {
    let proxy = Proxy::start("");
    let gate = Gate::new();
    let origin = Origin::gated(&gate, move |conn, _, gate| {
        conn.send("HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\nSet-Cookie: a\r\n\r\n");
        gate.wait();
        conn.send("HTTP/1.1 102 Processing\r\n\r\n");
        conn.send(fresh("done"));
    });
    let mut client = Client::asking(&proxy, &origin.uri("/"));
    let hints = client.response("GET");
    assert_eq!(
        (hints.status, hints.first("link")),
        (103, Some("</style.css>"))
    );
    // Whoever waits for the same gets them, too.
    assert_eq!(hints.first("set-cookie"), None);
    gate.open();
    assert_eq!(client.response("GET").status, 102);
    assert_eq!(client.response("GET").text(), "done");
    let hit = client.get(&origin.uri("/"));
    assert_eq!(
        (hit.text().as_str(), hit.is_hit()),
        ("done", true),
        "{:?}",
        hit.head.fields
    );
}

#[test]
fn any_number_of_interim_responses_passes_over_any_time() {
    let proxy = Proxy::start("[timeouts]\norigin_response = \"1s\"\n");
    let origin = Origin::scripted(|mut conn| {
        let _ = conn.request();
        // Each renews the time for the head.
        for _ in 0..8 {
            conn.send("HTTP/1.1 102 Processing\r\n\r\n");
            std::thread::sleep(Duration::from_millis(300));
        }
        conn.send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".repeat(1000));
        conn.send(passing("done"));
    });
    for method in ["GET", "POST"] {
        let mut client = Client::of(&proxy);
        let content = if method == "POST" {
            "Content-Length: 2\r\n\r\nhi"
        } else {
            "\r\n"
        };
        let (uri, authority) = (origin.uri("/"), origin.authority());
        client.send(format!(
            "{method} {uri} HTTP/1.1\r\nHost: {authority}\r\n{content}"
        ));
        for number in 0..1008 {
            let status = if number < 8 { 102 } else { 103 };
            assert_eq!(client.response_head(method).status, status, "{number}");
        }
        assert_eq!(client.response(method).text(), "done");
    }
    let mut old = Client::of(&proxy);
    old.send(format!("GET {} HTTP/1.0\r\n\r\n", origin.uri("/")));
    assert_eq!(
        old.response("GET").text(),
        "done",
        "HTTP/1.0 has no interim responses"
    );
}

#[test]
fn interim_responses_that_a_client_does_not_take_hold_up_the_origin() {
    let proxy = Proxy::start("[timeouts]\nbody_stall = \"1s\"\n");
    let failed = Gate::new();
    let origin = Origin::scripted({
        let failed = failed.clone();
        move |mut conn| {
            let _ = conn.request();
            let hints = format!(
                "HTTP/1.1 103 Early Hints\r\nLink: <{}>\r\n\r\n",
                "x".repeat(1000)
            );
            while conn.send(hints.repeat(64)) {}
            failed.open();
        }
    });
    let client = Client::asking(&proxy, &origin.uri("/"));
    failed.wait();
    drop(client);
}

#[test]
fn an_early_answer_to_unfinished_content_reaches_the_client() {
    let proxy = Proxy::start("");
    let origin = Origin::scripted(|mut conn| {
        let _ = conn.head();
        conn.send(
            "HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 3\r\n\r\nbig",
        );
        conn.hold();
    });
    let mut client = Client::of(&proxy);
    let (uri, authority) = (origin.uri("/"), origin.authority());
    client.send(format!(
        "POST {uri} HTTP/1.1\r\nHost: {authority}\r\nContent-Length: 1000000\r\n\r\nbegin"
    ));
    let response = client.response("POST");
    assert_eq!((response.status, response.text().as_str()), (413, "big"));
    // What follows can't be told from content, so nothing after it may be taken for a request.
    client.send(format!(
        "GET {uri}smuggled HTTP/1.1\r\nHost: {authority}\r\n\r\n"
    ));
    assert!(client.rest().1.is_over());
    assert_eq!(origin.count_of("/smuggled"), 0);
}

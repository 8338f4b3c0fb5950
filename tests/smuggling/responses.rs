//! Hostile responses, each in three ways. Beside the language's own words `502` says why, and `cut` is that or an end before the
//! end: then nothing was stored. `new`: the origin server's connection isn't used again; so it is after `502` and `cut`. `{evil}` is a
//! response that nobody asked for. The client's next request always gets its own response, and so does another client's.

use crate::common::conversation::{Conversation, Script, hold};
use crate::common::{Proxy, TIMEOUT, wait_until};
use crate::each;

/// Would be stored for long.
const EVIL: &str =
    "HTTP/1.1 200 OK\\r\\nCache-Control: max-age=9999\\r\\nContent-Length: 4\\r\\n\\r\\nevil";

/// The order in which the client asks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    /// Once it has the first response.
    InTurn,
    /// For both at once.
    Pipelined,
    /// For the second when its connection came back from the supervisor.
    Parked,
}

/// One row in one way.
fn check_one(proxy: &Proxy, row: &Script, way: Way) {
    let step = &row.steps[0];
    let is_refused = matches!(step.expects.as_str(), "502" | "cut");
    let expects = step.expects.replace("502", "502 | why");
    let expects = expects.replace("cut", "502 | why or cut");
    let mut conversation = Conversation::with(proxy, &format!("{} ({way:?})", row.name));
    conversation.says("/row", &step.says.replace("{evil}", EVIL));
    conversation.says("/next", "200 | Cache-Control: max-age=60 | =next");
    let (method, fields) = match step.sends.as_str() {
        "POST" => ("POST", "Content-Length: 0\r\n"),
        other => (other, ""),
    };
    conversation
        .client
        .ask(method, &conversation.origin.uri("/row"), fields);
    if way == Way::Pipelined {
        conversation
            .client
            .ask("GET", &conversation.origin.uri("/next"), "");
    }
    let first = conversation.response(method);
    let goes_on = !conversation.is_over();
    conversation.check(&expects.replace(" | new", ""), first);
    if step.says.contains("{pause}") {
        wait_until("all is said", TIMEOUT, || conversation.has_said_all());
    }
    if way == Way::Parked && goes_on {
        conversation.wait("parked");
    }
    if way != Way::Pipelined || !goes_on {
        conversation.send("GET /next");
    }
    conversation.expect("200 | =next");
    let requests = conversation.origin.requests();
    let of = |target: &'static str| requests.iter().filter(move |one| one.target() == target);
    let row_on = of("/row").next().unwrap().connection;
    let is_new = of("/next").all(|next| next.connection != row_on);
    let must_be_new = is_refused || step.expects.contains("new");
    let name = &conversation.name;
    assert!(
        is_new || !must_be_new,
        "{name}: the connection was used again"
    );
    // What the next client finds is never a mixture of the two.
    let found = proxy.get(&conversation.origin.uri("/next"));
    assert_eq!(found.text(), "next", "{name}: another client");
    if is_refused {
        conversation.send("GET /row | Cache-Control: only-if-cached");
        conversation.expect("504");
    }
}

#[test]
fn hostile_responses_pass_as_listed_and_spoil_no_other() {
    each(
        "ttl = \"1h\"\n",
        include_str!("responses.txt"),
        |proxy, row| {
            for way in [Way::InTurn, Way::Pipelined, Way::Parked] {
                // What comes when the next request is already there is its response, as far as anyone can tell.
                if way == Way::Pipelined && row.steps[0].says.contains("{pause}") {
                    continue;
                }
                check_one(proxy, row, way);
            }
        },
    );
}

/// Asked for twice: no line that nobody can read hides that others may not have it. The last three have nothing to hide.
#[test]
fn lost_lines_forbid_storing() {
    let lines = [
        (r"Cache-Control private, no-store", "miss"),
        (r"Cache-Control\0: no-store", "miss"),
        (r"Vary Accept", "miss"),
        (r"Set-Cookie\x0b: a=b", "miss"),
        (r"Content-Encoding gzip", "miss"),
        (r"X: a\rCache-Control: no-store", "miss"),
        (r"HTTP/1.1 404 Not Found", "hit"),
        (r"X Y: a", "hit"),
        (r"X : a", "hit"),
    ];
    let rows = lines.map(|(line, second)| {
        format!(
            r"{line} :: GET /a > raw HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n{line}\r\nETag: \x22a\x22\r\nContent-Length: 2\r\n\r\nok > 200 | =ok
                GET /a > > 200 | =ok | {second}
"
        )
    });
    hold("", &rows.concat());
}

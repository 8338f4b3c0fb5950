//! The language that the other files are written in tells what isn't so.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::common::conversation::{Conversation, hold, scripts, start};

/// Each is wrong in one way.
const WRONG: &str = r#"
an outcome :: GET > 200 | Cache-Control: max-age=60 > hit
the content of an outcome :: GET > 200 | =other > miss
a status :: GET > 200 > 201,202
content :: GET > 200 | =a > =b
a field :: GET > 200 | X: 1 > X: 2
a field that is there :: GET > 200 | X: 1 > !X
a field that is not :: GET > 200 > has X
Cache-Status :: GET > 200 > cs hit
Cache-Status that is there :: GET > 200 > cs !fwd
an age :: GET > 200 | Cache-Control: max-age=60 | Age: 20 > age 5
what was asked :: GET > 200 > asked X: 1
what was asked but should not :: GET | X: 1 > 200 > asked !X
a range that was asked :: GET | Range: bytes=0-1 > serve abc | ETag: "a" > asked bytes=0-2
how often it was asked :: GET > 200 > asked 2 times
a range's place :: GET | Range: bytes=0-1 > serve abc | ETag: "a" > bytes 0-2/3=ab
a range's content :: GET | Range: bytes=0-1 > serve abc | ETag: "a" > bytes 0-1/3=bc
nothing said :: GET > 200 | = > why
an end :: GET > 200 > cut
both alternatives :: GET > 200 > 404 or cut
an end where content is expected :: GET > raw HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc{close} > 200 | any
"#;

#[test]
fn what_is_not_so_fails() {
    let proxy = start("");
    for script in scripts(WRONG) {
        let mut conversation = Conversation::with(&proxy, &script.name);
        let step = AssertUnwindSafe(|| conversation.step(&script.steps[0]));
        assert!(catch_unwind(step).is_err(), "{} holds", script.name);
    }
}

#[test]
fn what_is_so_holds() {
    let right = r#"
alternatives :: GET > 200 > 404 or 200 | miss
one answer after the other :: GET > 200 | Cache-Control: no-store | =one then 200 | =two > =one
    GET > > =two
a reset content's octets :: GET > 200 | =a > =\x61
interim responses :: GET > 103 | Link: </a> || 200 | =a > 200 | =a
"#;
    hold("", right);
}

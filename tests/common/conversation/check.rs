//! The expectations of an exchange, part by part. The outcomes: `hit` (the origin server wasn't asked; `hit N`: content of request N's
//! answer), `miss` (asked; content of this one's), `validated N` (asked with a condition of ours, content of N), `replaced` (the same,
//! content of this one), `stale N` (asked in vain), `failed` (asked in vain, the proxy's own answer), `behind N` (a hit, asked in the
//! background), `own` (the proxy's own answer), `cut` (the connection ended before the response did), `any` (whatever is whole).

use std::fmt;

use super::super::byteranges::{BodyPart, byteranges};
use super::super::message::Response;
use super::super::origin::Received;
use super::super::wire::Ended;
use super::octets::octets;

/// A request and what came of it.
pub struct Exchange<'a> {
    pub method: &'a str,
    pub number: usize,
    pub asked: Vec<Received>,
    pub response: Result<Response, Ended>,
}

impl fmt::Display for Exchange<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let asked: Vec<_> = self
            .asked
            .iter()
            .map(|request| &request.head.fields)
            .collect();
        let (count, method) = (asked.len(), self.method);
        match &self.response {
            Ok(got) => write!(
                f,
                "{method}: {} {:?} {}, asked {count} times: {asked:?}",
                got.status,
                got.head.fields,
                got.text()
            ),
            Err(ended) => write!(f, "{method}: {ended:?}, asked {count} times: {asked:?}"),
        }
    }
}

/// Says why it doesn't hold.
fn ensure(holds: bool, why: &str) -> Result<(), String> {
    holds.then_some(()).ok_or(format!("not {why}"))
}

impl Exchange<'_> {
    /// Checks all parts of one of the alternatives.
    pub fn check(&self, expects: &str) -> Result<(), String> {
        let checked = expects.split(" or ").map(|one| self.check_all(one));
        let failed = checked.map_while(Result::err).collect::<Vec<_>>();
        let all_failed = failed.len() == expects.split(" or ").count();
        ensure(!all_failed, &failed.join(", "))
    }

    fn check_all(&self, expects: &str) -> Result<(), String> {
        let parts: Vec<&str> = expects.split(" | ").collect();
        if expects == "cut" {
            let is_over = self.response.as_ref().is_err_and(Ended::is_over);
            return ensure(is_over, expects);
        }
        let got = self
            .response
            .as_ref()
            .map_err(|ended| format!("{ended:?}"))?;
        let ranged = matches!(got.status, 206 | 416);
        ensure(
            ranged || !got.head.has("content-range"),
            "without Content-Range",
        )?;
        let says = |part: &&&str| part.starts_with('=') || part.starts_with("bytes ");
        let says_content = parts.iter().find(says).is_some();
        for part in &parts {
            let (word, of) = part.split_once(' ').unwrap_or((part, ""));
            match word {
                "any" | "bytes" | "each" => {}
                "why" => ensure(!got.content.is_empty(), part)?,
                "hit" | "miss" | "validated" | "replaced" | "stale" | "failed" | "behind"
                | "own" => {
                    self.outcome(word, of, got, says_content)?;
                }
                "asked" => ensure(self.was_asked(of), part)?,
                _ => ensure(self.holds(part, got), part)?,
            }
        }
        self.check_ranges(&parts, got)
    }

    fn outcome(
        &self,
        word: &str,
        of: &str,
        got: &Response,
        says_content: bool,
    ) -> Result<(), String> {
        let conditional = |request: &Received| {
            request.head.has("if-none-match") || request.head.has("if-modified-since")
        };
        let ours = self.asked.last().is_some_and(conditional);
        let asked = self.asked.len();
        let asks = match word {
            "hit" | "own" => asked == 0,
            "validated" | "replaced" => asked == 1 && ours,
            // A connection that served before may have closed in its own time: asked again over a new one.
            "stale" | "failed" => asked == 1 || asked == 2,
            _ => asked == 1,
        };
        ensure(asks, word)?;
        let content = match word {
            "miss" | "replaced" => Some(format!("answer {}", self.number)),
            "own" | "failed" => None,
            _ => (!of.is_empty()).then(|| format!("answer {of}")),
        };
        let empty = self.method == "HEAD" || matches!(got.status, 204 | 304) || says_content;
        ensure(
            empty || content.is_none_or(|content| got.text() == content),
            &format!("{word} {of}"),
        )?;
        let says = got.cache_status();
        let said = match word {
            "own" | "failed" => says.is_empty(),
            "hit" | "behind" => got.is_hit(),
            "stale" => !says.is_empty(),
            _ => !got.is_hit() && says.contains("fwd="),
        };
        ensure(said, &format!("{word} by Cache-Status"))
    }

    /// True when the origin server got this.
    fn was_asked(&self, what: &str) -> bool {
        if let Some(count) = what.strip_suffix(" times") {
            return count.parse() == Ok(self.asked.len());
        }
        let Some(last) = self.asked.last() else {
            return false;
        };
        match (what.strip_prefix('!'), what.split_once(": ")) {
            (Some(name), _) => !last.head.has(name),
            (None, Some((name, value))) => last.head.all(name) == [value],
            (None, None) => self.asked.len() == 1 && as_asked(last) == what,
        }
    }

    /// The other parts, of the response.
    fn holds(&self, part: &str, got: &Response) -> bool {
        if part.split(',').all(|status| status.parse::<u16>().is_ok()) {
            let is = |status: &str| status.parse() == Ok(got.status);
            return part.split(',').any(is);
        }
        if let Some(content) = part.strip_prefix('=') {
            return octets(content) == got.content;
        }
        if let Some(age) = part.strip_prefix("age ") {
            let least: u64 = age.parse().unwrap();
            return got
                .age()
                .is_some_and(|age| (least..=least + 4).contains(&age));
        }
        if let Some(text) = part.strip_prefix("cs !") {
            return !got.cache_status().contains(text);
        }
        if let Some(text) = part.strip_prefix("cs ") {
            return got.cache_status().contains(text);
        }
        if let Some(name) = part.strip_prefix("has ") {
            return got.head.has(name);
        }
        if let Some(name) = part.strip_prefix('!') {
            return !got.head.has(name);
        }
        let (name, value) = part
            .split_once(": ")
            .unwrap_or_else(|| panic!("what is {part:?}?"));
        got.head.all(name).join(", ") == value
    }

    /// `bytes 0-1/10=01`: one is Content-Range and content, several are the parts of a multipart.
    fn check_ranges(&self, parts: &[&str], got: &Response) -> Result<(), String> {
        let ranges: Vec<_> = parts
            .iter()
            .filter(|part| part.starts_with("bytes "))
            .collect();
        let split = |part: &str| {
            let (range, content) = part.split_once('=').unwrap_or((part, ""));
            (range.to_owned(), content.to_owned())
        };
        if let [range] = ranges[..] {
            let (range, content) = split(range);
            ensure(got.first("content-range") == Some(range.as_str()), &range)?;
            return ensure(got.status == 416 || got.text() == content, &content);
        }
        if ranges.is_empty() {
            return Ok(());
        }
        let media_type = parts
            .iter()
            .find_map(|part| part.strip_prefix("each Content-Type: "));
        let expected = ranges.iter().map(|part| {
            let (range, content) = split(part);
            BodyPart {
                media_type: media_type.unwrap_or_default().to_owned(),
                range,
                content: content.into_bytes(),
            }
        });
        let (expected, found) = (expected.collect::<Vec<_>>(), byteranges(got));
        ensure(found == expected, &format!("{expected:?} but {found:?}"))
    }
}

/// The Range that the origin server got, and a condition.
pub fn as_asked(request: &Received) -> String {
    let range = request.head.first("range").unwrap_or("whole");
    let condition = |name| request.head.first(name);
    match (condition("if-range"), condition("if-none-match")) {
        (Some(condition), _) => format!("{range} if {condition}"),
        (None, Some(condition)) => format!("{range} unless {condition}"),
        (None, None) => range.to_owned(),
    }
}

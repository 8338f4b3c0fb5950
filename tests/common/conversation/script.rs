//! Conversations as they are written.

use super::super::dated;

/// The date `{before}`, and the one a second earlier.
pub const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
const EARLIER: &str = "Sun, 06 Nov 1994 08:49:35 GMT";

/// One step.
#[derive(Clone, Default)]
pub struct Step {
    pub sends: String,
    pub says: String,
    pub expects: String,
}

impl Step {
    pub fn of(sends: &str, says: &str, expects: &str) -> Step {
        Step {
            sends: sends.to_owned(),
            says: says.to_owned(),
            expects: expects.to_owned(),
        }
    }

    fn read(line: &str) -> Step {
        let line = format!(" {}", line.trim());
        let mut parts = line.splitn(3, " >").map(str::trim);
        let mut part = || parts.next().unwrap_or_default();
        Step::of(part(), part(), part())
    }
}

/// A conversation as it is written.
pub struct Script {
    pub name: String,
    pub steps: Vec<Step>,
}

/// The conversations of a text.
pub fn scripts(text: &str) -> Vec<Script> {
    let mut scripts: Vec<Script> = Vec::new();
    for line in text.lines() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if line.starts_with(' ') {
            let script = scripts.last_mut().expect("a name before the steps");
            script.steps.push(Step::read(line));
            continue;
        }
        let (name, first) = line.split_once(" :: ").unwrap_or((line, ""));
        scripts.push(Script {
            name: name.to_owned(),
            steps: (!first.is_empty())
                .then(|| Step::read(first))
                .into_iter()
                .collect(),
        });
    }
    assert!(!scripts.is_empty(), "a text without conversations");
    scripts
}

/// The target of a request as it is sent: "" for octets.
pub fn target(sends: &str) -> String {
    if sends.starts_with("raw ") {
        return String::new();
    }
    let line = sends.split(" | ").next().unwrap_or_default();
    let end = line.split_once(' ').map_or("", |(_, end)| end);
    format!("/{}", end.trim_start_matches('/'))
}

/// Fields as lines.
pub fn lines(fields: &str) -> String {
    let fields = fields.split(" | ").filter(|field| !field.is_empty());
    let lines: Vec<_> = fields.map(|field| format!("{field}\r\n")).collect();
    lines.concat()
}

/// Replaces what stands for a date.
pub fn dates(text: &str) -> String {
    if text.starts_with("raw ") {
        return text.to_owned();
    }
    dated(
        &text
            .replace("{before}", BEFORE)
            .replace("{earlier}", EARLIER),
    )
}

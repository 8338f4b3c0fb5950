//! No circles between the files of one folder: `x.rs` or `x/mod.rs` counts as one with what is in `x/`. What only the tests have
//! isn't looked at, nor is what a folder's own file and the files in it have of each other.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::{SOURCE, code, files};

/// Names of files that only the tests have.
const OF_TESTS: [&str; 3] = ["tests", "testing", "suite"];

/// The names that lead to a module, from the crate on.
type Module = Vec<String>;

/// In a folder, what each of its members uses of the others.
type Uses = BTreeMap<String, BTreeSet<String>>;

fn module(path: &Path) -> Module {
    let without = path.with_extension("");
    let names = without
        .iter()
        .map(|name| name.to_string_lossy().into_owned());
    let mut names: Module = names.collect();
    if matches!(names.last().map(String::as_str), Some("mod" | "lib")) {
        names.pop();
    }
    names
}

/// The code without its module of tests, which stands at the end.
fn without_tests(code: &str) -> &str {
    let tests = code.find("#[cfg(test)]\nmod tests {");
    &code[..tests.unwrap_or(code.len())]
}

/// The paths from `crate`, `super` or `self` on, groups written out.
fn paths(code: &str) -> Vec<String> {
    let (mut found, mut read) = (Vec::new(), 0);
    let words = ["crate::", "super::", "self::"].map(|word| code.match_indices(word));
    let begins: BTreeSet<usize> = words.into_iter().flatten().map(|(at, _)| at).collect();
    for at in begins {
        if at >= read && !code[..at].ends_with(is_word) {
            read = at + tree("", &code[at..], &mut found);
        }
    }
    found
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == ':'
}

/// Reads one path, or a path and its group; gives its length.
fn tree(prefix: &str, text: &str, found: &mut Vec<String>) -> usize {
    let len = text.find(|c| !is_word(c)).unwrap_or(text.len());
    let path = format!("{prefix}{}", &text[..len]);
    if !(path.ends_with("::") && text[len..].starts_with('{')) {
        found.push(path);
        return len;
    }
    let mut at = len + 1;
    while at < text.len() && !text[at..].starts_with('}') {
        match text[at..].starts_with(|c: char| is_word(c) || c == '{') {
            true => at += tree(&path, &text[at..], found),
            false => at += text[at..].chars().next().map_or(1, char::len_utf8),
        }
    }
    at + 1
}

/// The module that a path leads to.
fn resolve(path: &str, from: &Module, modules: &BTreeSet<Module>) -> Module {
    let mut at = from.clone();
    for word in path.split("::") {
        match word {
            "crate" => at.clear(),
            "super" => _ = at.pop(),
            "self" => {}
            name => {
                at.push(name.to_owned());
                if !modules.contains(&at) {
                    at.pop();
                    return at;
                }
            }
        }
    }
    at
}

/// All circles, as `folder: member member …`.
fn circles(files: &[(Module, String)]) -> Vec<String> {
    let modules: BTreeSet<Module> = files.iter().map(|file| file.0.clone()).collect();
    let mut folders: BTreeMap<Module, Uses> = BTreeMap::new();
    for (from, code) in files {
        if from.iter().any(|name| OF_TESTS.contains(&name.as_str())) {
            continue;
        }
        for path in paths(without_tests(code)) {
            let to = resolve(&path, from, &modules);
            let same = from.iter().zip(&to).take_while(|(one, other)| one == other);
            let depth = same.count();
            if let (Some(one), Some(other)) = (from.get(depth), to.get(depth)) {
                let uses = folders.entry(from[..depth].to_vec()).or_default();
                uses.entry(one.clone()).or_default().insert(other.clone());
            }
        }
    }
    let circles = folders.iter().flat_map(|(folder, uses)| {
        let folder = if folder.is_empty() {
            "crate".to_owned()
        } else {
            folder.join("::")
        };
        let line = move |circle: BTreeSet<String>| {
            format!(
                "{folder}: {}",
                circle.into_iter().collect::<Vec<_>>().join(" ")
            )
        };
        within(uses).into_iter().map(line)
    });
    circles.collect()
}

/// Sets of members that all use each other, directly or round about.
fn within(uses: &Uses) -> BTreeSet<BTreeSet<String>> {
    let reached = |from: &String| {
        let mut reached = BTreeSet::new();
        let mut next = vec![from];
        while let Some(member) = next.pop() {
            for used in uses.get(member).into_iter().flatten() {
                if reached.insert(used.clone()) {
                    next.push(used);
                }
            }
        }
        reached
    };
    let circle = |member: &String| {
        let there = reached(member);
        let back = there.iter().filter(|other| reached(other).contains(member));
        back.cloned().collect::<BTreeSet<_>>()
    };
    uses.keys()
        .map(circle)
        .filter(|circle| circle.len() > 1)
        .collect()
}

#[test]
fn files_of_one_folder_use_each_other_one_way() {
    let files = files(SOURCE).into_iter();
    let files: Vec<_> = files
        .map(|(path, text)| (module(&path), code(&text)))
        .collect();
    let circles = circles(&files);
    assert!(circles.is_empty(), "circles of files: {circles:#?}");
}

#[test]
fn the_reader_of_circles_sees_them() {
    // (files and their code, the circles)
    type Row = (
        &'static [(&'static str, &'static str)],
        &'static [&'static str],
    );
    let rows: [Row; 9] = [
        (
            &[("a.rs", "use super::b::X;"), ("b.rs", "use crate::a::Y;")],
            &["crate: a b"],
        ),
        (&[("a.rs", "use super::b::X;"), ("b.rs", "")], &[]),
        (
            &[
                ("a.rs", "use super::b::X;"),
                ("b.rs", "fn f() { crate::c::g() }"),
                ("c/mod.rs", ""),
                ("c/d.rs", "use crate::{x, a::{self, Y}};"),
            ],
            &["crate: a b c"],
        ),
        (
            &[
                ("c/mod.rs", ""),
                ("c/a.rs", "use super::b;"),
                ("c/b.rs", "use crate::{c::{z, a::X}};"),
            ],
            &["c: a b"],
        ),
        (
            &[
                ("a.rs", "mod b; use self::b::X;"),
                ("a/b.rs", "use super::Y;"),
            ],
            &[],
        ),
        (
            &[
                ("a.rs", "use super::b::X;"),
                ("b.rs", "#[cfg(test)]\nmod tests { use crate::a::Y; }"),
            ],
            &[],
        ),
        (
            &[
                ("a.rs", "use super::b::X;"),
                ("b/mod.rs", ""),
                ("b/tests.rs", "use crate::a::Y;"),
            ],
            &[],
        ),
        (
            &[
                ("a.rs", "use super::b::X;"),
                ("b.rs", "// use crate::a;\nlet a = \"crate::a\";"),
            ],
            &[],
        ),
        (
            &[
                ("a.rs", "use super::{b, super::c};"),
                ("b.rs", "use mysuper::a;"),
            ],
            &[],
        ),
    ];
    for (written, expected) in rows {
        let files = written
            .iter()
            .map(|(path, text)| (module(Path::new(path)), code(text)));
        assert_eq!(circles(&files.collect::<Vec<_>>()), expected, "{written:?}");
    }
}

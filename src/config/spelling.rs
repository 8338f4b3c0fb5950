//! The guess at what was meant by a name that isn't known.

/// Hints at the known name, of these with a space between, that this one is a slip of, or at all of them.
pub(super) fn hint(prefix: &str, name: &str, known: &str) -> String {
    let nearest = known.split(' ').min_by_key(|known| distance(name, known));
    match nearest.filter(|known| distance(name, known) <= 1 + known.len() / 4) {
        Some(known) => format!("did you mean \"{prefix}{known}\"?"),
        None => format!("expected one of {}", known.replace(' ', ", ")),
    }
}

/// The number of characters to insert, remove or replace to make one text of the other.
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in other.bytes().enumerate() {
            let replaced = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[other.len()]
}

//! The parts that go when something is entered: those of a whole, as far as they are of what it takes the place of, and the
//! shortest where there are too many.

use super::change::Change;
use super::entry::EntryKey;
use crate::cache::key::{Hash, Key};
use crate::cache::stored::Meta;
use crate::store::record::variants::{MOST_PARTS, VariantList};
use crate::store::{Published, StoreError};

/// Removes the parts whose place a whole response takes.
pub(super) fn remove_parts_of(change: &mut Change<'_>, whole: &Meta) -> Result<(), StoreError> {
    let key = whole.key.part();
    let at = EntryKey::of_list(&key);
    let first = change.first_from(at.as_bytes())?;
    if !first.is_some_and(|first| first.starts_with(at.as_bytes())) {
        return Ok(());
    }
    let list = change.list(&key)?;
    let mut list = list.unwrap_or_else(|| VariantList::of_plain(key.text().clone()));
    let names = whole.selecting().ok_or(StoreError::Unselectable)?;
    for variant in list.displaced(&names, whole.variant.hash()) {
        remove_variant(change, &key, &variant)?;
        list.remove(&variant);
    }
    change.put_list(at.as_bytes(), &list)
}

/// Removes the shortest parts of the variant that this one is of, the oldest of them first, where there are too many.
pub(super) fn bound_parts(change: &mut Change<'_>, new: &Meta) -> Result<(), StoreError> {
    let (key, variant) = (&new.key, new.variant.hash());
    let all = EntryKey::of_variant(key, variant);
    let mut parts = change.keys_from(all.as_bytes(), usize::MAX)?;
    let more = parts.len().saturating_sub(MOST_PARTS);
    if more == 0 {
        return Ok(());
    }
    let new = EntryKey::of_record(key, variant, new.extent.first());
    parts.retain(|part| part != new.as_bytes());
    let mut measured = Vec::with_capacity(parts.len());
    for part in parts {
        let brief = change.brief(&part)?;
        measured.push((brief.map(|it| (it.content, it.order)), part));
    }
    measured.sort_unstable();
    for (_, part) in measured.into_iter().take(more) {
        change.take_out(&part)?;
    }
    Ok(())
}

/// Removes the records of a variant, which its key's list doesn't have any more.
pub(super) fn remove_variant(
    change: &mut Change<'_>,
    key: &Key,
    variant: &Hash,
) -> Result<(), StoreError> {
    let prefix = EntryKey::of_variant(key, variant);
    for entry in change.keys_from(prefix.as_bytes(), usize::MAX)? {
        change.take_out(&entry)?;
    }
    Ok(())
}

/// Removes all records of a key, and its list.
pub(super) fn remove_all(change: &mut Change<'_>, key: &Key) -> Result<Vec<Published>, StoreError> {
    let list = EntryKey::of_list(key);
    let mut removed = Vec::new();
    for entry in change.keys_from(list.as_bytes(), usize::MAX)? {
        if entry == list.as_bytes() {
            change.delete_list(&entry)?;
        } else if list.has_record(&entry) {
            removed.extend(change.take_out(&entry)?);
        }
    }
    Ok(removed)
}

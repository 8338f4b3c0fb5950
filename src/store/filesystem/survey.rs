//! A store seen from outside, by a command: what is in it, and removing it, whether or not a proxy runs.
//!
//! Nothing is made here, so a command that root gives leaves no file that the service can't change.
//! Only records' heads are read.

use std::fs::File;
use std::io;
use std::path::Path;

use super::root::{NO_VARIANT, Root, counted};
use super::{index_at, remove};
use crate::cache::key::{Hash, Key};
use crate::cache::stored::Meta;
use crate::store::record::read::read_head;
use crate::store::{Published, StoreError, place};
use crate::sys::shared::Shared;

/// A store's directory, as it is.
#[derive(Debug)]
pub struct Survey {
    root: Root,
}

/// A stored response.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Its metadata, without trailers.
    pub meta: Meta,
    /// The length of its content.
    pub content: u64,
    /// Bytes on disk, as counted against the limit.
    pub size: u64,
}

impl Seen {
    /// Where its visited bit lies.
    pub fn place(&self) -> Hash {
        place(self.meta.key.hash(), self.meta.variant.hash())
    }
}

impl Survey {
    /// The store at `path`, which may have nothing in it or not be there.
    pub fn of(path: &Path) -> Survey {
        Survey {
            root: Root::at(path),
        }
    }

    /// Calls `visit` with every stored response, in no order. What goes meanwhile is passed over.
    pub fn each(&self, mut visit: impl FnMut(Seen)) -> Result<(), StoreError> {
        for number in 0..=u8::MAX {
            let path = self.root.directory(number);
            let at = |error| StoreError::at(&path, error);
            let entries = match std::fs::read_dir(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                entries => entries.map_err(at)?,
            };
            for entry in entries {
                let path = entry.map_err(at)?.path();
                if let Some(seen) = self.seen(&path)? {
                    visit(seen);
                }
            }
        }
        Ok(())
    }

    /// The stored responses of a key, most recent first.
    pub fn of_key(&self, key: &Key) -> Result<Vec<Seen>, StoreError> {
        let hash = key.hash();
        let variants: Vec<Hash> = match index_at(&self.root, hash)? {
            Some(index) => index.variants().copied().collect(),
            None => vec![NO_VARIANT],
        };
        let mut found = Vec::new();
        for variant in variants {
            let seen = self.seen(&self.root.file(hash, &variant))?;
            found.extend(seen.filter(|seen| seen.meta.key == *key));
        }
        Ok(found)
    }

    /// The record in this file; None for an index, damage or nothing.
    fn seen(&self, path: &Path) -> Result<Option<Seen>, StoreError> {
        let at = |error| StoreError::at(path, error);
        let Some(file) = self.root.open(path, false)? else {
            return Ok(None);
        };
        match head(&file) {
            Ok(seen) => Ok(seen),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(at(error)),
        }
    }

    /// Removes every stored response of this key, and makes sure that no process uses what it has of
    /// it in memory or is fetching. Tells what was removed.
    pub fn purge(&self, key: &Key, shared: &Shared) -> Result<Vec<Published>, StoreError> {
        shared.invalidate(key.hash());
        // Taking the lock would make a directory, which then belonged to who purges.
        let removed = if self.root.directory(key.hash()[0]).is_dir() {
            remove(&self.root, shared, key)?
        } else {
            Vec::new()
        };
        shared.bump(key.hash());
        Ok(removed)
    }

    /// Removes every stored response for whose key `wanted` is true. What is being fetched while this
    /// begins is not stored, whichever key it has.
    pub fn purge_where(
        &self,
        shared: &Shared,
        wanted: impl Fn(&Key) -> bool,
    ) -> Result<Vec<Published>, StoreError> {
        shared.invalidate_all();
        let mut keys = Vec::new();
        self.each(|seen| {
            if wanted(&seen.meta.key) {
                keys.push(seen.meta.key);
            }
        })?;
        // A key is there once for each variant.
        keys.sort_unstable_by(|one, other| one.hash().cmp(other.hash()));
        keys.dedup();
        let mut removed = Vec::new();
        for key in &keys {
            removed.extend(self.purge(key, shared)?);
        }
        Ok(removed)
    }
}

fn head(file: &File) -> io::Result<Option<Seen>> {
    let length = file.metadata()?.len();
    Ok(read_head(file)?.map(|(prelude, meta)| Seen {
        content: prelude.content,
        size: counted(length, meta.variant.hash()),
        meta,
    }))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::http::fields::Fields;
    use crate::store::filesystem::{FilesystemOptions, FilesystemStore};
    use crate::store::{Found, Store, Whole};

    fn meta(uri: &str, language: Option<&str>) -> Meta {
        let names: Vec<String> = language
            .map(|_| "accept-language".into())
            .into_iter()
            .collect();
        let vary = language.map(|_| (&b"Vary"[..], &b"Accept-Language"[..]));
        Meta {
            key: Key::new(format!("GET {uri}")),
            variant: crate::cache::vary::variant_of(&names, &request(language)),
            request_time: 1,
            response_time: 2,
            status: 200,
            reason: "OK".into(),
            fields: vary.into_iter().collect(),
            trailers: Fields::default(),
        }
    }

    fn request(language: Option<&str>) -> Fields {
        let field = language.map(|language| (&b"Accept-Language"[..], language.as_bytes()));
        field.into_iter().collect()
    }

    #[test]
    fn what_is_purged_is_gone_for_those_who_have_the_store_open() {
        let dir = tempfile::tempdir().unwrap();
        let shared = Arc::new(Shared::anonymous().unwrap());
        let path = dir.path().join("store");
        let survey = Survey::of(&path);
        survey.each(|_| panic!("there is nothing")).unwrap();
        let options = FilesystemOptions { path, worker: 1 };
        let store = FilesystemStore::open(&options, shared.clone()).unwrap();
        let rows = [
            ("http://a/1", None),
            ("http://a/2", Some("de")),
            ("http://a/2", Some("en")),
            ("http://b/1", None),
        ];
        for (uri, language) in rows {
            let whole = Whole::Memory(vec!["content".into()]);
            store.publish(&meta(uri, language), whole, None).unwrap();
        }
        let mut seen = Vec::new();
        survey
            .each(|it| seen.push((it.meta.key, it.content)))
            .unwrap();
        assert_eq!(seen.len(), 4);
        assert!(seen.iter().all(|(_, content)| *content == 7));
        let two = Key::new("GET http://a/2");
        let variants = survey.of_key(&two).unwrap();
        let texts: Vec<_> = variants
            .iter()
            .map(|it| it.meta.variant.text().clone())
            .collect();
        assert_eq!(texts, ["accept-language: en\n", "accept-language: de\n"]);
        let before = (
            shared.generation(two.hash()),
            shared.invalidations(two.hash()),
        );
        assert_eq!(survey.purge(&two, &shared).unwrap().len(), 2);
        assert!(shared.generation(two.hash()) > before.0);
        assert!(shared.invalidations(two.hash()) > before.1);
        let found = store.lookup(&two, &request(Some("de"))).unwrap();
        assert!(matches!(found, Found::Nothing));
        assert!(survey.purge(&two, &shared).unwrap().is_empty());
        // What was being fetched before is not stored after.
        let late = Whole::Memory(vec!["content".into()]);
        let late = store.publish(&meta("http://a/2", Some("de")), late, Some(before.1));
        assert!(matches!(late, Err(StoreError::Gone)), "{late:?}");
        let removed = survey.purge_where(&shared, |key| key.text().starts_with(b"GET http://a/"));
        assert_eq!(removed.unwrap().len(), 1);
        assert_eq!(survey.of_key(&Key::new("GET http://b/1")).unwrap().len(), 1);
    }

    #[test]
    fn purging_makes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store");
        let shared = Shared::anonymous().unwrap();
        let key = Key::new("GET http://a/");
        assert!(Survey::of(&path).purge(&key, &shared).unwrap().is_empty());
        assert!(!path.exists());
    }
}

//! A store's directory seen from outside, by a command.
//!
//! Nothing is made here, so a command that root gives leaves no file that the service can't change.
//! Only records' heads are read.

use std::fs::File;
use std::io;
use std::ops::ControlFlow;
use std::path::Path;

use super::root::{NO_VARIANT, Root, counted, unhex};
use crate::cache::key::{Hash, Key};
use crate::store::admin::{StoreAdmin, StoredInfo};
use crate::store::record::read::{StoredFile, read_head};
use crate::store::{Object, Published, StoreError};
use crate::sys::shared::Shared;

#[derive(Debug)]
pub struct Directory(Root);

impl Directory {
    /// The store at `path`, which may have nothing in it or not be there.
    pub fn of(path: &Path) -> Directory {
        Directory(Root::at(path))
    }

    fn each_file(
        &self,
        visit: &mut dyn FnMut(&Path) -> Result<ControlFlow<()>, StoreError>,
    ) -> Result<(), StoreError> {
        for number in 0..=u8::MAX {
            let path = self.0.directory(number);
            let at = StoreError::at(&path);
            let entries = match std::fs::read_dir(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                entries => entries.map_err(at)?,
            };
            for entry in entries {
                if visit(&entry.map_err(at)?.path())?.is_break() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// The record in this file; None for an index, damage or nothing.
    fn seen(&self, path: &Path) -> Result<Option<StoredInfo>, StoreError> {
        let Some(file) = self.0.open(path, false)? else {
            return Ok(None);
        };
        match head(&file) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            seen => seen.map_err(StoreError::at(path)),
        }
    }

    /// The response in this file, whole; None for an index, a variant's file, damage or nothing.
    fn whole(&self, hash: &Hash, variant: &Hash) -> Result<Option<Object>, StoreError> {
        Ok(match self.0.read(hash, variant)? {
            Some((file, StoredFile::Record(record))) => Some(record.into_object(file, 0)),
            _ => None,
        })
    }

    /// The variants under this hash, most recent first.
    fn variants(&self, hash: &Hash) -> Result<Vec<Hash>, StoreError> {
        Ok(match self.0.index(hash)? {
            Some(index) => index.variants().copied().collect(),
            None => vec![NO_VARIANT],
        })
    }
}

impl StoreAdmin for Directory {
    fn each(&self, visit: &mut dyn FnMut(StoredInfo)) -> Result<(), StoreError> {
        self.each_file(&mut |path| {
            if let Some(seen) = self.seen(path)? {
                visit(seen);
            }
            Ok(ControlFlow::Continue(()))
        })
    }

    fn each_whole(
        &self,
        visit: &mut dyn FnMut(Object) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        self.each_file(&mut |path| {
            // A variant's file comes with the index that names it.
            let name = path.file_name().and_then(|name| name.to_str());
            let Some(hash) = name.and_then(unhex) else {
                return Ok(ControlFlow::Continue(()));
            };
            for variant in self.variants(&hash)?.iter().rev() {
                if let Some(object) = self.whole(&hash, variant)? {
                    if visit(object).is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                }
            }
            Ok(ControlFlow::Continue(()))
        })
    }

    fn of_key(&self, key: &Key) -> Result<Vec<StoredInfo>, StoreError> {
        let hash = key.hash();
        let mut found = Vec::new();
        for variant in self.variants(hash)? {
            let seen = self.seen(&self.0.file(hash, &variant))?;
            found.extend(seen.filter(|seen| seen.meta.key == *key));
        }
        Ok(found)
    }

    fn purge(&self, key: &Key, shared: &Shared) -> Result<Vec<Published>, StoreError> {
        shared.invalidate(key.hash());
        // Taking the lock would make a directory, which then belonged to who purges.
        let removed = if self.0.directory(key.hash()[0]).is_dir() {
            self.0.remove(shared, key)?
        } else {
            Vec::new()
        };
        shared.next_generation(key.hash());
        Ok(removed)
    }

    fn purge_where(
        &self,
        shared: &Shared,
        wanted: &dyn Fn(&Key) -> bool,
    ) -> Result<Vec<Published>, StoreError> {
        shared.invalidate_all();
        let mut keys = Vec::new();
        self.each(&mut |seen| {
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

fn head(file: &File) -> io::Result<Option<StoredInfo>> {
    let length = file.metadata()?.len();
    Ok(read_head(file)?.map(|(prelude, meta)| StoredInfo {
        content: prelude.content,
        size: counted(length, meta.variant.hash()),
        used: None,
        hits: None,
        meta,
    }))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::cache::extent::Extent;
    use crate::cache::provenance::Provenance;
    use crate::cache::stored::Meta;
    use crate::cache::time::Timestamp;
    use crate::http::fields::Fields;
    use crate::store::filesystem::FilesystemStore;
    use crate::store::{Found, Whole};

    fn meta(uri: &str, language: Option<&str>) -> Meta {
        let names: Vec<String> = language
            .map(|_| "accept-language".into())
            .into_iter()
            .collect();
        let vary = language.map(|_| (&b"Vary"[..], &b"Accept-Language"[..]));
        Meta {
            key: Key::new(format!("GET {uri}")),
            variant: crate::cache::vary::variant_of(&names, &request(language)),
            request_time: Timestamp::from_millis(1),
            response_time: Timestamp::from_millis(2),
            local: false,
            extent: Extent::Whole,
            provenance: Provenance::default(),
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
        let shared = Arc::new(Shared::create().unwrap());
        let path = dir.path().join("store");
        let admin = Directory::of(&path);
        admin.each(&mut |_| panic!("there is nothing")).unwrap();
        let store = FilesystemStore::open(&path, 1, shared.clone()).unwrap();
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
        admin
            .each(&mut |it| seen.push((it.meta.key, it.content)))
            .unwrap();
        assert_eq!(seen.len(), 4);
        assert!(seen.iter().all(|(_, content)| *content == 7));
        let two = Key::new("GET http://a/2");
        let variants = admin.of_key(&two).unwrap();
        let texts: Vec<_> = variants
            .iter()
            .map(|it| it.meta.variant.text().clone())
            .collect();
        assert_eq!(texts, ["accept-language: en\n", "accept-language: de\n"]);
        let before = (
            shared.generation(two.hash()),
            shared.invalidations(two.hash()),
        );
        assert_eq!(admin.purge(&two, &shared).unwrap().len(), 2);
        assert!(shared.generation(two.hash()) > before.0);
        assert!(shared.invalidations(two.hash()) > before.1);
        let found = store.lookup(&two, &request(Some("de"))).unwrap();
        assert!(matches!(found, Found::Nothing));
        assert!(admin.purge(&two, &shared).unwrap().is_empty());
        // Responses that were being fetched before are not stored after.
        let late = Whole::Memory(vec!["content".into()]);
        let late = store.publish(&meta("http://a/2", Some("de")), late, Some(before.1));
        assert!(matches!(late, Err(StoreError::Gone)), "{late:?}");
        let removed = admin.purge_where(&shared, &|key| key.text().starts_with(b"GET http://a/"));
        assert_eq!(removed.unwrap().len(), 1);
        assert_eq!(admin.of_key(&Key::new("GET http://b/1")).unwrap().len(), 1);
    }

    #[test]
    fn purging_makes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store");
        let shared = Shared::create().unwrap();
        let key = Key::new("GET http://a/");
        assert!(
            Directory::of(&path)
                .purge(&key, &shared)
                .unwrap()
                .is_empty()
        );
        assert!(!path.exists());
    }
}

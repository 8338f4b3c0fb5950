//! Publishing: a record that is written whole gets its name, and what it replaces goes.
//!
//! All of it happens under the lock of the key's directory; the generation begins before it is released.

use std::fs::File;
use std::path::Path;

use super::FilesystemStore;
use super::root::{NO_VARIANT, counted};
use super::write::UnnamedRecord;
use crate::cache::key::{Hash, Variant};
use crate::cache::stored::Meta;
use crate::store::draft::TemporaryName;
use crate::store::record::index::Index;
use crate::store::{Published, StoreError, Whole, place};
use crate::sys::disk;

impl FilesystemStore {
    pub(super) fn publish(
        &self,
        meta: &Meta,
        whole: Whole,
        invalidation_epoch: Option<u32>,
    ) -> Result<Published, StoreError> {
        let written = match whole {
            Whole::Memory(parts) => self.write(meta, &parts)?,
            Whole::Draft {
                draft,
                len,
                checksum,
            } => self.complete(meta, draft, len, checksum.finish())?,
        };
        self.install(meta, written, invalidation_epoch)
    }

    /// Gives a record its name, and takes away what it replaces.
    pub(super) fn install(
        &self,
        meta: &Meta,
        written: UnnamedRecord,
        invalidation_epoch: Option<u32>,
    ) -> Result<Published, StoreError> {
        let names = meta.selecting().ok_or(StoreError::Unselectable)?;
        if names.is_empty() != (meta.variant == Variant::none()) {
            return Err(StoreError::Unselectable);
        }
        let (hash, variant) = (*meta.key.hash(), *meta.variant.hash());
        let UnnamedRecord {
            file,
            name,
            length,
            reservation,
        } = written;
        let lock = self.root.lock(&hash)?;
        // Asked under the lock: who makes the key invalid counts first and then waits for the lock, so
        // that it is either seen here or removes what is stored here.
        if invalidation_epoch.is_some_and(|epoch| epoch != self.shared.invalidations(&hash)) {
            return Err(StoreError::Gone);
        }
        let target = self.root.file(&hash, &variant);
        if variant == NO_VARIANT {
            self.install_only(&hash, &file, name, &target)?;
        } else {
            self.root.place(&file, name, &target)?;
            if let Err(error) = self.list(meta, names) {
                // Without its place in the index it would never be found.
                self.displace(&hash, &variant)?;
                return Err(error);
            }
        }
        self.shared.note_stored(&hash);
        let generation = self.shared.next_generation(&hash);
        drop(lock);
        let size = counted(length, &variant);
        self.shared.announce(size);
        drop(reservation);
        Ok(Published {
            hash,
            variant,
            size,
            generation,
        })
    }

    /// Places the record of a response without `Vary`, which replaces every variant of its key.
    fn install_only(
        &self,
        hash: &Hash,
        file: &File,
        name: Option<TemporaryName>,
        target: &Path,
    ) -> Result<(), StoreError> {
        if name.is_none() && disk::name(file, target).is_ok() {
            return Ok(());
        }
        let index = self.root.index(hash)?;
        self.root.place(file, name, target)?;
        if let Some(index) = index {
            self.drop_variants(hash, index.variants())?;
        }
        Ok(())
    }

    /// Puts a variant first in its key's index, which is made when there is none.
    fn list(&self, meta: &Meta, names: Vec<String>) -> Result<(), StoreError> {
        let (hash, variant) = (meta.key.hash(), meta.variant.hash());
        let path = self.root.file(hash, &NO_VARIANT);
        let index = self.root.index(hash)?;
        let index = index.filter(|index| index.key == *meta.key.text());
        if index
            .as_ref()
            .is_some_and(|index| index.is_first(&names, variant))
        {
            return Ok(());
        }
        // The index takes the place of a response without Vary, if there is one.
        if index.is_none() {
            self.displace(hash, &NO_VARIANT)?;
        }
        let mut index = index.unwrap_or_else(|| Index::new(meta.key.text().clone()));
        let hits = |variant: &Hash| self.shared.hits(&place(hash, variant));
        let dropped = index.add(names, *variant, hits);
        let bytes = index.encode().ok_or(StoreError::Unselectable)?;
        self.root.replace(&path, &bytes)?;
        self.drop_variants(hash, dropped.iter())
    }

    fn drop_variants<'a>(
        &self,
        hash: &Hash,
        variants: impl Iterator<Item = &'a Hash>,
    ) -> Result<(), StoreError> {
        for variant in variants {
            self.displace(hash, variant)?;
        }
        Ok(())
    }
}

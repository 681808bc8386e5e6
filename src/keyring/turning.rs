//! The ring in a rotation: a new first key, what is sealed by which key, and the old keys' end.
//!
//! **Invariant:** the file has a new key before anything is sealed with it, and loses an old one only
//! when told that nothing names it any more; the fingerprint key never changes.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::{
    KeyRing, MasterKey, Masters, Unsealable,
    file::{self, KeyFileError, Readers},
    random_bytes, random_id, split_id,
};

/// A master key that no ring holds yet.
pub struct NewKey(MasterKey);

impl NewKey {
    /// A random one.
    pub fn random() -> Self {
        Self(MasterKey {
            id: random_id(),
            secret: Zeroizing::new(random_bytes()),
        })
    }

    /// Names it without showing it.
    pub fn id(&self) -> Arc<str> {
        Arc::clone(&self.0.id)
    }

    /// Its line, to be put in front of the other keys of a text.
    pub fn line(&self) -> Zeroizing<String> {
        file::render_line(&self.0)
    }
}

impl KeyRing {
    /// The ids of all keys; the first one seals.
    pub fn ids(&self) -> Vec<Arc<str>> {
        self.masters()
            .all()
            .map(|key| Arc::clone(&key.id))
            .collect()
    }

    /// The id of the key that seals.
    pub fn first_id(&self) -> Arc<str> {
        Arc::clone(&self.masters().first.id)
    }

    /// Whether keys can be added and taken away from here.
    pub fn has_file(&self) -> bool {
        self.0.file.is_some()
    }

    /// The id of the key that `sealed` names, whether or not this ring holds it.
    pub fn key_of(sealed: &[u8]) -> Option<&str> {
        let (id, _) = split_id(sealed)?;
        std::str::from_utf8(id).ok()
    }

    /// Whether the first key sealed it.
    pub fn is_by_first(&self, sealed: &[u8]) -> bool {
        Self::key_of(sealed) == Some(&*self.first_id())
    }

    /// The same data key, wrapped by the first key.
    ///
    /// # Errors
    /// [`Unsealable`].
    pub fn rewrap(&self, wrapped: &[u8], place: &str) -> Result<Vec<u8>, Unsealable> {
        Ok(self.wrap(&self.unwrap(wrapped, place)?, place))
    }

    /// Puts `new` in front, in the file and then here. Blocks while the disk writes.
    ///
    /// # Errors
    /// [`KeyFileError`]; the ring is as it was then.
    pub fn add_first(&self, new: &NewKey) -> Result<(), KeyFileError> {
        self.change(|masters| {
            let others = masters.all().cloned().collect();
            Masters {
                first: new.0.clone(),
                others,
            }
        })
    }

    /// Takes all keys but the first out of the file and then out of here. Blocks while the disk
    /// writes.
    ///
    /// # Errors
    /// [`KeyFileError`]; the ring is as it was then.
    pub fn retire_others(&self) -> Result<(), KeyFileError> {
        self.change(|masters| Masters {
            first: masters.first.clone(),
            others: Vec::new(),
        })
    }

    /// What stands in the file is what is changed: a key that an operator put there stays.
    fn change(&self, change: impl FnOnce(&Masters) -> Masters) -> Result<(), KeyFileError> {
        let path = self.0.file.as_ref().ok_or(KeyFileError::NoFile)?;
        let found = file::read(path, Readers::Owner)?;
        let (ours, theirs) = (self.masters(), found.masters());
        let is_same = ours.first.id == theirs.first.id
            && ours.first.secret == theirs.first.secret
            && self.0.fingerprint_secret == found.0.fingerprint_secret;
        if !is_same {
            return Err(KeyFileError::Changed { path: path.clone() });
        }
        let changed = change(&theirs);
        file::replace(path, &file::render(&changed, &self.0.fingerprint_secret))?;
        self.0.masters.store(Arc::new(changed));
        Ok(())
    }
}

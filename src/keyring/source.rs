//! Where the ring comes from: a file, a variable or a systemd credential, all with the same text.
//!
//! **Invariant:** only a file can be made or changed from here; nothing else is ever written.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use super::{
    KeyRing,
    file::{self, KeyFileError, Readers},
};
use crate::secret::Secret;

/// Where the keys are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// A key file of mode 0600, made where the store is new.
    File(PathBuf),
    /// The value of an environment variable.
    Variable {
        /// Its name.
        name: String,
        /// Its value; none where it is not set, as in an operator's shell.
        text: Option<Secret<String>>,
    },
    /// A file below systemd's `$CREDENTIALS_DIRECTORY`.
    Credential {
        /// Its name.
        name: String,
        /// Where it is; none outside of the service.
        path: Option<PathBuf>,
    },
}

impl KeySource {
    /// Reads the ring; none where a key file does not exist.
    ///
    /// # Errors
    /// [`KeyFileError`].
    pub fn load(&self) -> Result<Option<KeyRing>, KeyFileError> {
        match self {
            Self::File(path) => match KeyRing::load_file(path) {
                Err(KeyFileError::Missing { .. }) => Ok(None),
                loaded => loaded.map(Some),
            },
            Self::Variable { text, .. } => {
                let text = text.as_ref();
                let text = text.ok_or_else(|| KeyFileError::Unset(self.to_string()))?;
                file::parse(text.expose(), Path::new(&self.to_string())).map(Some)
            }
            Self::Credential { path, .. } => {
                let path = path.as_ref();
                let unset = || KeyFileError::Unset(format!("$CREDENTIALS_DIRECTORY of {self}"));
                file::read(path.ok_or_else(unset)?, Readers::Group).map(Some)
            }
        }
    }

    /// Reads the ring, or makes a key file where there is none.
    ///
    /// # Errors
    /// [`KeyFileError`].
    pub fn load_or_create(&self) -> Result<KeyRing, KeyFileError> {
        match (self.load()?, self) {
            (Some(ring), _) => Ok(ring),
            (None, Self::File(path)) => KeyRing::create_file(path),
            (None, _) => Err(KeyFileError::Unset(self.to_string())),
        }
    }
}

impl fmt::Display for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "key file {}", path.display()),
            Self::Variable { name, .. } => write!(f, "key variable {name}"),
            Self::Credential { name, .. } => write!(f, "key credential {name}"),
        }
    }
}

impl From<&Path> for KeySource {
    fn from(path: &Path) -> Self {
        Self::File(path.to_owned())
    }
}

impl From<&PathBuf> for KeySource {
    fn from(path: &PathBuf) -> Self {
        Self::File(path.clone())
    }
}

impl From<&Self> for KeySource {
    fn from(source: &Self) -> Self {
        source.clone()
    }
}

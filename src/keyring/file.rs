//! The key file: `linkgate-key-v1`, then one line per key, `id base64`, the sealing key first.
//!
//! The line whose id is `fingerprint` holds the fingerprint key. Empty lines and `#` are skipped.
//!
//! **Invariant:** written with mode 0600, and replaced only as a whole, by a rotation; a file that
//! group or others may read or write is refused, because whoever could read it can open every token.

use std::{
    ffi::OsString,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use data_encoding::BASE64;
use zeroize::Zeroizing;

use super::{KeyRing, MasterKey, Masters};

const FIRST_LINE: &str = "linkgate-key-v1";
const FINGERPRINT_ID: &str = "fingerprint";
/// Hundreds of keys; what is larger is another file.
const LIMIT_BYTES: u64 = 64 * 1024;

/// Why a key file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// There is none.
    #[error("{path}: no such key file")]
    Missing {
        /// Where it should be.
        path: PathBuf,
    },
    /// Group or others have rights on it.
    #[error(
        "{path}: mode {mode:04o} lets others at the key; chmod 600, and rotate if it was exposed"
    )]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The variable or the credential does not exist here.
    #[error("{0} is not set")]
    Unset(String),
    /// Somebody changed the file since it was read, in more than by adding keys.
    #[error("{path}: was changed by another since it was read; restart first")]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// The keys do not come from a file that could be changed from here.
    #[error("the keys do not come from store.key_file, so they cannot be changed from here")]
    NoFile,
    /// Not a key file, or a damaged one.
    #[error("{path}: line {line}: {reason}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Line number, from 1.
        line: usize,
        /// What is wrong; never shows the line.
        reason: &'static str,
    },
    /// The system refused.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

/// Who may read a file of keys beside its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Readers {
    /// Nobody.
    Owner,
    /// Its group: a systemd credential's access list shows as such, in a folder that is the
    /// service's alone.
    Group,
}

/// Writes a new key file. The name appears only once the content is on disk.
pub(super) fn write_new(path: &Path, text: &str) -> Result<(), KeyFileError> {
    // A hard link, unlike a rename, fails if the name is taken.
    write_durably(path, text, |draft| {
        let linked = fs::hard_link(draft, path);
        fs::remove_file(draft)?;
        linked
    })
}

/// Replaces a key file. Before and after a kill at any moment it holds the old keys or the new ones.
pub(super) fn replace(path: &Path, text: &str) -> Result<(), KeyFileError> {
    write_durably(path, text, |draft| fs::rename(draft, path))
}

pub(super) fn render(masters: &Masters, fingerprint_secret: &[u8; 32]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(format!("{FIRST_LINE}\n"));
    let mut line = |id: &str, secret: &[u8]| {
        let encoded = Zeroizing::new(BASE64.encode(secret));
        for part in [id, " ", &encoded, "\n"] {
            text.push_str(part);
        }
    };
    for key in masters.all() {
        line(&key.id, key.secret.as_slice());
    }
    line(FINGERPRINT_ID, fingerprint_secret);
    text
}

/// One key's line, to be put in front of the others.
pub(super) fn render_line(key: &MasterKey) -> Zeroizing<String> {
    let encoded = Zeroizing::new(BASE64.encode(key.secret.as_slice()));
    Zeroizing::new(format!("{} {}", key.id, &*encoded))
}

fn write_durably(
    path: &Path,
    text: &str,
    put: impl FnOnce(&Path) -> io::Result<()>,
) -> Result<(), KeyFileError> {
    try_write_durably(path, text, put).map_err(|source| KeyFileError::Io {
        path: path.to_owned(),
        source,
    })
}

fn try_write_durably(
    path: &Path,
    text: &str,
    put: impl FnOnce(&Path) -> io::Result<()>,
) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700).create(folder)?;
    let mut draft = OsString::from(path);
    draft.push(".new");
    let draft = PathBuf::from(draft);
    // A draft left by a crash holds a key that nothing was ever sealed with.
    if let Err(error) = fs::remove_file(&draft)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(error);
    }
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&draft)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    put(&draft)?;
    File::open(folder)?.sync_all()
}

/// Reads a key file.
pub(super) fn read(path: &Path, readers: Readers) -> Result<KeyRing, KeyFileError> {
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => KeyFileError::Missing {
            path: path.to_owned(),
        },
        _ => KeyFileError::Io {
            path: path.to_owned(),
            source,
        },
    };
    let file = File::open(path).map_err(failed)?;
    let mode = file.metadata().map_err(failed)?.mode() & 0o7777;
    let others = match readers {
        Readers::Owner => 0o077,
        Readers::Group => 0o007,
    };
    if mode & others != 0 {
        let path = path.to_owned();
        return Err(KeyFileError::Exposed { path, mode });
    }
    let mut text = Zeroizing::new(String::new());
    file.take(LIMIT_BYTES)
        .read_to_string(&mut text)
        .map_err(failed)?;
    parse(&text, path)
}

/// Reads a key file's text; `whence` names it in errors.
pub(super) fn parse(text: &str, whence: &Path) -> Result<KeyRing, KeyFileError> {
    parse_lines(text).map_err(|(line, reason)| KeyFileError::Malformed {
        path: whence.to_owned(),
        line,
        reason,
    })
}

fn parse_lines(text: &str) -> Result<KeyRing, (usize, &'static str)> {
    let mut masters: Vec<MasterKey> = Vec::new();
    let mut fingerprint_secret = None;
    let mut lines = text.lines().enumerate();
    if lines.next().is_none_or(|(_, line)| line != FIRST_LINE) {
        return Err((1, "does not begin with linkgate-key-v1"));
    }
    for (index, line) in lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
        let (id, secret) = key_line(line).map_err(|reason| (index + 1, reason))?;
        if id == FINGERPRINT_ID {
            fingerprint_secret = Some(secret);
        } else if masters.iter().any(|key| &*key.id == id) {
            return Err((index + 1, "a second key with this id"));
        } else {
            let id = id.into();
            masters.push(MasterKey { id, secret });
        }
    }
    let end = text.lines().count();
    let mut masters = masters.into_iter();
    let first = masters.next().ok_or((end, "no key"))?;
    let fingerprint_secret = fingerprint_secret.ok_or((end, "no fingerprint key"))?;
    Ok(KeyRing::assemble(
        first,
        masters.collect(),
        fingerprint_secret,
    ))
}

fn key_line(line: &str) -> Result<(&str, Zeroizing<[u8; 32]>), &'static str> {
    let (id, encoded) = line.split_once(' ').ok_or("not `id base64`")?;
    if !(1..=64).contains(&id.len()) || !id.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("a key's id has 1 to 64 printable characters");
    }
    let decoded = BASE64.decode(encoded.trim().as_bytes());
    let decoded = Zeroizing::new(decoded.map_err(|_| "the key is not base64")?);
    let secret = <[u8; 32]>::try_from(decoded.as_slice()).map_err(|_| "a key has 32 bytes")?;
    Ok((id, Zeroizing::new(secret)))
}

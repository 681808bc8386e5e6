//! Opening the file: looked at read-only first, so that a refusal has written nothing.
//!
//! **Invariant:** a file is opened for writing once SQLite's integrity check found it whole, and never before.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::Duration,
};

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension as _, params};

use super::StoreError;
use crate::keyring::{KeyFileError, KeyRing, KeySource};

/// Each file is one layout; its position is the number kept in `user_version`.
const MIGRATIONS: [&str; 6] = [
    include_str!("../migrations/0001.sql"),
    include_str!("../migrations/0002.sql"),
    include_str!("../migrations/0003.sql"),
    include_str!("../migrations/0004.sql"),
    include_str!("../migrations/0005.sql"),
    include_str!("../migrations/0006.sql"),
];
/// Another process may hold the file for a moment, a backup for instance.
const BUSY: Duration = Duration::from_secs(5);

/// More than SQLite's own limit, 2 GiB: what is beyond is copied.
const MAPPED_BYTES: i64 = 1 << 40;
/// A file that is checked and read in less than a tenth of a second, together: one after the other is simple.
const SMALL_BYTES: u64 = 64 << 20;

/// What was found before anything was opened for writing.
enum Found {
    /// No file, or one without content.
    Nothing,
    /// A store, with the value that tells its key.
    Store { check_value: Vec<u8>, layout: i64 },
}

/// A file that was looked at, and not opened for writing yet.
pub(super) struct Opening {
    path: PathBuf,
    ring: KeyRing,
    /// None once it is over.
    check: Option<Check>,
}

/// Looks at `path` and decides about the key file. Nothing is written but a key file for a store that is empty.
pub(super) fn begin(path: &Path, keys: &KeySource) -> Result<Opening, StoreError> {
    begin_beside(path, keys, SMALL_BYTES)
}

/// The same, where a file of more than `small` bytes is checked beside what follows.
pub(super) fn begin_beside(
    path: &Path,
    keys: &KeySource,
    small: u64,
) -> Result<Opening, StoreError> {
    let size = match fs::metadata(path) {
        Ok(metadata) => metadata.len(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        Err(error) => return Err(unavailable(path, &error)),
    };
    let mut check = match size {
        0 => None,
        _ if size <= small => check(path).map(|()| None)?,
        _ => Some(Check::begin(path)?),
    };
    let looked = match size {
        0 => Ok(Found::Nothing),
        _ => look(path),
    };
    let is_as_now =
        |found: &Found| matches!(found, Found::Store { layout, .. } if *layout == known_layout());
    // Of all that is not as it should be, damage is told first.
    if !looked.as_ref().is_ok_and(is_as_now)
        && let Some(check) = check.take()
    {
        check.verdict()?;
    }
    let ring = ring_for(&looked?, keys);
    if ring.is_err()
        && let Some(check) = check.take()
    {
        check.verdict()?;
    }
    Ok(Opening {
        path: path.to_owned(),
        ring: ring?,
        check,
    })
}

impl Opening {
    pub(super) fn ring(&self) -> &KeyRing {
        &self.ring
    }

    /// Whether the file is still being checked: [`Opening::finish`] waits for that.
    pub(super) fn is_checking(&self) -> bool {
        self.check.is_some()
    }

    /// The same, whose check is not over before `gate` is opened.
    #[cfg(test)]
    pub(super) fn held_by(mut self, gate: std::sync::mpsc::Receiver<()>) -> Self {
        let held = |check: Check| {
            Check(thread::spawn(move || {
                gate.recv().unwrap();
                check.verdict()
            }))
        };
        self.check = self.check.take().map(held);
        self
    }

    /// Opens the file for writing, if it is whole.
    pub(super) fn finish(self) -> Result<Connection, StoreError> {
        let (path, ring) = (&self.path, &self.ring);
        if let Some(check) = self.check {
            check.verdict()?;
        }
        for file in files_of(path) {
            narrow(&file).map_err(|error| unavailable(&file, &error))?;
        }
        make_private(path).map_err(|error| unavailable(path, &error))?;
        let mut connection = Connection::open(path)?;
        connection.busy_timeout(BUSY)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        // What is forgotten shall be gone from the file, not only from its index.
        connection.pragma_update(None, "secure_delete", true)?;
        migrate(&mut connection, ring)?;
        // The lock on the data folder says we are alone, so whoever held a lease is dead.
        connection.execute("UPDATE leases SET until_micros = 0", [])?;
        Ok(connection)
    }
}

/// The keys of what was found.
fn ring_for(found: &Found, keys: &KeySource) -> Result<KeyRing, StoreError> {
    let unusable = |error: KeyFileError| StoreError::KeyFile(Arc::new(error));
    let Found::Store { check_value, .. } = found else {
        return keys.load_or_create().map_err(unusable);
    };
    let ring = keys.load().map_err(unusable)?;
    let ring = ring.ok_or_else(|| StoreError::MissingKey {
        keys: keys.to_string(),
    })?;
    match ring.matches(check_value) {
        true => Ok(ring),
        false => Err(StoreError::WrongKey {
            keys: keys.to_string(),
            needed: KeyRing::key_of(check_value).unwrap_or("?").to_owned(),
        }),
    }
}

/// Opens the file so that nothing can be written to it.
pub(super) fn read_only(path: &Path) -> Result<Connection, StoreError> {
    let judged = |error: rusqlite::Error| judge(path, &error);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(judged)?;
    connection.busy_timeout(BUSY).map_err(judged)?;
    Ok(connection)
}

/// A check of the whole file, on a thread of its own.
struct Check(thread::JoinHandle<Result<(), StoreError>>);

impl Check {
    fn begin(path: &Path) -> Result<Self, StoreError> {
        let path = path.to_owned();
        thread::Builder::new()
            .name("linkgate-check".to_owned())
            .spawn(move || check(&path))
            .map(Self)
            .map_err(|error| StoreError::Unavailable(error.to_string()))
    }

    /// Waits until it is over.
    fn verdict(self) -> Result<(), StoreError> {
        self.0.join().unwrap_or_else(|_panic| {
            let words = "the check of the store did not end";
            Err(StoreError::Unavailable(words.to_owned()))
        })
    }
}

/// Whether the whole file is as SQLite writes it.
///
/// It is checked in place, which takes half of the time of copying each page. A page in place that the disk does not give
/// would end the process without a word: so all of it is read before, which says so of a disk that fails already. One that
/// fails between, for a page that memory had no room to keep, is not caught.
fn check(path: &Path) -> Result<(), StoreError> {
    read_through(path).map_err(|error| unavailable(path, &error))?;
    let judged = |error: rusqlite::Error| judge(path, &error);
    let connection = read_only(path)?;
    connection
        .pragma_update(None, "mmap_size", MAPPED_BYTES)
        .map_err(judged)?;
    let question = "PRAGMA integrity_check(1)";
    let verdict: String = connection
        .query_row(question, [], |row| row.get(0))
        .map_err(judged)?;
    match verdict.as_str() {
        "ok" => Ok(()),
        _ => Err(corrupt(path, verdict)),
    }
}

fn read_through(path: &Path) -> io::Result<()> {
    io::copy(&mut File::open(path)?, &mut io::sink()).map(drop)
}

fn look(path: &Path) -> Result<Found, StoreError> {
    let judged = |error: rusqlite::Error| judge(path, &error);
    let connection = read_only(path)?;
    let layout = layout(&connection).map_err(judged)?;
    if layout > known_layout() {
        return Err(StoreError::Newer {
            path: path.to_owned(),
            found: layout,
            known: known_layout(),
        });
    }
    if layout == 0 {
        let count = "SELECT count(*) FROM sqlite_schema";
        return match connection.query_row(count, [], |row| row.get::<_, i64>(0)) {
            Ok(0) => Ok(Found::Nothing),
            Ok(_) => Err(corrupt(path, "another program's tables".to_owned())),
            Err(error) => Err(judged(error)),
        };
    }
    let question = "SELECT value FROM meta WHERE name = 'check_value'";
    let check_value = connection
        .query_row(question, [], |row| row.get(0))
        .optional()
        .map_err(judged)?
        .ok_or_else(|| corrupt(path, "its check value is gone".to_owned()))?;
    Ok(Found::Store {
        check_value,
        layout,
    })
}

fn corrupt(path: &Path, reason: String) -> StoreError {
    StoreError::Corrupt {
        path: path.to_owned(),
        reason,
    }
}

fn judge(path: &Path, error: &rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            corrupt(path, error.to_string())
        }
        _ => unavailable(path, error),
    }
}

fn unavailable(path: &Path, error: &dyn std::error::Error) -> StoreError {
    StoreError::Unavailable(format!("{}: {error}", path.display()))
}

/// The store's file, its write-ahead log and its shared memory.
fn files_of(path: &Path) -> [PathBuf; 3] {
    ["", "-wal", "-shm"].map(|suffix| {
        let mut file = path.as_os_str().to_owned();
        file.push(suffix);
        file.into()
    })
}

/// Takes the rights of group and others away, and says so: whoever had them may have copied it.
fn narrow(file: &Path) -> io::Result<()> {
    let mode = match fs::metadata(file) {
        Ok(metadata) => metadata.permissions().mode() & 0o7777,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if mode & 0o077 == 0 {
        return Ok(());
    }
    tracing::warn!(
        file = %file.display(),
        mode = format_args!("{mode:04o}"),
        "others had rights on the store's file: they are taken away"
    );
    fs::set_permissions(file, fs::Permissions::from_mode(0o600))
}

/// Makes the file with mode 0600, or narrows it; SQLite gives its other files the same mode.
fn make_private(path: &Path) -> io::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.exists()) {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
    }
    let mut options = OpenOptions::new();
    let file = options.create(true).append(true).mode(0o600).open(path)?;
    file.set_permissions(fs::Permissions::from_mode(0o600))
}

fn layout(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

fn known_layout() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

/// Brings the file to the last layout. Layout and check value appear together or not at all.
fn migrate(connection: &mut Connection, ring: &KeyRing) -> Result<(), StoreError> {
    let done = usize::try_from(layout(connection)?).unwrap_or_default();
    if done == MIGRATIONS.len() {
        return Ok(());
    }
    let transaction = connection.transaction()?;
    for migration in MIGRATIONS.iter().skip(done) {
        transaction.execute_batch(migration)?;
    }
    if done == 0 {
        transaction.execute(
            "INSERT INTO meta (name, value) VALUES ('check_value', ?1)",
            params![ring.check_value()],
        )?;
    }
    transaction.pragma_update(None, "user_version", known_layout())?;
    Ok(transaction.commit()?)
}

/// A small durable write.
pub(super) fn write_probe(connection: &mut Connection, now: i64) -> Result<(), StoreError> {
    connection.execute(
        "INSERT INTO meta (name, value) VALUES ('probe', ?1)
         ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        params![now.to_be_bytes().as_slice()],
    )?;
    Ok(())
}

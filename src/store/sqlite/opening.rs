//! Opening the file: looked at read-only first, so that a refusal has written nothing.

use std::{
    fs::{self, DirBuilder, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
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

/// What was found before anything was opened for writing.
enum Found {
    /// No file, or one without content.
    Nothing,
    /// A store, with the value that tells its key.
    Store { check_value: Vec<u8> },
}

/// Opens `path` and decides about the key file.
pub(super) fn open(path: &Path, keys: &KeySource) -> Result<(Connection, KeyRing), StoreError> {
    let unusable = |error: KeyFileError| StoreError::KeyFile(Arc::new(error));
    let found = look(path)?;
    let ring = match &found {
        Found::Nothing => keys.load_or_create().map_err(unusable)?,
        Found::Store { check_value } => {
            let ring = keys.load().map_err(unusable)?;
            let ring = ring.ok_or_else(|| StoreError::MissingKey {
                keys: keys.to_string(),
            })?;
            if !ring.matches(check_value) {
                return Err(StoreError::WrongKey {
                    keys: keys.to_string(),
                    needed: KeyRing::key_of(check_value).unwrap_or("?").to_owned(),
                });
            }
            ring
        }
    };
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
    migrate(&mut connection, &ring)?;
    // The lock on the data folder says we are alone, so whoever held a lease is dead.
    connection.execute("UPDATE leases SET until_micros = 0", [])?;
    Ok((connection, ring))
}

fn look(path: &Path) -> Result<Found, StoreError> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.len() > 0 => {}
        Ok(_) => return Ok(Found::Nothing),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(error) => return Err(unavailable(path, &error)),
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let judged = |error: rusqlite::Error| judge(path, &error);
    let connection = Connection::open_with_flags(path, flags).map_err(judged)?;
    connection.busy_timeout(BUSY).map_err(judged)?;
    let corrupt = |reason: String| StoreError::Corrupt {
        path: path.to_owned(),
        reason,
    };
    let verdict: String = connection
        .query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))
        .map_err(judged)?;
    if verdict != "ok" {
        return Err(corrupt(verdict));
    }
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
            Ok(_) => Err(corrupt("another program's tables".to_owned())),
            Err(error) => Err(judged(error)),
        };
    }
    let question = "SELECT value FROM meta WHERE name = 'check_value'";
    let check_value = connection
        .query_row(question, [], |row| row.get(0))
        .optional()
        .map_err(judged)?
        .ok_or_else(|| corrupt("its check value is gone".to_owned()))?;
    Ok(Found::Store { check_value })
}

fn judge(path: &Path, error: &rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => StoreError::Corrupt {
            path: path.to_owned(),
            reason: error.to_string(),
        },
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

//! The suite on SQLite, and what only a file can go through.

use std::{collections::BTreeMap, fs, os::unix::fs::PermissionsExt as _};

use futures_util::FutureExt as _;
use tempfile::TempDir;

use super::*;
use crate::store::{self, Store, suite};

struct Files {
    _folder: TempDir,
    db: PathBuf,
    key: PathBuf,
}

fn files() -> Files {
    let folder = tempfile::tempdir().unwrap();
    let db = folder.path().join("data/linkgate.db");
    let key = folder.path().join("data/linkgate.key");
    Files {
        _folder: folder,
        db,
        key,
    }
}

impl Files {
    async fn open(&self) -> Result<(Arc<dyn Store>, KeyRing), StoreError> {
        store::open(&format!("sqlite:{}", self.db.display()), &self.key).await
    }

    /// A store with one row, closed again.
    async fn filled() -> Self {
        let files = files();
        let (store, _) = files.open().await.unwrap();
        suite::fill(&*store, &suite::member("ada")).await;
        drop(store);
        // The last connection's close takes the write-ahead log away, on the store's own thread.
        let log = files.db.with_extension("db-wal");
        let closing = async {
            while log.exists() {
                tokio::time::sleep(Duration::from_millis(2)).await; // looked at again, not relied on
            }
        };
        let limit = Duration::from_secs(10);
        tokio::time::timeout(limit, closing).await.unwrap();
        files
    }

    fn mode(&self, path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }
}

#[tokio::test]
async fn sqlite_does_what_every_store_must() {
    let files = files();
    let clock = Clock::system();
    let (store, _) = Sqlite::open(&files.db, &(&files.key).into(), clock.clone()).unwrap();

    suite::run(&store, &clock).await;
}

#[tokio::test]
async fn a_new_store_is_private_and_brings_its_key_file() {
    let files = Files::filled().await;

    assert_eq!(files.mode(&files.db), 0o600);
    assert_eq!(files.mode(&files.key), 0o600);
    assert_eq!(files.mode(files.db.parent().unwrap()), 0o700);
}

#[tokio::test]
async fn a_reopened_store_has_the_same_rows_and_ring() {
    let files = Files::filled().await;
    fs::set_permissions(&files.db, fs::Permissions::from_mode(0o644)).unwrap();

    let (store, ring) = files.open().await.unwrap();

    let found = store.grant(&suite::member("ada")).await.unwrap();
    assert_eq!(found, Some(suite::row(1)));
    assert!(
        KeyRing::load_file(&files.key)
            .unwrap()
            .matches(&ring.check_value())
    );
    assert_eq!(files.mode(&files.db), 0o600);
}

#[tokio::test]
async fn a_store_without_its_key_file_is_refused_untouched() {
    let files = Files::filled().await;
    let before = fs::read(&files.db).unwrap();
    fs::remove_file(&files.key).unwrap();

    let refused = files.open().await.unwrap_err();

    assert!(
        matches!(refused, StoreError::MissingKey { .. }),
        "{refused}"
    );
    assert!(!files.key.exists());
    assert_eq!(fs::read(&files.db).unwrap(), before);
}

#[tokio::test]
async fn a_store_with_anothers_key_file_is_refused_untouched() {
    let files = Files::filled().await;
    let before = fs::read(&files.db).unwrap();
    fs::remove_file(&files.key).unwrap();
    KeyRing::create_file(&files.key).unwrap();

    let refused = files.open().await.unwrap_err();

    assert!(matches!(refused, StoreError::WrongKey { .. }), "{refused}");
    assert_eq!(fs::read(&files.db).unwrap(), before);
}

#[tokio::test]
async fn a_key_file_that_others_may_read_refuses_the_store() {
    let files = Files::filled().await;
    fs::set_permissions(&files.key, fs::Permissions::from_mode(0o644)).unwrap();

    let refused = files.open().await.unwrap_err();

    assert!(matches!(refused, StoreError::KeyFile(_)), "{refused}");
}

#[tokio::test]
async fn a_damaged_file_is_named_and_left_as_it_is() {
    for (why, damage) in [
        (
            "another file",
            b"this is no database, whatever it is called".to_vec(),
        ),
        ("cut", Vec::new()),
        ("overwritten inside", vec![0xff; 3000]),
    ] {
        let files = Files::filled().await;
        let mut content = fs::read(&files.db).unwrap();
        match why {
            "cut" => content.truncate(content.len() / 2),
            "overwritten inside" => content[4096..7096].copy_from_slice(&damage),
            _ => content = damage,
        }
        fs::write(&files.db, &content).unwrap();

        let refused = files.open().await.unwrap_err();

        assert!(
            matches!(refused, StoreError::Corrupt { .. }),
            "{why}: {refused}"
        );
        assert!(refused.to_string().contains("linkgate.db"), "{why}");
        assert_eq!(fs::read(&files.db).unwrap(), content, "{why}");
    }
}

#[tokio::test]
async fn another_programs_or_a_later_layout_is_refused() {
    let files = files();
    fs::create_dir_all(files.db.parent().unwrap()).unwrap();
    let other = Connection::open(&files.db).unwrap();
    other.execute_batch("CREATE TABLE theirs (x)").unwrap();
    drop(other);
    let refused = files.open().await.unwrap_err();
    assert!(matches!(refused, StoreError::Corrupt { .. }), "{refused}");
    assert!(!files.key.exists());

    let files = Files::filled().await;
    let later = Connection::open(&files.db).unwrap();
    later.pragma_update(None, "user_version", 99).unwrap();
    drop(later);
    let refused = files.open().await.unwrap_err();
    assert!(
        matches!(refused, StoreError::Newer { found: 99, .. }),
        "{refused}"
    );
}

#[tokio::test]
async fn a_key_file_alone_is_used_by_the_new_store() {
    let files = files();
    let ring = KeyRing::create_file(&files.key).unwrap();

    let (_, used) = files.open().await.unwrap();

    assert!(ring.matches(&used.check_value()));
}

#[tokio::test]
async fn what_is_forgotten_is_gone_from_every_file() {
    let files = files();
    let (store, _) = files.open().await.unwrap();
    let who = suite::member("ada");
    let marked = b"wrapped-key-canary-55".to_vec();
    store.keep_data_key(&who, marked.clone()).await.unwrap();
    let is_found = || {
        let entries = fs::read_dir(files.db.parent().unwrap()).unwrap();
        let mut contents = entries.map(|entry| fs::read(entry.unwrap().path()).unwrap());
        contents.any(|content| memchr::memmem::find(&content, &marked).is_some())
    };
    assert!(is_found());

    store.forget(&who).await.unwrap();

    assert!(!is_found());
}

#[tokio::test]
async fn a_reader_in_the_way_postpones_the_wiping_and_fails_nothing() {
    let files = files();
    let (store, _) = files.open().await.unwrap();
    let who = suite::member("ada");
    let marked = b"wrapped-key-canary-56".to_vec();
    store.keep_data_key(&who, marked.clone()).await.unwrap();
    let reader = Connection::open(&files.db).unwrap();
    reader.execute_batch("BEGIN").unwrap();
    let count = "SELECT count(*) FROM data_keys";
    let _: i64 = reader.query_row(count, [], |row| row.get(0)).unwrap();

    store.forget(&who).await.unwrap();

    assert!(store.data_keys().await.unwrap().is_empty());
    reader.execute_batch("COMMIT").unwrap();
    let log = files.db.with_extension("db-wal");
    let wiped = async {
        while fs::metadata(&log).is_ok_and(|log| log.len() > 0) {
            tokio::time::sleep(Duration::from_millis(20)).await; // looked at again, not relied on
        }
    };
    let limit = Duration::from_secs(30);
    tokio::time::timeout(limit, wiped).await.unwrap();
    for file in fs::read_dir(files.db.parent().unwrap()).unwrap() {
        let content = fs::read(file.unwrap().path()).unwrap();
        assert!(memchr::memmem::find(&content, &marked).is_none());
    }
}

#[tokio::test]
async fn each_row_is_shown_once_also_where_some_are_gone() {
    let files = files();
    let (store, _) = files.open().await.unwrap();
    let names = ["a", "b", "c", "d", "e", "f", "g"];
    for name in names {
        suite::fill(&*store, &suite::member(name)).await;
    }
    store.forget(&suite::member("c")).await.unwrap();
    drop(store);

    for share in 1..=8 {
        let seen = Mutex::new(Vec::new());
        reading::shown(&files.db, share, &|member| {
            seen.lock().unwrap().push(member);
        })
        .unwrap();

        let mut seen = seen.into_inner().unwrap();
        seen.sort();
        let left = names.into_iter().filter(|name| *name != "c");
        let expected: Vec<Member> = left.map(suite::member).collect();
        assert_eq!(seen, expected, "{share} in one go");
    }
}

#[test]
fn numbers_that_lie_far_apart_make_no_more_shares() {
    let file = Connection::open_in_memory().unwrap();
    let numbers = "CREATE TABLE few (x); INSERT INTO few (rowid) VALUES (?1), (7), (?2)";
    let numbers = numbers.replace("?1", &i64::MIN.to_string());
    let numbers = numbers.replace("?2", &i64::MAX.to_string());
    file.execute_batch(&numbers).unwrap();

    let shares = reading::shares(&file, "few", 4096).unwrap();

    assert!(shares.len() <= 1025, "{}", shares.len());
    let holders = |number| {
        shares
            .iter()
            .filter(|share| share.contains(&number))
            .count()
    };
    assert_eq!([i64::MIN, 7, i64::MAX].map(holders), [1, 1, 1]);
}

#[tokio::test]
async fn a_row_that_cannot_be_taken_in_at_all_is_an_error() {
    let files = Files::filled().await;
    let (store, _) = files.open().await.unwrap();

    let show = |_, _| panic!("what the store holds is impossible");
    let read = store.read_grants(Arc::new(show)).await;

    assert!(matches!(read, Err(StoreError::Unavailable(_))), "{read:?}");
}

impl Files {
    /// Opens the store as if it were a large one: it is checked beside.
    fn open_large(&self) -> Result<(Sqlite, KeyRing), StoreError> {
        let opening = opening::begin_beside(&self.db, &(&self.key).into(), 0)?;
        Sqlite::of(opening, &self.db, Clock::system())
    }

    /// What every file of the store holds, but for the memory that SQLite's readers share, and empty logs.
    fn contents(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let files = fs::read_dir(self.db.parent().unwrap()).unwrap();
        let files = files.map(|file| file.unwrap().path());
        let kept = files.filter(|file| file.extension().is_none_or(|kind| kind != "db-shm"));
        let all = kept.map(|file| (file.clone(), fs::read(&file).unwrap()));
        all.filter(|(_, content)| !content.is_empty()).collect()
    }
}

#[tokio::test]
async fn a_large_store_is_read_beside_its_check_and_then_does_what_every_store_must() {
    let files = Files::filled().await;
    let before = files.contents();
    let (gate, held) = std::sync::mpsc::channel();
    let opening = opening::begin_beside(&files.db, &(&files.key).into(), 0).unwrap();
    let (store, _) = Sqlite::of(opening.held_by(held), &files.db, Clock::system()).unwrap();

    let keys = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&keys);
    let show = move |member, key| seen.lock().unwrap().push((member, key));
    let limit = Duration::from_secs(10);
    let reading = tokio::time::timeout(limit, store.read_data_keys(Arc::new(show)));
    reading.await.expect("waits for no check").unwrap();

    let ada = suite::member("ada");
    assert_eq!(*keys.lock().unwrap(), [(ada.clone(), vec![1_u8])]);
    let mut probing = store.probe();
    assert!((&mut probing).now_or_never().is_none());
    assert_eq!(files.contents(), before, "nothing is written meanwhile");
    gate.send(()).unwrap();
    probing.await.unwrap();
    assert_eq!(store.grant(&ada).await.unwrap(), Some(suite::row(1)));
    assert!(store.forget(&ada).await.unwrap());
}

#[tokio::test]
async fn a_large_store_that_is_damaged_answers_nothing_and_is_left_as_it_is() {
    for offset in [4096, 5 * 4096, 9 * 4096] {
        let files = Files::filled().await;
        let mut content = fs::read(&files.db).unwrap();
        content[offset..offset + 3000].fill(0xff);
        fs::write(&files.db, &content).unwrap();
        let before = files.contents();

        let told = match files.open_large() {
            Err(error) => vec![error],
            Ok((store, _)) => vec![
                store.read_grants(Arc::new(|_, _| {})).await.unwrap_err(),
                store.journal().await.unwrap_err(),
                store.probe().await.unwrap_err(),
            ],
        };

        for error in told {
            assert!(
                matches!(error, StoreError::Corrupt { .. }),
                "{offset}: {error}"
            );
        }
        assert_eq!(files.contents(), before, "{offset}");
    }
}

#[tokio::test]
async fn a_large_store_with_anothers_keys_is_refused_before_it_is_opened() {
    let files = Files::filled().await;
    fs::remove_file(&files.key).unwrap();
    KeyRing::create_file(&files.key).unwrap();

    let refused = files.open_large().unwrap_err();

    assert!(matches!(refused, StoreError::WrongKey { .. }), "{refused}");
}

#[tokio::test]
async fn a_large_store_of_an_earlier_layout_is_checked_first() {
    let files = Files::filled().await;
    let before = Connection::open(&files.db).unwrap();
    before
        .execute_batch("ALTER TABLE grants DROP COLUMN access_tag; ALTER TABLE grants DROP COLUMN refresh_tag; PRAGMA user_version = 5;")
        .unwrap();
    drop(before);

    let opening = opening::begin_beside(&files.db, &(&files.key).into(), 0).unwrap();

    assert!(!opening.is_checking());
    assert!(opening.finish().is_ok());
}

#[tokio::test]
async fn rows_of_the_layout_before_fingerprints_are_read_without() {
    let files = Files::filled().await;
    let before = Connection::open(&files.db).unwrap();
    before
        .execute_batch(
            "ALTER TABLE grants DROP COLUMN access_tag;
             ALTER TABLE grants DROP COLUMN refresh_tag;
             PRAGMA user_version = 5;",
        )
        .unwrap();
    drop(before);

    let (store, _) = files.open().await.unwrap();

    let found = store.grant(&suite::member("ada")).await.unwrap();
    let untagged = Row {
        access_tag: None,
        refresh_tag: None,
        ..suite::row(1)
    };
    assert_eq!(found, Some(untagged));
}

#[tokio::test]
async fn a_lease_of_a_process_that_died_does_not_outlive_the_restart() {
    let files = files();
    let (store, _) = files.open().await.unwrap();
    let who = suite::member("ada");
    let hour = Duration::from_secs(3600);
    let dead = store.take_lease(&who, &"dead".into(), hour).await.unwrap();

    let (store, _) = files.open().await.unwrap();

    let next = store.take_lease(&who, &"next".into(), hour).await.unwrap();
    assert!(next.unwrap().fence > dead.unwrap().fence);
}

#[tokio::test]
async fn urls_of_other_stores_are_refused() {
    for url in ["postgres://x", "sqlite:", "sqlite://x", "linkgate.db"] {
        let refused = store::open(url, Path::new("/nowhere/key")).await;

        assert!(matches!(refused, Err(StoreError::UnknownUrl)), "{url}");
    }
}

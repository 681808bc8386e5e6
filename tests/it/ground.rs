//! The ground gives way: damaged files, wrong rights, full disks. A clear word each, and nothing lost.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, time::Duration};

use linkgate::{
    incident::reader::{Filter, Incidents, Record},
    sandbox::{Fault, Kind, Sandbox},
};
use tokio::time::{Instant, sleep};

use crate::support::{
    disk::Disk,
    process::{Place, Served},
};

/// A file of the data folder, what is done to it, and how it is refused.
struct Damage {
    why: &'static str,
    file: &'static str,
    done: fn(&Path),
    code: i32,
    /// Both stand in what is said.
    says: [&'static str; 2],
}

const STORE: &str = "data/linkgate.db";
const KEY_FILE: &str = "data/linkgate.key";

const DAMAGES: &[Damage] = &[
    Damage {
        why: "the store's first page is overwritten",
        file: STORE,
        done: |file| spoil(file, 0),
        code: 1,
        says: ["linkgate.db", "not a database"],
    },
    Damage {
        why: "a page inside the store is overwritten",
        file: STORE,
        done: |file| spoil(file, 4_096),
        code: 1,
        says: ["linkgate.db", "damaged"],
    },
    Damage {
        why: "half of the store is gone",
        file: STORE,
        done: |file| {
            let half = fs::metadata(file).unwrap().len() / 2;
            fs::OpenOptions::new()
                .write(true)
                .open(file)
                .unwrap()
                .set_len(half)
                .unwrap();
        },
        code: 1,
        says: ["linkgate.db", "damaged"],
    },
    Damage {
        why: "the store comes from a later version",
        file: STORE,
        done: |file| {
            let mut bytes = fs::read(file).unwrap();
            bytes[60..64].copy_from_slice(&99_u32.to_be_bytes()); // user_version, SQLite file format §1.3
            fs::write(file, bytes).unwrap();
        },
        code: 1,
        says: ["linkgate.db", "99"],
    },
    Damage {
        why: "the key file is missing",
        file: KEY_FILE,
        done: |file| fs::remove_file(file).unwrap(),
        code: 78,
        says: ["linkgate.key", "missing"],
    },
    Damage {
        why: "the key file holds another key",
        file: KEY_FILE,
        done: |file| {
            let text = fs::read_to_string(file).unwrap();
            let other = |line: &str| match line.split_once(' ') {
                Some((id, _)) => format!("{id} {}\n", data_encoding::BASE64.encode(&[7; 32])),
                None => format!("{line}\n"),
            };
            fs::write(file, text.lines().map(other).collect::<String>()).unwrap();
        },
        code: 78,
        says: ["linkgate.key", "key"],
    },
    Damage {
        why: "the key file is no key file",
        file: KEY_FILE,
        done: |file| fs::write(file, "something else\n").unwrap(),
        code: 78,
        says: ["linkgate.key", "line 1"],
    },
    Damage {
        why: "the group may read the key file",
        file: KEY_FILE,
        done: |file| fs::set_permissions(file, fs::Permissions::from_mode(0o640)).unwrap(),
        code: 78,
        says: ["linkgate.key", "0640"],
    },
];

fn spoil(file: &Path, at: usize) {
    let mut bytes = fs::read(file).unwrap();
    bytes[at..at + 512].fill(b'?');
    fs::write(file, bytes).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_files_are_named_left_alone_and_good_again_once_repaired() {
    let linkedin = Sandbox::start();
    let place = Place::before(&linkedin);
    place.import(&linkedin, "ada");
    let key = place.key();

    for damage in DAMAGES {
        let (file, kept) = (place.path(damage.file), place.path("kept"));
        fs::copy(&file, &kept).unwrap();
        (damage.done)(&file);
        let before = bytes_below(&place.path("data"));

        let (code, said) = place.spawn().refused().await;
        let listed = place.run(&["members", "list"], "");

        let why = damage.why;
        assert_eq!(code, Some(damage.code), "{why}: {said}");
        assert_eq!(listed.code, Some(damage.code), "{why}: {listed:?}");
        for part in damage.says {
            assert!(said.to_lowercase().contains(part), "{why}: {said}");
        }
        assert!(!said.contains("panicked"), "{why}: {said}");
        assert_eq!(
            bytes_below(&place.path("data")),
            before,
            "{why}: something was written"
        );
        fs::copy(&kept, &file).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    }

    let served = place.serve().await;
    let reply = served.get("/v2/userinfo", &key, "ada").await;
    assert_eq!(
        reply.status,
        200,
        "the grant is still there: {}",
        reply.text()
    );
    served.terminate().await;
}

/// Every file that holds something, the lock and the shared memory of the moment excepted.
fn bytes_below(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut all: Vec<(String, Vec<u8>)> = fs::read_dir(folder)
        .unwrap()
        .flatten()
        .filter(|entry| entry.path().is_file())
        .map(|entry| {
            (
                entry.file_name().into_string().unwrap(),
                fs::read(entry.path()).unwrap(),
            )
        })
        .filter(|(name, bytes)| {
            !bytes.is_empty() && !name.ends_with(".lock") && !name.ends_with("-shm")
        })
        .collect();
    all.sort();
    all
}

#[test]
fn a_command_that_has_ended_leaves_the_whole_store_in_one_file() {
    let linkedin = Sandbox::start();
    let place = Place::before(&linkedin);

    for _ in 0..10 {
        place.key();

        assert!(!place.path("data/linkgate.db-wal").exists());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_used_is_named_before_anything_is_served() {
    let linkedin = Sandbox::start();
    let mut place = Place::before(&linkedin);
    fs::write(place.path("a-file"), "in the way").unwrap();
    let long = format!("{}.sock", "s".repeat(120));
    for (key, value, code, says) in [
        ("gateway.listenn", "127.0.0.1:0", 78, "gateway.listen"),
        ("incidents.directory", "a-file", 1, "a-file"),
        ("incidents.directory", "/proc/linkgate", 1, "/proc/linkgate"),
        (
            "store.url",
            "sqlite:/proc/linkgate/linkgate.db",
            1,
            "/proc/linkgate",
        ),
        ("store.url", "sqlite:a-file/linkgate.db", 1, "a-file"),
        ("log.directory", "a-file", 1, "a-file"),
        ("control.socket", long.as_str(), 78, "too long"),
        ("linkedin.ca_file", "a-file", 78, "a-file"),
    ] {
        place.set(key, value);

        let (ended, said) = place.spawn().refused().await;

        assert_eq!(ended, Some(code), "{key}={value}: {said}");
        assert!(said.contains(says), "{key}={value}: {said}");
        assert!(!said.contains("panicked"), "{key}={value}: {said}");
        place.unset(key);
    }
    assert_eq!(fs::read(place.path("a-file")).unwrap(), b"in the way");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_logs_disk_is_full_calls_are_served_and_the_gap_is_told_afterwards() {
    let Some(disk) = Disk::in_memory(512) else {
        return;
    };
    let linkedin = Sandbox::start();
    linkedin.fault(Fault::on("POST /rest/posts", Kind::StatusAfterCommit { status: 500 }).always());
    let place = Place::before(&linkedin).with_incidents_in(&disk.path("incidents"));
    place.import(&linkedin, "ada");
    let key = place.key();
    let served = place.serve().await;
    let log = Incidents::open(disk.path("incidents"));
    let before = failing(&served, &key).await;
    disk.fill();

    let lost = failing(&served, &key).await;
    let good = served.get("/v2/userinfo", &key, "ada").await;
    let unready = served.ready_is(503).await;
    let dropped = served.metric("linkgate_incidents_dropped_total").await;
    disk.relieve();
    served.ready_is(200).await;
    let after = failing(&served, &key).await;

    assert_eq!(good.status, 200, "{}", good.text());
    assert!(unready.contains("support_log"), "{unready}");
    assert!(dropped >= 1.0, "{dropped}");
    let records: Vec<Record> = log.list(Filter::default()).flatten().collect();
    let is_kept = |id: &str| records.iter().any(|record| record.id() == Some(id));
    assert!(is_kept(&before) && is_kept(&after) && !is_kept(&lost));
    let gap: u64 = records
        .iter()
        .filter(|record| record.kind() == Some("gap"))
        .filter_map(|record| record.number("/dropped"))
        .sum();
    assert_eq!(gap as f64, dropped, "what was dropped is told");
    served.terminate().await;
}

/// A call that fails; its exchange's id.
async fn failing(served: &Served, key: &str) -> String {
    let head = served.head("POST", "/rest/posts", key, "ada");
    let reply = served
        .connect()
        .await
        .ask(head + "Content-Length: 2\r\n\r\n{}")
        .await;
    assert_eq!(reply.status, 500, "{}", reply.text());
    reply.id().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_stores_disk_is_full_no_refresh_token_is_spent_and_it_recovers_alone() {
    let Some(disk) = Disk::in_memory(2_048) else {
        return;
    };
    let linkedin = Sandbox::start();
    let place = Place::before(&linkedin)
        .with(
            "store.url",
            &format!("sqlite:{}", disk.path("linkgate.db").display()),
        )
        .with(
            "store.key_file",
            disk.path("linkgate.key").to_str().unwrap(),
        )
        .with("renewal.retry_delay_secs", "1")
        .with("renewal.max_retry_delay_secs", "1");
    place.import(&linkedin, "ada");
    place.import(&linkedin, "grace");
    let key = place.key();
    let served = place.serve().await;
    linkedin.expire_access_token("grace");
    disk.fill();

    let valid = served.get("/v2/userinfo", &key, "ada").await;
    let expired = served.get("/v2/userinfo", &key, "grace").await;
    let spent = linkedin.counts().token_calls;
    let refused = place.run(&["keys", "create", "late", "--any-member"], "");
    disk.relieve();
    let limit = Instant::now() + Duration::from_secs(30);
    while served.get("/v2/userinfo", &key, "grace").await.status != 200 {
        assert!(
            Instant::now() < limit,
            "grace's grant does not recover:\n{}",
            served.said()
        );
        sleep(Duration::from_millis(50)).await; // looked at again, not relied on
    }

    assert_eq!(valid.status, 200, "{}", valid.text());
    assert_eq!(expired.code(), "renewal_unavailable", "{}", expired.text());
    assert_eq!(spent, 0, "what could not be kept was not spent");
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(
        refused.out.is_empty() && refused.told.contains("full"),
        "{refused:?}"
    );
    assert_eq!(linkedin.counts().renewals["grace"], 1);
    served.ready_is(200).await;
    served.terminate().await;
    let shown = place.done(&["members", "show", "grace", "--json"], "");
    assert!(shown.contains("fresh"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn read_only_disks_are_named_and_nothing_is_lost() {
    let Some(disk) = Disk::in_memory(4_096) else {
        return;
    };
    let linkedin = Sandbox::start();
    let mut place = Place::before(&linkedin)
        .with(
            "store.url",
            &format!("sqlite:{}", disk.path("store/linkgate.db").display()),
        )
        .with(
            "store.key_file",
            disk.path("store/linkgate.key").to_str().unwrap(),
        );
    place.import(&linkedin, "ada");
    let key = place.key();

    disk.remount("ro");
    let (store_code, store) = place.spawn().refused().await;
    disk.remount("rw");
    place.set("incidents.directory", "/sys/linkgate");
    let (log_code, log) = place.spawn().refused().await;
    place.unset("incidents.directory");

    assert_eq!((store_code, log_code), (Some(1), Some(1)), "{store} {log}");
    assert!(store.contains("store/linkgate"), "{store}");
    assert!(log.contains("support log /sys/linkgate"), "{log}");
    let served = place.serve().await;
    assert_eq!(served.get("/v2/userinfo", &key, "ada").await.status, 200);
    served.terminate().await;
}

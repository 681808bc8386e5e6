//! The store's keys: rotated under load and under SIGKILL, lost, wrong, from before, from elsewhere.

use std::{
    fs,
    io::Write as _,
    net::SocketAddr,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use linkgate::{keyring::KeyRing, sandbox::Sandbox};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::support::{
    caller::Connection,
    process::{Place, head},
};

const KEY_FILE: &str = "data/linkgate.key";

fn ids(place: &Place) -> Vec<String> {
    let ring = KeyRing::load_file(&place.path(KEY_FILE)).unwrap();
    ring.ids().iter().map(ToString::to_string).collect()
}

fn rotate(place: &Place, more: &[&str]) -> Value {
    let said = place.done(&[&["store", "rotate-key", "--json"], more].concat(), "");
    serde_json::from_str(&said).unwrap()
}

/// Calls until it is over; each call is good.
async fn keep_calling(
    address: SocketAddr,
    ask: String,
    is_over: Arc<AtomicBool>,
    calls: Arc<AtomicUsize>,
) {
    let mut connection = Connection::to(address).await;
    while !is_over.load(Ordering::Relaxed) {
        let reply = connection.ask(ask.clone()).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        calls.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_rotated_under_load_without_one_failed_call() {
    let linkedin = Sandbox::start();
    let place = Place::before(&linkedin);
    for who in ["ada", "grace"] {
        place.import(&linkedin, who);
    }
    let key = place.key();
    let served = place.serve().await;
    let (is_over, calls) = (Arc::default(), Arc::default());
    let callers = ["ada", "grace"].map(|who| {
        let ask = head(
            served.callers,
            "GET",
            "/v2/userinfo",
            &format!("{key}~{who}"),
        ) + "\r\n";
        tokio::spawn(keep_calling(
            served.callers,
            ask,
            Arc::clone(&is_over),
            Arc::clone(&calls),
        ))
    });
    let before = ids(&place);

    let mut rotations = Vec::new();
    for more in [&["--keep-old"][..], &[], &[]] {
        linkedin.expire_access_token("ada");
        rotations.push(rotate(&place, more));
        place.import(&linkedin, "late");
    }

    is_over.store(true, Ordering::Relaxed);
    for caller in callers {
        caller.await.unwrap();
    }
    println!(
        "{} calls during three rotations",
        calls.load(Ordering::Relaxed)
    );
    assert_eq!(rotations[0]["kept"], serde_json::json!(before));
    assert_eq!(rotations[1]["retired"].as_array().unwrap().len(), 2);
    assert!(
        rotations
            .iter()
            .all(|done| done["rewrapped"].as_u64().unwrap() >= 3),
        "{rotations:?}"
    );
    assert_eq!(ids(&place), [rotations[2]["key"].as_str().unwrap()]);
    let said = served.terminate().await;
    assert!(
        said.contains("the rotation of the master key is complete"),
        "{said}"
    );
    let served = place.serve().await;
    for who in ["ada", "grace", "late"] {
        assert_eq!(
            served.get("/v2/userinfo", &key, who).await.status,
            200,
            "{who}"
        );
    }
    served.terminate().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_that_is_killed_is_brought_to_its_end_by_the_next_start() {
    let linkedin = Sandbox::start();
    let place = Place::before(&linkedin);
    for n in 0..4 {
        place.import(&linkedin, &format!("member{n}"));
    }
    let key = place.key();
    let mut resumed = 0;
    for round in 0..12_u64 {
        let served = place.serve().await;
        let mut command = place
            .command(&["store", "rotate-key"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let limit = Instant::now() + Duration::from_secs(30);
        while !served
            .said()
            .contains("a rotation of the master key begins")
        {
            assert!(
                Instant::now() < limit,
                "no rotation begins: {}",
                served.said()
            );
            sleep(Duration::from_micros(100)).await; // looked at again, not relied on
        }
        // The moment of the kill is what varies, not what is waited for.
        sleep(Duration::from_micros(round * 700)).await;
        served.kill().await;
        command.wait().unwrap();

        let served = place.serve().await;

        assert_eq!(
            ids(&place).len(),
            1,
            "round {round}: the old key is retired"
        );
        let mode = fs::metadata(place.path(KEY_FILE))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o7777, 0o600);
        resumed += usize::from(
            served
                .said()
                .contains("the rotation of the master key is complete"),
        );
        for n in 0..4 {
            let reply = served
                .get("/v2/userinfo", &key, &format!("member{n}"))
                .await;
            assert_eq!(reply.status, 200, "round {round}: {}", reply.text());
        }
        served.terminate().await;
    }
    println!("{resumed} of 12 starts brought a rotation to its end");
    assert_eq!(rotate(&place, &[])["is_resumed"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_file_from_before_a_rotation_is_refused_and_nothing_is_written() {
    let linkedin = Sandbox::start();
    let place = Place::before(&linkedin);
    place.import(&linkedin, "ada");
    let before = fs::read(place.path(KEY_FILE)).unwrap();
    let new = rotate(&place, &[])["key"].as_str().unwrap().to_owned();
    let after = fs::read(place.path(KEY_FILE)).unwrap();
    let store = fs::read(place.path("data/linkgate.db")).unwrap();

    fs::write(place.path(KEY_FILE), &before).unwrap();
    let (code, said) = place.spawn().refused().await;
    let listed = place.run(&["members", "list"], "");
    let rotated = place.run(&["store", "rotate-key"], "");

    assert_eq!(
        (code, listed.code, rotated.code),
        (Some(78), Some(78), Some(78)),
        "{said}"
    );
    assert!(
        said.contains(&new) && said.contains("before a rotation"),
        "{said}"
    );
    assert_eq!(fs::read(place.path("data/linkgate.db")).unwrap(), store);
    fs::write(place.path(KEY_FILE), &after).unwrap();
    assert!(place.done(&["members", "list"], "").contains("ada"));
}

/// Puts a new key's line in front of a key text.
fn with_new_key(place: &Place, text: &str) -> String {
    let line = place.done(&["store", "new-key", "--line"], "");
    let (first, rest) = text.split_once('\n').unwrap();
    format!("{first}\n{line}{rest}")
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_from_a_variable_are_used_warned_of_and_rotated_in_two_steps() {
    let linkedin = Sandbox::start();
    let mut place = Place::before(&linkedin).with("store.key_env", "STORE_KEYS");
    let text = place.done(&["store", "new-key"], "");
    let (code, said) = place.spawn().refused().await;
    assert_eq!(code, Some(78), "{said}");
    assert!(said.contains("STORE_KEYS"), "{said}");

    place.set_variable("STORE_KEYS", &text);
    place.import(&linkedin, "ada");
    let both = with_new_key(&place, &text);
    place.set_variable("STORE_KEYS", &both);
    let served = place.serve().await;
    let rotated = rotate(&place, &[]);
    let told = place.done(&["store", "rotate-key"], "");
    let said = served.terminate().await;

    assert!(
        said.contains("store.key_env") && said.contains("/proc/PID/environ"),
        "{said}"
    );
    assert!(!place.path(KEY_FILE).exists());
    assert_eq!(rotated["has_file"], false);
    assert!(rotated["rewrapped"].as_u64().unwrap() >= 2, "{rotated}");
    assert!(told.contains("new-key --line"), "{told}");
    // The old key is not needed any more, and does not do any more.
    let new_alone: String = both
        .lines()
        .filter(|line| !text.lines().nth(1).unwrap().eq(*line))
        .map(|line| format!("{line}\n"))
        .collect();
    place.set_variable("STORE_KEYS", &new_alone);
    assert!(place.done(&["members", "list"], "").contains("ada"));
    place.set_variable("STORE_KEYS", &text);
    assert_eq!(place.run(&["members", "list"], "").code, Some(78));
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_from_a_credential_are_used_and_its_readers_are_checked() {
    let linkedin = Sandbox::start();
    let mut place = Place::before(&linkedin).with("store.key_credential", "linkgate-keys");
    let folder = place.path("credentials");
    fs::create_dir(&folder).unwrap();
    let text = place.done(&["store", "new-key"], "");
    let file = folder.join("linkgate-keys");
    fs::write(&file, text).unwrap();
    let run = |place: &Place| place.run(&["members", "list"], "");

    let unset = run(&place);
    place.set_variable("CREDENTIALS_DIRECTORY", folder.to_str().unwrap());

    assert_eq!(unset.code, Some(78), "{unset:?}");
    assert!(unset.told.contains("CREDENTIALS_DIRECTORY"), "{unset:?}");
    for (mode, code, why) in [
        (0o400, 0, "as systemd makes it"),
        (0o440, 0, "an access list shows as the group's rights"),
        (0o444, 78, "everybody may read it"),
    ] {
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        let ended = run(&place);
        assert_eq!(ended.code, Some(code), "{why}: {ended:?}");
    }
    place.set("store.key_env", "STORE_KEYS");
    let twice = run(&place);
    assert_eq!(twice.code, Some(78), "{twice:?}");
    assert!(twice.told.contains("store.key_credential"), "{twice:?}");
}

#[test]
fn files_of_the_store_that_others_may_read_are_closed_and_it_is_said() {
    let linkedin = Sandbox::start();
    let place = Place::before(&linkedin);
    place.import(&linkedin, "ada");
    let file = place.path("data/linkgate.db");
    for mode in [0o640, 0o604, 0o666] {
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();

        place.done(&["members", "list"], "");

        assert_eq!(mode_of(&file), 0o600, "from {mode:04o}");
    }
}

fn mode_of(file: &Path) -> u32 {
    fs::metadata(file).unwrap().permissions().mode() & 0o7777
}

#[test]
fn a_command_that_reads_tokens_leaves_no_core_dump() {
    let linkedin = Sandbox::start();
    let place = Place::before(&linkedin);
    let mut importing = place
        .command(&["members", "import", "ada"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = importing.stdin.take().unwrap();
    // More than a pipe holds: when this is through, the command has begun to read.
    input.write_all(&[b' '; 128 * 1024 - 1]).ok();

    let limits = fs::read_to_string(format!("/proc/{}/limits", importing.id())).unwrap_or_default();

    drop(input);
    importing.wait().unwrap();
    if let Some(line) = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"))
    {
        let numbers: Vec<&str> = line.split_whitespace().skip(4).take(2).collect();
        assert_eq!(numbers, ["0", "0"], "{line}");
    }
}

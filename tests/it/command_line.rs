//! The command line as people and scripts use it: real processes, real files, exit codes.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Output, Stdio},
    sync::mpsc::channel,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::time::Instant;

use linkgate::{
    bearer,
    sandbox::{CANARY, Fault, Kind, Sandbox},
};

mod forecast;
mod served;
mod starving;

use served::{Served, World};

/// The command, started in `folder`, with nothing in its environment.
pub(crate) fn linkgate(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_linkgate"));
    command.current_dir(folder).env_clear().stdin(Stdio::null());
    command
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs it with `input` and says how it ended: code, standard output, standard error.
fn run(folder: &Path, arguments: &[&str], input: &str) -> (Option<i32>, String, String) {
    let mut child = linkgate(folder)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that does not read its input may be gone already.
    child.stdin.take().unwrap().write_all(input.as_bytes()).ok();
    let id = Pid::from_child(&child);
    let (tell, told) = channel();
    std::thread::spawn(move || tell.send(child.wait_with_output()));
    let Ok(ended) = told.recv_timeout(served::LIMIT) else {
        kill_process(id, Signal::KILL).unwrap();
        panic!("{arguments:?} did not end");
    };
    let Output {
        status,
        stdout,
        stderr,
    } = ended.unwrap();
    (status.code(), text(&stdout), text(&stderr))
}

#[test]
fn each_end_has_its_exit_code() {
    let world = World::new();
    for (why, arguments, code) in [
        ("help", &["--help"][..], 0),
        ("help of a command", &["members", "import", "--help"], 0),
        ("version", &["--version"], 0),
        ("good file", &["check"], 0),
        ("no such command", &["fly"], 64),
        ("no such option", &["serve", "--fast"], 64),
        ("a name is missing", &["members", "show"], 64),
        (
            "a bad rule",
            &["keys", "create", "app", "--allow", "GET nope"],
            64,
        ),
        (
            "a bad time",
            &["keys", "create", "app", "--expires", "soon"],
            64,
        ),
        (
            "both kinds of cover",
            &["keys", "create", "app", "--member", "ada", "--any-member"],
            64,
        ),
        ("a bad name", &["members", "show", "a/b"], 64),
        ("no token answer", &["members", "import", "ada"], 64),
        ("no such member", &["members", "show", "nobody"], 1),
        (
            "no such application",
            &["members", "show", "ada", "--application", "other"],
            1,
        ),
        ("no such key", &["keys", "revoke", "nothing"], 1),
        ("no such incident", &["incidents", "show", "01234567"], 1),
        ("too short an id", &["incidents", "show", "0123"], 64),
        (
            "what begins no id",
            &["incidents", "explain", "0123abcz"],
            64,
        ),
        ("no such kind", &["incidents", "list", "--kind", "good"], 64),
        (
            "no such time",
            &["incidents", "stats", "--since", "+2h"],
            64,
        ),
        ("no such file", &["check", "--config", "nowhere.yaml"], 78),
    ] {
        let (ended, _, told) = run(world.folder(), arguments, "");

        assert_eq!(ended, Some(code), "{why}: {told}");
        assert_eq!(told.is_empty(), code == 0, "{why}: {told}");
        assert!(!told.contains("panicked"), "{why}: {told}");
    }
}

#[test]
fn a_mark_is_about_one_line_and_is_taken_back_where_it_is() {
    let world = World::new();
    for (why, arguments, code) in [
        ("a mark of nothing", &["incidents", "mute", ""][..], 64),
        (
            "a mark of two lines",
            &["incidents", "resolve", "GET /a 500 -\nGET /b"],
            64,
        ),
        (
            "no signature's mark taken back",
            &["incidents", "reopen", "GET /\u{1b}[31m 500 -"],
            64,
        ),
        (
            "a mark that is not there taken back",
            &["incidents", "reopen", "GET /a 500 -"],
            1,
        ),
    ] {
        let (ended, _, told) = run(world.folder(), arguments, "");
        assert_eq!(ended, Some(code), "{why}: {told}");
        assert_eq!(
            told.contains("a signature is one line"),
            code == 64,
            "{why}: {told}"
        );
    }
}

#[test]
fn without_a_gateway_commands_open_the_store_themselves() {
    let world = World::new();
    let folder = world.folder();

    let imported = run(
        folder,
        &["members", "import", "ada"],
        &world.linkedin.sign_in("ada").json(),
    );
    let created = run(folder, &["keys", "create", "app", "--member", "ada"], "");
    let listed = run(folder, &["keys", "list", "--json"], "");
    let members = run(folder, &["members", "list", "--json"], "");
    let gone = run(folder, &["members", "disconnect", "ada"], "");
    let left = run(folder, &["members", "list", "--json"], "");

    assert_eq!(
        (imported.0, created.0, gone.0),
        (Some(0), Some(0), Some(0)),
        "{imported:?} {gone:?}"
    );
    let key = created.1.strip_suffix('\n').unwrap();
    assert!(
        bearer::KEY.is_well_formed(key.as_bytes()),
        "the key alone stands on standard output: {created:?}"
    );
    let keys: serde_json::Value = serde_json::from_str(&listed.1).unwrap();
    assert_eq!(
        (&keys[0]["caller"], &keys[0]["covers"][0]),
        (&"app".into(), &"ada/default".into())
    );
    let grants: serde_json::Value = serde_json::from_str(&members.1).unwrap();
    assert_eq!(
        (&grants[0]["name"], &grants[0]["state"]),
        (&"ada".into(), &"fresh".into())
    );
    assert_eq!(left.1, "[]\n");
}

#[test]
fn with_a_gateway_a_change_is_in_force_when_the_command_returns() {
    let world = World::new();
    let served = Served::start(&world);
    let folder = world.folder();

    let imported = run(
        folder,
        &["members", "import", "ada"],
        &world.linkedin.sign_in("ada").json(),
    );
    let created = run(
        folder,
        &[
            "keys",
            "create",
            "app",
            "--member",
            "ada",
            "--allow",
            "GET /v2/userinfo",
        ],
        "",
    );
    let key = created.1.trim();
    let good = served.get("/v2/userinfo", key);
    let refused = served.get("/v2/me", key);
    let id = key.split('_').nth(1).unwrap();
    let revoked = run(folder, &["keys", "revoke", id], "");
    let after = served.get("/v2/userinfo", key);
    let disconnected = run(folder, &["members", "disconnect", "ada"], "");

    assert_eq!(
        (imported.0, revoked.0, disconnected.0),
        (Some(0), Some(0), Some(0)),
        "{imported:?}"
    );
    assert_eq!(
        (good.status, refused.status, after.status),
        (200, 403, 401),
        "{good:?} {refused:?}"
    );
    let socket = folder.join("data/control.sock");
    assert_eq!(
        fs::metadata(&socket).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert_eq!(served.terminate(), Some(0));
    assert!(!socket.exists());
}

#[test]
fn a_second_gateway_on_the_same_folder_exits_69_and_disturbs_nobody() {
    let world = World::new();
    let served = Served::start(&world);

    let (code, _, told) = run(world.folder(), &["serve"], "");

    assert_eq!(code, Some(69), "{told}");
    assert!(told.contains("linkgate.lock"), "{told}");
    assert_eq!(served.admin("/readyz").status, 200);
    assert_eq!(run(world.folder(), &["keys", "list"], "").0, Some(0));
}

#[test]
fn a_port_that_is_taken_exits_69_and_names_the_key() {
    let world = World::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap().to_string();

    let done = linkgate(world.folder())
        .env("LINKGATE__ADMIN__LISTEN", listen)
        .arg("serve")
        .output()
        .unwrap();

    assert_eq!(done.status.code(), Some(69), "{}", text(&done.stderr));
    assert!(
        text(&done.stderr).contains("admin.listen"),
        "{}",
        text(&done.stderr)
    );
}

#[test]
fn a_killed_gateway_leaves_nothing_in_the_way_of_the_next() {
    let world = World::new();
    Served::start(&world).kill();

    let served = Served::start(&world);

    assert_eq!(served.admin("/readyz").status, 200);
    assert_eq!(run(world.folder(), &["keys", "list"], "").0, Some(0));
}

#[test]
fn at_sigterm_it_is_not_ready_first_and_what_is_under_way_is_finished() {
    let world = World::new();
    let key = world.key("ada");
    let served = Served::start_with(&world, &[("LINKGATE__GATEWAY__DRAIN_DELAY_MS", "700")]);
    world.linkedin.fault(Fault::on(
        "GET /v2/userinfo",
        Kind::DelayBefore(Duration::from_millis(1500)),
    ));
    let address = served.callers;
    let under_way = std::thread::spawn(move || served::get(address, "/v2/userinfo", &key));
    assert!(
        world
            .linkedin
            .wait_until("the call is there", Duration::from_secs(10), |counts| {
                counts
                    .routes
                    .get("GET /v2/userinfo")
                    .is_some_and(|route| route.received > 0)
            })
    );

    served.signal(Signal::TERM);

    let draining = served.admin_until(503);
    assert!(draining.body.contains("\"draining\""), "{draining:?}");
    assert_eq!(served.end(), Some(0));
    assert_eq!(under_way.join().unwrap().status, 200);
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let world = World::new();
    let key = world.key("ada");
    let served = Served::start(&world);
    world
        .linkedin
        .fault(Fault::on("GET /v2/userinfo", Kind::HangBefore).always());
    let address = served.callers;
    std::thread::spawn(move || served::try_get(address, "/v2/userinfo", &key));
    assert!(
        world
            .linkedin
            .wait_until("the call is there", Duration::from_secs(10), |counts| {
                counts.connections.open() > 0
            })
    );
    served.signal(Signal::TERM);
    served.admin_until(503);

    let before = Instant::now();
    served.signal(Signal::TERM);

    assert_eq!(served.end(), Some(1));
    assert!(
        before.elapsed() < Duration::from_secs(5),
        "{:?}",
        before.elapsed()
    );
}

#[test]
fn sighup_changes_the_log_level_and_a_bad_file_changes_nothing() {
    let world = World::new();
    let mut served = Served::start(&world);
    let file = world.folder().join("config.yaml");
    let good = fs::read_to_string(&file).unwrap();

    fs::write(&file, format!("{good}\nlog: {{level: shout}}\n")).unwrap();
    served.signal(Signal::HUP);
    let faulty = served.line_with("the one that runs stays");
    fs::write(&file, format!("{good}\nlog: {{level: error}}\n")).unwrap();
    served.signal(Signal::HUP);
    served.line_with("reading keys, certificates and the log level again");

    assert!(faulty.contains("log.level"), "{faulty}");
    assert_eq!(served.admin("/readyz").status, 200);
    let (code, log) = served.terminate_with_log();
    assert_eq!(code, Some(0), "{log}");
    assert!(!log.contains("stopping: not ready"), "{log}");
}

#[test]
fn keys_without_their_file_or_with_anothers_are_refused_and_nothing_is_written() {
    let world = World::new();
    world.key("ada");
    let (store, key_file) = (
        world.folder().join("data/linkgate.db"),
        world.folder().join("data/linkgate.key"),
    );
    let other = World::new();
    other.key("ada");
    let before = fs::read(&store).unwrap();

    fs::copy(other.folder().join("data/linkgate.key"), &key_file).unwrap();
    let wrong = run(world.folder(), &["serve"], "");
    fs::remove_file(&key_file).unwrap();
    let missing = run(world.folder(), &["serve"], "");

    assert_eq!(
        (wrong.0, missing.0),
        (Some(78), Some(78)),
        "{wrong:?} {missing:?}"
    );
    assert!(!key_file.exists(), "a new key file would hide the loss");
    assert_eq!(fs::read(&store).unwrap(), before);
}

#[test]
fn a_damaged_store_is_named_and_left_alone() {
    let world = World::new();
    world.key("ada");
    let store = world.folder().join("data/linkgate.db");
    for journal in ["data/linkgate.db-wal", "data/linkgate.db-shm"] {
        // It holds all that the last command wrote, and would mend the file.
        fs::remove_file(world.folder().join(journal)).ok();
    }
    fs::write(
        &store,
        b"this is no database, but something one may want back".repeat(100),
    )
    .unwrap();
    let before = fs::read(&store).unwrap();

    let (code, _, told) = run(world.folder(), &["serve"], "");

    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("linkgate.db"), "{told}");
    assert_eq!(fs::read(&store).unwrap(), before);
}

#[test]
fn incidents_are_listed_and_shown_with_their_bodies_while_a_gateway_runs() {
    let world = World::new();
    let key = world.key("ada");
    let served = Served::start(&world);
    world
        .linkedin
        .fault(Fault::on("GET /v2/userinfo", Kind::status(422)).always());
    let failed = served.get("/v2/userinfo", &key);
    let id = failed.header("linkgate-exchange").unwrap();

    let listed = run(
        world.folder(),
        &["incidents", "list", "--status", "4xx", "--member", "ada"],
        "",
    );
    let others = run(
        world.folder(),
        &["incidents", "list", "--member", "grace", "--json"],
        "",
    );
    let shown = run(world.folder(), &["incidents", "show", &id, "--json"], "");
    assert_eq!(served.terminate(), Some(0));
    let later = run(world.folder(), &["incidents", "show", &id[..13]], "");

    assert!(
        listed.1.contains(&id) && others.1.is_empty(),
        "{listed:?} {others:?}"
    );
    let record: serde_json::Value = serde_json::from_str(&shown.1).unwrap();
    assert_eq!(
        record["answer"]["body"]["text"].as_str(),
        Some(failed.body.as_str()),
        "{shown:?}"
    );
    assert_eq!(later.0, Some(0), "{later:?}");
    assert!(later.1.contains(&id), "{later:?}");
}

#[test]
fn tail_prints_what_happens_from_now_on() {
    let world = World::new();
    let served = Served::start(&world);
    served.get("/v2/userinfo", "lgk_before");
    let mut tail = served::Lines::of(linkgate(world.folder()).args([
        "incidents",
        "tail",
        "-f",
        "-n",
        "0",
        "--json",
    ]));

    // Told apart by path; sent until seen, as nothing says when the tail has begun to look.
    let seen = tail.until(|| {
        served.get("/v2/later", "lgk_after");
    });

    let record: serde_json::Value = serde_json::from_str(&seen).unwrap();
    assert!(record.to_string().contains("/v2/later"), "{seen}");
}

#[test]
fn no_output_of_any_command_shows_a_secret() {
    let world = World::new();
    let key = world.key("ada");
    let served = Served::start_with(&world, &[("LINKGATE__LOG__LEVEL", "trace")]);
    world
        .linkedin
        .fault(Fault::on("GET /v2/userinfo", Kind::status(422)));
    let id = served
        .get("/v2/userinfo", &key)
        .header("linkgate-exchange")
        .unwrap();
    world.linkedin.expire_access_token("ada");
    assert_eq!(served.get("/v2/userinfo", &key).status, 200);
    let mut shown = vec![served.admin("/metrics").body, served.admin("/readyz").body];
    for arguments in [
        &["check"][..],
        &["members", "list"],
        &["members", "forecast"],
        &["members", "forecast", "--csv"],
        &["members", "show", "ada", "--json"],
        &["members", "renew", "ada"],
        &["keys", "list", "--json"],
        &["incidents", "list", "--json"],
        &["incidents", "show", &id],
        &["members", "import", "ada"],
    ] {
        let (_, out, told) = run(
            world.folder(),
            arguments,
            &format!("{{\"access_token\": [\"AQX{CANARY}\"]}}"),
        );
        shown.extend([out, told]);
    }
    let (code, log) = served.terminate_with_log();

    assert_eq!(code, Some(0));
    assert!(log.contains("a command came"), "{log}");
    for text in shown.iter().chain([&log]) {
        assert!(!text.contains(CANARY), "{text}");
        assert!(!text.contains(&key), "{text}");
    }
}

#[test]
fn secrets_that_every_user_can_reach_are_remarked() {
    let world = World::new();
    let secret = world.folder().join("secret");
    for (mode, is_remarked, why) in [
        (0o600, false, "its owner's alone"),
        (
            0o640,
            false,
            "a group is how secrets are handed to services",
        ),
        (0o644, true, "everybody may read it"),
        (0o602, true, "everybody may replace it"),
    ] {
        fs::set_permissions(&secret, fs::Permissions::from_mode(mode)).unwrap();

        let (code, _, told) = run(world.folder(), &["check"], "");

        assert_eq!(code, Some(0), "{why}: {told}");
        let remark = format!("client_secret_file: every user can reach ./secret (mode {mode:04o})");
        assert_eq!(told.contains(&remark), is_remarked, "{why}: {told}");
    }
}

#[test]
fn a_reader_that_leaves_is_no_error() {
    let world = World::new();
    let mut child = linkgate(world.folder())
        .arg("check")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());

    let done = child.wait_with_output().unwrap();

    assert_eq!(
        (done.status.code(), text(&done.stderr)),
        (Some(0), String::new())
    );
}

#[test]
fn the_demo_plays_its_story_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let done = linkgate(folder.path())
        .env("TMPDIR", folder.path())
        .args(["demo", "--exit"])
        .output()
        .unwrap();

    let told = text(&done.stdout);
    assert_eq!(done.status.code(), Some(0), "{told}{}", text(&done.stderr));
    assert!(told.contains("LinkedIn has one post"), "{told}");
    assert!(!told.contains(CANARY), "{told}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn the_sandbox_serves_until_it_is_told_to_end() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = linkgate(folder.path());
    let mut sandbox =
        served::Lines::of(command.args(["sandbox", "--listen", "127.0.0.1:0", "--tls"]));

    let url = sandbox.line_with("api_url ");
    let address = url.rsplit('/').next().unwrap().trim().parse().unwrap();
    let counts = served::get(address, "/_sandbox/counts", "none");

    assert_eq!(counts.status, 200, "{counts:?}");
    assert_eq!(sandbox.terminate(), Some(0));
}

//! The support log's disk fails under a storm of failing calls: nothing that was promised is lost, and `verify` says
//! exactly what is missing.
//!
//! Every answer is read to its end by callers who note its id, and whether `/readyz` was good all the while. What was
//! read in good times must be in the log; how much of the rest is missing must be what `verify` counts.

use std::{
    collections::HashSet,
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use linkgate::{
    incident::reader::{Filter, Incidents},
    sandbox::Sandbox,
};
use serde_json::Value;
use tokio::{task::JoinHandle, time::sleep};

use crate::{
    STORM,
    frozen::{place_before, quiet_sandbox},
    support::{
        caller::Connection,
        disk::Disk,
        process::{Place, Served, head},
    },
};

/// Callers at once.
const CALLERS: usize = 4;

struct Story {
    _linkedin: Sandbox,
    place: Place,
    served: Served,
    log: Incidents,
    storm: Storming,
}

/// Calls that go on until they are told to end.
struct Storming {
    callers: Vec<JoinHandle<()>>,
    read: Arc<Mutex<Vec<(String, bool)>>>,
    is_promised: Arc<AtomicBool>,
    is_over: Arc<AtomicBool>,
}

impl Story {
    async fn begin(folder: Option<&Path>) -> Self {
        let linkedin = quiet_sandbox();
        let mut place = place_before(&linkedin);
        if let Some(folder) = folder {
            place = place.with_incidents_in(folder);
        }
        Self::at(linkedin, place, folder).await
    }

    /// An answer waits until the disk has confirmed its record.
    async fn confirmed(folder: &Path) -> Self {
        let linkedin = quiet_sandbox();
        let place = place_before(&linkedin)
            .with_incidents_in(folder)
            .with("incidents.fsync", "always")
            .with("incidents.hold_ms", "10000");
        Self::at(linkedin, place, Some(folder)).await
    }

    /// In its own folder, with this key of the configuration.
    async fn with(key: &str, value: &str) -> Self {
        let linkedin = quiet_sandbox();
        let place = place_before(&linkedin).with(key, value);
        Self::at(linkedin, place, None).await
    }

    async fn at(linkedin: Sandbox, place: Place, folder: Option<&Path>) -> Self {
        let key = place.key();
        let served = place.serve().await;
        served.ready_is(200).await;
        let log = folder.map_or_else(|| place.incidents(), Incidents::open);
        let storm = storm(&served, &key).await;
        let story = Self {
            _linkedin: linkedin,
            place,
            served,
            log,
            storm,
        };
        story.more_are_read().await;
        story
    }

    /// Waits until so many further answers have been read.
    async fn more_are_read(&self) {
        let before = self.storm.count();
        crate::support::until("answers come", || {
            self.storm.count() >= before + STORM.failing_calls / 10
        })
        .await;
    }

    /// From now on nothing is promised.
    fn breaks(&self) {
        self.storm.is_promised.store(false, Ordering::SeqCst);
    }

    /// Waits until the gateway says that all is well: from then on everything is promised.
    async fn is_well_again(&self) {
        self.served.ready_is(200).await;
        self.storm.is_promised.store(true, Ordering::SeqCst);
        self.more_are_read().await;
    }

    /// Ends it all; what `verify` says, and the ids of answers whose records are not in the log.
    async fn end(self) -> (Value, Vec<String>) {
        let read = self.storm.end().await;
        self.served.terminate().await;
        let kept: HashSet<String> = self
            .log
            .list(Filter::default())
            .flatten()
            .filter_map(|record| Some(record.id()?.to_owned()))
            .collect();
        let broken: Vec<&String> = read
            .iter()
            .filter(|(id, is_promised)| *is_promised && !kept.contains(id))
            .map(|(id, _)| id)
            .collect();
        assert!(
            broken.is_empty(),
            "promised, and not in the log: {broken:?}"
        );
        let missing = read
            .into_iter()
            .map(|(id, _)| id)
            .filter(|id| !kept.contains(id));
        let missing: Vec<String> = missing.collect();
        let verified = self.place.run(&["incidents", "verify", "--json"], "");
        let report: Value = serde_json::from_str(&verified.out).unwrap();
        let is_whole = report["is_whole"] == true;
        assert_eq!(verified.code, Some(i32::from(!is_whole)), "{verified:?}");
        (report, missing)
    }
}

async fn storm(served: &Served, key: &str) -> Storming {
    let storming = Storming {
        callers: Vec::new(),
        read: Arc::default(),
        is_promised: Arc::new(AtomicBool::new(true)),
        is_over: Arc::default(),
    };
    let call = head(
        served.callers,
        "GET",
        "/v2/userinfo",
        &format!("{key}~grace"),
    ) + "\r\n";
    let mut callers = Vec::new();
    for _ in 0..CALLERS {
        let (read, is_promised) = (
            Arc::clone(&storming.read),
            Arc::clone(&storming.is_promised),
        );
        let (is_over, call) = (Arc::clone(&storming.is_over), call.clone());
        let mut connection = Connection::to(served.callers).await;
        callers.push(tokio::spawn(async move {
            while !is_over.load(Ordering::SeqCst) {
                let before = is_promised.load(Ordering::SeqCst);
                let reply = connection.ask(call.clone()).await;
                assert_eq!(reply.status, 503, "it goes on serving: {}", reply.text());
                let is_promised = before && is_promised.load(Ordering::SeqCst);
                read.lock()
                    .unwrap()
                    .push((reply.id().to_owned(), is_promised));
            }
        }));
    }
    Storming {
        callers,
        ..storming
    }
}

impl Storming {
    fn count(&self) -> usize {
        self.read.lock().unwrap().len()
    }

    async fn end(self) -> Vec<(String, bool)> {
        self.is_over.store(true, Ordering::SeqCst);
        for caller in self.callers {
            caller.await.unwrap();
        }
        std::mem::take(&mut *self.read.lock().unwrap())
    }
}

/// How many of `findings` are of this sort, summed up by `field`.
fn sum(report: &Value, what: &str, field: &str) -> u64 {
    let all = report["findings"].as_array().unwrap();
    let of_it = all.iter().filter(|finding| finding["what"] == what);
    of_it
        .map(|finding| finding[field].as_u64().unwrap_or(0))
        .sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_full_under_a_storm_costs_what_verify_says_and_no_more() {
    // Twice what the storm's own records take: what fills the disk is the ballast.
    let Some(disk) = Disk::in_memory(4 * 1_024 + STORM.failing_calls * 12) else {
        return;
    };
    let story = Story::begin(Some(&disk.path("incidents"))).await;

    for _ in 0..2 {
        story.breaks();
        disk.fill();
        story.served.ready_is(503).await;
        story.more_are_read().await;
        disk.relieve();
        story.is_well_again().await;
    }
    let (report, missing) = story.end().await;

    println!(
        "{} of the answers have no record; verify: {report}",
        missing.len()
    );
    assert!(!missing.is_empty(), "the disk was not full");
    assert_eq!(
        report["dropped"].as_u64(),
        Some(missing.len() as u64),
        "{report}"
    );
    assert_eq!(
        sum(&report, "dropped", "count"),
        missing.len() as u64,
        "{report}"
    );
    assert_eq!(
        (&report["missing_lines"], &report["not_listed"]),
        (&0.into(), &0.into()),
        "{report}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_removed_under_a_storm_costs_the_lines_that_verify_counts() {
    let story = Story::with("incidents.hold_ms", "10000").await;
    let folder = story.place.path("data/incidents");

    story.breaks();
    story.more_are_read().await;
    // What was promised until here goes with the folder: that is what `verify` is asked about.
    let gone: HashSet<String> = {
        let read = story.storm.read.lock().unwrap();
        read.iter().map(|(id, _)| id.clone()).collect()
    };
    story
        .storm
        .read
        .lock()
        .unwrap()
        .iter_mut()
        .for_each(|(_, is_promised)| *is_promised = false);
    // The gateway may make a file in it anew while it is being removed, and lose that, too.
    let tries = (1..=100).find(|_| fs::remove_dir_all(&folder).is_ok());
    let tries: u64 = tries.expect("the folder can be removed");
    story.more_are_read().await;
    story.is_well_again().await;
    let (report, missing) = story.end().await;

    println!(
        "{} of the answers have no record; verify: {report}",
        missing.len()
    );
    assert!(
        gone.iter().all(|id| missing.contains(id)),
        "they were in the folder"
    );
    // The start's self-test was there as well, and in a file that was made anew the note on the one before.
    let lost = report["missing_lines"].as_u64().unwrap() + report["dropped"].as_u64().unwrap();
    let least = missing.len() as u64 + 1;
    assert!((least..=least + tries).contains(&lost), "{tries}: {report}");
}

/// Errors that the system answers writes to a file with, until it is dropped.
struct Injected(Child);

impl Injected {
    /// None, said out loud, where no process may be traced.
    async fn into(served: &Served, file: &Path, calls: &[&str]) -> Option<Self> {
        let mut strace = Command::new("strace");
        strace.args(["-f", "-qq", "-o", "/dev/null", "-P", file.to_str().unwrap()]);
        for call in calls {
            strace.args(["-e", &format!("inject={call}")]);
        }
        strace.args(["-p", &served.pid().to_string()]);
        let traced = strace
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let Ok(mut child) = traced else {
            println!("SKIPPED: this story needs strace");
            return None;
        };
        sleep(Duration::from_millis(300)).await; // it is seen below whether it had its effect
        if child.try_wait().unwrap().is_some() {
            println!("SKIPPED: this story needs the right to trace a process");
            return None;
        }
        Some(Self(child))
    }
}

impl Drop for Injected {
    fn drop(&mut self) {
        // An interrupt lets it detach; killed, it would leave the process stopped.
        let pid = rustix::process::Pid::from_child(&self.0);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).ok();
        self.0.wait().ok();
    }
}

fn segment_of_today(folder: &Path) -> std::path::PathBuf {
    let is_segment =
        |path: &std::path::PathBuf| path.extension().is_some_and(|end| end == "ndjson");
    let files = fs::read_dir(folder)
        .unwrap()
        .flatten()
        .map(|entry| entry.path());
    files.filter(is_segment).max().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn io_errors_and_a_read_only_disk_under_a_storm_cost_what_verify_says_and_no_more() {
    for (why, calls) in [
        ("the disk fails", &["write:error=EIO"][..]),
        (
            "it fails, and what was written cannot be taken back",
            &["write:error=EIO", "ftruncate:error=EIO"],
        ),
        (
            "it turned read-only",
            &["write:error=EROFS", "openat:error=EROFS"],
        ),
        ("it is full", &["write:error=ENOSPC"]),
    ] {
        let story = Story::begin(None).await;
        let segment = segment_of_today(&story.place.path("data/incidents"));

        story.breaks();
        let Some(injected) = Injected::into(&story.served, &segment, calls).await else {
            story.end().await;
            return;
        };
        let unready = story.served.ready_is(503).await;
        story.more_are_read().await;
        drop(injected);
        story.is_well_again().await;
        let failures = story
            .served
            .metric("linkgate_support_log_write_failures_total")
            .await;
        let (report, missing) = story.end().await;

        println!(
            "{why}: {} answers have no record; verify: {report}",
            missing.len()
        );
        assert!(unready.contains("support_log"), "{why}: {unready}");
        assert!(failures >= 1.0, "{why}");
        assert_eq!(
            report["dropped"].as_u64(),
            Some(missing.len() as u64),
            "{why}: {report}"
        );
        assert_eq!(report["missing_lines"], 0, "{why}: {report}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_turned_read_only_and_was_replaced_costs_nothing_that_it_had_confirmed() {
    let broken = tempfile::NamedTempFile::new().unwrap();
    let repaired = tempfile::NamedTempFile::new().unwrap();
    let mib = 16 + STORM.failing_calls as u64 / 80;
    let Some(mut disk) = Disk::in_a_file(broken.path(), mib) else {
        return;
    };
    let story = Story::confirmed(&disk.path("incidents")).await;

    story.breaks();
    disk.breaks();
    let unready = story.served.ready_is(503).await;
    story.more_are_read().await;
    disk.is_replaced(broken.path(), repaired.path());
    story.is_well_again().await;
    let (report, missing) = story.end().await;

    println!(
        "{} of the answers have no record; verify: {report}",
        missing.len()
    );
    assert!(unready.contains("support_log"), "{unready}");
    assert!(!missing.is_empty(), "the disk took them all the same");
    // Lines that the disk never had may be notes.
    let lost = report["missing_lines"].as_u64().unwrap() + report["dropped"].as_u64().unwrap();
    let missing = missing.len() as u64;
    assert!((missing..missing + 4).contains(&lost), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_confirms_nothing_loses_nothing_and_is_told() {
    let story = Story::begin(None).await;
    let segment = segment_of_today(&story.place.path("data/incidents"));

    let calls = ["fdatasync:error=EIO"];
    let Some(injected) = Injected::into(&story.served, &segment, &calls).await else {
        story.end().await;
        return;
    };
    let unready = story.served.ready_is(503).await;
    drop(injected);
    story.is_well_again().await;
    let failures = story
        .served
        .metric("linkgate_support_log_sync_failures_total")
        .await;
    let synced = story
        .served
        .metric("linkgate_support_log_last_sync_timestamp_seconds")
        .await;
    let (report, missing) = story.end().await;

    assert!(unready.contains("does not confirm"), "{unready}");
    assert!(failures >= 1.0 && synced > 0.0, "{failures} {synced}");
    assert_eq!(
        (missing.len(), &report["is_whole"]),
        (0, &true.into()),
        "{report}"
    );
    assert!(report["unsynced"].as_u64().unwrap() > 0, "{report}");
}

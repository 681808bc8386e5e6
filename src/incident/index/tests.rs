//! Stories of the index: the same answers as by reading, whatever state it is in.

use std::{fs::OpenOptions, io::Write as _};

use proptest::prelude::*;
use serde_json::json;
use tokio::time::Instant;

use super::{
    build::{BLOCK_LINES, Build, Step},
    keeper::Keeper,
    rebuild::rebuild,
    *,
};
use crate::incident::{
    reader::{Cursor, Filter, Found, Incidents, Order, Page, Record, Status, Window},
    record::timestamp,
};

/// Noon of some day.
const NOON: i64 = 1_790_000_000 - 1_790_000_000 % 86_400 + 43_200;

/// Numbers that look random and come again.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[usize::try_from(self.below(of.len() as u64)).unwrap()]
    }
}

/// A log of which the index knows a part.
struct World {
    folder: tempfile::TempDir,
    stamps: Vec<Stamp>,
    seq: u64,
}

impl World {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            stamps: Vec::new(),
            seq: 0,
        }
    }

    fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn incidents(&self) -> Incidents {
        Incidents::open(self.folder())
    }

    /// The next segment, with these lines.
    fn segment(&mut self, lines: &[String]) -> Stamp {
        let stamp = Stamp {
            start_secs: NOON - 43_200,
            part: u32::try_from(self.stamps.len()).unwrap(),
        };
        self.stamps.push(stamp);
        self.append(stamp, lines);
        stamp
    }

    fn append(&self, stamp: Stamp, lines: &[String]) {
        let path = self.folder().join(stamp.file_name(Holds::Lines));
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .unwrap();
        for line in lines {
            writeln!(file, "{line}").unwrap();
        }
    }

    fn lines(&mut self, dice: &mut Dice, count: u64) -> Vec<String> {
        (0..count).map(|_| self.line(dice)).collect()
    }

    fn line(&mut self, dice: &mut Dice) -> String {
        self.seq += 1;
        let micros =
            NOON * 1_000_000 + i64::try_from(self.seq * 1_000 + dice.below(5_000)).unwrap();
        let time = timestamp(micros);
        match dice.below(20) {
            0 => return "{\"torn\":".into(),
            1 => {
                let signature = dice.one(SIGNATURES);
                return json!({"kind": "summary", "seq": self.seq, "time": time, "signature": signature, "count": dice.below(90)}).to_string();
            }
            2 => {
                return json!({"kind": "gap", "seq": self.seq, "time": time, "dropped": 3})
                    .to_string();
            }
            _ => {}
        }
        let uuid = format!("AAY{:x}+Ds9ZaGJ88v/{:x}==", dice.below(50), dice.below(3));
        json!({
            "v": 1, "id": id(self.seq), "seq": self.seq, "time": time,
            "kind": dice.one(&["failed", "recovered", "written", "cut"]),
            "fault": dice.one(&["caller", "member", "linkedin", "gateway"]),
            "signature": dice.one(SIGNATURES),
            "verdict": dice.one(&["LinkedIn answered 503 twice", "zu spät: \"Über\" x", "rare words here", "Try later"]),
            "caller": dice.one(&["crm", "ads"]), "key_id": dice.one(&["k1", "k2"]),
            "member": {"name": dice.one(&["ada", "bob", "eve", "zoe"])},
            "application": {"name": dice.one(&["default", "other"])},
            "request": {"method": dice.one(&["GET", "POST"]), "url": dice.one(&["/rest/posts/71?q=author", "/v2/userinfo", "/rest/Images"]),
                "headers": [["X-Request-Id", format!("r-{}", dice.below(40))]]},
            "attempts": [{"status": 503, "headers": [["X-LI-UUID", uuid], ["x-li-request-id", format!("{:x}", dice.below(60))]]}],
            "answer": {"status": 400 + dice.below(4) * 33},
            "outcome": dice.one(&["answered", "unknown"]),
        })
        .to_string()
    }
}

const SIGNATURES: &[&str] = &[
    "GET /rest/posts/{id} 503 -",
    "POST /rest/posts 422 DUP",
    "GET /v2/userinfo 401 65601",
];

fn id(seq: u64) -> String {
    let millis = u64::try_from(NOON).unwrap() * 1_000 + seq;
    let hash = seq.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    format!(
        "{:08x}-{:04x}-7{:03x}-8{:03x}-{:012x}",
        millis >> 16,
        millis & 0xffff,
        hash & 0xfff,
        (hash >> 12) & 0xfff,
        hash >> 16
    )
}

fn filter(dice: &mut Dice) -> Filter {
    let mut filter = Filter::default();
    if dice.below(2) == 0 {
        filter.order = Order::OldestFirst;
    }
    for _ in 0..=dice.below(2) {
        let text = |text: &str| Some(text.to_owned());
        let near = NOON * 1_000_000 + i64::try_from(dice.below(400_000)).unwrap();
        match dice.below(18) {
            0 => filter.since_micros = Some(near),
            1 => filter.until_micros = Some(near),
            2 => filter.since_micros = Some(i64::MAX / 2),
            3 => filter.status = Some(Status::Exactly(433)),
            4 => filter.status = Some(Status::Class(4)),
            5 => filter.fault = text(dice.one(&["caller", "nobody"])),
            6 => filter.member = text(dice.one(&["ada", "zoe", "nobody"])),
            7 => filter.kind = text(dice.one(&["summary", "written", "gap", "failed"])),
            8 => filter.signature = text(dice.one(SIGNATURES)),
            9 => filter.caller = text("crm"),
            10 => {
                filter.path =
                    text(dice.one(&["/rest/posts", "userinfo", "info", "/rest/im", "author"]));
            }
            11 => {
                filter.text = text(dice.one(&[
                    "answered 503 TW",
                    "words here",
                    "spät",
                    "pät",
                    "über",
                    "\"Über\" x",
                    "later",
                    "nowhere",
                    "t",
                    "-",
                    "",
                ]));
            }
            12 => {
                filter.x_li_uuid =
                    text(dice.one(&["AAY7+Ds9ZaGJ88v/1==", "AAY7+Ds9ZaGJ88v/1", "nothing"]));
            }
            13 => filter.request_id = text(dice.one(&["1f", "2", "zz"])),
            14 => filter.caller_request_id = text(dice.one(&["r-7", "r", "R-7"])),
            15 => {
                let whole = id(dice.below(300) + 1);
                let end = usize::try_from(8 + dice.below(29)).unwrap();
                filter.id_prefix = Some(whole[..end].to_owned());
            }
            16 => filter.ledger = true,
            _ => {
                filter.key_id = text("k1");
                filter.outcome = text("unknown");
                filter.application = text("other");
                filter.method = text("GET");
            }
        }
    }
    filter
}

/// What a plain reading of the segments finds.
fn read_all(incidents: &Incidents, filter: &Filter) -> Vec<Record> {
    let mut all: Vec<Record> = incidents.list(filter.clone()).flatten().collect();
    all.sort_by_key(Record::seq);
    if filter.order == Order::NewestFirst {
        all.reverse();
    }
    all
}

/// All pages one behind the other.
fn pages(incidents: &Incidents, filter: &Filter, limit: usize) -> Vec<Record> {
    let (mut all, mut after): (Vec<Record>, Option<Cursor>) = (Vec::new(), None);
    loop {
        let page: Page = incidents.search(filter, after, limit);
        assert!(page.records.len() <= limit);
        all.extend(page.records);
        after = page.next;
        if after.is_none() {
            return all;
        }
    }
}

fn far() -> Instant {
    Instant::now() + Duration::from_secs(3_600)
}

/// Indexes the first `lines` of a segment.
fn index(world: &World, stamp: Stamp, lines: usize) {
    let mut build = Build::begin(world.folder(), stamp).unwrap();
    build.step(lines, far()).unwrap();
    build.settle().unwrap();
    let filled = build.seal().unwrap().unwrap();
    let lock = Alone::wait(world.folder()).unwrap();
    filled.install(world.folder(), &lock).unwrap();
}

fn window() -> Window {
    Window {
        since_micros: NOON * 1_000_000,
        until_micros: (NOON + 600) * 1_000_000,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn an_index_answers_what_reading_answers(seed: u64) {
        let mut dice = Dice(seed);
        let mut world = World::new();
        for _ in 0..=dice.below(3) {
            let count = dice.below(120);
            let lines = world.lines(&mut dice, count);
            let stamp = world.segment(&lines);
            match dice.below(4) {
                0 => {}
                1 => index(&world, stamp, usize::try_from(dice.below(count + 1)).unwrap()),
                _ => index(&world, stamp, usize::MAX),
            }
        }
        let incidents = world.incidents();
        let wanted: Vec<Filter> = (0..20).map(|_| filter(&mut dice)).collect();
        let with: Vec<_> = wanted
            .iter()
            .map(|filter| {
                let limit = usize::try_from(dice.below(30)).unwrap() + 1;
                let groups = incidents.groups(window(), filter);
                (pages(&incidents, filter, limit), groups, incidents.stats(window(), filter, 3))
            })
            .collect();
        fs::remove_dir_all(world.folder().join(FOLDER)).ok();

        for (filter, (found, groups, stats)) in wanted.iter().zip(with) {
            let numbers = |records: &[Record]| records.iter().map(Record::seq).collect::<Vec<_>>();
            prop_assert_eq!(numbers(&found), numbers(&read_all(&incidents, filter)), "{:?}", filter);
            prop_assert_eq!(groups, incidents.groups(window(), filter), "{:?}", filter);
            let mut read = incidents.stats(window(), filter, 3);
            // A plain reader passes over most torn lines without a look.
            (read.indexed_through, read.skipped) = (stats.indexed_through.clone(), stats.skipped);
            prop_assert_eq!(stats, read, "{:?}", filter);
        }
    }
}

#[test]
fn what_is_behind_the_index_is_found_and_the_answer_says_how_far_it_reached() {
    let mut world = World::new();
    let mut dice = Dice(7);
    let lines = world.lines(&mut dice, 60);
    let stamp = world.segment(&lines);
    index(&world, stamp, 40);
    let incidents = world.incidents();

    let last = read_all(&incidents, &Filter::default()).remove(0);
    let page = incidents.search(&Filter::default(), None, 5);

    assert_eq!(page.records[0], last);
    let through = page.indexed_through.seq.unwrap();
    assert!((30..=40).contains(&through), "{through}");
    assert!(page.indexed_through.time.is_some());
    let id = id(last.seq().unwrap());
    assert!(matches!(incidents.find(&id), Found::One(found) if found.id() == Some(&id)));
}

#[test]
fn more_lines_than_a_block_holds_are_found_across_its_end_and_after_a_restart() {
    let mut world = World::new();
    let mut dice = Dice(11);
    let lines = world.lines(&mut dice, BLOCK_LINES as u64 + 300);
    let stamp = world.segment(&lines);
    index(&world, stamp, BLOCK_LINES + 100);
    let mut build = Build::resume(world.folder(), stamp).unwrap();
    assert_eq!(build.step(50, far()).unwrap(), Step::More);
    drop(build);
    let mut build = Build::resume(world.folder(), stamp).unwrap();
    assert_eq!(build.step(usize::MAX, far()).unwrap(), Step::End);
    drop(build);

    let incidents = world.incidents();
    for order in [Order::NewestFirst, Order::OldestFirst] {
        let filter = Filter {
            member: Some("zoe".into()),
            text: Some("rare wo".into()),
            order,
            ..Filter::default()
        };
        assert_eq!(
            pages(&incidents, &filter, 100),
            read_all(&incidents, &filter),
            "{order:?}"
        );
    }
}

type Damage = fn(&Path);

#[test]
fn a_damaged_old_or_foreign_index_is_no_answer_and_goes() {
    let damage: [(&str, Damage); 4] = [
        ("no database", |path| {
            fs::write(path, "nothing of ours").unwrap();
        }),
        ("cut", |path| {
            let length = fs::metadata(path).unwrap().len();
            OpenOptions::new()
                .write(true)
                .open(path)
                .unwrap()
                .set_len(length / 2)
                .unwrap();
        }),
        ("overwritten", |path| {
            let mut bytes = fs::read(path).unwrap();
            bytes[20_000..].fill(0x5a);
            fs::write(path, bytes).unwrap();
        }),
        ("empty", |path| fs::write(path, "").unwrap()),
    ];
    for (why, damage) in damage {
        let mut world = World::new();
        let lines = world.lines(&mut Dice(3), 200);
        let stamp = world.segment(&lines);
        index(&world, stamp, usize::MAX);
        damage(&path_of(world.folder(), stamp));
        let incidents = world.incidents();
        let filter = Filter {
            text: Some("rare words".into()),
            ..Filter::default()
        };

        assert_eq!(
            pages(&incidents, &filter, 50),
            read_all(&incidents, &filter),
            "{why}"
        );
        assert!(!path_of(world.folder(), stamp).exists(), "{why}: it stays");
    }
}

#[test]
fn a_segment_that_is_another_one_now_is_read_without_the_index() {
    let mut world = World::new();
    let lines = world.lines(&mut Dice(3), 50);
    let stamp = world.segment(&lines);
    index(&world, stamp, usize::MAX);
    let path = world.folder().join(stamp.file_name(Holds::Lines));
    let other = lines.join("\n").replace("ada", "eva").replace("bob", "ada");
    fs::write(&path, other + "\n").unwrap();
    let incidents = world.incidents();
    let filter = Filter {
        member: Some("ada".into()),
        ..Filter::default()
    };

    assert_eq!(
        pages(&incidents, &filter, 50),
        read_all(&incidents, &filter)
    );
}

#[test]
fn numbers_that_do_not_rise_are_read_line_by_line() {
    let mut world = World::new();
    let mut lines = world.lines(&mut Dice(5), 40);
    lines.swap(3, 30);
    let stamp = world.segment(&lines);
    index(&world, stamp, usize::MAX);
    let incidents = world.incidents();

    assert_eq!(
        pages(&incidents, &Filter::default(), 90),
        read_all(&incidents, &Filter::default())
    );
}

/// Waits until the index has read all there is, a bounded time.
fn until_indexed(world: &World, what: &str) {
    let last = world.seq;
    for _ in 0..1_000 {
        let through = world.incidents().indexed_through().seq;
        if through.is_some_and(|through| through + 10 > last) && whole(world) {
            return;
        }
        thread::sleep(Duration::from_millis(10)); // looked at again, not relied on
    }
    panic!(
        "{what}: {:?} of {last}",
        world.incidents().indexed_through()
    );
}

/// Whether every segment is indexed to its end.
fn whole(world: &World) -> bool {
    world.stamps.iter().all(|stamp| {
        let path = world.folder().join(stamp.file_name(Holds::Lines));
        let file = File::open(&path).unwrap();
        let length = file.metadata().unwrap().len();
        snapshot::Snapshot::open(world.folder(), *stamp, &file)
            .is_ok_and(|index| index.through().bytes == length)
    })
}

#[test]
fn the_keeper_fills_old_segments_follows_the_newest_and_makes_anew_what_is_gone() {
    let mut world = World::new();
    let mut dice = Dice(9);
    for _ in 0..3 {
        let lines = world.lines(&mut dice, 100);
        world.segment(&lines);
    }
    let keeper = Keeper::start(world.folder().into()).unwrap();
    until_indexed(&world, "what was there");

    let lines = world.lines(&mut dice, 50);
    world.append(world.stamps[2], &lines);
    until_indexed(&world, "what was appended");

    fs::remove_file(path_of(world.folder(), world.stamps[0])).unwrap();
    until_indexed(&world, "a file that was deleted");

    let rebuilt = rebuild(world.folder(), 2, |_| ()).unwrap();
    assert!(
        rebuilt.iter().all(|one| one.failed.is_none()),
        "{rebuilt:?}"
    );
    let lines = world.lines(&mut dice, 50);
    world.append(world.stamps[2], &lines);
    until_indexed(&world, "after a rebuild beside it");

    fs::remove_file(world.folder().join(world.stamps[0].file_name(Holds::Lines))).unwrap();
    fs::remove_dir_all(world.folder().join(FOLDER)).unwrap();
    world.stamps.remove(0);
    until_indexed(&world, "a folder that was removed");
    assert_eq!(keeper.health().trouble(), None);
    keeper.stop();
    assert_eq!(
        pages(&world.incidents(), &Filter::default(), 90),
        read_all(&world.incidents(), &Filter::default())
    );
}

#[test]
fn an_index_that_cannot_be_written_is_told_searches_read_the_log_and_it_comes_back() {
    let mut world = World::new();
    let lines = world.lines(&mut Dice(13), 80);
    world.segment(&lines);
    let in_the_way = world.folder().join(FOLDER);
    fs::write(&in_the_way, "no folder").unwrap();
    let keeper = Keeper::start(world.folder().into()).unwrap();
    let health = keeper.health();
    for _ in 0..1_000 {
        if health.trouble().is_some() {
            break;
        }
        thread::sleep(Duration::from_millis(10)); // looked at again, not relied on
    }
    assert!(health.trouble().is_some() && health.behind_bytes() > 0);
    let incidents = world.incidents();
    let all = Filter::default();
    assert_eq!(pages(&incidents, &all, 30), read_all(&incidents, &all));

    fs::remove_file(&in_the_way).unwrap();

    until_indexed(&world, "a folder that can be made again");
    assert_eq!(health.trouble(), None);
    keeper.stop();
}

#[test]
fn whoever_waits_for_the_lock_holds_up_nobody_and_a_filled_file_is_put_in_place_later() {
    let mut world = World::new();
    let lines = world.lines(&mut Dice(13), 40);
    let first = world.segment(&lines);
    index(&world, first, usize::MAX);
    let lines = world.lines(&mut Dice(14), 40);
    let second = world.segment(&lines);
    let held = Alone::wait(world.folder()).unwrap();

    assert!(!forget(world.folder(), first).unwrap());
    assert!(path_of(world.folder(), first).exists());
    let keeper = Keeper::start(world.folder().into()).unwrap();
    let mut build = Build::begin(world.folder(), second).unwrap();
    assert_eq!(build.step(usize::MAX, far()).unwrap(), Step::End);
    drop(build);
    drop(held);

    until_indexed(&world, "after the lock was given back");
    keeper.stop();
    let left = fs::read_dir(world.folder().join(FOLDER)).unwrap();
    let names = left.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(names.filter(|name| name.ends_with(UNFINISHED)).count(), 0);
}

#[test]
fn a_segment_that_cannot_be_indexed_holds_up_no_older_one() {
    let mut world = World::new();
    let lines = world.lines(&mut Dice(15), 40);
    world.segment(&lines);
    // It cannot be read as a file, as one on a bad block cannot.
    let bad = Stamp {
        part: 9,
        ..world.stamps[0]
    };
    fs::create_dir(world.folder().join(bad.file_name(Holds::Lines))).unwrap();

    let keeper = Keeper::start(world.folder().into()).unwrap();
    until_indexed(&world, "the one before the bad one");
    assert!(keeper.health().trouble().is_some());
    keeper.stop();
}

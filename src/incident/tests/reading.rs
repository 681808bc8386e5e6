//! Reading back: by id, by filter, while it is written, on a page.

use super::*;

#[tokio::test]
async fn a_follower_sees_new_lines_across_the_change_of_day() {
    let world = World::start();
    world.recorder.record(incident()).await.unwrap();
    let mut follow = world.incidents().follow(Filter::default());
    assert!(
        follow.try_next().is_none(),
        "what was there before is not new"
    );

    world.recorder.record(incident()).await.unwrap();
    assert_eq!(follow.try_next().unwrap().unwrap().seq(), Some(2));
    world.clock.advance(Duration::from_secs(86_400));
    world.recorder.record(incident()).await.unwrap();

    assert_eq!(follow.try_next().unwrap().unwrap().seq(), Some(3));
    assert!(follow.try_next().is_none());
}

#[tokio::test]
async fn records_are_found_by_what_support_knows() {
    let world = World::start();
    let mut other = refused_with(StatusCode::NOT_FOUND);
    other.fault = Fault::Caller;
    other.attempts.clear();
    other.member = None;
    other.request.target = Bytes::from_static(b"/v2/userinfo");
    for incident in [incident(), other] {
        world.recorder.record(incident).await.unwrap();
    }

    let with = |change: fn(&mut Filter)| {
        let mut filter = Filter::default();
        change(&mut filter);
        filter
    };
    for (why, filter, expected) in [
        ("all, newest first", Filter::default(), &[2, 1][..]),
        (
            "status",
            with(|f| f.status = Some(Status::Exactly(404))),
            &[2],
        ),
        ("class", with(|f| f.status = Some(Status::Class(5))), &[1]),
        ("fault", with(|f| f.fault = Some("caller".into())), &[2]),
        ("member", with(|f| f.member = Some("ada".into())), &[1]),
        ("caller", with(|f| f.caller = Some("nobody".into())), &[]),
        ("path", with(|f| f.path = Some("userinfo".into())), &[2]),
        (
            "text",
            with(|f| f.text = Some("ANSWERED 503".into())),
            &[2, 1],
        ),
        ("uuid", with(|f| f.x_li_uuid = Some(UUID.into())), &[1]),
        ("since", with(|f| f.since_micros = Some(i64::MAX / 2)), &[]),
        ("until", with(|f| f.until_micros = Some(1)), &[]),
    ] {
        let found = world.incidents().list(filter);
        let numbers: Vec<u64> = found.map(|one| one.unwrap().seq().unwrap()).collect();
        assert_eq!(numbers, expected, "{why}");
    }
}

#[tokio::test]
async fn an_id_is_found_by_its_beginning_or_said_to_be_ambiguous() {
    let world = World::start();
    let (first, second) = (incident(), incident());
    let (one, two) = (first.id.to_string(), second.id.to_string());
    for incident in [first, second] {
        world.recorder.record(incident).await.unwrap();
    }
    let incidents = world.incidents();

    assert!(
        matches!(incidents.find(&one.to_uppercase()), Found::One(found) if found.id() == Some(&one))
    );
    assert_eq!(
        incidents.find(&one[..8]),
        Found::Ambiguous(vec![two, one.clone()])
    );
    assert_eq!(incidents.find(&one[..7]), Found::Nothing);
    assert_eq!(incidents.find("ffffffff"), Found::Nothing);
    assert_eq!(incidents.find("ümläüte€"), Found::Nothing);
}

#[tokio::test]
async fn a_page_shows_the_attempts_and_no_control_character() {
    let world = World::start();
    let mut incident = incident();
    incident.verdict = "LinkedIn\u{1b}[31m said\n\u{202e}no".into();
    incident.attempts[1].broken = Some((Broken::Cut, "after 12 of 40 bytes".into()));

    world.recorder.record(incident).await.unwrap();

    let record = world.records().remove(0);
    let hostile = "a\u{1b}[31m\n\u{202e}b";
    let finding = explain::Finding {
        rule: "by_fault",
        says: hostile.into(),
        evidence: vec![hostile.into()],
        what_to_try: hostile.into(),
    };
    let page = page::whole(&record, &[finding]);
    for part in [
        "where the time went",
        "by_fault",
        "attempt 2, 1.5 ms",
        "x-twice: 2",
        "their clock",
        "cut: after 12 of 40 bytes",
        "crm",
    ] {
        assert!(page.contains(part), "{part} is not on the page:\n{page}");
    }
    let is_plain = |text: &str| text.lines().all(|line| line == page::shown(line));
    assert!(is_plain(&page) && is_plain(&page::line(&record)));
    assert_eq!(page::line(&record).lines().count(), 1);
}

#[tokio::test]
async fn pages_follow_each_other_without_gap_or_repetition_while_lines_are_written() {
    for order in [Order::NewestFirst, Order::OldestFirst] {
        let world = World::start();
        for _ in 0..5 {
            world.recorder.record(incident()).await.unwrap();
        }
        let filter = Filter {
            order,
            ..Filter::default()
        };

        let first = world.incidents().search(&filter, None, 3);
        world.recorder.record(incident()).await.unwrap();
        let second = world.incidents().search(&filter, first.next, 9);

        let seqs = |page: &Page| {
            page.records
                .iter()
                .filter_map(Record::seq)
                .collect::<Vec<_>>()
        };
        let (begin, end) = match order {
            Order::NewestFirst => (vec![5, 4, 3], vec![2, 1]),
            Order::OldestFirst => (vec![1, 2, 3], vec![4, 5, 6]),
        };
        assert_eq!((seqs(&first), seqs(&second)), (begin, end), "{order:?}");
        assert_eq!(second.next, None);
    }
}

#[tokio::test]
async fn alike_incidents_are_one_group() {
    let world = World::start();
    let mut other = refused_with(StatusCode::NOT_FOUND);
    other.member = None;
    for incident in [incident(), other, incident()] {
        world.recorder.record(incident).await.unwrap();
    }
    let window = Window {
        since_micros: 0,
        until_micros: 4_000_000_000_000_000,
    };

    let groups = world.incidents().groups(window, &Filter::default());

    let counts: Vec<(u64, u64)> = groups.iter().map(|g| (g.count, g.members)).collect();
    assert_eq!(counts, [(2, 1), (1, 0)]);
    assert_eq!(groups[0].sparkline.iter().sum::<u64>(), 2);
}

#[tokio::test]
async fn a_segment_that_cannot_be_opened_is_told_and_costs_itself_alone() {
    let world = World::start();
    world.recorder.record(incident()).await.unwrap();
    // A link to itself: not even root opens it.
    let name = "incidents-2020-01-01.ndjson";
    let path = world.directory().join(name);
    std::os::unix::fs::symlink(name, path).unwrap();
    let incidents = world.incidents();
    let window = Window {
        since_micros: 0,
        until_micros: 4_000_000_000_000_000,
    };

    let page = incidents.search(&Filter::default(), None, 10);

    assert_eq!((page.records.len(), page.skipped), (1, 1));
    assert_eq!(incidents.find("ffffffff"), Found::Unreadable(1));
    let stats = incidents.stats(window, &Filter::default(), 10);
    assert_eq!((stats.total, stats.skipped), (1, 1));
}

#[tokio::test]
async fn no_number_is_given_twice_after_the_clock_was_set_back() {
    let folder = tempfile::tempdir().unwrap();
    for (day, seq) in [("23", 300), ("24", 150), ("25", 200)] {
        let path = folder
            .path()
            .join(format!("incidents-2026-11-{day}.ndjson"));
        fs::write(path, format!("{{\"seq\":{seq},\"kind\":\"failed\"}}\n")).unwrap();
    }

    assert_eq!(reader::last_seq(folder.path()).unwrap(), Some(300));
}

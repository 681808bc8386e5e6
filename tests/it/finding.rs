//! Support finds a call on the command line, by whatever it was told.

use linkgate::sandbox::{Fault, Kind, Sandbox};
use serde_json::Value;

use crate::support::process::{Ended, Place, Served};

/// Three failed calls: ada's post (503, with an id of the caller's own), grace's read (404), a stranger's (401).
struct Story {
    place: Place,
    served: Served,
    ids: [String; 3],
    uuid: String,
}

impl Story {
    async fn play(linkedin: &Sandbox) -> Self {
        let place = Place::before(linkedin);
        place.import(linkedin, "ada");
        place.import(linkedin, "grace");
        let key = place.key();
        let served = place.serve().await;
        linkedin.fault(Fault::on("POST /rest/posts", Kind::status(503)));
        let head = served.head("POST", "/rest/posts?q=x", &key, "ada");
        let request = format!("{head}X-Request-Id: mine-1\r\nContent-Length: 2\r\n\r\n{{}}");
        let first = served.connect().await.ask(request).await;
        let second = served.get("/rest/nothing", &key, "grace").await;
        let third = served.get("/v2/me", "lgk_stranger", "ada").await;
        assert_eq!((first.status, second.status, third.status), (503, 404, 401));
        let uuid = first.header("x-li-uuid").unwrap().to_owned();
        let ids = [&first, &second, &third].map(|reply| reply.id().to_owned());
        Self {
            place,
            served,
            ids,
            uuid,
        }
    }

    /// Which of the three are listed, in the order of the list.
    fn listed(&self, more: &[&str]) -> (Vec<usize>, String) {
        let arguments = [&["incidents", "list", "--json"], more].concat();
        let Ended { code, out, told } = self.place.run(&arguments, "");
        assert_eq!(code, Some(0), "{more:?}: {told}");
        let number = |line: &str| {
            let record: Value = serde_json::from_str(line).unwrap();
            let id = record["id"].as_str().unwrap();
            self.ids.iter().position(|known| known == id).unwrap()
        };
        (out.lines().map(number).collect(), told)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_narrowed_by_everything_that_support_may_know() {
    let linkedin = Sandbox::start();
    let story = Story::play(&linkedin).await;
    let id = story.ids[1].to_uppercase();
    for (arguments, expected) in [
        (&[][..], &[2, 1, 0][..]),
        (&["--since", "1h"], &[2, 1, 0]),
        (&["--until", "2020-01-01T00:00:00Z"], &[]),
        (&["--status", "404"], &[1]),
        (&["--status", "5xx"], &[0]),
        (&["--request-id", "mine-1"], &[0]),
        (&["--request-id", "mine"], &[]),
        (&["--x-li-request-id", "mine-1"], &[]),
        (&["--x-li-uuid", &story.uuid], &[0]),
        (&["--id", &id], &[1]),
        (&["--fault", "linkedin"], &[0]),
        (&["--member", "grace"], &[1]),
        (&["--application", "default"], &[1, 0]),
        (&["--caller", "app"], &[1, 0]),
        (&["--kind", "failed"], &[2, 1, 0]),
        (&["--method", "POST"], &[0]),
        (&["--path", "/rest/"], &[1, 0]),
        (&["--text", "MINE-1"], &[0]),
        (&["--order", "oldest"], &[0, 1, 2]),
        (&["--member", "ada", "--status", "404"], &[]),
    ] {
        assert_eq!(story.listed(arguments).0, expected, "{arguments:?}");
    }
    let shown = story
        .place
        .done(&["incidents", "show", &story.ids[0], "--json"], "");
    let record: Value = serde_json::from_str(&shown).unwrap();
    let signature = record["signature"].as_str().unwrap();
    assert_eq!(story.listed(&["--signature", signature]).0, [0]);
    story.served.terminate().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_ends_at_its_limit_and_goes_on_behind_it() {
    let linkedin = Sandbox::start();
    let story = Story::play(&linkedin).await;

    let (first, told) = story.listed(&["--limit", "2"]);
    let cursor = told.lines().find_map(|line| line.split("--after ").nth(1));
    let cursor = cursor.unwrap_or_else(|| panic!("{told}"));
    let (second, end) = story.listed(&["--limit", "2", "--after", cursor]);

    assert_eq!((first, second), (vec![2, 1], vec![0]));
    assert!(told.contains("there are more: --after "), "{told}");
    assert!(!end.contains("--after"), "{end}");
    for (why, arguments) in [
        ("no limit", ["--limit", "0"]),
        ("too short an id", ["--id", "0123"]),
        ("no cursor", ["--after", "x"]),
        ("no time", ["--since", "yesterday"]),
        ("no order", ["--order", "best"]),
    ] {
        let arguments = [&["incidents", "list"][..], &arguments].concat();
        let ended = story.place.run(&arguments, "");
        assert_eq!(ended.code, Some(64), "{why}: {ended:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tail_that_does_not_follow_prints_the_last_ones_and_ends() {
    let linkedin = Sandbox::start();
    let story = Story::play(&linkedin).await;

    let said = story.place.done(&["incidents", "tail", "-n", "2"], "");
    let filtered = story
        .place
        .done(&["incidents", "tail", "--status", "5xx"], "");

    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 2, "{said}");
    assert!(
        lines[0].contains(&story.ids[1]) && lines[1].contains(&story.ids[2]),
        "{said}"
    );
    assert!(
        filtered.contains(&story.ids[0]) && filtered.lines().count() == 1,
        "{filtered}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn stats_count_by_fault_status_caller_and_member_and_group_what_is_alike() {
    let linkedin = Sandbox::start();
    let story = Story::play(&linkedin).await;

    let json = story.place.done(&["incidents", "stats", "--json"], "");
    let table = story.place.done(&["incidents", "stats"], "");
    let narrowed = story
        .place
        .done(&["incidents", "stats", "--json", "--member", "ada"], "");
    let before = [
        "incidents",
        "stats",
        "--json",
        "--until",
        "2020-01-01T00:00:00Z",
    ];
    let nothing: Value = serde_json::from_str(&story.place.done(&before, "")).unwrap();

    let day = (nothing["since"].as_str(), nothing["until"].as_str());
    let (since, until) = (day.0.unwrap(), day.1.unwrap());
    assert!(
        since.starts_with("2019-12-31T00:00:00"),
        "the day before {until}: {since}"
    );
    let stats: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(stats["total"], 3);
    for (list, name, count) in [
        ("faults", "caller", 2),
        ("faults", "linkedin", 1),
        ("statuses", "503", 1),
        ("callers", "app", 2),
        ("members", "grace", 1),
    ] {
        let counts = stats[list].as_array().unwrap();
        let found = counts.iter().find(|found| found["name"] == name).unwrap();
        assert_eq!(found["count"], count, "{list} {name}: {stats}");
    }
    let groups = stats["groups"].as_array().unwrap();
    assert_eq!(groups.len(), 3, "{stats}");
    let post = groups
        .iter()
        .find(|group| group["last_id"] == story.ids[0])
        .unwrap();
    assert_eq!(
        (&post["new"], &post["members"]),
        (&true.into(), &1.into()),
        "{post}"
    );
    for word in [
        "3 incidents from ",
        "STATUS",
        "SIGNATURE",
        "POST /rest/posts?q=x 503",
    ] {
        assert!(table.contains(word), "{word}\n{table}");
    }
    let narrowed: Value = serde_json::from_str(&narrowed).unwrap();
    assert_eq!(narrowed["total"], 1);
    assert_eq!(nothing["total"], 0);
}

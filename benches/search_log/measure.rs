//! How long each search takes: from the library, and from the command as a process.

use std::{
    io,
    path::Path,
    process::{Command, Stdio},
};

use linkgate::incident::reader::{Filter, Found, Incidents, Window};
use tokio::time::Instant;

use crate::generate::{id, member, micros, mixed, x_li_uuid};

/// Searches of each sort; each with other values.
const ROUNDS: u64 = 30;
const LIMIT: usize = 50;

/// Measures everything and prints a table.
pub(crate) fn all(folder: &Path, count: u64, linkgate: &Path) -> io::Result<()> {
    let log = Incidents::open(folder);
    println!("| search | library: median | spread | command: median | spread | found |");
    println!("|---|---|---|---|---|---|");
    let config = folder.join("config.yaml");
    let written = format!("incidents:\n  directory: {}\n", folder.display());
    std::fs::write(&config, written)?;
    let command = |words: &[String]| {
        let mut command = Command::new(linkgate);
        command
            .arg("incidents")
            .args(words)
            .arg("--config")
            .arg(&config);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
    };
    for sort in SORTS {
        let (mut library, mut process, mut found) = (Vec::new(), Vec::new(), 0);
        for round in 0..ROUNDS {
            let asked = (sort.ask)(mixed(round * 7 + 3) % count, count);
            let begun = Instant::now();
            found += asked.of(&log);
            library.push(begun.elapsed().as_secs_f64() * 1_000.0);
            let mut command = command(&asked.words());
            let begun = Instant::now();
            if command.status()?.success() {
                process.push(begun.elapsed().as_secs_f64() * 1_000.0);
            }
        }
        println!(
            "| {} | {} | {} | {} |",
            sort.name,
            shown(&mut library),
            shown(&mut process),
            found as u64 / ROUNDS
        );
    }
    std::fs::remove_file(config)
}

/// Median, and from the fastest to the slowest.
fn shown(times: &mut [f64]) -> String {
    times.sort_by(f64::total_cmp);
    match (times.first(), times.get(times.len() / 2), times.last()) {
        (Some(least), Some(median), Some(most)) => format!("{median:.1} ms | {least:.1}–{most:.1}"),
        _ => "– | –".into(),
    }
}

enum Asked {
    Find(String),
    Search(Box<Filter>, Vec<String>),
    Groups(Window),
    Stats(Window),
}

impl Asked {
    fn of(&self, log: &Incidents) -> usize {
        match self {
            Self::Find(id) => usize::from(matches!(log.find(id), Found::One(_))),
            Self::Search(filter, _) => log.search(filter, None, LIMIT).records.len(),
            Self::Groups(window) => log.groups(*window, &Filter::default()).len(),
            Self::Stats(window) => log.stats(*window, &Filter::default(), 20).signatures.len(),
        }
    }

    fn words(&self) -> Vec<String> {
        let words: Vec<&str> = match self {
            Self::Find(id) => vec!["show", id, "--json"],
            Self::Search(_, words) => ["list", "--json", "--limit", "50"]
                .into_iter()
                .chain(words.iter().map(String::as_str))
                .collect(),
            // The command's own times are relative; everything is within them.
            Self::Groups(_) | Self::Stats(_) => {
                vec!["stats", "--json", "--since", "2026-11-16T00:00:00Z"]
            }
        };
        words.into_iter().map(str::to_owned).collect()
    }
}

struct Sort {
    name: &'static str,
    ask: fn(u64, u64) -> Asked,
}

const SORTS: [Sort; 11] = [
    Sort {
        name: "id",
        ask: |n, count| Asked::Find(id(n, count)),
    },
    Sort {
        name: "id, its first 13",
        ask: |n, count| Asked::Find(id(n, count).chars().take(13).collect()),
    },
    Sort {
        name: "x-li-uuid",
        ask: |n, count| {
            let uuid = x_li_uuid(n, count);
            let words = vec!["--x-li-uuid".into(), uuid.clone()];
            search(
                Filter {
                    x_li_uuid: Some(uuid),
                    ..Filter::default()
                },
                words,
            )
        },
    },
    Sort {
        name: "member",
        ask: |n, _| {
            let member = member(n);
            let words = vec!["--member".into(), member.clone()];
            search(
                Filter {
                    member: Some(member),
                    ..Filter::default()
                },
                words,
            )
        },
    },
    Sort {
        name: "a quarter of an hour",
        ask: |n, count| {
            let since = micros(n, count);
            within(since, since + 900_000_000, Filter::default(), Vec::new())
        },
    },
    Sort {
        name: "a day, one member and 5xx",
        ask: |n, count| {
            let since = micros(n, count);
            let member = member(n);
            let words = vec!["--member".into(), member.clone()];
            within(
                since,
                since + 86_400_000_000,
                Filter {
                    member: Some(member),
                    ..Filter::default()
                },
                words,
            )
        },
    },
    Sort {
        name: "free text: rare",
        ask: |n, _| text(format!("req-{:016x}", mixed(n ^ 4))),
    },
    Sort {
        name: "free text: common",
        ask: |_, _| text("must sign in again".into()),
    },
    Sort {
        name: "free text: nowhere",
        ask: |n, _| text(format!("zebra{n} crossing")),
    },
    Sort {
        name: "signatures of all 7 days",
        ask: |_, count| Asked::Groups(everything(count)),
    },
    Sort {
        name: "stats of all 7 days",
        ask: |_, count| Asked::Stats(everything(count)),
    },
];

fn search(filter: Filter, words: Vec<String>) -> Asked {
    Asked::Search(Box::new(filter), words)
}

fn text(text: String) -> Asked {
    let words = vec!["--text".into(), text.clone()];
    search(
        Filter {
            text: Some(text),
            ..Filter::default()
        },
        words,
    )
}

fn within(since: i64, until: i64, filter: Filter, mut words: Vec<String>) -> Asked {
    let whole = |micros: i64| {
        let at = time::OffsetDateTime::from_unix_timestamp(micros / 1_000_000);
        let format = &time::format_description::well_known::Rfc3339;
        at.ok()
            .and_then(|at| at.format(format).ok())
            .unwrap_or_default()
    };
    words.extend([
        "--since".into(),
        whole(since),
        "--until".into(),
        whole(until),
    ]);
    let filter = Filter {
        since_micros: Some(since),
        until_micros: Some(until),
        ..filter
    };
    search(filter, words)
}

fn everything(count: u64) -> Window {
    Window {
        since_micros: micros(0, count),
        until_micros: micros(count, count),
    }
}

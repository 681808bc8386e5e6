//! Who may import whom, held as a table: a row that is broken names the file and the import.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Imported by all, importing none but each other.
const LEAVES: &[&str] = &[
    "bearer",
    "callers",
    "clock",
    "dial",
    "exchange",
    "keyring",
    "metrics",
    "operators",
    "secret",
    "store",
    "telemetry",
    "web",
];

/// Each part of the crate, what it may import beside the leaves and itself, and why no more.
const TABLE: &[(&str, &[&str], &str)] = &[
    (
        "proxy",
        &["credentials", "incident"],
        "a layer can be read without the YAML, the pages or the commands",
    ),
    (
        "credentials",
        &[],
        "credentials know members, not HTTP callers",
    ),
    ("incident", &[], "the log knows nothing about tokens"),
    (
        "connect",
        &["credentials"],
        "a member's browser never meets the operators' pages",
    ),
    (
        "alerts",
        &["credentials"],
        "facts are told by channel; who listens is not their matter",
    ),
    (
        "admin",
        &["alerts", "connect", "credentials", "incident"],
        "support pages cannot slow a request",
    ),
    (
        "config",
        &[
            "admin",
            "alerts",
            "connect",
            "credentials",
            "incident",
            "proxy",
        ],
        "it fills the settings that each part declares",
    ),
    (
        "app",
        &[
            "admin",
            "alerts",
            "config",
            "connect",
            "credentials",
            "incident",
            "proxy",
        ],
        "the composition root knows no command and no sandbox",
    ),
    (
        "cli",
        &[
            "admin",
            "alerts",
            "app",
            "config",
            "connect",
            "credentials",
            "incident",
            "proxy",
            "sandbox",
        ],
        "the end of the line",
    ),
    ("main", &["cli"], "parse, run, exit code"),
    ("lib", &[], "the map, no logic"),
];

#[test]
fn every_import_stands_in_the_table() {
    let broken: Vec<String> = sources()
        .iter()
        .flat_map(|path| broken_rows(&part_of(path), path, &read(path)))
        .collect();

    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn every_source_file_says_first_what_it_is() {
    let mut files = sources();
    files.extend(below(&root().join("tests/it")));

    for path in files {
        assert!(
            read(&path).starts_with("//! "),
            "{}: has no //! at its top",
            path.display()
        );
    }
}

#[test]
fn sql_stands_in_the_stores_homes_only() {
    let homes = ["src/store/sqlite", "src/incident/index/sqlite.rs"];
    for path in sources() {
        let place = path.strip_prefix(root()).unwrap().display().to_string();

        let has_sql = product(&read(&path)).contains("rusqlite");

        assert!(
            !has_sql || homes.iter().any(|home| place.starts_with(home)),
            "{place}: no SQL here"
        );
    }
}

#[test]
fn a_broken_row_is_found_in_every_form_an_import_takes() {
    for (why, part, text, broken) in [
        ("plain", "incident", "use crate::credentials::Token;", 1),
        (
            "grouped",
            "incident",
            "use crate::{\n    clock::Clock,\n    proxy::{Proxy, Settings},\n    credentials,\n};",
            2,
        ),
        (
            "in an expression",
            "credentials",
            "let it = crate::proxy::settings();",
            1,
        ),
        ("a leaf's own", "clock", "use crate::config::Config;", 1),
        ("the sandbox", "sandbox", "use crate::clock::Clock;", 1),
        (
            "allowed",
            "proxy",
            "use crate::{credentials::Token, clock::Clock, proxy::Answer};",
            0,
        ),
        (
            "only in a test",
            "incident",
            "#[cfg(test)]\nmod tests { use crate::proxy::Proxy; }",
            0,
        ),
        (
            "only in a comment",
            "incident",
            "// see crate::proxy\n/// [`crate::proxy`]",
            0,
        ),
        ("unknown", "novelty", "", 1),
    ] {
        let found = broken_rows(part, Path::new("x.rs"), text);

        assert_eq!(found.len(), broken, "{why}: {found:?}");
    }
}

fn broken_rows(part: &str, path: &Path, text: &str) -> Vec<String> {
    let is_leaf = LEAVES.contains(&part);
    let row = TABLE.iter().find(|row| row.0 == part);
    let (allowed, why) = match row {
        Some((_, allowed, why)) => (*allowed, *why),
        None if is_leaf => (&[][..], "a leaf imports only leaves"),
        None if part == "sandbox" => (&[][..], "the sandbox cannot share our mistakes"),
        None => {
            return vec![format!(
                "{}: {part} stands in no row of the table",
                path.display()
            )];
        }
    };
    imports(&product(text))
        .into_iter()
        .filter(|import| import != part && !allowed.contains(&import.as_str()))
        .filter(|import| part == "sandbox" || !LEAVES.contains(&import.as_str()))
        .map(|import| format!("{}: {part} imports {import}: {why}", path.display()))
        .collect()
}

/// The text without comments and without its tests, which stand at the end.
fn product(text: &str) -> String {
    let is_comment = |line: &&str| line.trim_start().starts_with("//");
    text.lines()
        .take_while(|line| line.trim() != "#[cfg(test)]" || !line.starts_with('#'))
        .filter(|line| !is_comment(line))
        .collect::<Vec<_>>()
        .join("\n")
}

/// The parts that are named behind `crate::`.
fn imports(text: &str) -> BTreeSet<String> {
    text.match_indices("crate::")
        .filter(|(at, _)| {
            !text[..*at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$')
        })
        .flat_map(|(at, found)| first_names(&text[at + found.len()..]))
        .collect()
}

/// `a::b` → a; `{a::b, c::{d, e}}` → a, c.
fn first_names(text: &str) -> Vec<String> {
    let Some(group) = text.strip_prefix('{') else {
        return vec![name(text)];
    };
    let mut names = vec![name(group.trim_start())];
    let mut depth = 0;
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => names.push(name(group[at + 1..].trim_start())),
            _ => {}
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

fn name(text: &str) -> String {
    text.chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files of the product: those whose whole module is a test are left out.
fn sources() -> Vec<PathBuf> {
    let all = below(&root().join("src"));
    assert!(all.len() > 50, "the sources were not found");
    let is_test = |path: &PathBuf| {
        path.components().any(|part| part.as_os_str() == "tests")
            || path.file_name().is_some_and(|name| name == "tests.rs")
            || declared_for_tests(path)
    };
    all.into_iter().filter(|path| !is_test(path)).collect()
}

/// Whether the file's parent declares it behind `#[cfg(test)]`.
fn declared_for_tests(path: &Path) -> bool {
    let (Some(folder), Some(stem)) = (path.parent(), path.file_stem()) else {
        return false;
    };
    let parent = fs::read_to_string(folder.with_extension("rs")).unwrap_or_default();
    parent.contains(&format!("#[cfg(test)]\nmod {};", stem.display()))
}

fn below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(below(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

fn part_of(path: &Path) -> String {
    let inside = path.strip_prefix(root().join("src")).unwrap();
    let first = inside.components().next().unwrap().as_os_str();
    Path::new(first).file_stem().unwrap().display().to_string()
}

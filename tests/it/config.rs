//! `linkgate check` on files of every kind.

use std::fs;

use crate::command_line::{linkgate, text};

const TEN_FAULTS: &str = "\
gateway:
  listen: localhost:8080
  max_conections: 5
  threads: -1
  head_time_ms: soon
  hosts: gw.example
linkedin:
  api_url: http://api.linkedin.com
retry:
  max_retries: 99
  max_retries: 3
renewal:
  lease_ms: 1000
log: loud
applications:
  - name: default
    client_id: '77abc'
    client_secret: s3cr3t-canary
";

#[test]
fn a_file_with_ten_faults_is_told_all_ten_with_line_and_hint() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("config.yaml"), TEN_FAULTS).unwrap();

    let checked = linkgate(folder.path()).arg("check").output().unwrap();

    let told = text(&checked.stderr);
    assert_eq!(checked.status.code(), Some(78), "{told}");
    for (line, key, says) in [
        (2, "gateway.listen", "an IP address and a port"),
        (
            3,
            "gateway.max_conections",
            "did you mean gateway.max_connections?",
        ),
        (4, "gateway.threads", "allowed: 0 to 1024"),
        (
            5,
            "gateway.head_time_ms",
            "allowed: 100 to 3600000 milliseconds",
        ),
        (6, "gateway.hosts", "a list of texts"),
        (
            8,
            "linkedin.api_url",
            "http:// is accepted for loopback addresses only",
        ),
        (10, "retry.max_retries", "99 is out of range"),
        (
            11,
            "retry.max_retries",
            "stands here a second time (first on line 10)",
        ),
        (13, "renewal.lease_ms", "or another process may renew"),
        (14, "log", "\"loud\" is no section"),
        (
            18,
            "applications.0.client_secret",
            "a secret never stands in the file itself",
        ),
    ] {
        let place = format!("config.yaml:{line}: {key}: ");
        let block = told
            .split(&place)
            .nth(1)
            .unwrap_or_else(|| panic!("{place} in\n{told}"));
        let block = block.split("config.yaml:").next().unwrap();
        assert!(block.contains(says), "{says} at {place}\n{told}");
        assert!(
            block.contains("hint: ") || block.contains("allowed: "),
            "{place}\n{told}"
        );
    }
    assert!(!told.contains("s3cr3t-canary"), "{told}");
    assert_eq!(text(&checked.stdout), "");
}

#[test]
fn a_good_file_is_shown_as_it_came_out_with_secrets_hidden() {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(
        concat!(env!("CARGO_MANIFEST_DIR"), "/config.yaml"),
        folder.path().join("config.yaml"),
    )
    .unwrap();

    let checked = linkgate(folder.path())
        .arg("check")
        .env("LINKEDIN_CLIENT_ID", "77abc")
        .env("LINKEDIN_CLIENT_SECRET", "s3cr3t-canary")
        .env("LINKGATE__RETRY__MAX_RETRIES", "7")
        .output()
        .unwrap();

    let shown = text(&checked.stdout);
    assert_eq!(checked.status.code(), Some(0), "{}", text(&checked.stderr));
    assert!(
        shown.contains("  max_retries: 7\n") && shown.contains("client_secret: [hidden]"),
        "{shown}"
    );
    assert!(!shown.contains("s3cr3t-canary"), "{shown}");
}

#[test]
fn the_file_is_found_by_option_then_variable_and_a_missing_one_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let variable = [("LINKGATE_CONFIG", "by-variable.yaml")];

    for (why, environment, arguments, named) in [
        (
            "the folder's own",
            &[][..],
            &["check"][..],
            "config.yaml: cannot be read",
        ),
        (
            "the variable",
            &variable,
            &["check"],
            "by-variable.yaml: cannot",
        ),
        (
            "the option",
            &variable,
            &["check", "--config", "by-option.yaml"],
            "by-option.yaml: cannot",
        ),
    ] {
        let mut command = linkgate(folder.path());
        let done = command
            .args(arguments)
            .envs(environment.iter().copied())
            .output()
            .unwrap();
        let (code, told) = (done.status.code(), text(&done.stderr));

        assert_eq!(code, Some(78), "{why}: {told}");
        assert!(
            told.contains(named) && told.contains("hint: "),
            "{why}: {told}"
        );
    }
}

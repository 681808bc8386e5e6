//! `linkgate members connect` as a process: the link alone on standard output, and how it ended.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    process::{Child, Stdio},
};

use super::*;
use crate::support::{gateway::free_address, process::Place};

/// A command that waits.
struct Waiting {
    child: Child,
    link: String,
    out: BufReader<std::process::ChildStdout>,
}

impl Waiting {
    fn start(place: &Place, arguments: &[&str]) -> Self {
        let mut child = place
            .command(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut link = String::new();
        out.read_line(&mut link).unwrap();
        let link = link.trim().to_owned();
        Self { child, link, out }
    }

    /// Its exit code, and what it said to people.
    fn end(mut self) -> (Option<i32>, String) {
        let mut rest = String::new();
        self.out.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "", "the link stands alone on standard output");
        let output = self.child.wait_with_output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        (output.status.code(), told)
    }
}

fn with_door(linkedin: &Sandbox) -> Place {
    let address = free_address().to_string();
    Place::before(linkedin)
        .with("connect.listen", &address)
        .with("connect.public_url", &format!("http://{address}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn it_prints_the_link_waits_and_says_how_it_ended() {
    let linkedin = Sandbox::start();
    let place = with_door(&linkedin);
    let served = place.serve().await;
    let mut ada = Visitor::default();

    let refused = Waiting::start(&place, &["members", "connect", "ada"]);
    let consent = ada.go_to_linkedin(&refused.link).await;
    let callback = ada.decide(&consent, "ada", "cancel_authorize").await;
    ada.come_back(&callback).await;
    let (code, told) = refused.end();
    assert_eq!(code, Some(1), "{told}");
    assert!(
        told.contains("ada is not connected: user_cancelled_authorize"),
        "{told}"
    );

    let waiting = Waiting::start(
        &place,
        &["members", "connect", "ada", "--application", "default"],
    );
    ada.sign_in(&waiting.link, "ada").await;
    let (code, told) = waiting.end();
    assert_eq!(code, Some(0), "{told}");
    assert!(
        told.contains("connected ada: signed in as Ada Lovelace"),
        "{told}"
    );

    let listed = place.done(&["members", "list", "--json"], "");
    assert!(listed.contains("\"name\": \"ada\""), "{listed}");
    let said = served.terminate().await;
    for secret in [callback.split("state=").nth(1).unwrap(), "code="] {
        assert!(!said.contains(secret), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_says_what_is_missing_where_nobody_can_sign_in() {
    let linkedin = Sandbox::start();
    let place = Place::before(&linkedin);

    let none_runs = place.run(&["members", "connect", "ada"], "");
    let served = place.serve().await;
    let no_door = place.run(&["members", "connect", "ada"], "");
    let unknown = place.run(&["members", "connect", "a b"], "");

    assert_eq!(none_runs.code, Some(69), "{none_runs:?}");
    assert!(none_runs.told.contains("no gateway runs"), "{none_runs:?}");
    assert_eq!(no_door.code, Some(69), "{no_door:?}");
    assert!(
        no_door.told.contains("connect.public_url is not set"),
        "{no_door:?}"
    );
    assert_eq!(unknown.code, Some(64), "{unknown:?}");
    served.terminate().await;
}

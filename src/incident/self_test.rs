//! The start-up self-test: one incident that never happened goes the whole way and is looked for.
//!
//! Redaction, sealing, the line, the segment, the reader: if any of them does not do its work here, then better
//! told by `/readyz` than by the first member who asks.
//!
//! **Invariant:** marked (`kind: self_test`), counted nowhere, in no list unless it is asked for; one a start,
//! and further ones only while the last has failed.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode, Version};

use super::{
    AnswerGiven, Incident, Kind, Recorder, RequestSeen,
    reader::{Found, Incidents, Record},
};
use crate::{
    clock::Clock,
    exchange::{ExchangeId, Fault, Head, HeaderList, KeptBody, Outcome},
    keyring::{DataKey, KeyRing},
};

/// How long the record may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// First wait after a failure; doubles up to [`LONGEST_WAIT`].
const WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// What the self-test needs beside the log.
#[derive(Clone, Debug)]
pub struct SelfTest {
    /// The door that is tested.
    pub recorder: Recorder,
    /// How readers see the same log.
    pub incidents: Incidents,
    /// Makes the key that seals the body; it is forgotten with the test.
    pub ring: KeyRing,
    /// When it was.
    pub clock: Clock,
}

impl SelfTest {
    /// Runs it once, waiting [`PATIENCE`] at most for the writer. `/readyz` says why if it fails.
    ///
    /// # Errors
    /// What did not work, in plain words.
    pub async fn run(&self) -> Result<(), String> {
        let passed = self.passed().await;
        let condition = &self.recorder.0.shared.condition;
        condition.self_test(passed.clone().err());
        passed
    }

    /// Runs it again and again until it passes, ever more rarely.
    pub async fn run_until_passed(self) {
        let mut wait = WAIT;
        while let Err(failure) = self.run().await {
            tracing::error!(failure, "the support log's self-test failed: not ready");
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    async fn passed(&self) -> Result<(), String> {
        // Shaped like a secret of ours, and none.
        let secret = format!("lgk_selftest_{}", ExchangeId::new());
        let key = self.ring.new_data_key();
        let incident = synthetic(&secret, &key, self.clock.micros());
        let id = incident.id.to_string();
        match tokio::time::timeout(PATIENCE, self.recorder.record(incident)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(error.to_string()),
            Err(_) => return Err("its record was not written in time".to_owned()),
        }
        let incidents = self.incidents.clone();
        let looked = tokio::task::spawn_blocking(move || look(&incidents, &id, &key, &secret));
        looked.await.map_err(|error| error.to_string())?
    }
}

/// Finds the record and its body again, and nothing of the secret.
fn look(incidents: &Incidents, id: &str, key: &DataKey, secret: &str) -> Result<(), String> {
    let Found::One(record) = incidents.find(id) else {
        return Err("its record was written, but is not found".to_owned());
    };
    if record.json().to_string().contains(secret) {
        return Err("its record holds what should have been redacted".to_owned());
    }
    if record.kind() != Some(Kind::SelfTest.as_str()) {
        return Err("its record says something else".to_owned());
    }
    body(incidents, &record, key, secret)
}

fn body(incidents: &Incidents, record: &Record, key: &DataKey, secret: &str) -> Result<(), String> {
    let Some(reference) = record.text("/answer/body/ref") else {
        let why = record
            .text("/answer/body/withheld")
            .unwrap_or("no reason was given");
        return Err(format!("its body was not kept: {why}"));
    };
    let opened = incidents
        .open_body(reference, key)
        .map_err(|error| format!("its body does not open: {error}"))?;
    let text = String::from_utf8_lossy(&opened);
    match text.contains("self-test") && !text.contains(secret) {
        true => Ok(()),
        false => Err("its body is not what was to be kept".to_owned()),
    }
}

fn synthetic(secret: &str, key: &DataKey, now_micros: i64) -> Incident {
    let head = format!(
        "GET /self-test HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {secret}\r\n\r\n"
    );
    let mut body = KeptBody::default();
    let text = format!("{{\"message\":\"self-test\",\"access_token\":\"{secret}\"}}");
    body.note(&Bytes::from(text), usize::MAX);
    body.complete = true;
    Incident {
        id: ExchangeId::new(),
        started_micros: now_micros,
        took: Duration::ZERO,
        fault: Fault::Gateway,
        kind: Kind::SelfTest,
        code: None,
        linkedin_code: None,
        verdict: "nothing went wrong: the support log was tested at the start".to_owned(),
        verdict_by_code: None,
        caller: None,
        member: None,
        member_urn: None,
        client_id: None,
        data_key: Some(key.clone()),
        request: RequestSeen {
            method: Method::GET,
            target: Bytes::from_static(b"/self-test"),
            version: Version::HTTP_11,
            head: Head::Wire(head.into()),
            body: KeptBody::default(),
        },
        attempts: Vec::new(),
        answer: Some(AnswerGiven {
            status: StatusCode::OK,
            headers: HeaderList::default(),
            body,
        }),
        outcome: Outcome::NotSent,
        secrets: vec![Bytes::from(secret.to_owned())],
    }
}

//! Exchanges that ended in another way than with a failed answer.

use serde_json::Value;

use super::{Case, Finding, case::cut};

/// The app hung up.
pub(super) fn caller_left(case: &Case<'_>) -> Option<Finding> {
    (case.record.kind() == Some("caller_left")).then(|| {
        let took = case.record.json().get("took_ms").and_then(Value::as_f64);
        Finding::new(
            "caller_left",
            "The app hung up before it had its answer: its own time limit was over, or it was stopped.",
            "Give the app a longer time limit than Linkgate's (retry.total_time_ms, 30 s by default), or set that one \
             lower. Where the time went stands at the attempts.",
        )
        .seen_if(took.map(|took| format!("the app waited {took:.0} ms")))
        .seen_if(case.answered())
    })
}

/// The answer broke off behind its head.
pub(super) fn cut_off(case: &Case<'_>) -> Option<Finding> {
    (case.record.kind() == Some("cut")).then(|| {
        let got = case.record.number("/answer/body/bytes");
        let by_whom = match case.record.fault() {
            Some("linkedin") => "LinkedIn's answer broke off in the middle of its body",
            Some("caller") => "The app stopped reading in the middle of the answer",
            _ => "The answer broke off in the middle of its body",
        };
        Finding::new(
            "cut",
            format!("{by_whom}: the app has seen that its end is missing."),
            "A read may be sent again at once. Of a write the status that came says that LinkedIn did it.",
        )
        .seen_if(got.map(|bytes| format!("{bytes} bytes of the body had come")))
        .seen_if(broken(case))
    })
}

/// It ended well, after more than one attempt.
pub(super) fn recovered(case: &Case<'_>) -> Option<Finding> {
    if case.record.kind() != Some("recovered") {
        return None;
    }
    let attempts = case.record.attempts();
    let mut finding = Finding::new(
        "recovered",
        format!(
            "The app has its answer, after {} attempts: it saw nothing of the trouble but the time.",
            attempts.len()
        ),
        "Nothing, if it is rare. If it is frequent, its first attempts tell what is wrong.",
    );
    for attempt in attempts {
        let then = attempt.get("then").and_then(Value::as_str);
        let n = attempt.get("n").and_then(Value::as_u64);
        if let (Some(n), Some(then)) = (n, then) {
            finding = finding.seen(format!("attempt {n} was {}", cut(then)));
        }
    }
    Some(finding)
}

fn broken(case: &Case<'_>) -> Option<String> {
    let last = case.record.attempts().last()?;
    let error = last.get("error")?.as_str()?;
    let detail = last.get("error_detail").and_then(Value::as_str);
    Some(format!("{error}: {}", cut(detail.unwrap_or_default())))
}

//! Answers of our own: what each problem code means (docs/contract.md §5).

use super::{Case, Finding, case::cut};
use crate::incident::advice;

/// The meaning of the code, and our own sentence as evidence.
pub(super) fn problem(case: &Case<'_>) -> Option<Finding> {
    let code = case.code()?;
    let meaning = advice::of_code(code)?;
    let error = case.record.attempts().last().and_then(|last| {
        let text = |name| last.get(name).and_then(serde_json::Value::as_str);
        let detail = text("error_detail").unwrap_or_default();
        Some(format!(
            "the last attempt broke ({}): {}",
            text("error")?,
            cut(detail)
        ))
    });
    Some(
        Finding::new(meaning.code, meaning.says, meaning.what_to_try)
            .seen_if(
                Some(case.verdict())
                    .filter(|said| !said.is_empty())
                    .map(cut),
            )
            .seen_if(error),
    )
}

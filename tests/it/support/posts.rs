//! Posts as an app writes them.

/// The body of a create: the same author's same text twice would be a duplicate (linkedin.md §3.5).
pub(crate) fn post_saying(text: &str) -> String {
    serde_json::json!({
        "author": "urn:li:person:story",
        "commentary": text,
        "visibility": "PUBLIC",
        "lifecycleState": "PUBLISHED",
        "distribution": { "feedDistribution": "MAIN_FEED" },
    })
    .to_string()
}

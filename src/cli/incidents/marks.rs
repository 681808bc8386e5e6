//! `linkgate incidents mute|resolve|reopen`: what support decides about a signature.

use std::path::Path;

use crate::{app::Order, cli::reach, config::Environment, incident::page, store::Decision};

use super::{End, print};

/// Marks a signature, or takes its mark away.
pub(super) fn decide(
    signature: String,
    decision: Option<Decision>,
    file: &Path,
    environment: &Environment,
) -> Result<(), End> {
    let shown = page::shown(&signature);
    let done = decision.map_or("reopened", Decision::as_str);
    let order = Order::MarkSignature {
        signature,
        decision,
    };
    reach::execute(order, file, environment)?;
    Ok(print::line(&format!("{done} {shown}"))?)
}

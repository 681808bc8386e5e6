//! `linkgate alerts`: whether webhooks work, and what waits for them.

use std::path::Path;

use clap::Subcommand;
use serde_json::Value;

use crate::{app::Order, config::Environment};

use super::{End, print, reach};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Send one signed test notice to every webhook and say what each answered
    Test {
        /// Only this one of `alerts.webhooks`
        #[arg(long, value_name = "NAME")]
        webhook: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// List the notices that wait for their webhooks
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

pub(super) fn run(command: Command, file: &Path, environment: &Environment) -> Result<(), End> {
    let execute = |order| reach::execute(order, file, environment);
    match command {
        Command::Test { webhook, json } => {
            let tested = execute(Order::TestAlerts { webhook })?;
            tell(&tested, json)
        }
        Command::List { json } => {
            let waiting = execute(Order::ListAlerts)?;
            let columns = [
                "webhook",
                "event",
                "created_at",
                "attempts",
                "next_at",
                "text",
            ];
            shown(&waiting, json, &columns)
        }
    }
}

/// Says how each test fared; fails if one did, or if there is none.
fn tell(tested: &Value, json: bool) -> Result<(), End> {
    shown(
        tested,
        json,
        &["webhook", "url", "ok", "status", "took_ms", "problem"],
    )?;
    let all = tested.as_array().map_or(&[][..], Vec::as_slice);
    if all.is_empty() {
        let hint = "alerts.webhooks lists no webhook: nobody is told anything";
        return Err(End::Failed(anyhow::anyhow!(hint)));
    }
    let failed = all
        .iter()
        .filter(|one| one.get("ok") != Some(&Value::Bool(true)));
    match failed.count() {
        0 => Ok(()),
        failed => Err(End::Failed(anyhow::anyhow!(
            "{failed} of {} webhooks did not take the test notice",
            all.len()
        ))),
    }
}

fn shown(items: &Value, json: bool, columns: &[&str]) -> Result<(), End> {
    if json {
        return Ok(print::json(items)?);
    }
    let items = items.as_array().map_or(&[][..], Vec::as_slice);
    Ok(print::table(items, columns)?)
}

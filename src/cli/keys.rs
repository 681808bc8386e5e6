//! `linkgate keys`: callers' keys.

use std::path::Path;

use clap::{Args, Subcommand};
use serde_json::Value;

use crate::{app::Order, config::Environment};

use super::{End, print, reach};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make a key; it alone is printed on standard output, and never again
    Create(Terms),
    /// List all keys, without their secrets
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// End a key from now on
    Revoke {
        /// The key's public id, from `keys list`
        id: String,
    },
}

#[derive(Debug, Args)]
pub(super) struct Terms {
    /// Whose key it is
    caller: String,
    /// A member it covers: NAME, NAME/APPLICATION, or /APPLICATION for the application's own token
    #[arg(long = "member", value_name = "NAME")]
    members: Vec<String>,
    /// Cover every member, now and later
    #[arg(long, conflicts_with = "members")]
    any_member: bool,
    /// What it may ask for [default: everything]: 'METHOD /path/**'
    #[arg(long, value_name = "RULE")]
    allow: Vec<String>,
    /// When it ends [default: never]: 90d, 12h, 30m
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    expires: Option<u64>,
    /// The application of members named without one [default: the first one configured]
    #[arg(long, value_name = "NAME")]
    application: Option<String>,
}

/// `90d`, `12h`, `30m`, `45s`.
pub(super) fn seconds(text: &str) -> Result<u64, String> {
    let unit = match text.chars().last() {
        Some('d') => 86_400,
        Some('h') => 3600,
        Some('m') => 60,
        Some('s') => 1,
        _ => return Err("a number and d, h, m or s, such as 90d".into()),
    };
    let digits = text.get(..text.len() - 1).unwrap_or_default();
    let count: u64 = digits
        .parse()
        .map_err(|_| "a whole number before the unit, such as 90d")?;
    match count.checked_mul(unit) {
        Some(seconds) if seconds > 0 => Ok(seconds),
        _ => Err("more than nothing, and less than for ever".into()),
    }
}

pub(super) fn run(command: Command, file: &Path, environment: &Environment) -> Result<(), End> {
    match command {
        Command::Create(terms) => create(terms, file, environment),
        Command::List { json } => {
            let keys = reach::execute(Order::ListKeys, file, environment)?;
            if json {
                return Ok(print::json(&keys)?);
            }
            let columns = [
                "id",
                "caller",
                "state",
                "covers",
                "allow",
                "created_at",
                "expires_at",
            ];
            Ok(print::table(
                keys.as_array().map_or(&[], Vec::as_slice),
                &columns,
            )?)
        }
        Command::Revoke { id } => {
            reach::execute(Order::RevokeKey { id: id.clone() }, file, environment)?;
            Ok(print::line(&format!("revoked {id}"))?)
        }
    }
}

fn create(terms: Terms, file: &Path, environment: &Environment) -> Result<(), End> {
    let covers_nobody = terms.members.is_empty() && !terms.any_member;
    let order = Order::CreateKey {
        caller: terms.caller,
        members: terms.members,
        any_member: terms.any_member,
        allow: terms.allow,
        expires_secs: terms.expires,
        application: terms.application,
    };
    let made = reach::execute(order, file, environment)?;
    let text = |field: &str| made.get(field).and_then(Value::as_str).unwrap_or_default();
    print::line(text("key"))?;
    print::remark(&format!(
        "key {} for {}: keep it, it is shown this once",
        text("id"),
        text("caller")
    ))?;
    if covers_nobody {
        print::remark(
            "it covers nobody yet: make it with --member NAME or --any-member to use it",
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_a_number_and_a_unit() {
        for (text, found) in [
            ("90d", Some(7_776_000)),
            ("12h", Some(43_200)),
            ("30m", Some(1800)),
            ("1s", Some(1)),
            ("0d", None),
            ("90", None),
            ("d", None),
            ("-1d", None),
            ("9dd", None),
            ("99999999999999999999d", None),
            ("999999999999999999d", None),
            ("", None),
        ] {
            assert_eq!(seconds(text).ok(), found, "{text:?}");
        }
    }
}

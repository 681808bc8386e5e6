//! `linkgate store`: the store's keys.

use std::path::Path;

use clap::Subcommand;
use serde_json::Value;

use crate::{
    app::Order,
    config::Environment,
    keyring::{KeyRing, NewKey},
};

use super::{End, print, reach};

#[derive(Clone, Copy, Debug, Subcommand)]
pub(super) enum Command {
    /// Put a new key in front of the key file and seal everything under it, while the gateway runs
    ///
    /// A rotation that was cut short is brought to its end instead. With `store.key_env` or
    /// `store.key_credential` there is no file to change: put the line of `linkgate store new-key
    /// --line` in front of the keys there, restart, run this, then take the old keys away.
    RotateKey {
        /// Leave the old keys in the key file, for backups of the store from before
        #[arg(long)]
        keep_old: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Print a new key text for `store.key_env` or `store.key_credential`: it is secret
    NewKey {
        /// Only one key's line, to be put in front of the keys there are
        #[arg(long)]
        line: bool,
    },
}

pub(super) fn run(command: Command, file: &Path, environment: &Environment) -> Result<(), End> {
    match command {
        Command::RotateKey { keep_old, json } => {
            let rotated = reach::execute(Order::RotateKey { keep_old }, file, environment)?;
            match json {
                true => Ok(print::json(&rotated)?),
                false => told(&rotated),
            }
        }
        Command::NewKey { line: true } => Ok(print::line(&NewKey::random().line())?),
        Command::NewKey { line: false } => Ok(print::line(KeyRing::random().text().trim_end())?),
    }
}

fn told(rotated: &Value) -> Result<(), End> {
    let text = |field: &str| rotated.get(field).and_then(Value::as_str).unwrap_or("-");
    let count = |field: &str| rotated.get(field).and_then(Value::as_u64).unwrap_or(0);
    let is = |field: &str| rotated.get(field).and_then(Value::as_bool) == Some(true);
    let names = |field: &str| {
        let names = rotated.get(field).and_then(Value::as_array);
        let names = names.into_iter().flatten().filter_map(Value::as_str);
        names.collect::<Vec<_>>().join(", ")
    };
    let begun = if is("is_resumed") {
        " (a rotation that was cut short)"
    } else {
        ""
    };
    print::line(&format!(
        "key {} seals now{begun}; {} data keys were wrapped anew",
        text("key"),
        count("rewrapped")
    ))?;
    if count("unopened") > 0 {
        print::line(&format!(
            "{} data keys do not open and were left as they are",
            count("unopened")
        ))?;
    }
    if !names("retired").is_empty() {
        print::line(&format!("retired: {}", names("retired")))?;
    }
    match (names("kept"), is("has_file")) {
        (kept, _) if kept.is_empty() => {}
        (kept, true) => print::line(&format!("kept in the key file: {kept}"))?,
        (kept, false) => print::line(&format!(
            "nothing needs these keys any more, take them out of the variable or credential: {kept}"
        ))?,
    }
    if !is("has_file") {
        print::line(
            "no key was added: the keys come from a variable or credential; to change the key, put \
             the line of `linkgate store new-key --line` in front there, restart, and run this again",
        )?;
    }
    Ok(())
}

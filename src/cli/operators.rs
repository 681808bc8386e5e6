//! `linkgate operators`: who may sign in to the admin listener.

use std::path::Path;

use clap::{Args, Subcommand};
use serde_json::Value;

use crate::{app::Order, config::Environment, operators::Role};

use super::{End, keys::seconds, print, reach};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make a token to sign in with; it alone is printed on standard output, and never again
    Create(Terms),
    /// List all tokens, without their secrets
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// End a token, and every session that was signed in with it, from now on
    Revoke {
        /// The token's public id, from `operators list`
        id: String,
    },
}

#[derive(Debug, Args)]
pub(super) struct Terms {
    /// Whose token it is, as the operations log will name them
    name: String,
    /// `operator` may do everything; `support` looks, and marks signatures of incidents
    #[arg(long, value_name = "ROLE", value_parser = role)]
    role: Role,
    /// When it ends [default: never]: 90d, 12h, 30m
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    expires: Option<u64>,
}

fn role(text: &str) -> Result<Role, String> {
    text.parse()
        .map_err(|error: crate::operators::NotARole| error.to_string())
}

pub(super) fn run(command: Command, file: &Path, environment: &Environment) -> Result<(), End> {
    match command {
        Command::Create(terms) => create(terms, file, environment),
        Command::List { json } => {
            let operators = reach::execute(Order::ListOperators, file, environment)?;
            if json {
                return Ok(print::json(&operators)?);
            }
            let columns = ["id", "name", "role", "state", "created_at", "expires_at"];
            let rows = operators.as_array().map_or(&[][..], Vec::as_slice);
            Ok(print::table(rows, &columns)?)
        }
        Command::Revoke { id } => {
            let order = Order::RevokeOperator { id: id.clone() };
            reach::execute(order, file, environment)?;
            Ok(print::line(&format!("revoked {id}"))?)
        }
    }
}

fn create(terms: Terms, file: &Path, environment: &Environment) -> Result<(), End> {
    let order = Order::CreateOperator {
        name: terms.name,
        role: terms.role.to_string(),
        expires_secs: terms.expires,
    };
    let made = reach::execute(order, file, environment)?;
    let text = |field: &str| made.get(field).and_then(Value::as_str).unwrap_or_default();
    print::line(text("token"))?;
    let (id, role, name) = (text("id"), text("role"), text("name"));
    print::remark(&format!(
        "{role} token {id} for {name}: keep it, it is shown this once"
    ))?;
    Ok(())
}

//! `linkgate incidents export`: incidents in a form that someone else takes.
//!
//! The running gateway opens their bodies, asks LinkedIn how their tokens stand, and stands at the door;
//! without one the bodies are left out and the door goes by what secrets look like.
//!
//! **Invariant:** nothing is written, no file even made, before the door has let everything through.

use std::{
    fs,
    io::{self, IsTerminal as _, Write as _},
    path::{Path, PathBuf},
};

use clap::Args;
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::{
    app::{MemberNamed, NotReached, Order, Reply, TokenText, ask},
    cli::{End, print, reach},
    clock::Clock,
    config::Places,
    incident::{
        export::{ByShape, Circumstances, Door, Form, NotAsked, Refused, Standing, Weight, export},
        reader::{Incidents, Record, said},
        redact::Find,
    },
    secret::Secret,
};

use super::{bodies, one};

/// Members about whose tokens LinkedIn is asked for one export.
const MOST_STANDINGS: usize = 16;

#[derive(Debug, Args)]
pub(in crate::cli) struct Options {
    /// Their ids, or the first 8 characters or more of each
    #[arg(required = true, value_name = "ID", value_parser = said::id)]
    ids: Vec<String>,
    /// What to make of them: ticket, har, curl, json or zip
    #[arg(long = "as", value_name = "FORM")]
    form: Form,
    /// Write to this file [default: standard output]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(super) fn run(log: &Incidents, places: &Places, options: &Options) -> Result<(), End> {
    let is_shown = options.output.is_none() && io::stdout().is_terminal();
    if options.form == Form::Zip && is_shown {
        return Err(End::Usage(
            "an archive is nothing for a terminal: --output FILE, or a pipe".into(),
        ));
    }
    let records = options.ids.iter().map(|id| one(log, id));
    let records: Vec<Record> = records.collect::<Result<_, _>>()?;
    let runtime = reach::runtime()?;
    let gateway = Gateway::find(&runtime, &places.control_socket)?;
    let bytes = match &gateway {
        Some(gateway) => {
            let records = gateway.with_bodies(records).map_err(failed)?;
            let beside = gateway.circumstances(&records, options.form);
            export(&records, options.form, gateway, &beside)
        }
        None => {
            print::remark(
                "no gateway runs: bodies are left out, and secrets are looked for by their shape alone",
            )?;
            export(&records, options.form, &ByShape, &now())
        }
    };
    let bytes = bytes.map_err(failed)?;
    write(&bytes, options.output.as_deref())
}

fn failed(refused: Refused) -> End {
    End::Failed(refused.into())
}

fn write(bytes: &[u8], output: Option<&Path>) -> Result<(), End> {
    match output {
        Some(file) => fs::write(file, bytes)
            .map_err(|error| anyhow::anyhow!("{}: {error}", file.display()).into()),
        None => {
            let mut out = io::stdout().lock();
            out.write_all(bytes)?;
            Ok(out.flush()?)
        }
    }
}

fn now() -> Circumstances {
    Circumstances {
        now_micros: Clock::system().micros(),
        standings: Vec::new(),
    }
}

/// The gateway that runs.
struct Gateway<'a> {
    runtime: &'a Runtime,
    socket: &'a Path,
}

impl<'a> Gateway<'a> {
    /// None if none runs.
    fn find(runtime: &'a Runtime, socket: &'a Path) -> Result<Option<Self>, End> {
        let gateway = Self { runtime, socket };
        match gateway.inspect(String::new()) {
            Ok(_) => Ok(Some(gateway)),
            Err(End::NotReached(NotReached::NoneRuns)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn ask(&self, order: &Order) -> Result<Value, End> {
        match self.runtime.block_on(ask(self.socket, order))? {
            Reply::Done(value) => Ok(value),
            Reply::Refused(refusal) => Err(refusal.into()),
        }
    }

    fn inspect(&self, text: String) -> Result<Vec<Find>, End> {
        let found = self.ask(&Order::InspectExport {
            text: TokenText(Secret::new(text)),
        })?;
        Ok(serde_json::from_value(found).map_err(io::Error::from)?)
    }

    /// Stops where the bodies are more than an export takes.
    fn with_bodies(&self, records: Vec<Record>) -> Result<Vec<Record>, Refused> {
        let mut weight = Weight::default();
        let opened = |record| {
            let record = self.runtime.block_on(bodies::open(record, self.socket));
            weight.add(&record)?;
            Ok(record)
        };
        records.into_iter().map(opened).collect()
    }

    /// How the tokens stand, where the form tells it.
    fn circumstances(&self, records: &[Record], form: Form) -> Circumstances {
        let mut beside = now();
        if !matches!(form, Form::Ticket | Form::Zip) {
            return beside;
        }
        let mut members: Vec<(&str, &str)> = records
            .iter()
            .filter_map(|record| Some((record.member()?, record.application()?)))
            .collect();
        members.sort_unstable();
        members.dedup();
        let standing = |(member, application)| self.standing(member, application);
        beside.standings = members
            .into_iter()
            .take(MOST_STANDINGS)
            .filter_map(standing)
            .collect();
        beside
    }

    /// What LinkedIn says of the member's token; none if the member is gone or LinkedIn does not say.
    fn standing(&self, name: &str, application: &str) -> Option<Standing> {
        let member = MemberNamed {
            name: name.to_owned(),
            application: Some(application.to_owned()),
        };
        let shown = self.ask(&Order::ShowMember {
            member: member.clone(),
        });
        let told = self.ask(&Order::IntrospectMember { member }).ok()?;
        let text = |json: &Value, name: &str| Some(json.get(name)?.as_str()?.to_owned());
        let is_active = told.get("active").and_then(Value::as_bool) == Some(true);
        let word = if is_active { "active" } else { "unknown" };
        Some(Standing {
            member: Some(name.to_owned()),
            application: application.to_owned(),
            status: text(&told, "status").unwrap_or_else(|| word.to_owned()),
            fingerprint: shown.ok().and_then(|shown| text(&shown, "fingerprint")),
            asked_micros: Clock::system().micros(),
        })
    }
}

/// The whole door, asked over the control socket: part by part, each with the end of the one before.
impl Door for Gateway<'_> {
    fn finds(&self, text: &[u8]) -> Result<Vec<Find>, NotAsked> {
        const OVERLAP: usize = 16 << 10;
        let mut finds: Vec<Find> = Vec::new();
        let mut from = 0;
        loop {
            let to = text.len().min(from + Order::MOST_INSPECTED);
            // What is no UTF-8 is no part of a secret: it only separates.
            let part = String::from_utf8_lossy(text.get(from..to).unwrap_or_default());
            let found = self.inspect(part.into_owned());
            for find in found.map_err(|error| NotAsked(error.to_string()))? {
                if !finds.contains(&find) {
                    finds.push(find);
                }
            }
            if to == text.len() {
                return Ok(finds);
            }
            from = to - OVERLAP;
        }
    }
}

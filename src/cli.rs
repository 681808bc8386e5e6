//! The command line: what can be typed, and which exit code it ends with.
//!
//! Each command is a file below; all of them end in [`Exit`].

use std::{io, path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand, error::ErrorKind};
use rustix::process::{
    DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit, umask,
};

use crate::config::Environment;

mod alerts;
mod check;
mod demo;
mod end;
mod incidents;
mod keys;
mod members;
mod operators;
mod print;
mod reach;
mod sandbox;
mod serve;
mod store;

use end::{End, Exit};

/// The outbound gateway for the LinkedIn API: puts members' tokens in, renews them, and keeps every
/// failed call for support.
#[derive(Debug, Parser)]
#[command(name = "linkgate", version, arg_required_else_help = false)]
struct CommandLine {
    #[command(flatten)]
    place: Place,
    #[command(subcommand)]
    command: Option<Command>,
}

/// Where the configuration is.
#[derive(Clone, Debug, Args)]
struct Place {
    /// The configuration [default: `LINKGATE_CONFIG`, else ./config.yaml]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway (also without any command)
    Serve,
    /// Show what it does: a LinkedIn sandbox, a gateway, two members and a short story
    Demo(demo::Options),
    /// Run only the LinkedIn simulator
    Sandbox(sandbox::Options),
    /// Check the configuration: every problem at once, or the effective configuration
    Check,
    /// Members and their grants
    #[command(subcommand)]
    Members(members::Command),
    /// Callers' keys
    #[command(subcommand)]
    Keys(keys::Command),
    /// Who may sign in to the admin listener
    #[command(subcommand)]
    Operators(operators::Command),
    /// The store and its keys
    #[command(subcommand)]
    Store(store::Command),
    /// The support log
    #[command(subcommand)]
    Incidents(Box<incidents::Command>),
    /// Notices to administrators and apps
    #[command(subcommand)]
    Alerts(alerts::Command),
}

impl Place {
    /// The file that is meant.
    fn file(&self, environment: &Environment) -> PathBuf {
        let named = self.config.clone();
        named
            .or_else(|| {
                environment
                    .variable("LINKGATE_CONFIG")
                    .filter(|name| !name.is_empty())
                    .map(PathBuf::from)
            })
            .unwrap_or_else(|| PathBuf::from("config.yaml"))
    }
}

/// Reads the arguments, runs the command, says how it ended.
pub fn main() -> ExitCode {
    let line = match CommandLine::try_parse() {
        Ok(line) => line,
        Err(error) => return misspelt(&error),
    };
    if let Err(error) = keep_secrets_in_memory() {
        return end::report(Err(error.into()));
    }
    let environment = Environment::of_process();
    let file = line.place.file(&environment);
    let ended = match line.command.unwrap_or(Command::Serve) {
        Command::Serve => serve::run(&file, &environment),
        Command::Demo(options) => demo::run(&options),
        Command::Sandbox(options) => sandbox::run(&options),
        Command::Check => check::run(&file, &environment),
        Command::Members(command) => members::run(command, &file, &environment),
        Command::Keys(command) => keys::run(command, &file, &environment),
        Command::Operators(command) => operators::run(command, &file, &environment),
        Command::Store(command) => store::run(command, &file, &environment),
        Command::Incidents(command) => incidents::run(*command, &file, &environment),
        Command::Alerts(command) => alerts::run(command, &file, &environment),
    };
    end::report(ended)
}

/// No core dump, no reading by a debugger of the same user, no file that others may read: for every
/// command, since most read tokens, keys or secrets.
fn keep_secrets_in_memory() -> io::Result<()> {
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    setrlimit(Resource::Core, none)?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
    Ok(())
}

/// `--help` and `--version` are no errors; all else is exit 64.
fn misspelt(error: &clap::Error) -> ExitCode {
    // Nothing can be done about a terminal that is gone.
    error.print().ok();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Exit::Done.into(),
        _ => Exit::Usage.into(),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_arguments_do_not_contradict_each_other() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn the_file_is_the_option_then_the_variable_then_the_folders_own() {
        let environment = Environment::from_iter([("LINKGATE_CONFIG", "from-variable.yaml")]);
        let place = |config: Option<&str>| Place {
            config: config.map(PathBuf::from),
        };

        assert_eq!(
            place(Some("given.yaml")).file(&environment),
            PathBuf::from("given.yaml")
        );
        assert_eq!(
            place(None).file(&environment),
            PathBuf::from("from-variable.yaml")
        );
        assert_eq!(
            place(None).file(&Environment::default()),
            PathBuf::from("config.yaml")
        );
    }
}

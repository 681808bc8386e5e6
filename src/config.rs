//! THE OPERATOR'S SIDE: file, environment and defaults become one [`Config`] that is valid by
//! construction.
//!
//! **Invariant:** whoever holds a [`Config`] holds settings that passed every check; nothing reads
//! the file or the environment later. All problems are reported together.
//! **Neighbours:** fills the `Settings` that each part declares for itself; asked by `cli` and `app`
//! only.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{
    admin, alerts, connect, credentials, dial, incident, keyring::KeySource, proxy, telemetry,
};

mod across;
mod build;
mod check;
mod door;
mod effective;
mod environment;
mod file;
mod keys;
mod kind;
mod problem;
mod reader;
mod secrets;
mod store_keys;
#[cfg(test)]
mod tests;

pub use environment::Environment;
pub use problem::{Place, Problem, Problems};

/// A configuration that passed every check.
#[derive(Clone, Debug)]
pub struct Config {
    /// The request path.
    pub proxy: proxy::Settings,
    /// The members' credentials.
    pub credentials: credentials::Settings,
    /// Who is told what.
    pub alerts: alerts::Settings,
    /// The support log.
    pub incidents: incident::Settings,
    /// The way to LinkedIn.
    pub dial: dial::Settings,
    /// The admin listener.
    pub admin: admin::Settings,
    /// The members' door; none where nobody can sign in.
    pub connect: Option<connect::Settings>,
    /// The operations log.
    pub telemetry: telemetry::Settings,
    /// How the process ends.
    pub drain: Drain,
    /// What commands need to know, too.
    pub places: Places,
    /// The whole, as `check` prints it, without a secret.
    pub effective: String,
    /// Things that are no fault, but that the operator should know.
    pub remarks: Vec<String>,
}

/// How the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drain {
    /// From `/readyz` turning 503 to no longer accepting.
    pub delay: Duration,
    /// For exchanges under way to finish.
    pub limit: Duration,
}

/// Where a gateway's files are: enough to reach a running gateway or to read its incidents, without
/// any secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// `sqlite:PATH`, absolute where the file's folder is.
    pub store_url: String,
    /// Where the store's keys come from.
    pub keys: KeySource,
    /// The control socket.
    pub control_socket: PathBuf,
    /// Held by a running gateway: `linkgate.lock` beside the store.
    pub lock_file: PathBuf,
    /// The support log's folder.
    pub incidents: PathBuf,
    /// How long bodies are kept there.
    pub keep_bodies: Duration,
}

impl Config {
    /// Loads `path` and the environment over it.
    ///
    /// # Errors
    /// [`Problems`]: all there are.
    pub fn load(path: &Path, environment: &Environment) -> Result<Self, Problems> {
        let text = read(path)?;
        Self::from_text(&text, path, environment)
    }

    /// The same from a text; `path` names it in problems, and its folder is where relative paths
    /// start.
    ///
    /// # Errors
    /// [`Problems`]: all there are.
    pub fn from_text(text: &str, path: &Path, environment: &Environment) -> Result<Self, Problems> {
        let values = values(text, path, environment)?;
        build::config(values, folder(path), environment).map_err(|list| problems(path, list))
    }
}

impl Places {
    /// Finds the files of the gateway that `path` configures. Secrets are not asked for, so that
    /// commands work in a shell without them.
    ///
    /// # Errors
    /// [`Problems`]: all there are but missing secrets.
    pub fn load(path: &Path, environment: &Environment) -> Result<Self, Problems> {
        let values = values(&read(path)?, path, environment)?;
        build::places(values, folder(path), environment).map_err(|list| problems(path, list))
    }
}

fn read(path: &Path) -> Result<String, Problems> {
    fs::read_to_string(path).map_err(|error| {
        let problem = Problem::new(&Place::Default, "", format!("cannot be read: {error}"));
        let problem = if error.kind() == std::io::ErrorKind::NotFound {
            problem.hint(
                "name the file with --config or LINKGATE_CONFIG, or copy the shipped config.yaml here; `linkgate demo` needs none",
            )
        } else {
            problem
        };
        Problems::one(&path.display().to_string(), problem)
    })
}

fn values(text: &str, path: &Path, environment: &Environment) -> Result<check::Values, Problems> {
    let mut root =
        file::parse(text).map_err(|problem| Problems::one(&path.display().to_string(), problem))?;
    file::imply_application(&mut root);
    let mut found = environment.override_values(&mut root);
    let mut values = check::Values::check(&root);
    values.problems.append(&mut found);
    Ok(values)
}

fn problems(path: &Path, mut list: Vec<Problem>) -> Problems {
    // Stable: problems of the file in its order, then variables, then matters of the whole.
    list.sort_by_key(|problem| match problem.place {
        Place::Line(line) => (0, line),
        Place::Variable(_) => (1, 0),
        Place::Default => (2, 0),
    });
    Problems {
        file: path.display().to_string(),
        list,
    }
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

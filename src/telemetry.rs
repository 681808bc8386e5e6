//! The operations log: what the service does, by tracing; never a token, body or e-mail address.

use std::path::PathBuf;

/// Where the operations log goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `error`, `warn`, `info`, `debug` or `trace`.
    pub level: tracing::Level,
    /// Whether lines are JSON.
    pub json: bool,
    /// Folder of the daily files; none: standard error.
    pub directory: Option<PathBuf>,
    /// Daily files that are kept.
    pub keep_files: usize,
}

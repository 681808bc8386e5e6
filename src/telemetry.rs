//! The operations log: what the service does, by tracing; never a token, body or e-mail address.
//!
//! Lines pass through a bounded queue to a thread of their own, so that a slow disk or a stuck
//! terminal never slows a request; what finds no room is dropped and counted. The support log, which
//! promises more, does not ride on it.
//!
//! **Invariant:** started once a process, by the command line; parts log through tracing's macros.

use std::{io, path::PathBuf, sync::Mutex};

use tracing::{Level, error};
use tracing_appender::{
    non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard},
    rolling::{InitError, RollingFileAppender, Rotation},
};
use tracing_subscriber::{
    Layer, Registry, filter::Targets, fmt, layer::SubscriberExt as _, reload,
    util::SubscriberInitExt as _,
};

/// Lines that may wait for the disk.
const QUEUE_LINES: usize = 8192;

/// Where the operations log goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `error`, `warn`, `info`, `debug` or `trace`.
    pub level: Level,
    /// Whether lines are JSON.
    pub json: bool,
    /// Folder of the daily files; none: standard error.
    pub directory: Option<PathBuf>,
    /// Daily files that are kept.
    pub keep_files: usize,
}

/// Why there is no operations log.
#[derive(Debug, thiserror::Error)]
pub enum NoLog {
    /// The folder cannot be used.
    #[error("log.directory {directory}: {reason}")]
    Directory {
        /// The folder.
        directory: PathBuf,
        /// What is wrong with it.
        reason: InitError,
    },
    /// The process has one already.
    #[error("the operations log was started before")]
    Twice,
}

/// The running operations log. Dropping it writes what waits.
pub struct Telemetry {
    level: reload::Handle<Targets, Registry>,
    dropped: ErrorCounter,
    _writer: Mutex<WorkerGuard>,
}

impl Telemetry {
    /// Starts the log for this process.
    ///
    /// # Errors
    /// [`NoLog`].
    pub fn start(settings: &Settings) -> Result<Self, NoLog> {
        let (writer, guard) = writer(settings)?;
        let dropped = writer.error_counter();
        let (filter, level) = reload::Layer::new(targets(settings.level));
        let lines = fmt::layer()
            .with_writer(writer)
            .with_ansi(false)
            .with_target(true);
        let lines = if settings.json {
            lines.json().flatten_event(true).boxed()
        } else {
            lines.boxed()
        };
        tracing_subscriber::registry()
            .with(filter)
            .with(lines)
            .try_init()
            .map_err(|_| NoLog::Twice)?;
        log_panics();
        Ok(Self {
            level,
            dropped,
            _writer: Mutex::new(guard),
        })
    }

    /// Changes the level from now on.
    pub fn set_level(&self, level: Level) {
        if self.level.reload(targets(level)).is_err() {
            error!("the log level could not be changed");
        }
    }

    /// Lines that found no room in the queue.
    pub fn dropped_lines(&self) -> usize {
        self.dropped.dropped_lines()
    }
}

/// Other crates' lines below `warn` are theirs to read: some print headers.
fn targets(level: Level) -> Targets {
    Targets::new()
        .with_default(level.min(Level::WARN))
        .with_target("linkgate", level)
}

fn writer(settings: &Settings) -> Result<(NonBlocking, WorkerGuard), NoLog> {
    let queue = NonBlockingBuilder::default()
        .buffered_lines_limit(QUEUE_LINES)
        .lossy(true)
        .thread_name("operations-log");
    let Some(directory) = &settings.directory else {
        return Ok(queue.finish(io::stderr()));
    };
    let files = RollingFileAppender::builder()
        .rotation(Rotation::DAILY)
        .filename_prefix("linkgate")
        .filename_suffix("log")
        .max_log_files(settings.keep_files)
        .build(directory)
        .map_err(|reason| NoLog::Directory {
            directory: directory.clone(),
            reason,
        })?;
    Ok(queue.finish(files))
}

/// Where a panic happened is logged; its message is not, since it may show what it choked on.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        error!(place, "a task panicked: a fault of ours, please report it");
    }));
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::filter::LevelFilter;

    use super::*;

    #[test]
    fn other_crates_never_log_below_warn() {
        let targets = targets(Level::TRACE);

        assert!(targets.would_enable("linkgate::proxy", &Level::TRACE));
        assert!(!targets.would_enable("hyper::proto", &Level::INFO));
        assert_eq!(targets.default_level(), Some(LevelFilter::WARN));
    }

    #[test]
    fn an_unusable_folder_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let settings = Settings {
            level: Level::INFO,
            json: false,
            directory: Some(file.path().join("below")),
            keep_files: 1,
        };

        let refused = writer(&settings).map(|_| ()).unwrap_err().to_string();

        assert!(
            refused.contains("log.directory") && refused.contains("below"),
            "{refused}"
        );
    }
}

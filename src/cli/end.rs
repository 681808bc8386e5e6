//! How a command ends: one exit code each, and the words on standard error.

use std::{io, io::Write as _, process::ExitCode};

use crate::{
    app::{NotLocked, NotReached, Refusal, StartError},
    config::Problems,
    store::StoreError,
};

/// The exit codes (after sysexits.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    /// Done.
    Done = 0,
    /// Failed.
    Failed = 1,
    /// What was typed makes no sense.
    Usage = 64,
    /// A service that is needed, or that is in the way.
    Unavailable = 69,
    /// The configuration, or the key file it names.
    Configuration = 78,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command did not do what it was told.
#[derive(Debug, thiserror::Error)]
pub(super) enum End {
    #[error(transparent)]
    Problems(#[from] Problems),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error(transparent)]
    NotReached(#[from] NotReached),
    #[error("{0}")]
    Usage(String),
    /// A second signal: what was under way is left.
    #[error("ended at once by a second signal")]
    AtOnce,
    /// Writing to standard output, above all.
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("{0:#}")]
    Failed(#[from] anyhow::Error),
}

impl End {
    fn exit(&self) -> Exit {
        match self {
            Self::Problems(_) => Exit::Configuration,
            Self::Start(error) => of_start(error),
            Self::Refused(Refusal::Malformed(_)) | Self::Usage(_) => Exit::Usage,
            Self::NotReached(_) | Self::Refused(Refusal::Unavailable(_)) => Exit::Unavailable,
            // Whoever read our output has seen enough: `linkgate members list | head`.
            Self::Io(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Done,
            Self::Refused(_) | Self::AtOnce | Self::Io(_) | Self::Failed(_) => Exit::Failed,
        }
    }
}

fn of_start(error: &StartError) -> Exit {
    match error {
        StartError::Lock(NotLocked::Held { .. }) | StartError::Listen { .. } => Exit::Unavailable,
        StartError::Roots(_) | StartError::Settings(_) => Exit::Configuration,
        StartError::Store(store) => of_store(store),
        StartError::Lock(NotLocked::File { .. }) | StartError::File { .. } => Exit::Failed,
    }
}

fn of_store(error: &StoreError) -> Exit {
    match error {
        StoreError::MissingKey { .. }
        | StoreError::WrongKey { .. }
        | StoreError::KeyFile(_)
        | StoreError::UnknownUrl => Exit::Configuration,
        StoreError::Corrupt { .. }
        | StoreError::Newer { .. }
        | StoreError::Unavailable(_)
        | StoreError::Moved
        | StoreError::Fenced => Exit::Failed,
    }
}

/// Says why, where there is something to say.
pub(super) fn report(ended: Result<(), End>) -> ExitCode {
    let Err(end) = ended else {
        return Exit::Done.into();
    };
    let exit = end.exit();
    if exit != Exit::Done {
        // Nothing can be done about a terminal that is gone.
        writeln!(io::stderr(), "linkgate: {end}").ok();
    }
    exit.into()
}

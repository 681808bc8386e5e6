//! `linkgate serve`: the gateway as a process, with its signals.
//!
//! **Invariant:** what is global to a process is set here (signals, the operations log) or in `cli`
//! (umask, core dumps) and nowhere else.

use std::{io, path::Path, time::Duration};

use tokio::{
    runtime::{Builder, Runtime},
    signal::unix::{Signal, SignalKind, signal},
    time::{Interval, MissedTickBehavior, interval},
};
use tracing::{error, info, warn};

use crate::{
    app::App,
    config::{Config, Environment},
    telemetry::{NoLog, Telemetry},
};

use super::End;

/// Threads of the house: renewals, the store's answers, admin and commands. The path has its own.
const HOUSE_THREADS: usize = 2;
/// How long tasks may take to end once everything is drained.
pub(super) const LAST_TASKS: Duration = Duration::from_secs(2);
/// How often the dropped lines of the operations log are noted for the metrics.
const NOTE_DROPPED: Duration = Duration::from_secs(5);

pub(super) fn run(file: &Path, environment: &Environment) -> Result<(), End> {
    let config = Config::load(file, environment)?;
    let telemetry = Telemetry::start(&config.telemetry).map_err(no_log)?;
    for remark in &config.remarks {
        warn!("{remark}");
    }
    let house = house()?;
    let ended = house.block_on(live(config, &telemetry, file, environment));
    house.shutdown_timeout(LAST_TASKS);
    ended
}

/// The runtime on which everything but the path runs.
pub(super) fn house() -> io::Result<Runtime> {
    Builder::new_multi_thread()
        .worker_threads(HOUSE_THREADS)
        .thread_name("house")
        .enable_all()
        .build()
}

fn no_log(error: NoLog) -> End {
    End::Failed(error.into())
}

async fn live(
    config: Config,
    telemetry: &Telemetry,
    file: &Path,
    environment: &Environment,
) -> Result<(), End> {
    // Before anything is opened, so that no signal is missed while starting.
    let mut signals = Signals::listen()?;
    let effective = config.effective.clone();
    let has_log_file = config.telemetry.directory.is_some();
    let app = tokio::select! {
        started = App::start(config) => started.map_err(|error| {
            // Without a file, the log is standard error, where it is said anyway.
            if has_log_file {
                error!(%error, "linkgate could not start");
            }
            End::Start(error)
        })?,
        () = signals.end() => return Ok(()),
    };
    loop {
        match signals.next().await {
            Heard::Reload => reload(&app, telemetry, &effective, file, environment).await,
            Heard::Tick => app.note_dropped_lines(telemetry.dropped_lines()),
            Heard::End => break,
        }
    }
    tokio::select! {
        () = app.stop() => Ok(()),
        () = signals.end() => {
            warn!("a second signal: ending at once");
            Err(End::AtOnce)
        }
    }
}

async fn reload(
    app: &App,
    telemetry: &Telemetry,
    running: &str,
    file: &Path,
    environment: &Environment,
) {
    info!("reading keys, certificates and the log level again");
    match Config::load(file, environment) {
        Ok(config) => {
            telemetry.set_level(config.telemetry.level);
            for line in changed(running, &config.effective) {
                warn!(
                    line,
                    "changed in the file, but in force only after a restart"
                );
            }
        }
        Err(problems) => error!(%problems, "the configuration is faulty: the one that runs stays"),
    }
    app.reload().await;
}

/// Lines of the new configuration that need a restart.
fn changed<'a>(running: &str, new: &'a str) -> Vec<&'a str> {
    let old: std::collections::HashSet<&str> = running.lines().collect();
    new.lines()
        .filter(|line| !old.contains(line))
        .map(str::trim)
        .filter(|line| !line.starts_with("level:"))
        .collect()
}

/// The signals of this process, heard from the moment they are listened for.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
    tick: Interval,
}

enum Heard {
    Reload,
    Tick,
    End,
}

impl Signals {
    pub(super) fn listen() -> io::Result<Self> {
        let mut tick = interval(NOTE_DROPPED);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
            tick,
        })
    }

    async fn next(&mut self) -> Heard {
        tokio::select! {
            _ = self.terminate.recv() => Heard::End,
            _ = self.interrupt.recv() => Heard::End,
            _ = self.hang_up.recv() => Heard::Reload,
            _ = self.tick.tick() => Heard::Tick,
        }
    }

    /// Waits for the first signal to end.
    pub(super) async fn end(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_changes_that_need_a_restart_are_named() {
        let old = "gateway:\n  listen: 127.0.0.1:1\nlog:\n  level: info\n";
        let new = "gateway:\n  listen: 127.0.0.1:2\nlog:\n  level: debug\n";

        assert_eq!(changed(old, new), ["listen: 127.0.0.1:2"]);
        assert_eq!(changed(old, old), Vec::<&str>::new());
    }
}

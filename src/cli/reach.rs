//! How a command reaches the store: through the gateway that runs, else by itself.

use std::{io, path::Path, time::Duration};

use serde_json::Value;
use tokio::{
    runtime::{Builder, Runtime},
    time::sleep,
};

use crate::{
    app::{Foundation, NotLocked, NotReached, Order, Reply, StartError, ask},
    config::{Config, Environment, Places},
};

use super::end::End;

/// How often, and how many times, a locked folder's socket is looked for: three seconds in all.
const STARTING_LOOK: Duration = Duration::from_millis(100);
const STARTING_LOOKS: u32 = 30;

/// Executes `order`: by the running gateway, or here if none runs.
pub(super) fn execute(order: Order, file: &Path, environment: &Environment) -> Result<Value, End> {
    let places = Places::load(file, environment)?;
    let reply = runtime()?.block_on(async {
        match ask(&places.control_socket, &order).await {
            Err(NotReached::NoneRuns) => {}
            told => return told.map_err(End::from),
        }
        let config = Config::load(file, environment)?;
        alone(&config, order).await
    })?;
    match reply {
        Reply::Done(value) => Ok(value),
        Reply::Refused(refusal) => Err(refusal.into()),
    }
}

/// Executes `order` by the running gateway, and only by that.
pub(super) async fn ask_running(order: &Order, places: &Places) -> Result<Value, End> {
    match ask(&places.control_socket, order).await? {
        Reply::Done(value) => Ok(value),
        Reply::Refused(refusal) => Err(refusal.into()),
    }
}

async fn alone(config: &Config, order: Order) -> Result<Reply, End> {
    let foundation = match Foundation::lay(config).await {
        Err(StartError::Lock(held @ NotLocked::Held { .. })) => {
            return between(config, &order, held).await;
        }
        laid => laid?,
    };
    let reply = foundation.desk().execute(order).await;
    foundation.close().await;
    Ok(reply)
}

/// A gateway that is just starting or stopping, or another command: locked, and no socket to ask.
async fn between(config: &Config, order: &Order, held: NotLocked) -> Result<Reply, End> {
    for _ in 0..STARTING_LOOKS {
        sleep(STARTING_LOOK).await;
        match ask(&config.places.control_socket, order).await {
            Err(NotReached::NoneRuns) => {}
            told => return Ok(told?),
        }
    }
    Err(StartError::Lock(held).into())
}

/// A small runtime for one command.
pub(super) fn runtime() -> io::Result<Runtime> {
    Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("command")
        .enable_all()
        .build()
}

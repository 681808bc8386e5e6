//! How a command reaches the store: through the gateway that runs, else by itself.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::Value;
use tokio::{
    runtime::{Builder, Runtime},
    time::sleep,
};

use crate::{
    app::{After, Foundation, Items, NotLocked, NotReached, Order, Reply, StartError, ask},
    config::{Config, Environment, Places},
};

use super::end::End;

/// How often, and how many times, a locked folder's socket is looked for: three seconds in all.
const STARTING_LOOK: Duration = Duration::from_millis(100);
const STARTING_LOOKS: u32 = 30;

/// Who executes.
enum Executor {
    /// The gateway that listens there.
    Running(PathBuf),
    /// This command.
    Alone(Box<Foundation>),
}

impl Executor {
    async fn execute(&self, order: Order) -> Result<Value, End> {
        let reply = match self {
            Self::Running(socket) => ask(socket, &order).await?,
            Self::Alone(foundation) => foundation.desk().execute(order).await,
        };
        value(reply)
    }

    async fn close(self) {
        if let Self::Alone(foundation) = self {
            foundation.close().await;
        }
    }
}

fn value(reply: Reply) -> Result<Value, End> {
    match reply {
        Reply::Done(value) => Ok(value),
        Reply::Refused(refusal) => Err(refusal.into()),
    }
}

/// Executes `order`: by the running gateway, or here if none runs.
pub(super) fn execute(order: Order, file: &Path, environment: &Environment) -> Result<Value, End> {
    runtime()?.block_on(async {
        let (executor, done) = begin(order, file, environment).await?;
        executor.close().await;
        done
    })
}

/// Executes what `order` makes of the place after each page, until the last one; shows every page.
pub(super) fn pages(
    order: impl Fn(Option<After>) -> Order,
    file: &Path,
    environment: &Environment,
    mut show: impl FnMut(&[Value]) -> io::Result<()>,
) -> Result<(), End> {
    runtime()?.block_on(async {
        let (executor, mut page) = begin(order(None), file, environment).await?;
        let ended = loop {
            let next = match page.and_then(|page| shown(page, &mut show)) {
                Ok(None) => break Ok(()),
                Ok(next) => next,
                Err(error) => break Err(error),
            };
            page = executor.execute(order(next)).await;
        };
        executor.close().await;
        ended
    })
}

fn shown(
    page: Value,
    show: &mut impl FnMut(&[Value]) -> io::Result<()>,
) -> Result<Option<After>, End> {
    let page: Items = serde_json::from_value(page).map_err(io::Error::from)?;
    show(&page.items)?;
    Ok(page.next)
}

/// Finds who executes by having the first order executed.
async fn begin(
    order: Order,
    file: &Path,
    environment: &Environment,
) -> Result<(Executor, Result<Value, End>), End> {
    let socket = Places::load(file, environment)?.control_socket;
    match ask(&socket, &order).await {
        Err(NotReached::NoneRuns) => {}
        told => return Ok((Executor::Running(socket), value(told?))),
    }
    let config = Config::load(file, environment)?;
    match Foundation::lay(&config).await {
        Err(StartError::Lock(held @ NotLocked::Held { .. })) => {
            let reply = between(&socket, &order, held).await?;
            Ok((Executor::Running(socket), value(reply)))
        }
        laid => {
            let executor = Executor::Alone(Box::new(laid?));
            let done = executor.execute(order).await;
            Ok((executor, done))
        }
    }
}

/// Executes `order` by the running gateway, and only by that.
pub(super) async fn ask_running(order: &Order, places: &Places) -> Result<Value, End> {
    value(ask(&places.control_socket, order).await?)
}

/// A gateway that is just starting or stopping, or another command: locked, and no socket to ask.
async fn between(socket: &Path, order: &Order, held: NotLocked) -> Result<Reply, End> {
    for _ in 0..STARTING_LOOKS {
        sleep(STARTING_LOOK).await;
        match ask(socket, order).await {
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

//! `linkgate demo`: a LinkedIn sandbox, a gateway, two members and one key on loopback; it plays a
//! short story with real calls, says what to try, and serves on.
//!
//! **Invariant:** it needs no configuration, touches nothing outside a folder of its own, and removes
//! that at its end.

use std::net::TcpListener;

use clap::Args;

use crate::{
    app::{App, StartError},
    cli::{
        End, print,
        serve::{self, Signals},
    },
    sandbox::{self, Sandbox},
};

mod call;
mod folder;
mod story;
mod world;

use folder::Folder;
use world::{Ports, World};

#[derive(Debug, Args)]
pub(super) struct Options {
    /// Play the story and end, instead of serving on
    #[arg(long)]
    exit: bool,
}

pub(super) fn run(options: &Options) -> Result<(), End> {
    let folder = Folder::new()?;
    let linkedin = Sandbox::start_with(sandbox::Options {
        ca_file: Some(folder.path().join("sandbox-ca.pem")),
        ..sandbox::Options::default()
    })?;
    let house = serve::house()?;
    let ended = house.block_on(live(options, &folder, &linkedin));
    house.shutdown_timeout(serve::LAST_TASKS);
    ended
}

async fn live(options: &Options, folder: &Folder, linkedin: &Sandbox) -> Result<(), End> {
    // From the start, so that Ctrl-C in the middle of the story tidies up, too.
    let mut signals = Signals::listen()?;
    let app = start(folder, linkedin).await?;
    let played = tokio::select! {
        played = play(options, folder, linkedin, &app) => played,
        () = signals.end() => Ok(()),
    };
    app.stop().await;
    played
}

async fn play(
    options: &Options,
    folder: &Folder,
    linkedin: &Sandbox,
    app: &App,
) -> Result<(), End> {
    let world = World::make(app, linkedin, folder).await?;
    print::line(&format!("gateway   http://{}", app.callers_address()))?;
    print::line(&format!(
        "admin     http://{}  (/livez /readyz /metrics; pages after signing in)",
        app.admin_address()
    ))?;
    print::line(&format!(
        "linkedin  {}  (the sandbox; {} in plain)",
        linkedin.tls_api_url(),
        linkedin.api_url()
    ))?;
    if let Some(address) = app.connect_address() {
        print::line(&format!("connect   http://{address}  (members sign in)"))?;
    }
    story::play(&world).await?;
    if options.exit {
        return Ok(());
    }
    story::what_to_try(&world)?;
    std::future::pending().await
}

/// On the ports of the default configuration, or on free ones where those are taken.
async fn start(folder: &Folder, linkedin: &Sandbox) -> Result<App, End> {
    let usual = Ports {
        callers: 8080,
        admin: 8081,
        connect: 8082,
    };
    match App::start(world::config(folder, linkedin, &usual)?).await {
        Err(StartError::Listen { .. }) => {
            let free = Ports {
                callers: 0,
                admin: 0,
                // Its URL must be known before it listens.
                connect: free_port()?,
            };
            Ok(App::start(world::config(folder, linkedin, &free)?).await?)
        }
        started => Ok(started?),
    }
}

/// A port of loopback that nobody listens on now.
fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

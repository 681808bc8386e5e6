//! `linkgate members connect`: the link on standard output, and how it ended.

use std::{path::Path, time::Duration};

use serde::Deserialize;
use serde_json::Value;
use tokio::time::sleep;

use super::{End, Named, print, reach};
use crate::{
    app::Order,
    config::{Environment, Places},
    connect::Progress,
};

/// How often the gateway is asked. Each question is a short one, so that waiting holds no place of the
/// control socket.
const EVERY: Duration = Duration::from_secs(1);

#[derive(Deserialize)]
struct Link {
    url: String,
    id: String,
    ends_at: Value,
    warning: Option<String>,
}

pub(super) fn run(named: Named, file: &Path, environment: &Environment) -> Result<(), End> {
    let places = Places::load(file, environment)?;
    let name = named.name.clone();
    reach::runtime()?.block_on(async {
        let order = Order::ConnectMember {
            member: named.into(),
        };
        let made = reach::ask_running(&order, &places).await?;
        let link: Link = serde_json::from_value(made).map_err(anyhow::Error::from)?;
        show(&link, &name)?;
        wait(&link, &name, &places).await
    })
}

fn show(link: &Link, name: &str) -> Result<(), End> {
    print::line(&link.url)?;
    if let Some(warning) = &link.warning {
        print::remark(&format!("careful: {warning}"))?;
    }
    let until = print::cell("ends_at", &link.ends_at);
    print::remark(&format!(
        "open this link in the browser of {name}; it is good until {until}. Waiting for the sign-in …"
    ))?;
    Ok(())
}

async fn wait(link: &Link, name: &str, places: &Places) -> Result<(), End> {
    let order = Order::AskConnected {
        id: link.id.clone(),
    };
    loop {
        sleep(EVERY).await;
        let told = reach::ask_running(&order, places).await?;
        match serde_json::from_value(told).map_err(anyhow::Error::from)? {
            Progress::Waiting => {}
            Progress::Connected {
                full_name, remarks, ..
            } => {
                let who = full_name.as_deref().unwrap_or("a LinkedIn member");
                let who = print::cell("who", &Value::from(who));
                print::remark(&format!("connected {name}: signed in as {who}"))?;
                for remark in remarks {
                    print::remark(&format!("note: {remark}"))?;
                }
                return Ok(());
            }
            Progress::Refused { code, reason } => {
                let reason = print::cell("reason", &Value::from(reason));
                return Err(not_connected(name, &format!("{code}: {reason}")));
            }
            Progress::LinkEnded => return Err(not_connected(name, "the link ended, nobody came")),
        }
    }
}

fn not_connected(name: &str, why: &str) -> End {
    End::Failed(anyhow::anyhow!("{name} is not connected: {why}"))
}

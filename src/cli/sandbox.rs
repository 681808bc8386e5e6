//! `linkgate sandbox`: only the LinkedIn simulator.

use std::net::SocketAddr;

use clap::Args;

use crate::sandbox::{self, Sandbox};

use super::{End, print, reach, serve::Signals};

#[derive(Debug, Args)]
pub(super) struct Options {
    /// Address of the plain listener
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8090")]
    listen: SocketAddr,
    /// Also speak TLS, on the next port; the CA's certificate is printed
    #[arg(long)]
    tls: bool,
}

pub(super) fn run(options: &Options) -> Result<(), End> {
    let mut tls_listen = options.listen;
    tls_listen.set_port(match options.listen.port() {
        0 => 0,
        port => port
            .checked_add(1)
            .ok_or_else(|| End::Usage("port 65535 leaves none for --tls".into()))?,
    });
    let sandbox = Sandbox::start_with(sandbox::Options {
        listen: options.listen,
        tls_listen: options.tls.then_some(tls_listen),
        ..sandbox::Options::default()
    })
    .map_err(|source| unavailable(options.listen, source))?;
    reach::runtime()?.block_on(async {
        // Before a word is said: whoever reads it may end us at once.
        let mut signals = Signals::listen()?;
        describe(&sandbox, options.tls)?;
        signals.end().await;
        Ok(())
    })
}

fn unavailable(address: SocketAddr, source: std::io::Error) -> End {
    crate::app::StartError::Listen {
        key: "--listen",
        address,
        source,
    }
    .into()
}

fn describe(sandbox: &Sandbox, tls: bool) -> Result<(), End> {
    print::line(&format!("api_url        {}", sandbox.api_url()))?;
    print::line(&format!("oauth_url      {}", sandbox.oauth_url()))?;
    print::line(&format!("media_url      {}", sandbox.media_url()))?;
    print::line(&format!("client_id      {}", sandbox.client_id()))?;
    print::line(&format!("client_secret  {}", sandbox.client_secret()))?;
    print::line(&format!(
        "a member       curl -d '{{\"name\":\"ada\"}}' {}/_sandbox/members",
        sandbox.api_url()
    ))?;
    print::line(&format!(
        "a fault        curl {}/_sandbox/faults",
        sandbox.api_url()
    ))?;
    if tls {
        print::line(&format!("tls_api_url    {}", sandbox.tls_api_url()))?;
        print::line(sandbox.ca_pem().trim_end())?;
    }
    Ok(())
}

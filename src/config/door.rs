//! The members' door: `connect.*` becomes its settings, or none where nobody can sign in.

use crate::{
    connect::{self, ReturnUrl},
    web,
};

use super::{build::Builder, problem::Problem};

const PUBLIC_URL: &str = "connect.public_url";
const RETURN_URLS: &str = "connect.return_urls";

impl Builder<'_> {
    /// None if there is a problem with it; some none if it stays shut.
    pub(super) fn connect(&mut self) -> Option<Option<connect::Settings>> {
        let return_urls = self.return_urls();
        let Some(public_url) = self.read.optional_url(PUBLIC_URL)? else {
            return self.shut(&return_urls?).then_some(None);
        };
        let days = u32::try_from(self.read.count("connect.link_days")?).ok()?;
        let host = public_url.host().to_owned();
        Some(Some(connect::Settings {
            listener: web::Settings {
                listen: self.read.address("connect.listen")?,
                hosts: vec![host.clone()],
                max_connections: self.read.size("connect.max_connections")?,
            },
            oauth_url: self.read.url("linkedin.oauth_url")?,
            title: self.read.optional_text("connect.title")?.unwrap_or(host),
            return_urls: return_urls?,
            link_time: days * std::time::Duration::from_secs(86_400),
            command_link_time: self.read.secs("connect.command_link_secs")?,
            public_url,
        }))
    }

    /// Whether it is meant to be: members can be sent nowhere from a door that has no address.
    fn shut(&mut self, return_urls: &[ReturnUrl]) -> bool {
        if return_urls.is_empty() {
            return true;
        }
        let place = self.read.values.place(RETURN_URLS);
        let wrong = "is null, but connect.return_urls says where members go after signing in";
        let problem = Problem::new(&place, PUBLIC_URL, wrong);
        self.found.push(problem.hint(
            "set connect.public_url to the address at which members' browsers reach connect.listen",
        ));
        false
    }

    fn return_urls(&mut self) -> Option<Vec<ReturnUrl>> {
        let texts = self.read.texts(RETURN_URLS)?;
        let place = self.read.values.place(RETURN_URLS);
        let mut urls = Vec::new();
        let mut is_good = true;
        for text in texts {
            match text.parse::<ReturnUrl>() {
                Ok(url) => urls.push(url),
                Err(error) => {
                    is_good = false;
                    let wrong = format!("{text:?}: {error}");
                    let problem = Problem::new(&place, RETURN_URLS, wrong);
                    self.found.push(problem.allowed(
                        "https://HOST[:PORT]/[PATH] without a query, or http:// on a loopback address",
                    ));
                }
            }
        }
        is_good.then_some(urls)
    }
}

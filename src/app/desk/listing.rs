//! Lists of members, a page at a time: however many there are, an answer fits its line, and no thread
//! of the house is held up by them.
//!
//! **Invariant:** asked for the page after each page's last item, every member that stays is listed
//! once.
//! **Neighbours:** `cli::reach` asks page after page; `credentials` makes the pages.

use std::time::Duration;

use serde::Serialize;

use super::{Desk, Done, failed, malformed, value};
use crate::{
    app::order::{After, Items, Refusal},
    credentials::{Forecast, Place, Wanted},
    exchange::Member,
};

/// Members in one answer. A summary is a kilobyte, so that they are far from the longest line.
const PAGE: usize = 1000;

impl Desk {
    pub(super) async fn list_members(
        &self,
        application: Option<String>,
        after: Option<After>,
    ) -> Done {
        let wanted = Wanted {
            application: application
                .map(|name| self.application(Some(&name)))
                .transpose()?,
            ..Wanted::default()
        };
        let after = after.as_ref().map(member_of).transpose()?;
        let credentials = self.credentials.clone();
        aside(move || {
            let page = credentials.page(&wanted, after.as_ref(), PAGE);
            let next = page.next.map(|member| after_member(&member, None));
            items(page.grants.iter().map(|(_, summary)| summary), next)
        })
        .await
    }

    pub(super) async fn forecast(
        &self,
        application: Option<String>,
        within_secs: Option<u64>,
        after: Option<After>,
    ) -> Done {
        let only = application
            .map(|name| self.application(Some(&name)))
            .transpose()?;
        let after = after
            .map(|after| {
                let member = member_of(&after)?;
                Ok(Place::new(after.ends_at, member))
            })
            .transpose()?;
        let within = within_secs.map(Duration::from_secs);
        let credentials = self.credentials.clone();
        aside(move || {
            let page = credentials.forecast_page(within, only.as_ref(), after.as_ref(), PAGE);
            let next = page
                .next
                .map(|place| after_member(place.member(), place.ends_at()));
            items::<Forecast>(page.members.iter(), next)
        })
        .await
    }
}

/// Looking at a hundred thousand members takes its time, which others' exchanges need not wait for.
async fn aside(look: impl FnOnce() -> Done + Send + 'static) -> Done {
    tokio::task::spawn_blocking(look).await.map_err(failed)?
}

fn items<'a, T: Serialize + 'a>(items: impl Iterator<Item = &'a T>, next: Option<After>) -> Done {
    let items = items.map(value).collect::<Result<_, _>>()?;
    value(&Items { items, next })
}

fn after_member(member: &Member, ends_at: Option<i64>) -> After {
    After {
        application: member.application.as_str().to_owned(),
        name: member.name.as_ref().map(|name| name.as_str().to_owned()),
        ends_at,
    }
}

fn member_of(after: &After) -> Result<Member, Refusal> {
    let application = after.application.parse();
    let name = after.name.as_deref().map(str::parse).transpose();
    Ok(Member {
        application: application.map_err(|error| malformed("application", error))?,
        name: name.map_err(|error| malformed("member", error))?,
    })
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, path::Path};

    use super::*;
    use crate::{
        app::{Control, Foundation, Order, Reply, ask},
        config::{Config, Environment},
    };

    /// As many as make a list beyond the longest line, were it not cut into pages.
    const MANY: usize = 40_000;

    async fn foundation(folder: &Path) -> Foundation {
        let text = "applications: [{ name: default, client_id: id, client_secret_file: secret }]";
        std::fs::create_dir(folder.join("data")).unwrap();
        std::fs::write(folder.join("secret"), "s3cret").unwrap();
        let file = folder.join("config.yaml");
        let config = Config::from_text(text, &file, &Environment::default()).unwrap();
        Foundation::lay(&config).await.unwrap()
    }

    /// All pages of a list, asked of a control socket.
    async fn pages(socket: &Path, order: impl Fn(Option<After>) -> Order) -> Vec<Items> {
        let (mut pages, mut after) = (Vec::new(), None);
        loop {
            let Reply::Done(page) = ask(socket, &order(after)).await.unwrap() else {
                panic!("refused");
            };
            let page: Items = serde_json::from_value(page).unwrap();
            after = page.next.clone();
            pages.push(page);
            if after.is_none() {
                return pages;
            }
        }
    }

    fn names(pages: &[Items]) -> Vec<String> {
        let items = pages.iter().flat_map(|page| &page.items);
        items
            .map(|item| item["name"].as_str().unwrap().to_owned())
            .collect()
    }

    fn list(after: Option<After>) -> Order {
        let application = None;
        Order::ListMembers { application, after }
    }

    fn forecast(after: Option<After>) -> Order {
        Order::ForecastMembers {
            application: None,
            within_secs: None,
            after,
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn lists_longer_than_the_longest_line_come_whole() {
        let folder = tempfile::tempdir().unwrap();
        let foundation = foundation(folder.path()).await;
        // Some end at one time, some at a time that nobody knows.
        foundation.credentials.crowd(
            (0..MANY).map(|n| (format!("m{n:05}"), (n % 3 > 0).then_some(1 + n as u64 % 50))),
        );
        let socket = folder.path().join("s");
        let control = Control::start(&socket, foundation.desk()).unwrap();

        let listed = pages(&socket, list).await;
        let foreseen = pages(&socket, forecast).await;

        let whole: usize = listed
            .iter()
            .map(|page| serde_json::to_vec(page).unwrap().len())
            .sum();
        assert!(whole > 16 * 1024 * 1024, "one line would have held {whole}");
        assert_eq!(listed.len(), MANY / PAGE);
        let expected: Vec<String> = (0..MANY).map(|n| format!("m{n:05}")).collect();
        assert!(names(&listed) == expected, "each once and in order");
        let all: BTreeSet<String> = names(&foreseen).into_iter().collect();
        assert_eq!((all.len(), names(&foreseen).len()), (MANY, MANY));
        let ends = foreseen.iter().flat_map(|page| &page.items);
        let ends: Vec<_> = ends.map(|item| item["ends_at"].as_i64()).collect();
        let order = |end: &Option<i64>| (end.is_none(), *end);
        assert!(ends.is_sorted_by_key(order), "the next one first");
        control.stop().await;
        foundation.close().await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_second_page_begins_where_the_first_ended() {
        let folder = tempfile::tempdir().unwrap();
        let foundation = foundation(folder.path()).await;
        let crowd = (0..=PAGE).map(|n| (format!("m{n:05}"), Some(3600)));
        foundation.credentials.crowd(crowd);
        let socket = folder.path().join("s");
        let control = Control::start(&socket, foundation.desk()).unwrap();

        for (what, all) in [
            ("list", pages(&socket, list).await),
            ("forecast", pages(&socket, forecast).await),
        ] {
            let sizes: Vec<usize> = all.iter().map(|page| page.items.len()).collect();
            assert_eq!(sizes, [PAGE, 1], "{what}");
            assert_eq!(all[1].items[0]["name"], format!("m{PAGE:05}"), "{what}");
        }
        control.stop().await;
        foundation.close().await;
    }
}

//! From facts to notices: each fact once, so many a minute for each webhook, the rest in a summary.
//!
//! A summary is a notice that waits until its minute is over and may grow until then; as it rests in the
//! outbox like any other, no end of the process loses what it counts.
//!
//! **Invariant:** a fact is noted as told in the step that puts its notices away, or not at all.
//! **Neighbours:** `alerts::watch` brings facts; `alerts::sender` takes notices.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use time::OffsetDateTime;
use tokio::time::Instant;
use uuid::Uuid;

use super::{
    ConnectLink, Event, Fate, Settings,
    body::{self, NAMED},
    fact::{Details, Fact},
    shared::Shared,
};
use crate::store::{StoreError, Telling, Waiting};

pub(super) struct Teller {
    shared: Arc<Shared>,
    connect_link: Option<ConnectLink>,
    /// The keys of what was told and is not over, with when.
    pub(super) told: BTreeMap<String, i64>,
    lines: Vec<Line>,
}

/// What one webhook has been told in this minute.
#[derive(Clone)]
struct Line {
    began: Instant,
    told: u32,
    summaries: BTreeMap<Event, Summary>,
}

/// A summary that waits for the end of its minute.
#[derive(Clone)]
struct Summary {
    id: String,
    until_micros: i64,
    count: u64,
    members: Vec<String>,
    /// What the first of its facts says: a summary of one is no summary.
    first: String,
    /// Whether the outbox does not hold it yet.
    is_new: bool,
}

/// Now, on all three clocks.
#[derive(Clone, Copy)]
struct Moment {
    instant: Instant,
    micros: i64,
    date: OffsetDateTime,
}

impl Teller {
    /// Reads what was told before.
    pub(super) async fn start(
        shared: Arc<Shared>,
        connect_link: Option<ConnectLink>,
    ) -> Result<Self, StoreError> {
        let told = shared.store.told().await?.into_iter().collect();
        let line = Line {
            began: Instant::now(),
            told: 0,
            summaries: BTreeMap::new(),
        };
        Ok(Self {
            lines: vec![line; shared.settings.webhooks.len()],
            shared,
            connect_link,
            told,
        })
    }

    /// Tells those of `facts` that were not told yet, and forgets what is `over`.
    ///
    /// # Errors
    /// [`StoreError`]; nothing was told or forgotten then.
    pub(super) async fn tell(
        &mut self,
        mut facts: Vec<Fact>,
        over: Vec<String>,
    ) -> Result<(), StoreError> {
        let mut keys = BTreeSet::new();
        facts.retain(|fact| match &fact.key {
            Some(key) => !self.told.contains_key(key) && keys.insert(key.clone()),
            None => true,
        });
        if facts.is_empty() && over.is_empty() {
            return Ok(());
        }
        let before = self.lines.clone();
        let kept = self.keep(&facts, &over).await;
        let kept = match kept {
            Err(StoreError::Moved) => {
                // A summary is on its way already: what was to be added begins the next one.
                self.lines.clone_from(&before);
                self.lines
                    .iter_mut()
                    .for_each(|line| line.summaries.clear());
                self.keep(&facts, &over).await
            }
            kept => kept,
        };
        if let Err(error) = kept {
            self.lines = before;
            return Err(error);
        }
        for line in &mut self.lines {
            line.summaries
                .values_mut()
                .for_each(|summary| summary.is_new = false);
        }
        let at = self.shared.clock.seconds();
        for key in &over {
            self.told.remove(key);
        }
        self.told.extend(keys.into_iter().map(|key| (key, at)));
        self.shared.note_waiting().await;
        self.shared.wake_all();
        Ok(())
    }

    async fn keep(&mut self, facts: &[Fact], over: &[String]) -> Result<(), StoreError> {
        let telling = self.plan(facts, over);
        let lost = self.shared.store.tell(telling).await?;
        self.shared.lost(&lost, Fate::Dropped);
        Ok(())
    }

    fn plan(&mut self, facts: &[Fact], over: &[String]) -> Telling {
        let now = Moment {
            instant: Instant::now(),
            micros: self.shared.clock.micros(),
            date: self.shared.clock.now(),
        };
        let mut telling = Telling {
            told: facts.iter().filter_map(|fact| fact.key.clone()).collect(),
            over: over.to_vec(),
            at: self.shared.clock.seconds(),
            max_waiting: self.shared.settings.max_waiting,
            ..Telling::default()
        };
        let mut touched: BTreeSet<(usize, Event)> = BTreeSet::new();
        for fact in facts {
            let id = Uuid::now_v7().to_string();
            let said = self.said(fact, now.date);
            for at in self.webhooks_for(fact) {
                let Some(line) = self.lines.get_mut(at) else {
                    continue;
                };
                if line.has_room(&self.shared.settings, now.instant) {
                    let about = (fact.event, fact.subject.as_str());
                    telling
                        .notices
                        .extend(notice(&self.shared, at, about, &id, &said, now));
                } else {
                    line.summarise(fact, &said, self.shared.settings.minute, now);
                    touched.insert((at, fact.event));
                }
            }
        }
        self.write_summaries(&touched, now, &mut telling);
        telling
    }

    /// A summary that was begun here is a new notice, any other one grows.
    fn write_summaries(
        &self,
        touched: &BTreeSet<(usize, Event)>,
        now: Moment,
        telling: &mut Telling,
    ) {
        for &(at, event) in touched {
            let summary = self
                .lines
                .get(at)
                .and_then(|line| line.summaries.get(&event));
            let Some(summary) = summary else {
                continue;
            };
            let said = match summary.count {
                1 => summary.first.clone(),
                count => body::of_many(event, count, &summary.members, now.date),
            };
            let subject = format!("{}/many", event.as_str());
            let about = (event, subject.as_str());
            let notice = notice(&self.shared, at, about, &summary.id, &said, now);
            let notice = notice.map(|notice| Waiting {
                next_micros: summary.until_micros,
                ..notice
            });
            match summary.is_new {
                true => telling.notices.extend(notice),
                false => telling.grown.extend(notice),
            }
        }
    }

    fn said(&self, fact: &Fact, now: OffsetDateTime) -> String {
        let link = match (&self.connect_link, &fact.details) {
            (Some(link), Details::Member(about)) if fact.event != Event::RenewalFailing => {
                link(&about.member)
            }
            _ => None,
        };
        body::of_fact(fact, link.as_deref(), now)
    }

    fn webhooks_for(&self, fact: &Fact) -> Vec<usize> {
        let webhooks = self.shared.settings.webhooks.iter().enumerate();
        webhooks
            .filter(|(_, webhook)| webhook.wants(fact.event, fact.application.as_ref()))
            .map(|(at, _)| at)
            .collect()
    }
}

impl Line {
    /// Whether one more notice fits into this minute; it counts if so.
    fn has_room(&mut self, settings: &Settings, now: Instant) -> bool {
        if now.saturating_duration_since(self.began) >= settings.minute {
            self.began = now;
            self.told = 0;
        }
        let has_room = self.told < settings.max_per_minute;
        self.told += u32::from(has_room);
        has_room
    }

    /// Adds a fact to this minute's summary of its event.
    fn summarise(&mut self, fact: &Fact, said: &str, minute: Duration, now: Moment) {
        let left = minute.saturating_sub(now.instant.saturating_duration_since(self.began));
        let left = i64::try_from(left.as_micros()).unwrap_or(i64::MAX);
        let is_closed = |summary: &Summary| summary.until_micros <= now.micros;
        if self.summaries.get(&fact.event).is_none_or(is_closed) {
            let begun = Summary {
                id: Uuid::now_v7().to_string(),
                until_micros: now.micros.saturating_add(left),
                count: 0,
                members: Vec::new(),
                first: said.to_owned(),
                is_new: true,
            };
            self.summaries.insert(fact.event, begun);
        }
        if let Some(summary) = self.summaries.get_mut(&fact.event) {
            summary.count += 1;
            if summary.members.len() < NAMED {
                summary.members.push(fact.subject.clone());
            }
        }
    }
}

fn notice(
    shared: &Shared,
    at: usize,
    (event, subject): (Event, &str),
    id: &str,
    body: &str,
    now: Moment,
) -> Option<Waiting> {
    let webhook = shared.settings.webhooks.get(at)?;
    Some(Waiting {
        id: id.to_owned(),
        webhook: webhook.name.to_string(),
        event: event.as_str().to_owned(),
        subject: subject.to_owned(),
        body: body.to_owned(),
        created_at: now.micros.div_euclid(1_000_000),
        attempts: 0,
        next_micros: now.micros,
    })
}

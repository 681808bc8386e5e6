//! The hands of a flight in the model: each action's possible outcomes, as `credentials::run` has them.

use super::{
    super::{Action, Event, Found, Held, Mine, found, is_older, judge},
    world::{Answer, Break, Entry, Flying, Grant, Life, Owner, Scene, Wire, World, bit},
};

/// One thing that may happen next.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) what: &'static str,
    /// The process it is about.
    pub(super) at: usize,
    pub(super) world: World,
    /// Whether it is trouble, or a caller's whim, rather than progress.
    pub(super) is_trouble: bool,
    pub(super) broken: Option<String>,
}

/// What can come of what process `at` does now.
pub(super) struct Hands<'a> {
    pub(super) scene: &'a Scene,
    pub(super) broken: Break,
    pub(super) world: &'a World,
    pub(super) at: usize,
}

impl Hands<'_> {
    pub(super) fn steps(&self) -> Vec<Step> {
        let Some(flying) = self.flying(self.world) else {
            return Vec::new();
        };
        match (flying.wire, flying.doing) {
            (Wire::Out(refresh), _) => self.while_out(refresh),
            (Wire::Back(answer), _) => self.while_back(answer),
            (Wire::Idle, action) => self.perform(action),
        }
    }

    fn flying<'w>(&self, world: &'w World) -> Option<&'w Flying> {
        world.processes.get(self.at)?.flight.as_ref()
    }

    /// The world with its flight changed and, for an event, moved on.
    fn after(
        &self,
        what: &'static str,
        event: Option<Event>,
        change: impl FnOnce(&mut World, &mut Flying),
    ) -> Step {
        let mut world = self.world.clone();
        let mut broken = None;
        let taken = world
            .processes
            .get_mut(self.at)
            .and_then(|process| process.flight.take());
        if let Some(mut flying) = taken {
            let truth = world.truth;
            change(&mut world, &mut flying);
            // A change that breaks a property says so by claiming every bit.
            if world.truth.open == u8::MAX {
                broken = Some("a refresh token was posted again unasked".to_owned());
                world.truth = truth;
            }
            if let Some(event) = event {
                flying.doing = flying.flight.next(event);
            }
            if let Some(process) = world.processes.get_mut(self.at) {
                process.flight = Some(flying);
            }
        }
        Step {
            what,
            at: self.at,
            world,
            is_trouble: false,
            broken,
        }
    }

    /// The store fails; a write may have been done all the same.
    fn failures(&self, done: &Step) -> Vec<Step> {
        if self.world.left.store_failures == 0 {
            return Vec::new();
        }
        let mut failed = self.after("the store fails", Some(Event::StoreFailed), |_, _| {});
        let mut though_done = failed.clone();
        though_done.world.store = done.world.store;
        though_done.what = "the store fails though it wrote";
        [&mut failed, &mut though_done]
            .into_iter()
            .for_each(|step| {
                step.is_trouble = true;
                step.world.left.store_failures -= 1;
            });
        let is_save = self
            .flying(self.world)
            .is_some_and(|flying| flying.doing == Action::Save);
        if is_save && self.broken == Break::JournalClearedOnFailedSave {
            failed.world.store.journal = None;
        }
        if is_save && self.broken == Break::AnswerLetGo {
            failed
                .world
                .processes
                .iter_mut()
                .for_each(|process| process.flight = None);
        }
        vec![failed, though_done]
    }

    fn with_failures(&self, done: Step) -> Vec<Step> {
        if self.world.store.is_broken {
            return vec![self.after("the store is broken", Some(Event::StoreFailed), |_, _| {})];
        }
        let mut steps = self.failures(&done);
        steps.push(done);
        steps
    }

    fn perform(&self, action: Action) -> Vec<Step> {
        match action {
            Action::TakeLease => self.with_failures(self.take_lease()),
            Action::WatchOther => self.with_failures(self.read(false)),
            Action::ReadRow => self.with_failures(self.read(true)),
            Action::KeepIntent => self.with_failures(self.keep_intent()),
            Action::KeepAnswer => self.with_failures(self.keep_answer()),
            Action::Save => self.with_failures(self.save()),
            Action::SaveEnd => self.with_failures(self.save_end()),
            Action::DropIntent => self.with_failures(self.drop_intent()),
            Action::Post => vec![self.post()],
            Action::Report => vec![self.after("reports", Some(Event::Done), |world, flying| {
                let refresh = flying.seen.map_or(0, |row| row.refresh);
                world.truth.reported |= bit(refresh);
            })],
            Action::PublishUnsaved => vec![self.publish("serves from memory")],
            Action::Publish => vec![self.publish("serves")],
            Action::PublishEnd | Action::Adopt => vec![self.adopt()],
            Action::AwaitStore => vec![self.after("rests", Some(Event::Done), |_, _| {})],
            Action::End(_) => vec![self.end()],
        }
    }

    fn take_lease(&self) -> Step {
        let (lease, me) = (self.world.store.lease, Owner::Process(self.at));
        if lease.owner != Owner::Nobody && lease.owner != me && !lease.is_over {
            return self.after("lease busy", Some(Event::LeaseBusy), |_, _| {});
        }
        self.after(
            "takes the lease",
            Some(Event::LeaseTaken),
            |world, flying| {
                let lease = &mut world.store.lease;
                lease.fence += 1;
                (lease.owner, lease.is_over) = (me, false);
                flying.fence = lease.fence;
            },
        )
    }

    /// Whether the lease is held, as each write asks.
    fn holds(&self, flying: &Flying) -> bool {
        let lease = self.world.store.lease;
        self.broken == Break::FenceIgnored
            || (lease.owner == Owner::Process(self.at) && lease.fence == flying.fence)
    }

    fn read(&self, is_as_base: bool) -> Step {
        let Some(flying) = self.flying(self.world) else {
            return self.after("reads", None, |_, _| {});
        };
        let mut hands = flying.clone();
        hands.seen = self.world.store.row;
        let is_first = is_as_base && hands.base.is_none();
        if is_first && self.broken == Break::NoReread {
            hands.seen = self
                .world
                .processes
                .get(self.at)
                .and_then(|process| process.served);
        }
        let mut journal = Found::Nothing;
        if is_first {
            hands.base = Some(hands.seen);
            hands.earlier = self.world.store.journal;
            journal = match self.broken {
                Break::NoReread | Break::JournalUnread => Found::Nothing,
                _ => told(hands.earlier, hands.seen),
            };
            match journal {
                Found::Nothing | Found::Over => hands.earlier = None,
                Found::Answered => hands.answer = hands.earlier.and_then(|entry| entry.answer),
                Found::Unconfirmed { .. } => {}
            }
        }
        let row = self.judged(&hands, journal);
        self.after("reads", Some(Event::Read(row)), |_, flying| *flying = hands)
    }

    fn judged(&self, flying: &Flying, journal: Found) -> super::super::Row {
        let base = flying.base.flatten();
        let older = |row: &Grant| match (base, flying.answer) {
            (Some(base), Some(answer)) if self.broken != Break::OlderAdopted => is_older(
                (Some(&row.refresh), &row.access),
                (Some(&base.refresh), &base.access),
                Some(&answer.refresh),
            ),
            _ => false,
        };
        let held = flying.seen.map(|row| Held {
            version: row.version.into(),
            is_replacement: self.world.is_usable(self.scene, self.at, &row)
                && row.access != flying.replaced,
            is_live: row.life == Life::Live,
            is_renewable: row.life == Life::Live,
            is_older: older(&row),
        });
        let is_blind = self.broken == Break::EndsWithoutComparing;
        let base = flying.base.filter(|_| !is_blind);
        let mine = Mine {
            is_applications_own: false,
            base: base.map(|base| base.map_or(0, |row| row.version.into())),
            has_answer: flying.answer.is_some() && journal != Found::Answered,
        };
        judge(held.as_ref(), mine, journal)
    }

    fn keep_intent(&self) -> Step {
        let Some(flying) = self.flying(self.world).filter(|flying| self.holds(flying)) else {
            return self.after("was fenced off", Some(Event::Lost), |_, _| {});
        };
        let number = flying.earlier.map_or(0, |entry| entry.number) + 1;
        let base = flying.base.flatten().map_or(0, |row| row.version);
        self.after("keeps its intent", Some(Event::Kept), |world, flying| {
            flying.number = number;
            if self.broken != Break::IntentNotKept {
                world.store.journal = Some(Entry {
                    base,
                    number,
                    answer: None,
                });
            }
        })
    }

    /// The call leaves, unless the lease is over and another took it.
    fn post(&self) -> Step {
        let Some(flying) = self.flying(self.world) else {
            return self.after("posts", None, |_, _| {});
        };
        let is_late = self.world.store.lease.is_over || !self.holds(flying);
        if is_late && !self.holds(flying) && self.broken != Break::PostsAfterItsLease {
            return self.after(
                "lost its lease before the call",
                Some(Event::Unspent),
                |_, _| {},
            );
        }
        self.after("posts", None, |world, flying| {
            if self.broken != Break::PostsAfterItsLease {
                world.store.lease.is_over = false;
            }
            let Some(base) = flying.base.flatten() else {
                return;
            };
            let spent = bit(base.refresh);
            let is_open = world.truth.open & spent != 0;
            let is_counted = flying.number > 1 && world.truth.reported & spent != 0;
            let is_saved = self.scene.rotates
                && !world.truth.is_signed_in_again
                && world
                    .store
                    .row
                    .is_some_and(|row| row.refresh != base.refresh);
            let answer = world.store.journal.and_then(|entry| entry.answer);
            let is_journalled =
                self.scene.rotates && answer.is_some_and(|answer| answer.refresh != base.refresh);
            if (is_open && !is_counted) || is_saved || is_journalled {
                world.truth.open = u8::MAX;
                return;
            }
            world.truth.open |= spent;
            flying.wire = Wire::Out(base.refresh);
        })
    }

    fn while_out(&self, refresh: u8) -> Vec<Step> {
        let acts = self.after("LinkedIn acts", None, |world, flying| {
            flying.wire = Wire::Back(world.linkedin_acts(self.scene, refresh));
        });
        if self.world.left.losses == 0 {
            return vec![acts];
        }
        let mut unspent = self.after(
            "LinkedIn turns the call away",
            Some(Event::Unspent),
            |world, flying| {
                flying.wire = Wire::Idle;
                if flying.number == 1 {
                    world.truth.open &= !bit(refresh);
                }
            },
        );
        let mut late = self.after(
            "the call takes too long",
            Some(Event::Open),
            |world, flying| {
                flying.wire = Wire::Idle;
                world.truth.reported |= bit(refresh);
                world.leave_unheard(refresh);
            },
        );
        for step in [&mut unspent, &mut late] {
            step.is_trouble = true;
            step.world.left.losses -= 1;
        }
        vec![acts, unspent, late]
    }

    fn while_back(&self, answer: Option<Answer>) -> Vec<Step> {
        let event = if answer.is_some() {
            Event::Answered
        } else {
            Event::Dead
        };
        let what = if answer.is_some() {
            "hears a token"
        } else {
            "hears that it is dead"
        };
        let comes = self.after(what, Some(event), |world, flying| {
            flying.wire = Wire::Idle;
            flying.answer = answer;
            if let Some(answer) = answer
                && answer.refresh == world.linkedin.refresh
            {
                world.truth.received = Some(self.at);
            }
        });
        if self.world.left.losses == 0 {
            return vec![comes];
        }
        let mut lost = self.after("the answer is lost", Some(Event::Open), |world, flying| {
            flying.wire = Wire::Idle;
            let refresh = flying.base.flatten().map_or(0, |row| row.refresh);
            world.truth.reported |= bit(refresh);
        });
        lost.is_trouble = true;
        lost.world.left.losses -= 1;
        vec![comes, lost]
    }

    fn keep_answer(&self) -> Step {
        let is_held = self
            .flying(self.world)
            .is_some_and(|flying| self.holds(flying));
        if !is_held || self.world.store.journal.is_none() {
            return self.after("cannot keep its answer", Some(Event::Lost), |_, _| {});
        }
        self.after("keeps its answer", Some(Event::Kept), |world, flying| {
            if let Some(entry) = &mut world.store.journal {
                entry.answer = flying.answer;
            }
            self.close(world, flying);
        })
    }

    /// Without rotation the same refresh token may be posted again once its answer is on disk.
    fn close(&self, world: &mut World, flying: &Flying) {
        if !self.scene.rotates {
            let refresh = flying.base.flatten().map_or(0, |row| row.refresh);
            world.truth.open &= !bit(refresh);
        }
    }

    /// Whether a save of what was made from `seen` goes through.
    fn may_save(&self) -> bool {
        let Some(flying) = self.flying(self.world) else {
            return false;
        };
        let is_same = self.broken == Break::VersionIgnored
            || flying.seen.map(|row| row.version) == self.world.store.row.map(|row| row.version);
        self.holds(flying) && is_same
    }

    fn save(&self) -> Step {
        if !self.may_save() {
            return self.after("cannot save", Some(Event::Lost), |_, _| {});
        }
        self.after("saves", Some(Event::Kept), |world, flying| {
            let version = flying.seen.map_or(0, |row| row.version) + 1;
            let Some(answer) = flying.answer else { return };
            world.store.row = Some(Grant {
                version,
                refresh: answer.refresh,
                access: answer.access,
                life: Life::Live,
            });
            world.store.journal = None;
            self.close(world, flying);
        })
    }

    fn save_end(&self) -> Step {
        if !self.may_save() {
            return self.after("cannot save the end", Some(Event::Lost), |_, _| {});
        }
        let mut step = self.after("saves the end", Some(Event::Kept), |world, flying| {
            let Some(seen) = flying.seen else { return };
            let life = if flying.number > 1 {
                Life::RenewalLost
            } else {
                Life::Refused
            };
            let ended = Grant {
                version: seen.version + 1,
                life,
                ..seen
            };
            flying.seen = Some(ended);
            world.store.row = Some(ended);
            world.store.journal = None;
        });
        let refresh = step.world.store.row.map_or(0, |row| row.refresh);
        if step.world.truth.dead & bit(refresh) == 0 {
            step.broken =
                Some("a grant ended without LinkedIn's word about its own token".to_owned());
        }
        step
    }

    fn drop_intent(&self) -> Step {
        let is_held = self
            .flying(self.world)
            .is_some_and(|flying| self.holds(flying));
        if !is_held && self.broken != Break::DropsUnfenced {
            return self.after("cannot drop its intent", Some(Event::Lost), |_, _| {});
        }
        self.after("drops its intent", Some(Event::Kept), |world, flying| {
            let earlier = flying.earlier.take();
            world.store.journal = earlier.filter(|_| self.broken != Break::OpenIntentDropped);
        })
    }

    /// Serves the new grant, and tells all who wait.
    fn publish(&self, what: &'static str) -> Step {
        let is_silent = self.broken == Break::WaitersForgotten;
        let mut step = self.after(what, Some(Event::Done), |_, flying| {
            flying.is_told = !is_silent;
        });
        let served = self.flying(self.world).and_then(|flying| {
            let answer = flying.answer?;
            Some(Grant {
                version: flying.seen.map_or(0, |row| row.version) + 1,
                refresh: answer.refresh,
                access: answer.access,
                life: Life::Live,
            })
        });
        if let Some(process) = step.world.processes.get_mut(self.at) {
            let newer = |old: Grant| served.is_none_or(|new| old.version > new.version);
            if !process.served.is_some_and(newer) {
                process.served = served;
            }
            if !is_silent {
                process.waiting = 0;
            }
        }
        step
    }

    fn adopt(&self) -> Step {
        let mut step = self.after("serves the row", Some(Event::Done), |_, _| {});
        let seen = self.flying(self.world).and_then(|flying| flying.seen);
        let is_loser =
            self.world.store.row.map(|row| row.refresh) == Some(self.world.linkedin.refresh);
        if let Some(process) = step.world.processes.get_mut(self.at) {
            process.served = seen;
        }
        if is_loser && step.world.truth.received == Some(self.at) {
            step.world.truth.received = None;
        }
        step
    }

    fn end(&self) -> Step {
        let me = (
            Owner::Process(self.at),
            self.flying(self.world).map(|flying| flying.fence),
        );
        let mut step = self.after("ends", None, |_, _| {});
        let lease = &mut step.world.store.lease;
        if (lease.owner, Some(lease.fence)) == me {
            (lease.owner, lease.is_over) = (Owner::Nobody, false);
        }
        if let Some(process) = step.world.processes.get_mut(self.at) {
            (process.flight, process.waiting) = (None, 0);
        }
        step
    }
}

/// What the journal tells of a row.
pub(super) fn told(entry: Option<Entry>, row: Option<Grant>) -> Found {
    let entry = entry.map(|entry| {
        (
            entry.base.into(),
            entry.number.into(),
            entry.answer.is_some(),
        )
    });
    found(entry, row.map_or(0, |row| row.version.into()), false)
}

//! Everything that may happen next in a world: what flights do, and what happens to them.

use super::{
    super::{Event, Flight, Found},
    hands::{Hands, Step, told},
    world::{Break, Flying, Grant, Life, Owner, Scene, Wire, World, bit},
};

/// Looks at another's flight: two are as good as two hundred.
const LOOKS: u32 = 2;

pub(super) fn steps(scene: &Scene, broken: Break, world: &World) -> Vec<Step> {
    let mut steps = Vec::new();
    for at in 0..scene.processes {
        let hands = Hands {
            scene,
            broken,
            world,
            at,
        };
        steps.extend(hands.steps());
        steps.extend(comings_and_goings(scene, broken, world, at));
    }
    steps.extend(of_the_lease(world));
    steps.extend(of_linkedin(scene, world));
    steps.extend(of_operators(scene, world));
    for step in &mut steps {
        let broken = step.world.check(scene);
        step.broken = step.broken.take().or(broken);
    }
    steps
}

/// A step that is the world with a change.
fn step(
    what: &'static str,
    at: usize,
    is_trouble: bool,
    world: &World,
    change: impl FnOnce(&mut World),
) -> Step {
    let mut world = world.clone();
    change(&mut world);
    Step {
        what,
        at,
        world,
        is_trouble,
        broken: None,
    }
}

fn comings_and_goings(scene: &Scene, broken: Break, world: &World, at: usize) -> Vec<Step> {
    let Some(process) = world.processes.get(at) else {
        return Vec::new();
    };
    if !process.is_up && world.store.is_broken {
        return Vec::new();
    }
    if !process.is_up {
        return vec![step("starts", at, false, world, |world| {
            start(scene, broken, world, at);
        })];
    }
    let mut steps = Vec::new();
    let is_told = process.flight.as_ref().is_some_and(|flying| flying.is_told);
    let needs = |grant: Grant| grant.life == Life::Live && !world.is_usable(scene, at, &grant);
    if world.left.joins > 0 && !is_told && process.served.is_some_and(needs) {
        steps.push(step("a caller comes", at, true, world, |world| {
            world.left.joins -= 1;
            join(world, at);
        }));
    }
    if world.left.leaves > 0 && process.waiting > 0 {
        steps.push(step("a caller leaves", at, true, world, |world| {
            world.left.leaves -= 1;
            if let Some(process) = world.processes.get_mut(at) {
                process.waiting -= 1;
                if broken == Break::DiesWithItsCaller {
                    process.flight = None;
                }
            }
        }));
    }
    if world.left.crashes > 0 {
        steps.push(step("is killed", at, true, world, |world| {
            world.left.crashes -= 1;
            kill(world, at);
        }));
    }
    steps
}

fn join(world: &mut World, at: usize) {
    let Some(process) = world.processes.get_mut(at) else {
        return;
    };
    process.waiting += 1;
    if process.flight.is_none() {
        let mut flight = Flight::new(LOOKS);
        process.flight = Some(Flying {
            doing: flight.next(Event::Begun),
            flight,
            fence: 0,
            replaced: process.served.map_or(0, |grant| grant.access),
            base: None,
            seen: None,
            earlier: None,
            number: 0,
            answer: None,
            wire: Wire::Idle,
            is_told: false,
        });
    }
}

/// All that was in memory is gone; a call on its way goes on.
fn kill(world: &mut World, at: usize) {
    let Some(process) = world.processes.get_mut(at) else {
        return;
    };
    let flying = process.flight.take();
    (process.is_up, process.served, process.waiting) = (false, None, 0);
    if let Some(Wire::Out(refresh)) = flying.map(|flying| flying.wire) {
        world.leave_unheard(refresh);
    }
    let lease = &mut world.store.lease;
    if lease.owner == Owner::Process(at) {
        lease.owner = Owner::Dead;
    }
    if world.truth.received == Some(at) {
        world.truth.received = None;
    }
}

/// A start, with what `credentials::recovery` does.
fn start(scene: &Scene, broken: Break, world: &mut World, at: usize) {
    // One process alone has the folder's lock, so whoever held the lease is dead.
    if scene.processes == 1 {
        (world.store.lease.owner, world.store.lease.is_over) = (Owner::Nobody, false);
    }
    let lease = &mut world.store.lease;
    let is_free = lease.owner == Owner::Nobody || lease.is_over;
    if is_free && world.store.journal.is_some() {
        lease.fence += 1;
        (lease.owner, lease.is_over) = (Owner::Nobody, false);
        recover(broken, world);
    }
    let row = world.store.row;
    if let Some(process) = world.processes.get_mut(at) {
        (process.is_up, process.served) = (true, row);
    }
}

fn recover(broken: Break, world: &mut World) {
    let (row, entry) = (world.store.row, world.store.journal);
    let refresh = row.map_or(0, |row| row.refresh);
    match (told(entry, row), entry.and_then(|entry| entry.answer)) {
        (Found::Nothing, _) => {}
        (Found::Over, _) => world.store.journal = None,
        (Found::Unconfirmed { .. }, _) if broken == Break::IntentNotReported => {
            world.store.journal = None;
        }
        (Found::Unconfirmed { .. }, _) => world.truth.reported |= bit(refresh),
        (Found::Answered, _) if broken == Break::AnswerNotRecovered => world.store.journal = None,
        (Found::Answered, None) => {}
        (Found::Answered, Some(answer)) => {
            world.store.row = Some(Grant {
                version: row.map_or(0, |row| row.version) + 1,
                refresh: answer.refresh,
                access: answer.access,
                life: Life::Live,
            });
            world.store.journal = None;
        }
    }
}

fn of_the_lease(world: &World) -> Option<Step> {
    let lease = world.store.lease;
    match lease.owner {
        Owner::Dead if !lease.is_over => {
            Some(step("a dead lease is over", 0, false, world, |world| {
                world.store.lease.is_over = true;
            }))
        }
        // Its flight ended without knowing that it had the lease, or took another since.
        Owner::Process(at) if !lease.is_over && !world.knows_its_lease(at) => Some(step(
            "a forgotten lease is over",
            at,
            false,
            world,
            |world| {
                world.store.lease.is_over = true;
            },
        )),
        Owner::Process(at) if !lease.is_over && world.left.stalls > 0 => Some(step(
            "stalls until its lease is over",
            at,
            true,
            world,
            |world| {
                world.left.stalls -= 1;
                world.store.lease.is_over = true;
            },
        )),
        _ => None,
    }
}

/// A call whose sender no longer listens reaches LinkedIn all the same.
fn of_linkedin(scene: &Scene, world: &World) -> Vec<Step> {
    let unheard = world.linkedin.unheard.iter().enumerate();
    let calls = unheard.filter_map(|(place, call)| call.map(|refresh| (place, refresh)));
    calls
        .map(|(place, refresh)| {
            step("LinkedIn acts unheard", 0, true, world, |world| {
                if let Some(call) = world.linkedin.unheard.get_mut(place) {
                    *call = None;
                }
                world.linkedin_acts(scene, refresh);
            })
        })
        .collect()
}

/// New tokens from LinkedIn's consent, over whatever was there.
fn sign_in(scene: &Scene, world: &mut World) {
    world.linkedin.access += 1;
    if scene.rotates {
        world.linkedin.refresh += 1;
    }
    let row = Grant {
        version: world.store.row.map_or(0, |row| row.version) + 1,
        refresh: world.linkedin.refresh,
        access: world.linkedin.access,
        life: Life::Live,
    };
    world.store.row = Some(row);
    if let Some(process) = world.processes.first_mut().filter(|process| process.is_up) {
        process.served = Some(row);
    }
    let truth = &mut world.truth;
    (truth.is_durable, truth.received) = (true, None);
    (truth.is_disconnected, truth.is_signed_in_again) = (false, true);
}

fn of_operators(scene: &Scene, world: &World) -> Vec<Step> {
    let mut steps = Vec::new();
    if world.left.expiries > 0 {
        steps.push(step("time passes", 0, true, world, |world| {
            world.left.expiries -= 1;
            world.over = world.linkedin.access + 1;
        }));
    }
    if world.left.disconnects > 0 && world.store.row.is_some() {
        steps.push(step(
            "the member is disconnected",
            0,
            true,
            world,
            |world| {
                world.left.disconnects -= 1;
                (world.store.row, world.store.journal) = (None, None);
                world.store.lease.fence += 1;
                world.store.lease.is_over = true;
                world.truth.is_disconnected = true;
            },
        ));
    }
    if world.left.breaks > 0 {
        steps.push(step("the store breaks for good", 0, true, world, |world| {
            world.left.breaks -= 1;
            world.store.is_broken = true;
        }));
    }
    if world.left.sign_ins > 0 {
        steps.push(step("the member signs in again", 0, true, world, |world| {
            world.left.sign_ins -= 1;
            sign_in(scene, world);
        }));
    }
    if let Some(row) = world
        .store
        .row
        .filter(|row| row.life != Life::Live && world.left.verdicts > 0)
    {
        steps.push(step("a verdict is saved", 0, true, world, |world| {
            world.left.verdicts -= 1;
            world.store.row = Some(Grant {
                version: row.version + 1,
                ..row
            });
        }));
    }
    steps
}

impl World {
    fn knows_its_lease(&self, at: usize) -> bool {
        let flight = self
            .processes
            .get(at)
            .and_then(|process| process.flight.as_ref());
        flight.is_some_and(|flying| flying.fence == self.store.lease.fence)
    }

    /// A call goes on whose sender no longer listens.
    pub(super) fn leave_unheard(&mut self, refresh: u8) {
        if let Some(place) = self
            .linkedin
            .unheard
            .iter_mut()
            .find(|place| place.is_none())
        {
            *place = Some(refresh);
        }
    }
}

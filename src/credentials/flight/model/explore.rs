//! Breadth first through all worlds; the first property that breaks is told with the way there.

use std::collections::{HashMap, VecDeque, hash_map::Entry};

use super::{
    steps::steps,
    world::{Break, Scene, World},
};

/// Beyond this a scene is too large for a test that everybody runs.
const MOST_STATES: usize = 400_000;

/// How much there was to see.
#[derive(Clone, Copy, Debug)]
pub(super) struct Explored {
    pub(super) states: usize,
    pub(super) steps: usize,
}

#[derive(Default)]
struct Seen {
    /// Each world, by the number of its first sight.
    numbers: HashMap<World, u32>,
    /// How each was reached: from which, by what.
    reached: Vec<(u32, usize, &'static str)>,
    /// Steps without trouble, from and to.
    progress: Vec<(u32, u32)>,
    resting: Vec<u32>,
}

/// Walks all of `scene`.
///
/// # Errors
/// The property that does not hold, and the shortest way to a world where it does not.
pub(super) fn explore(scene: &Scene, broken: Break) -> Result<Explored, String> {
    let mut seen = Seen::default();
    let first = World::new(scene);
    seen.reached.push((0, 0, ""));
    seen.numbers.insert(first.clone(), 0);
    let (mut queue, mut count) = (VecDeque::from([(0_u32, first)]), 0);
    while let Some((from, world)) = queue.pop_front() {
        if world.rests() {
            seen.resting.push(from);
        }
        for step in steps(scene, broken, &world) {
            count += 1;
            if let Some(what) = step.broken {
                return Err(format!(
                    "{what}: {}, {} {}",
                    seen.way_to(from),
                    step.at,
                    step.what
                ));
            }
            let number = u32::try_from(seen.reached.len()).unwrap_or(u32::MAX);
            let to = match seen.numbers.entry(step.world) {
                Entry::Occupied(known) => *known.get(),
                Entry::Vacant(place) => {
                    queue.push_back((number, place.key().clone()));
                    seen.reached.push((from, step.at, step.what));
                    *place.insert(number)
                }
            };
            if !step.is_trouble {
                seen.progress.push((from, to));
            }
        }
        assert!(
            seen.reached.len() < MOST_STATES,
            "{} is too large",
            scene.why
        );
    }
    seen.all_come_to_rest()?;
    Ok(Explored {
        states: seen.reached.len(),
        steps: count,
    })
}

impl Seen {
    fn way_to(&self, world: u32) -> String {
        let (mut way, mut at) = (Vec::new(), world);
        while at != 0 {
            let Some((from, process, what)) = self.reached.get(at as usize) else {
                break;
            };
            way.push(format!("{process} {what}"));
            at = *from;
        }
        way.reverse();
        way.join(", ")
    }

    /// From every world a rest is reached by steps without trouble: nobody waits for ever.
    fn all_come_to_rest(&self) -> Result<(), String> {
        let mut before: HashMap<u32, Vec<u32>> = HashMap::new();
        for (from, to) in &self.progress {
            before.entry(*to).or_default().push(*from);
        }
        let mut rests = vec![false; self.reached.len()];
        let mut queue: VecDeque<u32> = self.resting.iter().copied().collect();
        while let Some(world) = queue.pop_front() {
            let Some(rest) = rests.get_mut(world as usize) else {
                continue;
            };
            if !std::mem::replace(rest, true) {
                queue.extend(before.get(&world).into_iter().flatten());
            }
        }
        match rests.iter().position(|rests| !rests) {
            None => Ok(()),
            Some(stuck) => {
                let stuck = u32::try_from(stuck).unwrap_or(u32::MAX);
                Err(format!("somebody waits for ever: {}", self.way_to(stuck)))
            }
        }
    }
}

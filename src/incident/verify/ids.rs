//! Ids that were seen lately: an exchange has one incident, and one line of the ledger.

use std::collections::HashSet;

use uuid::Uuid;

use crate::incident::ledger;

/// Ids of one generation; two are kept.
const GENERATION: usize = 512 * 1024;

/// The ids of the last half to whole million lines: what is written twice is written soon after.
#[derive(Debug, Default)]
pub(super) struct Ids {
    now: HashSet<(u128, bool)>,
    before: HashSet<(u128, bool)>,
}

impl Ids {
    /// Whether a line of the same sort had this id; remembers it.
    pub(super) fn is_again(&mut self, id: &str, kind: &str) -> bool {
        let Ok(id) = Uuid::try_parse(id) else {
            return false;
        };
        let key = (id.as_u128(), kind == ledger::KIND);
        if self.now.len() >= GENERATION {
            self.before = std::mem::take(&mut self.now);
        }
        self.before.contains(&key) || !self.now.insert(key)
    }
}

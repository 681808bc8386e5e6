//! What was found out about a connection's requests before and need not be found out again: they carry the
//! same key and the same `Host`, nearly all of them.
//!
//! **Invariant:** nothing is believed that differs by a byte; what a key may do is never remembered here
//! (see [`Proof`]).

use std::cell::RefCell;

use crate::callers::{Callers, Key, Proof, UnknownKey};

use std::sync::Arc;

/// One caller's connection as `admit` knows it.
#[derive(Debug, Default)]
pub(crate) struct Familiar {
    proof: RefCell<Option<Proof>>,
    host: RefCell<Box<str>>,
}

impl Familiar {
    /// [`Callers::check`], at the cost of a comparison where the same key was proven before.
    pub(super) fn check(
        &self,
        callers: &Callers,
        presented: &[u8],
    ) -> Result<Arc<Key>, UnknownKey> {
        callers.check_again(&mut self.proof.borrow_mut(), presented)
    }

    /// Whether `host` is one of ours, asking `are_ours` about a new one only.
    pub(super) fn is_ours(&self, host: &str, are_ours: impl FnOnce(&str) -> bool) -> bool {
        if **self.host.borrow() == *host {
            return true;
        }
        let is_ours = are_ours(host);
        if is_ours {
            self.host.replace(host.into());
        }
        is_ours
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_asked_about_until_it_was_found_to_be_ours() {
        let familiar = Familiar::default();
        let asked = |host, answer| {
            let mut was_asked = false;
            let is_ours = familiar.is_ours(host, |_| {
                was_asked = true;
                answer
            });
            (is_ours, was_asked)
        };

        assert_eq!(asked("evil.example", false), (false, true));
        assert_eq!(asked("evil.example", false), (false, true));
        assert_eq!(asked("localhost", true), (true, true));
        assert_eq!(asked("localhost", false), (true, false));
        assert_eq!(asked("localhos", false), (false, true));
    }
}

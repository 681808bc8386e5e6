//! Orders about signatures: mute, resolve, reopen.
//!
//! **Invariant:** as the desk's own: in force when the command returns.
//! **Neighbours:** `cli::incidents` asks; the signatures' page does the same by itself.

use serde_json::json;

use super::{Desk, Done, Refusal, failed, value};
use crate::store::{self, Decision, Mark};

impl Desk {
    pub(super) async fn mark_signature(&self, signature: &str, decision: Option<Decision>) -> Done {
        let signature = store::markable(signature);
        let signature = signature.map_err(|error| Refusal::Malformed(error.to_string()))?;
        let Some(decision) = decision else {
            return self.reopen_signature(signature).await;
        };
        let mark = Mark {
            signature: signature.to_owned(),
            decision,
            at: self.clock.seconds(),
            by: "command line".to_owned(),
        };
        let marked = value(&mark)?;
        self.store.keep_mark(mark).await.map_err(failed)?;
        Ok(marked)
    }

    async fn reopen_signature(&self, signature: &str) -> Done {
        let was_there = self.store.remove_mark(signature).await.map_err(failed)?;
        match was_there {
            true => Ok(json!({"signature": signature, "decision": null})),
            false => Err(Refusal::Missing(
                "this signature is neither muted nor resolved".to_owned(),
            )),
        }
    }
}

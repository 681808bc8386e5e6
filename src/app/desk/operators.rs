//! Orders about operators' tokens.
//!
//! **Invariant:** as the desk's own: the store first. The text of a token leaves in the answer to its
//! making and is kept nowhere.
//! **Neighbours:** `cli::operators` asks; `operators` is the table that the admin listener looks into.

use serde_json::{Value, json};

use super::{Desk, Done, Refusal, failed, malformed, state};
use crate::{clock::Clock, operators::Operator};

impl Desk {
    pub(super) async fn create_operator(
        &self,
        name: &str,
        role: &str,
        expires_secs: Option<u64>,
    ) -> Done {
        let name = name.parse().map_err(|error| malformed("operator", error))?;
        let role = role.parse().map_err(|error| malformed("role", error))?;
        let end = self.end_after(expires_secs);
        let (text, operator) = self.operators.create(name, role, end);
        let kept = self.store.keep_operator(operator.clone()).await;
        kept.map_err(failed)?;
        let mut shown = shown(&operator, &self.clock);
        self.operators.insert(operator);
        if let Some(fields) = shown.as_object_mut() {
            fields.insert("token".to_owned(), Value::from(text.as_str()));
        }
        Ok(shown)
    }

    pub(super) fn list_operators(&self) -> Value {
        let all = self.operators.list();
        all.iter().map(|one| shown(one, &self.clock)).collect()
    }

    pub(super) async fn revoke_operator(&self, id: &str) -> Done {
        let missing = || Refusal::Missing(format!("there is no operator token {id}"));
        if !self.operators.list().iter().any(|one| *one.id == *id) {
            return Err(missing());
        }
        let revoked = self.store.revoke_operator(id, self.clock.seconds()).await;
        revoked.map_err(failed)?;
        let operator = self.operators.revoke(id).ok_or_else(missing)?;
        Ok(shown(&operator, &self.clock))
    }
}

/// A token without its secret and digest.
fn shown(operator: &Operator, clock: &Clock) -> Value {
    json!({
        "id": &*operator.id,
        "name": operator.name.as_str(),
        "role": operator.role.as_str(),
        "state": state(operator.revoked_at, operator.expires_at, clock),
        "created_at": operator.created_at,
        "expires_at": operator.expires_at,
        "revoked_at": operator.revoked_at,
        "fingerprint": operator.fingerprint.to_string(),
    })
}

//! Telling an endpoint that tokens are given up (RFC 7009). LinkedIn documents none (linkedin.md §2.2),
//! so none is asked unless the operator names one.
//!
//! **Invariant:** best effort: nothing waits longer than its limit, and nothing depends on the answer.
//! **Neighbours:** `credentials::management` asks at a disconnect.

use std::time::Duration;

use crate::credentials::grant::{self, Grant};

use super::{
    Application, Endpoint, form,
    trip::{self, Limits},
};

/// Limit of one request.
const TIME: Duration = Duration::from_secs(5);
/// Of the answer, which says nothing but its status, this much is read.
const ANSWER_BYTES: usize = 16 * 1024;

impl Endpoint {
    /// Gives up both tokens of a grant; none if no endpoint is configured.
    pub(in crate::credentials) async fn revoke(
        &self,
        application: &Application,
        grant: &Grant,
    ) -> Option<Result<(), String>> {
        self.revocation_url.as_ref()?;
        if let Some(refresh) = &grant.refresh
            && let Err(reason) = self.revoke_one(application, refresh.expose()).await
        {
            return Some(Err(reason));
        }
        let access = String::from_utf8_lossy(grant::text_of(&grant.access));
        Some(self.revoke_one(application, &access).await)
    }

    async fn revoke_one(&self, application: &Application, token: &str) -> Result<(), String> {
        let Some(url) = &self.revocation_url else {
            return Ok(());
        };
        let form = form(&[
            ("token", token),
            ("client_id", &application.client_id),
            ("client_secret", application.client_secret.expose()),
        ]);
        let path = if url.path().is_empty() { "/" } else { "" };
        let limits = Limits {
            time: TIME,
            answer_bytes: ANSWER_BYTES,
        };
        let request = trip::post(url, path, form).map_err(trip::Broken::reason)?;
        let answered = trip::take(&self.dialer, url, request, limits).await;
        let answered = answered.map_err(trip::Broken::reason)?;
        match answered.status.is_success() {
            true => Ok(()),
            false => Err(format!("it answered {}", answered.status.as_u16())),
        }
    }
}

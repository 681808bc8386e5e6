//! Ada's grants, as stories want them.

use linkgate::sandbox::{Sandbox, TokenAnswer};

/// What a sign-in gives.
pub(crate) fn usual(linkedin: &Sandbox) -> TokenAnswer {
    linkedin.sign_in("ada")
}

/// A grant that nothing renews.
pub(crate) fn bare(linkedin: &Sandbox) -> TokenAnswer {
    let mut answer = usual(linkedin);
    answer.refresh_token = None;
    answer
}

/// A grant that LinkedIn knows under another client id.
pub(crate) fn of_another_application(linkedin: &Sandbox) -> TokenAnswer {
    linkedin.sign_in_to("78other", "ada", &["openid", "profile"])
}

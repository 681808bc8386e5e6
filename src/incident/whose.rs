//! Member and application as every line of the log names them.

use serde::Serialize;

use crate::exchange::Member;

/// The member of a line; one without a name is the application's own token.
#[derive(Debug, Serialize)]
pub(super) struct MemberSeen {
    name: Option<String>,
    urn: Option<String>,
}

/// The application of a line.
#[derive(Debug, Serialize)]
pub(super) struct ApplicationSeen {
    name: String,
    client_id: Option<String>,
}

impl MemberSeen {
    pub(super) fn of(member: Option<&Member>, urn: Option<&str>) -> Option<Self> {
        member.map(|member| Self {
            name: member.name.as_ref().map(ToString::to_string),
            urn: urn.map(Into::into),
        })
    }
}

impl ApplicationSeen {
    pub(super) fn of(member: Option<&Member>, client_id: Option<&str>) -> Option<Self> {
        member.map(|member| Self {
            name: member.application.to_string(),
            client_id: client_id.map(Into::into),
        })
    }
}

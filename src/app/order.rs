//! What a command asks and what it is answered: one JSON line each way over the control socket.
//!
//! **Invariant:** `Debug` shows no token. The lines themselves carry secrets (an imported token, a new
//! key), which is why the socket is its owner's alone.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{secret::Secret, store::Decision};

/// A command for the one who has the store open.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "snake_case")]
pub enum Order {
    /// Takes over tokens that LinkedIn gave to someone else.
    ImportMember {
        /// Whose.
        member: MemberNamed,
        /// What LinkedIn's token endpoint answered.
        answer: TokenText,
    },
    /// All grants, or those of one application: a page of them.
    ListMembers {
        /// Only this one's.
        application: Option<String>,
        /// Only those after this one.
        after: Option<After>,
    },
    /// Who drops out when: a page of them.
    ForecastMembers {
        /// Only this one's.
        application: Option<String>,
        /// Only those who do so in this time.
        within_secs: Option<u64>,
        /// Only those after this one.
        after: Option<After>,
    },
    /// One grant.
    ShowMember {
        /// Whose.
        member: MemberNamed,
    },
    /// Asks LinkedIn what it thinks of a token.
    IntrospectMember {
        /// Whose.
        member: MemberNamed,
    },
    /// Renews a grant now.
    RenewMember {
        /// Whose.
        member: MemberNamed,
    },
    /// Destroys a grant.
    DisconnectMember {
        /// Whose.
        member: MemberNamed,
    },
    /// Makes a link by which a member signs in.
    ConnectMember {
        /// Who.
        member: MemberNamed,
    },
    /// How far the sign-in by such a link is.
    AskConnected {
        /// The link's id.
        id: String,
    },
    /// Makes a key.
    CreateKey {
        /// Whose key it is.
        caller: String,
        /// `NAME`, `NAME/APPLICATION` or `/APPLICATION`.
        members: Vec<String>,
        /// Whether it covers every member.
        any_member: bool,
        /// Rules: `METHOD /path/**`.
        allow: Vec<String>,
        /// Seconds until it ends.
        expires_secs: Option<u64>,
        /// Application of members named without one.
        application: Option<String>,
    },
    /// All keys, without their secrets.
    ListKeys,
    /// Puts a new master key in front and wraps all data keys under it.
    RotateKey {
        /// Whether the old keys stay in the key file.
        keep_old: bool,
    },
    /// Opens a body that a record names.
    OpenBody {
        /// The member of the record; none: the application's own.
        member: Option<String>,
        /// The application of the record.
        application: String,
        /// `ref` in the record.
        reference: String,
    },
    /// Looks for secrets in a part of an export, before it is handed out.
    InspectExport {
        /// At most [`Order::MOST_INSPECTED`] bytes, as they were before they became UTF-8.
        text: TokenText,
    },
    /// Sends a test notice.
    TestAlerts {
        /// To this webhook alone; none: to all.
        webhook: Option<String>,
    },
    /// Notices that wait for their webhooks.
    ListAlerts,
    /// Makes an operator's token.
    CreateOperator {
        /// Whose token it is.
        name: String,
        /// `operator` or `support`.
        role: String,
        /// Seconds until it ends.
        expires_secs: Option<u64>,
    },
    /// All operators' tokens, without their secrets.
    ListOperators,
    /// Ends an operator's token and its sessions.
    RevokeOperator {
        /// Its public id.
        id: String,
    },
    /// Mutes or resolves a signature of incidents, or takes that back.
    MarkSignature {
        /// The signature, as records say it.
        signature: String,
        /// What is decided; none: it is open again.
        decision: Option<Decision>,
    },
    /// Ends a key.
    RevokeKey {
        /// Its public id.
        id: String,
    },
}

/// A member as an operator names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberNamed {
    /// The operator's name for the member.
    pub name: String,
    /// The application; none: the default one.
    pub application: Option<String>,
}

/// Where a list goes on: after this item of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct After {
    /// The item's application.
    pub application: String,
    /// The member's name; none: the application's own.
    pub name: Option<String>,
    /// When he or she drops out, in Unix seconds; none if unknown.
    pub ends_at: Option<i64>,
}

/// A part of a list, small enough for one line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Items {
    /// In the list's order.
    pub items: Vec<serde_json::Value>,
    /// Where the next part begins; none: this is the last.
    pub next: Option<After>,
}

/// Text in which tokens stand, or may: what the token endpoint answered, or a part of an export.
#[derive(Clone)]
pub struct TokenText(pub Secret<String>);

impl fmt::Debug for TokenText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for TokenText {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.expose())
    }
}

impl<'de> Deserialize<'de> for TokenText {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Secret::new(text)))
    }
}

/// What became of an [`Order`].
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// Done, and in force.
    Done(serde_json::Value),
    /// Not done.
    Refused(Refusal),
}

/// Why an order was not executed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// The order makes no sense: a bad name, rule or token text.
    #[error("{0}")]
    Malformed(String),
    /// There is no such member or key.
    #[error("{0}")]
    Missing(String),
    /// It was tried and failed.
    #[error("{0}")]
    Failed(String),
    /// What is needed for it does not run here.
    #[error("{0}")]
    Unavailable(String),
}

impl Order {
    /// Bytes of an export that are inspected at once.
    pub const MOST_INSPECTED: usize = 1 << 20;

    /// Whether it is a small part of what somebody waits for: nothing for the log.
    pub(super) fn is_question(&self) -> bool {
        matches!(self, Self::AskConnected { .. } | Self::InspectExport { .. })
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // A new key stands in it.
            Self::Done(_) => f.write_str("Done([hidden])"),
            Self::Refused(refusal) => f.debug_tuple("Refused").field(refusal).finish(),
        }
    }
}

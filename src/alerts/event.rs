//! What can happen, in the words of the contract, and what can become of a notice.

/// What a notice is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Event {
    /// Only the member can help.
    SignInNeeded,
    /// Renewals of a member's grant fail again and again.
    RenewalFailing,
    /// The member's sign-in ends soon, and nobody but the member can extend it.
    RefreshTokenEnding,
    /// LinkedIn refuses the application, not its members.
    Misconfigured,
    /// LinkedIn itself fails; also told when that is over.
    LinkedInFailing,
}

impl Event {
    /// All events, in the order of the metrics.
    pub const ALL: [Self; 5] = [
        Self::SignInNeeded,
        Self::RenewalFailing,
        Self::RefreshTokenEnding,
        Self::Misconfigured,
        Self::LinkedInFailing,
    ];
    /// Their words, in the same order.
    pub const WORDS: [&'static str; 5] = [
        Self::SignInNeeded.as_str(),
        Self::RenewalFailing.as_str(),
        Self::RefreshTokenEnding.as_str(),
        Self::Misconfigured.as_str(),
        Self::LinkedInFailing.as_str(),
    ];

    /// The word: `type` in a notice, `events` in the configuration, a label in the metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SignInNeeded => "member.sign_in_needed",
            Self::RenewalFailing => "member.renewal_failing",
            Self::RefreshTokenEnding => "member.refresh_token_ending",
            Self::Misconfigured => "application.misconfigured",
            Self::LinkedInFailing => "linkedin.failing",
        }
    }

    /// The event of a word.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|event| event.as_str() == word)
    }
}

/// `type` of the notice that `linkgate alerts test` sends.
pub(super) const TEST: &str = "alerts.test";

/// What became of a notice, or of one try to deliver it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// A webhook took it.
    Delivered,
    /// A try failed; there will be another.
    Failed,
    /// It waited too long.
    GivenUp,
    /// Too many waited before it was its turn.
    Dropped,
}

impl Fate {
    /// All fates, in the order of the metrics.
    pub const ALL: [Self; 4] = [Self::Delivered, Self::Failed, Self::GivenUp, Self::Dropped];

    /// The label value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::GivenUp => "given_up",
            Self::Dropped => "dropped",
        }
    }
}

//! How a sign-in ends, and what a member is told about it: linkedin.md §1.1 and §1.4 in words.
//!
//! **Invariant:** each refusal says what happened and what to do; none names another member, a code, a
//! state or a secret.

use std::sync::Arc;

use crate::credentials::{ConnectError, GrantSummary, Profile};

/// Of LinkedIn's words, this much is shown.
const LONGEST_WORDS: usize = 200;

/// How a sign-in ended.
pub(super) enum Ending {
    /// The grant is kept.
    SignedIn(Box<SignedIn>),
    /// There is no new grant.
    Refused(Refusal),
}

/// Who signed in, and what LinkedIn granted.
pub(super) struct SignedIn {
    pub(super) profile: Option<Arc<Profile>>,
    pub(super) grant: GrantSummary,
}

/// Why there is no new grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The member left LinkedIn's login page.
    CancelledLogin,
    /// The member said no on LinkedIn's consent page.
    CancelledAuthorize,
    /// LinkedIn has not given the application a permission it asks for, or knows none of that name.
    Scope {
        /// LinkedIn's words.
        words: String,
        is_unknown: bool,
    },
    /// LinkedIn gave a reason that nobody has seen yet.
    Said {
        /// LinkedIn's word, and its words.
        words: String,
    },
    /// Neither a code nor a reason came with the state.
    NothingCame,
    /// The state was not made here, or before a restart.
    StateUnknown,
    /// The state's ten minutes were over.
    StateEnded,
    /// The state was taken before: a page loaded twice.
    StateUsed,
    /// The state was made for another browser, or this one keeps no cookies.
    OtherBrowser,
    /// Used twice, too late, or with another redirect URI.
    CodeRefused,
    /// Another LinkedIn member than the one this name belongs to.
    AnotherMember,
    /// This LinkedIn member has another name here.
    AlreadyNamed,
    /// LinkedIn did not say who it was, and the name belongs to somebody.
    Unverified,
    /// Client id, secret or permissions of the application are wrong.
    Misconfigured,
    /// LinkedIn did not answer as it should.
    LinkedInDown,
    /// Our store did not take the grant.
    NotSaved,
    /// Too many at once.
    Busy,
    /// A bug, or the end of the process.
    BrokeOff,
}

/// What a page says about a refusal.
pub(super) struct Told {
    pub(super) title: &'static str,
    pub(super) happened: &'static str,
    pub(super) to_do: &'static str,
    /// Whether the member may simply try again.
    pub(super) may_try_again: bool,
}

const fn told(
    title: &'static str,
    happened: &'static str,
    to_do: &'static str,
    may_try_again: bool,
) -> Told {
    Told {
        title,
        happened,
        to_do,
        may_try_again,
    }
}

impl Refusal {
    /// What LinkedIn's redirect says in place of a code.
    pub(super) fn said(error: &str, description: &str) -> Self {
        let words = |text: &str| {
            let shown = text.chars().filter(|c| !c.is_control());
            shown.take(LONGEST_WORDS).collect::<String>()
        };
        match error {
            "user_cancelled_login" => Self::CancelledLogin,
            "user_cancelled_authorize" | "access_denied" => Self::CancelledAuthorize,
            "unauthorized_scope_error" | "invalid_scope_error" => Self::Scope {
                words: words(description),
                is_unknown: error == "invalid_scope_error",
            },
            other => Self::Said {
                words: words(format!("{other}: {description}").trim_end_matches(": ")),
            },
        }
    }

    /// One word: in logs, for `members connect`, as `linkgate_result`.
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::CancelledLogin => "user_cancelled_login",
            Self::CancelledAuthorize => "user_cancelled_authorize",
            Self::Scope {
                is_unknown: false, ..
            } => "unauthorized_scope_error",
            Self::Scope {
                is_unknown: true, ..
            } => "invalid_scope_error",
            Self::Said { .. } => "linkedin_refused",
            Self::NothingCame => "nothing_came",
            Self::StateUnknown => "state_unknown",
            Self::StateEnded => "state_ended",
            Self::StateUsed => "state_used",
            Self::OtherBrowser => "other_browser",
            Self::CodeRefused => "code_refused",
            Self::AnotherMember => "another_member",
            Self::AlreadyNamed => "already_named",
            Self::Unverified => "unverified",
            Self::Misconfigured => "application_misconfigured",
            Self::LinkedInDown => "linkedin_unavailable",
            Self::NotSaved => "not_saved",
            Self::Busy => "busy",
            Self::BrokeOff => "broke_off",
        }
    }

    /// LinkedIn's own words, where there are some.
    pub(super) fn words(&self) -> Option<&str> {
        match self {
            Self::Scope { words, .. } | Self::Said { words } if !words.is_empty() => Some(words),
            _ => None,
        }
    }

    /// The page's words.
    pub(super) fn told(&self) -> Told {
        match self {
            Self::CancelledLogin
            | Self::CancelledAuthorize
            | Self::Scope { .. }
            | Self::Said { .. }
            | Self::NothingCame => self.told_by_linkedin(),
            Self::StateUnknown
            | Self::StateEnded
            | Self::StateUsed
            | Self::OtherBrowser
            | Self::CodeRefused => self.told_about_the_way(),
            Self::AnotherMember
            | Self::AlreadyNamed
            | Self::Unverified
            | Self::Misconfigured
            | Self::LinkedInDown
            | Self::NotSaved
            | Self::Busy
            | Self::BrokeOff => self.told_about_the_end(),
        }
    }

    fn told_by_linkedin(&self) -> Told {
        match self {
            Self::CancelledLogin => told(
                "You did not sign in to LinkedIn",
                "You left LinkedIn's sign-in page, so nothing was connected and nothing has changed.",
                "If that was a mistake, try again and sign in to LinkedIn with your usual e-mail address and password.",
                true,
            ),
            Self::CancelledAuthorize => told(
                "You did not allow access",
                "You chose Cancel on LinkedIn's page, so nothing was connected and nothing has changed.",
                "If you change your mind, try again and choose Allow. LinkedIn lets you allow all that is asked for, or nothing.",
                true,
            ),
            Self::Scope { .. } => told(
                "LinkedIn does not let us ask for this",
                "The application asks for a permission that LinkedIn has not given it. That is not your fault, and nothing has changed.",
                "Trying again does not help. Please tell the people who sent you here what LinkedIn said.",
                false,
            ),
            _ => told(
                "LinkedIn refused",
                "LinkedIn sent you back without a permission to connect. Nothing has changed.",
                "Try again. If it happens twice, tell the people who sent you here what LinkedIn said.",
                true,
            ),
        }
    }

    fn told_about_the_way(&self) -> Told {
        match self {
            Self::StateEnded => told(
                "That took too long",
                "More than ten minutes went by on LinkedIn's pages. To be safe, we let the attempt end. Nothing was connected.",
                "Start again; it usually takes a minute.",
                true,
            ),
            Self::StateUsed => told(
                "This step was already done",
                "You came back to an address that works only once, most likely with the back button or by reloading the page.",
                "If you were told that you are signed in, you still are. Otherwise start again.",
                true,
            ),
            Self::OtherBrowser => told(
                "You began in another browser",
                "The sign-in was begun in another browser or window, or this browser does not keep our cookie. Nothing was connected.",
                "Open the link you were given in this browser and go through all steps here. If that does not help, allow cookies for this site.",
                false,
            ),
            Self::CodeRefused => told(
                "LinkedIn did not take the sign-in",
                "LinkedIn said that this sign-in was used already, came too late, or was begun at another address. Nothing was connected.",
                "Start again. If it happens twice, tell the people who sent you here.",
                true,
            ),
            _ => told(
                "We do not know this sign-in",
                "The address you came back with was not made here, or this service was restarted in the meantime. Nothing was connected.",
                "Open the link you were given again and start anew.",
                false,
            ),
        }
    }

    fn told_about_the_end(&self) -> Told {
        match self {
            Self::AnotherMember => told(
                "That is another LinkedIn account",
                "You signed in to LinkedIn with another account than the one that is connected here. The earlier connection was left as it is.",
                "Sign out of LinkedIn, then try again with the account you used before. To connect another account, ask the people who sent you here.",
                true,
            ),
            Self::AlreadyNamed => told(
                "This LinkedIn account is connected already",
                "Your LinkedIn account is connected here under another name. Nothing has changed.",
                "If you meant to connect another account, sign out of LinkedIn and try again. Otherwise tell the people who sent you here.",
                true,
            ),
            Self::Unverified => told(
                "LinkedIn did not say who you are",
                "We could not see that you are the person who is connected here, so the earlier connection was left as it is.",
                "Try again in a few minutes. If it happens twice, tell the people who sent you here.",
                true,
            ),
            Self::Misconfigured => told(
                "This application is not set up correctly",
                "LinkedIn does not accept the application that sent you. That is not your fault, and nothing has changed.",
                "Please tell the people who sent you here: their LinkedIn application needs a look.",
                false,
            ),
            Self::LinkedInDown => told(
                "LinkedIn did not answer",
                "You did everything right, but LinkedIn did not answer us. Nothing was connected.",
                "Wait a few minutes, then start again.",
                true,
            ),
            Self::Busy => told(
                "Too many people are signing in",
                "We cannot take another sign-in at this moment. Nothing was connected.",
                "Wait a minute, then start again.",
                true,
            ),
            _ => told(
                "Something went wrong on our side",
                "LinkedIn let you in, but we could not keep the connection.",
                "Start again in a few minutes. If it happens twice, tell the people who sent you here.",
                true,
            ),
        }
    }

    /// One sentence for operators: the log, and `members connect`.
    pub(super) fn reason(&self) -> String {
        let what = match self {
            Self::CancelledLogin => "the member left LinkedIn's login page",
            Self::CancelledAuthorize => {
                "the member did not allow access on LinkedIn's consent page"
            }
            Self::Scope { .. } => "LinkedIn does not let the application ask for one of its scopes",
            _ => self.told().happened,
        };
        match self.words() {
            Some(words) => format!("{what} (LinkedIn said: {words})"),
            None => what.to_owned(),
        }
    }
}

impl From<&ConnectError> for Refusal {
    fn from(error: &ConnectError) -> Self {
        match error {
            ConnectError::CodeRefused { .. } => Self::CodeRefused,
            ConnectError::UnknownApplication(_)
            | ConnectError::ApplicationsOwn
            | ConnectError::Misconfigured { .. } => Self::Misconfigured,
            ConnectError::Unavailable { .. } => Self::LinkedInDown,
            ConnectError::Unverified { .. } => Self::Unverified,
            ConnectError::AnotherMember => Self::AnotherMember,
            ConnectError::AlreadyNamed(_) => Self::AlreadyNamed,
            ConnectError::Store(_) => Self::NotSaved,
            ConnectError::BrokeOff => Self::BrokeOff,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_linkedin_says_in_place_of_a_code_is_told_apart() {
        for (error, description, code) in [
            (
                "user_cancelled_login",
                "The user cancelled LinkedIn login",
                "user_cancelled_login",
            ),
            (
                "user_cancelled_authorize",
                "The user cancelled",
                "user_cancelled_authorize",
            ),
            ("access_denied", "", "user_cancelled_authorize"),
            (
                "unauthorized_scope_error",
                "Scope \"r_ads\"",
                "unauthorized_scope_error",
            ),
            (
                "invalid_scope_error",
                "Unknown scope",
                "invalid_scope_error",
            ),
            ("server_error", "try later", "linkedin_refused"),
        ] {
            assert_eq!(Refusal::said(error, description).code(), code, "{error}");
        }
    }

    #[test]
    fn linkedins_words_are_short_and_hold_no_control_characters() {
        let hostile = format!("a\u{1b}[31m\n{}", "x".repeat(10_000));

        for refusal in [
            Refusal::said("invalid_scope_error", &hostile),
            Refusal::said(&hostile, &hostile),
        ] {
            let words = refusal.words().unwrap();
            assert!(words.chars().count() <= LONGEST_WORDS);
            assert!(!words.contains(char::is_control));
        }
    }
}

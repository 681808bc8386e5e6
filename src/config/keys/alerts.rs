//! Keys of the alerts: who is told what, and with what patience.

use crate::{
    alerts::Event,
    config::kind::Kind::{Count, Name, Path, Share, Text, Texts, Variable, Words},
};

use super::{Key, key, millis};

pub(super) const ALERTS: &[Key] = &[
    key(
        "alerts.webhooks.*.name",
        Name,
        "null",
        "one entry for each receiver of notices: an app's endpoint, an administrators' chat; named in logs and commands",
    ),
    key(
        "alerts.webhooks.*.url",
        Text,
        "null",
        "https://HOST[:PORT]/PATH[?QUERY], or http:// on loopback: exactly one of url, url_env, url_file; a chat tool's URL is itself a secret and belongs into one of the other two",
    ),
    key(
        "alerts.webhooks.*.url_env",
        Variable,
        "null",
        "variable that holds the URL",
    ),
    key(
        "alerts.webhooks.*.url_file",
        Path,
        "null",
        "file that holds the URL",
    ),
    key(
        "alerts.webhooks.*.secret_env",
        Variable,
        "null",
        "variable that holds what notices are signed with, whsec_BASE64: exactly one of secret_env, secret_file; a secret never stands here",
    ),
    key(
        "alerts.webhooks.*.secret_file",
        Path,
        "null",
        "file that holds the signing secret",
    ),
    key(
        "alerts.webhooks.*.old_secret_env",
        Variable,
        "null",
        "variable that holds the secret before, with which notices are signed too while receivers change over",
    ),
    key(
        "alerts.webhooks.*.old_secret_file",
        Path,
        "null",
        "file that holds the secret before",
    ),
    key(
        "alerts.webhooks.*.events",
        Words(&Event::WORDS),
        "[]",
        "what this receiver is told; empty: everything",
    ),
    key(
        "alerts.webhooks.*.applications",
        Texts,
        "[]",
        "whose members it is told of, by the names under applications; empty: all",
    ),
    key(
        "alerts.max_per_minute",
        Count(1, 10_000, "notices"),
        "10",
        "to each webhook; the surplus of each event becomes one summary at the minute's end",
    ),
    key(
        "alerts.max_waiting",
        Count(10, 1_000_000, "notices"),
        "10000",
        "for each webhook; beyond, its oldest are dropped and counted",
    ),
    key(
        "alerts.attempt_time_ms",
        millis(100),
        "15000",
        "limit of one delivery, from name resolution to the end of the answer",
    ),
    key(
        "alerts.retry_delay_secs",
        Count(1, 3600, "seconds"),
        "5",
        "first wait after a failed delivery; doubles, with jitter",
    ),
    key(
        "alerts.max_retry_delay_secs",
        Count(1, 86_400, "seconds"),
        "3600",
        "longest wait after failed deliveries",
    ),
    key(
        "alerts.give_up_hours",
        Count(1, 720, "hours"),
        "72",
        "a notice that nobody took for so long is dropped and counted",
    ),
    key(
        "alerts.failing_renewals",
        Count(1, 1000, "renewals"),
        "3",
        "renewals of one member that fail in a row before that is told",
    ),
    key(
        "alerts.linkedin_failing_share",
        Share,
        "0.5",
        "share of calls to LinkedIn that must meet a 5xx, be lost or come too late before LinkedIn counts as failing",
    ),
    key(
        "alerts.linkedin_failing_members",
        Count(1, 1000, "members"),
        "3",
        "members who must be affected; 1 where there is only one",
    ),
    key(
        "alerts.linkedin_failing_secs",
        Count(2, 3600, "seconds"),
        "300",
        "over which time calls are counted; shorter is told sooner, and of less",
    ),
];

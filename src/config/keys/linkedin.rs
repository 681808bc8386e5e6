//! Keys of LinkedIn's side: addresses, applications, what is sent again, renewals.

use crate::config::kind::Kind::{Count, Name, Path, Share, Switch, Text, Texts, Url, Variable};

use super::{GIB, Key, MIB, bytes, key, millis};

pub(super) const LINKEDIN: &[Key] = &[
    key(
        "linkedin.api_url",
        Url,
        "https://api.linkedin.com",
        "a sandbox, for tests",
    ),
    key(
        "linkedin.oauth_url",
        Url,
        "https://www.linkedin.com/oauth/v2",
        "a sandbox, for tests; accessToken lives below it",
    ),
    key(
        "linkedin.uploads_url",
        Url,
        "https://www.linkedin.com",
        "a sandbox, for tests; /dms-uploads/** goes there",
    ),
    key(
        "linkedin.media_url",
        Url,
        "https://media.licdn.com",
        "a sandbox, for tests; a member's portrait is fetched from there at sign-in, and from nowhere else",
    ),
    key(
        "linkedin.revocation_url",
        Url,
        "null",
        "where a disconnected member's tokens are given up (RFC 7009), beside being destroyed here; LinkedIn documents no such address",
    ),
    key(
        "linkedin.rewrite_upload_urls",
        Switch,
        "true",
        "false leaves upload URLs in answers pointing at LinkedIn",
    ),
    key(
        "linkedin.ca_file",
        Path,
        "null",
        "extra PEM root, for a sandbox or a corporate proxy that opens TLS",
    ),
    key(
        "linkedin.proxy_url",
        Text,
        "null",
        "corporate proxy, http://HOST:PORT, that is asked to CONNECT",
    ),
    key(
        "linkedin.proxy_authorization_env",
        Variable,
        "null",
        "variable with the value of Proxy-Authorization for it, such as Basic dXNlcjpwdw==",
    ),
    key(
        "linkedin.proxy_authorization_file",
        Path,
        "null",
        "file with the same",
    ),
    key(
        "linkedin.http2",
        Switch,
        "true",
        "false speaks HTTP/1.1 to LinkedIn, should HTTP/2 make trouble on the way",
    ),
    key(
        "linkedin.send_via",
        Switch,
        "false",
        "true adds Via to requests (RFC 9110 section 7.6.3)",
    ),
    key(
        "linkedin.connect_time_ms",
        millis(100),
        "5000",
        "limit for DNS, TCP and TLS together",
    ),
    key(
        "linkedin.attempt_time_ms",
        millis(100),
        "15000",
        "from an attempt's start to its answer's head; longer for slow reports",
    ),
    key(
        "linkedin.idle_time_ms",
        Count(100, 29_999, "milliseconds"),
        "25000",
        "a pooled connection idle for longer is closed; LinkedIn closes after 30 seconds",
    ),
    key(
        "linkedin.write_idle_time_ms",
        Count(0, 29_999, "milliseconds"),
        "5000",
        "a write takes no pooled HTTP/1.1 connection idle for longer, as it may just be closing",
    ),
    key(
        "linkedin.max_connection_age_secs",
        Count(1, 86_400, "seconds"),
        "600",
        "connections are not reused beyond this age, so that DNS changes are followed",
    ),
];

pub(super) const APPLICATIONS: &[Key] = &[
    key(
        "applications.*.name",
        Name,
        "default",
        "one entry for each LinkedIn developer application; the first is the default",
    ),
    key(
        "applications.*.client_id",
        Text,
        "null",
        "LinkedIn's client id: exactly one of client_id, client_id_env, client_id_file",
    ),
    key(
        "applications.*.client_id_env",
        Variable,
        "null",
        "variable that holds the client id",
    ),
    key(
        "applications.*.client_id_file",
        Path,
        "null",
        "file that holds the client id",
    ),
    key(
        "applications.*.client_secret_env",
        Variable,
        "null",
        "variable that holds the client secret: exactly one of client_secret_env, client_secret_file; a secret never stands here",
    ),
    key(
        "applications.*.client_secret_file",
        Path,
        "null",
        "file that holds the client secret",
    ),
    key(
        "applications.*.scopes",
        Texts,
        "[openid, profile]",
        "everything that any caller needs, asked of members in one request: asking again with other scopes ends earlier tokens; [] where nobody signs in",
    ),
    key(
        "applications.*.native_pkce",
        Switch,
        "false",
        "true where LinkedIn has switched on PKCE for native clients; members then come back to a loopback address only",
    ),
];

pub(super) const RETRY: &[Key] = &[
    key(
        "retry.max_retries",
        Count(0, 10, "retries"),
        "3",
        "attempts after the first, for 429, 5xx and lost connections; 0 switches them off",
    ),
    key(
        "retry.base_delay_ms",
        Count(1, 60_000, "milliseconds"),
        "200",
        "first wait; doubles, with full jitter",
    ),
    key(
        "retry.max_delay_ms",
        Count(1, 600_000, "milliseconds"),
        "5000",
        "longest wait; also the longest Retry-After that is waited for",
    ),
    key(
        "retry.total_time_ms",
        millis(100),
        "30000",
        "from the request's head to the answer's head, waits and renewals included; stands still while body bytes flow",
    ),
    key(
        "retry.writes_after_401",
        Switch,
        "true",
        "false: writes are not sent again even after a 401, with which LinkedIn refused before acting",
    ),
    key(
        "retry.keep_body_bytes",
        bytes(0, 16 * MIB),
        "65536",
        "how much of a request's body is kept for a second attempt; larger ones are sent once",
    ),
    key(
        "retry.keep_body_total_bytes",
        bytes(0, 64 * GIB),
        "67108864",
        "the same for all exchanges together",
    ),
];

pub(super) const RENEWAL: &[Key] = &[
    key(
        "renewal.ahead_share",
        Share,
        "0.1",
        "share of an access token's life before its end in which it is renewed ahead of need",
    ),
    key(
        "renewal.lag_secs",
        Count(0, 600, "seconds"),
        "60",
        "how long a new token may be refused by LinkedIn without meaning anything",
    ),
    key(
        "renewal.post_time_ms",
        Count(100, 120_000, "milliseconds"),
        "15000",
        "limit of one call to the token endpoint",
    ),
    key(
        "renewal.lease_ms",
        Count(200, 600_000, "milliseconds"),
        "30000",
        "how long a renewal holds its member in the store; must be longer than post_time_ms",
    ),
    key(
        "renewal.max_concurrent",
        Count(1, 1000, "renewals"),
        "8",
        "renewals under way at once; a quarter is kept for calls that wait for one",
    ),
    key(
        "renewal.max_per_second",
        Count(1, 1000, "renewals"),
        "4",
        "renewals ahead of need that begin in a second, for each application; LinkedIn throttles frequent minting",
    ),
    key(
        "renewal.retry_delay_secs",
        Count(1, 3600, "seconds"),
        "30",
        "first wait after a failed renewal; doubles",
    ),
    key(
        "renewal.max_retry_delay_secs",
        Count(1, 86_400, "seconds"),
        "1800",
        "longest wait after failed renewals",
    ),
];

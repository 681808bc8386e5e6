//! Keys of what the process itself opens: listeners, control socket, operations log.

use crate::config::kind::Kind::{Address, Count, Name, Path, Switch, Text, Texts, Url, Word};

use super::{GIB, KIB, Key, bytes, key, millis};

pub(super) const GATEWAY: &[Key] = &[
    key(
        "gateway.listen",
        Address,
        "127.0.0.1:8080",
        "where callers connect; another address lets other machines in: set gateway.tls too",
    ),
    key(
        "gateway.tls.cert_file",
        Path,
        "null",
        "PEM certificate chain, leaf first, for TLS from callers; read again on SIGHUP",
    ),
    key("gateway.tls.key_file", Path, "null", "its PEM private key"),
    key(
        "gateway.hosts",
        Texts,
        "[]",
        "host names by which callers may address the gateway, beside IP addresses and localhost",
    ),
    key(
        "gateway.public_url",
        Url,
        "null",
        "the gateway as callers see it, for upload URLs, when something in front of it changes the Host",
    ),
    key(
        "gateway.instance",
        Name,
        "null",
        "names this process in records; null: the machine's host name",
    ),
    key(
        "gateway.threads",
        Count(0, 1024, "threads, 0 = one for each core"),
        "0",
        "fewer, to leave cores to other programs",
    ),
    key(
        "gateway.max_connections",
        Count(1, 1_000_000, "connections"),
        "10000",
        "callers' connections at once; the limit of open files must allow twice as many",
    ),
    key(
        "gateway.max_in_flight",
        Count(1, 1_000_000, "exchanges"),
        "4096",
        "exchanges at once; beyond, callers are told 503 overloaded",
    ),
    key(
        "gateway.max_head_bytes",
        bytes(KIB, 64 * KIB),
        "65536",
        "lower, to refuse long request heads early",
    ),
    key(
        "gateway.max_uri_bytes",
        bytes(256, 64 * KIB),
        "32768",
        "lower, to refuse long request targets early",
    ),
    key(
        "gateway.max_body_bytes",
        bytes(0, 1 << 53),
        "null",
        "refuse request bodies above this size; null: unlimited",
    ),
    key(
        "gateway.head_time_ms",
        millis(100),
        "10000",
        "from a request's first byte to the end of its head; longer for very slow links",
    ),
    key(
        "gateway.first_byte_time_ms",
        millis(100),
        "10000",
        "from accept to the first byte, TLS handshake included",
    ),
    key(
        "gateway.body_idle_ms",
        millis(100),
        "30000",
        "longest silence inside a body, either way",
    ),
    key(
        "gateway.min_body_rate_bytes",
        Count(0, GIB, "bytes a second, 0 = no minimum"),
        "240",
        "slowest acceptable body, measured over body_idle_ms",
    ),
    key(
        "gateway.keep_alive_idle_ms",
        millis(100),
        "75000",
        "longest silence of a kept-alive caller's connection; longer than the load balancer's in front",
    ),
    key(
        "gateway.drain_delay_ms",
        millis(0),
        "0",
        "at SIGTERM, time between /readyz turning 503 and no longer accepting: as long as a load balancer needs to notice",
    ),
    key(
        "gateway.drain_time_ms",
        millis(0),
        "30000",
        "at SIGTERM, time that exchanges under way are given to finish",
    ),
    key(
        "gateway.max_detached",
        Count(0, 1_000_000, "writes"),
        "256",
        "writes that run on after their callers left",
    ),
    key(
        "gateway.stop_on_disconnect",
        Switch,
        "false",
        "true stops a member's exchanges under way when the member is disconnected; false lets them finish",
    ),
];

pub(super) const ADMIN: &[Key] = &[
    key(
        "admin.listen",
        Address,
        "127.0.0.1:8081",
        "operators and support, never members; another address must be guarded by the network",
    ),
    key(
        "admin.public_url",
        Url,
        "null",
        "the admin listener as operators' browsers reach it, where something in front of it speaks TLS: cookies then never travel in plain text; without a path",
    ),
    key(
        "admin.hosts",
        Texts,
        "[]",
        "host names by which the admin listener may be addressed, beside IP addresses and localhost",
    ),
    key(
        "admin.max_connections",
        Count(1, 100_000, "connections"),
        "256",
        "connections at once; a quarter of them from one address (IPv6: its /64), loopback excepted: raise it for a proxy on another machine that opens more",
    ),
    key(
        "admin.session_idle_secs",
        Count(60, 86_400, "seconds"),
        "1800",
        "an operator who is idle for longer must sign in again",
    ),
    key(
        "admin.session_life_secs",
        Count(60, 604_800, "seconds"),
        "43200",
        "an operator must sign in again after this time in any case",
    ),
];

pub(super) const CONNECT: &[Key] = &[
    key(
        "connect.listen",
        Address,
        "127.0.0.1:8082",
        "members' browsers come here to sign in, once connect.public_url is set; plain HTTP: for other machines, put something in front that speaks TLS",
    ),
    key(
        "connect.public_url",
        Url,
        "null",
        "this listener as members' browsers see it; register it with /connect/callback behind it as redirect URL of the LinkedIn application; null: nobody can sign in here",
    ),
    key(
        "connect.title",
        Text,
        "null",
        "who asks, in the members' words, such as the name of your service; null: the host of connect.public_url",
    ),
    key(
        "connect.return_urls",
        Texts,
        "[]",
        "where apps may have members sent after signing in (?return_to=): a URL stands for itself with any query, one that ends with / also for all below it",
    ),
    key(
        "connect.link_days",
        Count(1, 365, "days"),
        "7",
        "how long the link lasts that stands as connect_url in an answer sign_in_needed or in a notice, or that an operator's page gives",
    ),
    key(
        "connect.command_link_secs",
        Count(60, 604_800, "seconds"),
        "3600",
        "how long the link lasts that `linkgate members connect` prints, and how long it waits",
    ),
    key(
        "connect.max_connections",
        Count(1, 100_000, "connections"),
        "256",
        "connections at once; a quarter of them from one address (IPv6: its /64), loopback excepted: raise it for a proxy on another machine that opens more",
    ),
];

pub(super) const CONTROL: &[Key] = &[key(
    "control.socket",
    Path,
    "data/control.sock",
    "where the commands reach a running gateway; mode 0600",
)];

pub(super) const LOG: &[Key] = &[
    key(
        "log.level",
        Word(&["error", "warn", "info", "debug", "trace"]),
        "info",
        "debug shows single requests; read again on SIGHUP",
    ),
    key(
        "log.format",
        Word(&["text", "json"]),
        "text",
        "json for log collectors",
    ),
    key(
        "log.directory",
        Path,
        "null",
        "a folder for daily files; null: standard error",
    ),
    key(
        "log.keep_files",
        Count(1, 3650, "files"),
        "14",
        "daily files that are kept",
    ),
];

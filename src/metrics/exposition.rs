//! The Prometheus text form of the table (format 0.0.4).
//!
//! **Invariant:** the names are part of what operators rely on; every family has HELP and TYPE, and
//! as many series as its enum has words, so their number is bounded.

use std::{
    fmt::{Display, Write as _},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::exchange::{Fault, Outcome};

use super::{AttemptReason, Metrics, OVERHEAD_BOUNDS, RenewalResult, Shard};

/// The `Content-Type` of [`Metrics::text`].
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What is not counted but read when somebody asks.
#[derive(Clone, Debug, Default)]
pub struct Gauges {
    /// Grants by the state they are in; the words come from the credentials' own enum.
    pub grants: Vec<(&'static str, u64)>,
    /// Members by the window in which they drop out; the words are the credentials' own, too.
    pub grants_ending: Vec<(&'static str, u64)>,
    /// Grants whose renewal is due and not under way.
    pub renewals_waiting: u64,
    /// Renewals under way.
    pub renewals_under_way: u64,
    /// How long the renewal that waits longest has been due, in seconds.
    pub renewals_behind_secs: u64,
    /// Applications whose renewals all wait.
    pub applications_cooling: u64,
    /// Notices by event and by what became of them; the words come from the alerts' own enums.
    pub alerts: Vec<(&'static str, &'static str, u64)>,
    /// Notices that wait for their webhooks.
    pub alerts_waiting: u64,
    /// Exchanges under way.
    pub in_flight: u64,
    /// Whether the support log takes records.
    pub is_support_log_healthy: bool,
    /// Bytes of the support log that its index does not know yet.
    pub index_behind_bytes: u64,
    /// Whether the index of the support log is kept up.
    pub is_index_healthy: bool,
    /// Bytes of the support log's records, and of its kept bodies.
    pub support_log_bytes: [u64; 2],
    /// Bytes of incidents that wait to be written.
    pub support_log_waiting_bytes: u64,
    /// Start of the oldest day of records that is kept, in Unix seconds; 0 while there is none.
    pub support_log_oldest_secs: i64,
    /// When a record was written last, in Unix microseconds; 0 = not since the start.
    pub support_log_written_micros: i64,
    /// When the disk last confirmed what was written, in Unix microseconds; 0 = not since the start.
    pub support_log_synced_micros: i64,
    /// Whether the store takes what is saved.
    pub is_store_healthy: bool,
    /// Lines of the operations log that found no room.
    pub log_lines_dropped: u64,
}

impl Metrics {
    /// The whole table as Prometheus reads it.
    pub fn text(&self, gauges: &Gauges) -> String {
        let shards: Vec<Arc<Shard>> = self.shards().clone();
        let mut page = Page::default();
        page.by_word(
            "linkgate_exchanges_total",
            "Exchanges that ended, by what became of the request.",
            "outcome",
            Outcome::ALL.map(Outcome::as_str),
            |n| sum(&shards, |s| s.exchanges.get(n)),
        );
        page.by_word(
            "linkgate_attempts_total",
            "Trips to LinkedIn that began, by why they were made.",
            "reason",
            AttemptReason::ALL.map(AttemptReason::as_str),
            |n| sum(&shards, |s| s.attempts.get(n)),
        );
        page.by_word(
            "linkgate_renewals_total",
            "Renewals of grants that ended, by how.",
            "result",
            RenewalResult::ALL.map(RenewalResult::as_str),
            |n| sum(&shards, |s| s.renewals.get(n)),
        );
        page.by_word(
            "linkgate_incidents_total",
            "Incidents that were recorded, by whose fault they were.",
            "fault",
            Fault::ALL.map(Fault::as_str),
            |n| sum(&shards, |s| s.incidents.get(n)),
        );
        page.counters(&shards);
        page.overhead(&shards);
        page.gauges(gauges);
        page.0
    }
}

fn sum<'a>(shards: &'a [Arc<Shard>], pick: impl Fn(&'a Shard) -> Option<&'a AtomicU64>) -> u64 {
    let load = |shard: &'a Arc<Shard>| pick(shard).map_or(0, |n| n.load(Ordering::Relaxed));
    shards.iter().map(load).fold(0, u64::wrapping_add)
}

#[derive(Default)]
struct Page(String);

impl Page {
    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // Writing to a String cannot fail.
        self.0.write_fmt(line).unwrap_or_default();
        self.0.push('\n');
    }

    fn family(&mut self, name: &str, kind: &str, help: &str) {
        self.line(format_args!("# HELP {name} {help}"));
        self.line(format_args!("# TYPE {name} {kind}"));
    }

    fn by_word<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        words: [&str; N],
        value: impl Fn(usize) -> u64,
    ) {
        self.family(name, "counter", help);
        for (n, word) in words.into_iter().enumerate() {
            let value = value(n);
            self.line(format_args!("{name}{{{label}=\"{word}\"}} {value}"));
        }
    }

    fn single(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        self.family(name, kind, help);
        self.line(format_args!("{name} {value}"));
    }

    fn counters(&mut self, shards: &[Arc<Shard>]) {
        let mut counter = |name, help, pick: fn(&Shard) -> &AtomicU64| {
            self.single(name, "counter", help, sum(shards, |s| Some(pick(s))));
        };
        counter(
            "linkgate_incidents_dropped_total",
            "Incidents that could not be kept.",
            |s| &s.incidents_dropped,
        );
        counter(
            "linkgate_late_records_total",
            "Failed answers that went out before their record was written.",
            |s| &s.late_records,
        );
        counter(
            "linkgate_support_log_write_failures_total",
            "Writes of the support log that the disk refused.",
            |s| &s.log_write_failures,
        );
        counter(
            "linkgate_support_log_sync_failures_total",
            "Syncs of the support log that the disk refused.",
            |s| &s.log_sync_failures,
        );
        counter(
            "linkgate_callers_left_total",
            "Callers that hung up before their answer.",
            |s| &s.callers_left,
        );
        counter(
            "linkgate_parser_refusals_total",
            "Requests that the HTTP parser refused by itself.",
            |s| &s.parser_refusals,
        );
        counter(
            "linkgate_connections_refused_total",
            "Connections turned away.",
            |s| &s.connections_refused,
        );
    }

    fn overhead(&mut self, shards: &[Arc<Shard>]) {
        let name = "linkgate_overhead_seconds";
        self.family(
            name,
            "histogram",
            "Time exchanges spent in Linkgate itself.",
        );
        let mut below = 0;
        for (n, bound) in OVERHEAD_BOUNDS.iter().enumerate() {
            below += sum(shards, |s| s.overhead.get(n));
            self.line(format_args!("{name}_bucket{{le=\"{bound}\"}} {below}"));
        }
        below += sum(shards, |s| s.overhead.get(OVERHEAD_BOUNDS.len()));
        let nanos = sum(shards, |s| Some(&s.overhead_nanos));
        let (seconds, rest) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
        self.line(format_args!("{name}_bucket{{le=\"+Inf\"}} {below}"));
        self.line(format_args!("{name}_sum {seconds}.{rest:09}"));
        self.line(format_args!("{name}_count {below}"));
    }

    fn renewals(&mut self, gauges: &Gauges) {
        self.family(
            "linkgate_grants_ending",
            "gauge",
            "Members by the first window in which they drop out unless they sign in again.",
        );
        for (window, count) in &gauges.grants_ending {
            self.line(format_args!(
                "linkgate_grants_ending{{window=\"{window}\"}} {count}"
            ));
        }
        let mut gauge = |name, help, value| self.single(name, "gauge", help, value);
        gauge(
            "linkgate_renewals_waiting",
            "Grants whose renewal is due and not under way.",
            gauges.renewals_waiting,
        );
        gauge(
            "linkgate_renewals_under_way",
            "Renewals under way.",
            gauges.renewals_under_way,
        );
        gauge(
            "linkgate_renewals_behind_seconds",
            "How long the renewal that waits longest has been due.",
            gauges.renewals_behind_secs,
        );
        gauge(
            "linkgate_applications_cooling",
            "Applications whose renewals all wait: throttled, misconfigured, or the endpoint is down.",
            gauges.applications_cooling,
        );
    }

    fn alerts(&mut self, gauges: &Gauges) {
        let name = "linkgate_alerts_total";
        self.family(
            name,
            "counter",
            "Notices to webhooks, by event and by what became of them or of a try.",
        );
        for (event, result, count) in &gauges.alerts {
            self.line(format_args!(
                "{name}{{event=\"{event}\",result=\"{result}\"}} {count}"
            ));
        }
        self.single(
            "linkgate_alerts_waiting",
            "gauge",
            "Notices that wait for their webhooks.",
            gauges.alerts_waiting,
        );
    }

    fn support_log(&mut self, gauges: &Gauges) {
        let name = "linkgate_support_log_bytes";
        self.family(name, "gauge", "Bytes of the support log on disk.");
        for (holds, bytes) in ["records", "bodies"].iter().zip(gauges.support_log_bytes) {
            self.line(format_args!("{name}{{holds=\"{holds}\"}} {bytes}"));
        }
        self.single(
            "linkgate_support_log_waiting_bytes",
            "gauge",
            "Bytes of incidents that wait to be written.",
            gauges.support_log_waiting_bytes,
        );
        self.single(
            "linkgate_support_log_oldest_timestamp_seconds",
            "gauge",
            "Start of the oldest day of records that is kept; 0 while there is none.",
            gauges.support_log_oldest_secs,
        );
        let mut moment = |name, help, micros: i64| {
            let (seconds, rest) = (micros / 1_000_000, micros % 1_000_000);
            self.single(name, "gauge", help, format_args!("{seconds}.{rest:06}"));
        };
        moment(
            "linkgate_support_log_last_write_timestamp_seconds",
            "When a record was written last; 0 = not since the start.",
            gauges.support_log_written_micros,
        );
        moment(
            "linkgate_support_log_last_sync_timestamp_seconds",
            "When the disk last confirmed what was written; 0 = not since the start.",
            gauges.support_log_synced_micros,
        );
    }

    fn gauges(&mut self, gauges: &Gauges) {
        self.family(
            "linkgate_grants",
            "gauge",
            "Grants by the state they are in.",
        );
        for (state, count) in &gauges.grants {
            self.line(format_args!("linkgate_grants{{state=\"{state}\"}} {count}"));
        }
        self.renewals(gauges);
        self.alerts(gauges);
        self.single(
            "linkgate_exchanges_in_flight",
            "gauge",
            "Exchanges under way.",
            gauges.in_flight,
        );
        self.single(
            "linkgate_support_log_healthy",
            "gauge",
            "Whether the support log takes records.",
            u8::from(gauges.is_support_log_healthy),
        );
        self.support_log(gauges);
        self.single(
            "linkgate_support_index_healthy",
            "gauge",
            "Whether the index of the support log is kept up; searches read the log if not.",
            u8::from(gauges.is_index_healthy),
        );
        self.single(
            "linkgate_support_index_behind_bytes",
            "gauge",
            "Bytes of the support log that its index does not know yet.",
            gauges.index_behind_bytes,
        );
        self.single(
            "linkgate_store_healthy",
            "gauge",
            "Whether the store takes what is saved.",
            u8::from(gauges.is_store_healthy),
        );
        self.single(
            "linkgate_log_lines_dropped_total",
            "counter",
            "Lines of the operations log that found no room.",
            gauges.log_lines_dropped,
        );
        self.family(
            "linkgate_build_info",
            "gauge",
            "The running version; always 1.",
        );
        self.line(format_args!(
            "linkgate_build_info{{version=\"{}\"}} 1",
            env!("CARGO_PKG_VERSION")
        ));
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, time::Duration};

    use super::*;

    fn text() -> String {
        let metrics = Metrics::default();
        for _ in 0..2 {
            let shard = metrics.shard();
            shard.exchange(Outcome::Unknown);
            shard.attempt(AttemptReason::Throttled);
            shard.renewal(RenewalResult::Renewed);
            shard.incident(Fault::LinkedIn);
            shard.overhead(Duration::from_micros(80));
            shard.overhead(Duration::from_secs(60));
        }
        metrics.text(&Gauges {
            grants: vec![("fresh", 3), ("sign_in_needed", 1)],
            alerts: vec![("linkedin.failing", "delivered", 2)],
            alerts_waiting: 5,
            ..Gauges::default()
        })
    }

    #[test]
    fn shards_are_added_up_under_the_names_operators_rely_on() {
        let text = text();

        for line in [
            "linkgate_exchanges_total{outcome=\"unknown\"} 2",
            "linkgate_exchanges_total{outcome=\"answered\"} 0",
            "linkgate_attempts_total{reason=\"throttled\"} 2",
            "linkgate_renewals_total{result=\"renewed\"} 2",
            "linkgate_incidents_total{fault=\"linkedin\"} 2",
            "linkgate_incidents_dropped_total 0",
            "linkgate_overhead_seconds_bucket{le=\"0.00005\"} 0",
            "linkgate_overhead_seconds_bucket{le=\"0.0001\"} 2",
            "linkgate_overhead_seconds_bucket{le=\"10\"} 2",
            "linkgate_overhead_seconds_bucket{le=\"+Inf\"} 4",
            "linkgate_overhead_seconds_count 4",
            "linkgate_overhead_seconds_sum 120.000160000",
            "linkgate_grants{state=\"fresh\"} 3",
            "linkgate_alerts_total{event=\"linkedin.failing\",result=\"delivered\"} 2",
            "linkgate_alerts_waiting 5",
            concat!(
                "linkgate_build_info{version=\"",
                env!("CARGO_PKG_VERSION"),
                "\"} 1"
            ),
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
    }

    /// The rules of `promtool check metrics`, which the machine that builds may not have.
    #[test]
    fn every_family_is_described_once_and_counters_end_in_total() {
        let text = text();
        let mut families = HashSet::new();

        for line in text.lines() {
            let mut words = line.split(' ');
            match (words.next(), words.next(), words.next(), words.next()) {
                (Some("#"), Some("HELP"), Some(name), Some(_)) => {
                    assert!(families.insert(name.to_owned()), "{name} twice");
                }
                (Some("#"), Some("TYPE"), Some(name), Some(kind)) => {
                    assert!(families.contains(name), "{name} has no help");
                    assert_eq!(kind == "counter", name.ends_with("_total"), "{name}");
                }
                (Some(series), Some(value), None, None) => {
                    let name = series.split('{').next().unwrap_or_default();
                    let family = ["_bucket", "_sum", "_count"]
                        .iter()
                        .find_map(|end| name.strip_suffix(end))
                        .filter(|name| families.contains(*name))
                        .unwrap_or(name);
                    assert!(families.contains(family), "{series} has no family");
                    assert!(value.parse::<f64>().is_ok(), "{line}");
                }
                _ => panic!("no line of the format: {line:?}"),
            }
        }
    }
}

//! A support log as a busy week leaves it: the same bytes for the same count.

use std::{
    fmt::Write as _,
    fs::File,
    io::{self, BufWriter, Write as _},
    path::Path,
};

use data_encoding::BASE64;
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339, macros::datetime};

/// The first exchange.
pub(crate) const BEGIN: OffsetDateTime = datetime!(2026-11-16 00:00 UTC);
/// The days that the log spans.
pub(crate) const DAYS: i64 = 7;
/// Members that are hit.
pub(crate) const MEMBERS: u64 = 5_000;
/// A segment is as long as the gateway's default makes it.
const SEGMENT_BYTES: u64 = (10 << 30) / 16;

const TEMPLATES: [(&str, &str, &str); 12] = [
    ("GET", "/rest/posts/{id}", "/rest/posts/urn%3Ali%3Ashare%3A"),
    ("POST", "/rest/posts", "/rest/posts?x="),
    ("GET", "/v2/userinfo", "/v2/userinfo?x="),
    (
        "GET",
        "/rest/adAccounts/{id}/adCampaigns?q=search",
        "/rest/adAccounts/5063/adCampaigns?q=search&start=",
    ),
    (
        "POST",
        "/rest/images?action=initializeUpload",
        "/rest/images?action=initializeUpload&x=",
    ),
    (
        "GET",
        "/rest/adAnalytics?q=analytics",
        "/rest/adAnalytics?q=analytics&dateRange=(start:(year:2026))&x=",
    ),
    (
        "GET",
        "/rest/organizationAcls?q=roleAssignee",
        "/rest/organizationAcls?q=roleAssignee&start=",
    ),
    (
        "POST",
        "/rest/socialActions/{id}/comments",
        "/rest/socialActions/urn%3Ali%3Aactivity%3A71/comments?x=",
    ),
    (
        "GET",
        "/rest/memberFollowersCount?q=me",
        "/rest/memberFollowersCount?q=me&x=",
    ),
    (
        "PUT",
        "/dms-uploads/{id}",
        "/dms-uploads/sp/D4E10AQ/uploaded-video/0/",
    ),
    ("GET", "/rest/events/{id}", "/rest/events/"),
    (
        "DELETE",
        "/rest/posts/{id}",
        "/rest/posts/urn%3Ali%3AugcPost%3A",
    ),
];
const ENDS: [(u16, &str, &str, &str, &str); 8] = [
    (
        503,
        "-",
        "linkedin",
        "failed",
        "LinkedIn answered 503 to every attempt; nothing in the request explains it",
    ),
    (
        429,
        "TOO_MANY_REQUESTS",
        "linkedin",
        "failed",
        "LinkedIn throttles this member; the day's limit ends at midnight UTC",
    ),
    (
        401,
        "65601",
        "member",
        "failed",
        "the member has revoked the grant at LinkedIn and must sign in again",
    ),
    (
        403,
        "ACCESS_DENIED",
        "caller",
        "failed",
        "the token lacks a permission that this endpoint needs",
    ),
    (
        400,
        "ILLEGAL_ARGUMENT",
        "caller",
        "failed",
        "LinkedIn could not read a parameter: the list was encoded twice",
    ),
    (
        422,
        "DUPLICATE_POST",
        "caller",
        "failed",
        "LinkedIn holds this post for a copy of one from a moment ago",
    ),
    (
        200,
        "-",
        "linkedin",
        "recovered",
        "the first attempt was cut, the second answered",
    ),
    (
        504,
        "linkedin_timeout",
        "linkedin",
        "failed",
        "LinkedIn did not answer in time",
    ),
];
const CALLERS: [&str; 10] = [
    "crm",
    "ads",
    "studio",
    "hiring",
    "newsroom",
    "analytics",
    "mobile",
    "partners",
    "import",
    "night",
];

/// Well mixed bits of `n`.
pub(crate) fn mixed(n: u64) -> u64 {
    let mut bits = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

fn pick<T: Copy, const N: usize>(of: &[T; N], bits: u64) -> T {
    let place = usize::try_from(bits % N as u64).unwrap_or(0);
    of.get(place).copied().unwrap_or(of[0])
}

/// When the exchange number `n` of `count` began, in Unix microseconds.
pub(crate) fn micros(n: u64, count: u64) -> i64 {
    let span = u64::try_from(DAYS).unwrap_or(1) * 86_400_000_000;
    let into = u128::from(span) * u128::from(n) / u128::from(count.max(1));
    let begin = i64::try_from(BEGIN.unix_timestamp_nanos() / 1_000).unwrap_or(0);
    begin + i64::try_from(into).unwrap_or(0) + i64::try_from(mixed(n) % 2_000).unwrap_or(0)
}

/// Its id: a `UUIDv7`.
pub(crate) fn id(n: u64, count: u64) -> String {
    let millis = micros(n, count) / 1_000;
    let bits = mixed(n ^ 0xabcd);
    format!(
        "{:08x}-{:04x}-7{:03x}-{:04x}-{:012x}",
        millis >> 16,
        millis & 0xffff,
        bits & 0xfff,
        0x8000 | ((bits >> 12) & 0x3fff),
        mixed(n ^ 0x1234) & 0xffff_ffff_ffff
    )
}

/// LinkedIn's id of its last attempt.
pub(crate) fn x_li_uuid(n: u64, count: u64) -> String {
    let mut bytes = micros(n, count).to_be_bytes().to_vec();
    bytes.extend(mixed(n ^ 0x7777).to_be_bytes());
    BASE64.encode(&bytes)
}

/// The member it was made for.
pub(crate) fn member(n: u64) -> String {
    // A few are hit often, most of them rarely.
    let bits = mixed(n ^ 0x5555);
    let rank = (bits % MEMBERS) * ((bits >> 32) % MEMBERS) / MEMBERS;
    format!("member-{rank:04}")
}

fn time(micros: i64) -> String {
    let at = OffsetDateTime::UNIX_EPOCH + Duration::microseconds(micros);
    let text = at.format(&Rfc3339).unwrap_or_default();
    let whole = text.get(..19).unwrap_or_default();
    format!("{whole}.{:06}Z", micros.rem_euclid(1_000_000))
}

/// A line without its end.
pub(crate) fn line(n: u64, count: u64) -> String {
    let told = Told::of(n, count);
    let tries = told.tries();
    let attempts: Vec<String> = (1..=tries)
        .map(|attempt| told.attempt(attempt, tries))
        .collect();
    let Told {
        n,
        at,
        id,
        uuid,
        member,
        method,
        template,
        status,
        code,
        fault,
        kind,
        verdict,
        caller,
        bits,
        ..
    } = &told;
    format!(
        r#"{{"v":1,"id":"{id}","seq":{},"time":"{}","took_ms":{}.{:03},"fault":"{fault}","kind":"{kind}","signature":"{method} {template} {status} {code}","code":null,"linkedin_code":"{code}","verdict":"{verdict}","caller":"{caller}","key_id":"key{}","member":{{"name":"{member}","urn":"urn:li:person:{:010x}"}},"application":{{"name":"{}","client_id":"77abcdefgh{}"}},"request":{},"attempts":[{}],"answer":{{"status":{status},"headers":[["content-type","application/json"],["x-li-uuid","{uuid}"],["linkgate-exchange","{id}"],["server-timing","gateway;dur=0.4, linkedin;dur={}.3"],["content-length","{}"]],"body":{}}},"outcome":"answered","linkedin":{{"x_li_uuid":"{uuid}","x_li_request_id":"{:016X}","x_li_fabric":"prod-lva1","time":"{}"}},"gateway":{{"version":"0.1.0","instance":"gw-1.example","config":"c0ffee42"}}}}"#,
        n + 1,
        time(*at),
        130 * tries + bits % 400,
        bits % 1_000,
        bits % 20,
        mixed(mixed(n ^ 0x5555) % MEMBERS),
        if bits % 4 == 0 {
            "marketing"
        } else {
            "default"
        },
        bits % 2,
        told.request(),
        attempts.join(","),
        80 + bits % 300,
        120 + bits % 80,
        told.body(),
        mixed(n ^ tries ^ 0x99),
        time(at + 90_000),
    )
}

/// What makes one exchange different from another.
struct Told {
    n: u64,
    at: i64,
    id: String,
    uuid: String,
    member: String,
    method: &'static str,
    template: &'static str,
    url: String,
    status: u16,
    code: &'static str,
    fault: &'static str,
    kind: &'static str,
    verdict: &'static str,
    caller: &'static str,
    trace: u64,
    bits: u64,
}

impl Told {
    fn of(n: u64, count: u64) -> Self {
        let (method, template, url) = pick(&TEMPLATES, mixed(n ^ 1) % 17);
        let (status, code, fault, kind, verdict) = pick(&ENDS, mixed(n ^ 2) % 11);
        let bits = mixed(n ^ 5);
        Self {
            n,
            at: micros(n, count),
            id: id(n, count),
            uuid: x_li_uuid(n, count),
            member: member(n),
            method,
            template,
            url: format!("{url}{}", 7_100_000_000_000 + bits % 900_000_000),
            status,
            code,
            fault,
            kind,
            verdict,
            caller: pick(&CALLERS, mixed(n ^ 3) % 13),
            trace: mixed(n ^ 4),
            bits,
        }
    }

    fn tries(&self) -> u64 {
        if self.kind == "recovered" || self.status >= 500 {
            2
        } else {
            1
        }
    }

    fn body(&self) -> String {
        let bits = self.bits;
        format!(
            r#"{{"bytes":{0},"captured":{0},"truncated":false,"ref":"2026-11-16T00:{1}:{2}"}}"#,
            120 + bits % 80,
            bits % 90_000_000,
            200 + bits % 300
        )
    }

    fn request(&self) -> String {
        let Self {
            n,
            member,
            method,
            url,
            caller,
            trace,
            bits,
            ..
        } = self;
        format!(
            r#"{{"method":"{method}","url":"{url}","version":"HTTP/1.1","headers":[["Host","gateway.internal:8080"],["Authorization","Bearer lgk_key{}_[redacted:{:016x}]~{member}"],["Linkedin-Version","202611"],["X-Restli-Protocol-Version","2.0.0"],["Accept","application/json"],["Accept-Encoding","gzip, deflate, br"],["Content-Type","application/json"],["User-Agent","linkedin-api-client/0.3.0 node/22.4 ({caller})"],["X-Request-Id","req-{trace:016x}"],["traceparent","00-{trace:016x}{bits:016x}-{:016x}-01"],["X-Forwarded-For","10.0.{}.{}"],["X-App-Context","{}"]],"body":{}}}"#,
            bits % 20,
            mixed(bits % 20),
            mixed(*trace),
            bits % 200,
            bits % 250,
            filler(*n),
            self.body()
        )
    }

    fn attempt(&self, attempt: u64, tries: u64) -> String {
        let Self {
            n,
            at,
            uuid,
            method,
            url,
            caller,
            trace,
            bits,
            ..
        } = self;
        let status = if self.kind == "recovered" && attempt == 1 {
            502
        } else {
            self.status
        };
        format!(
            r#"{{"n":{attempt},"started_ms":{}.{:03},"token":"fp:{:016x}","token_age_secs":{},"version":"HTTP/1.1","reused_connection":true,"sent":{{"method":"{method}","url":"https://api.linkedin.com{url}","headers":[["host","api.linkedin.com"],["authorization","Bearer [redacted:{:016x}]"],["linkedin-version","202611"],["x-restli-protocol-version","2.0.0"],["accept","application/json"],["accept-encoding","gzip, deflate, br"],["content-type","application/json"],["user-agent","linkedin-api-client/0.3.0 node/22.4 ({caller})"],["x-request-id","req-{trace:016x}"]],"bytes":{}}},"status":{status},"error":null,"error_detail":null,"headers":[["Cache-Control","no-cache, no-store"],["Pragma","no-cache"],["Content-Type","application/json"],["Expires","Thu, 01 Jan 1970 00:00:00 GMT"],["Set-Cookie","lidc=[redacted:{:016x}]; Expires=Wed, 25 Nov 2026 00:00:00 GMT; Path=/; Domain=.linkedin.com; SameSite=None; Secure"],["X-LI-Responseorigin","RGW"],["X-RestLi-Protocol-Version","2.0.0"],["X-Li-Fabric","prod-l{}1"],["X-Li-Pop","afd-prod-l{}1-x"],["X-Li-Proto","http/1.1"],["X-LI-UUID","{uuid}"],["x-li-request-id","{:016X}"],["X-Cache","CONFIG_NOCACHE"],["X-MSEdge-Ref","Ref A: {:016X}{:016X} Ref B: FRA31EDGE0{} Ref C: {}"],["Date","Wed, 25 Nov 2026 00:00:00 GMT"],["Content-Length","{}"]],"body":{},"timings":{{"connected_ms":{}.118,"first_byte_ms":{}.402,"ended_ms":{}.711}},"then":{}}}"#,
            attempt * 130,
            bits % 1_000,
            mixed(bits % 9_000),
            bits % 5_000_000,
            mixed(bits % 9_000),
            700 + bits % 300,
            mixed(n ^ 6),
            if bits % 2 == 0 { "va" } else { "tx" },
            if bits % 3 == 0 { "va" } else { "tx" },
            mixed(n ^ attempt ^ 0x99),
            mixed(n ^ 7),
            mixed(n ^ 8),
            bits % 9,
            time(*at),
            120 + bits % 80,
            self.body(),
            bits % 9,
            80 + bits % 300,
            90 + bits % 300,
            match attempt < tries {
                true => r#""sent again, because it was a read and LinkedIn answered 5xx""#,
                false => "null",
            }
        )
    }
}

/// Headers that apps add of their own, to make a line as long as lines are: words from a small vocabulary.
fn filler(n: u64) -> String {
    let mut text = String::with_capacity(1_800);
    for word in 0..220 {
        let bits = mixed(n.wrapping_mul(331).wrapping_add(word));
        write!(text, "w{} ", bits % (1 + (bits >> 32) % 4_000)).unwrap_or_default();
    }
    text
}

/// Writes `count` incidents into segments below `folder`.
pub(crate) fn log(folder: &Path, count: u64) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let mut open: Option<(String, u32, u64, BufWriter<File>)> = None;
    let mut bytes = 0;
    for n in 0..count {
        let line = line(n, count);
        let day = time(micros(n, count))
            .get(..10)
            .unwrap_or_default()
            .to_owned();
        let part = match &open {
            Some((of, part, length, _)) if *of == day && *length < SEGMENT_BYTES => Some(*part),
            Some((of, part, ..)) if *of == day => {
                let part = part + 1;
                open = None;
                Some(part)
            }
            _ => {
                open = None;
                Some(0)
            }
        };
        if open.is_none() {
            let part = part.unwrap_or(0);
            let name = match part {
                0 => format!("incidents-{day}.ndjson"),
                part => format!("incidents-{day}.{part}.ndjson"),
            };
            let file = BufWriter::with_capacity(1 << 20, File::create(folder.join(name))?);
            open = Some((day, part, 0, file));
        }
        if let Some((_, _, length, file)) = &mut open {
            file.write_all(line.as_bytes())?;
            file.write_all(b"\n")?;
            *length += line.len() as u64 + 1;
        }
        bytes += line.len() as u64 + 1;
    }
    println!(
        "generated {count} incidents, {} MiB, {} bytes a line",
        bytes >> 20,
        bytes / count.max(1)
    );
    Ok(())
}

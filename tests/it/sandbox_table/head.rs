//! linkedin.md §5.1 and §6.2: the headers of an answer, the sizes of a request.

use super::row::row;
use super::{World, client};

#[test]
#[expect(clippy::too_many_lines, reason = "a table is read row by row")]
fn section_5_1_response_headers() {
    let world = World::new();
    let ada = world.token_of("ada");
    let post = |why, text: &str| {
        let body = format!(r#"{{"author":"urn:li:person:a","commentary":"{text}"}}"#);
        row(why, "POST", "/rest/posts")
            .bearer(&ada)
            .with("LinkedIn-Version", "202609")
            .body(body)
            .gives(201)
    };
    let rows = vec![
        post("empty body", "1")
            .empty()
            .header("Content-Length", "0"),
        post("location", "2").header_begins("Location", "/posts/urn%3Ali%3Ashare%3A7"),
        post("protocol", "3").header("x-restli-protocol-version", "1.0.0"),
        post("id", "4")
            .header_begins("x-linkedin-id", "urn:li:share:7")
            .no_header("x-restli-id"),
        post("origin", "5").header("x-li-responseorigin", "RGW"),
        post("fabric", "6").header("X-Li-Fabric", "prod-ltx1"),
        post("source fabric", "7").header("X-Li-Source-Fabric", "prod-lva1"),
        post("pop", "8").header("X-Li-Pop", "prod-lva1-x"),
        post("proto", "9").header("X-LI-Proto", "http/1.1"),
        post("uuid", "10").check(|answer| {
            let uuid = answer.header("X-LI-UUID").unwrap();
            assert_eq!(uuid.len(), 24);
            let bytes = data_encoding::BASE64.decode(uuid.as_bytes()).unwrap();
            let micros = u64::from_be_bytes(bytes[..8].try_into().unwrap());
            let date = httpdate::parse_http_date(answer.header("Date").unwrap()).unwrap();
            let date_secs = date
                .duration_since(std::time::UNIX_EPOCH)
                .unwrap()
                .as_secs();
            assert_eq!(micros / 1_000_000, date_secs, "{uuid}");
        }),
        post("route key is the lidc cookie", "11").check(|answer| {
            let key = answer.header("X-LI-Route-Key").unwrap();
            assert!(
                cookies(answer)
                    .iter()
                    .any(|cookie| cookie.starts_with(&format!("lidc={key};")))
            );
        }),
        post("cookies", "12").check(|answer| {
            let names: Vec<&str> = cookies(answer)
                .iter()
                .map(|cookie| cookie.split('=').next().unwrap())
                .collect();
            assert_eq!(names, ["bcookie", "li_gc", "lidc"]);
        }),
        post("date and connection", "13")
            .header("Connection", "close")
            .check(|answer| {
                assert!(answer.header("Date").unwrap().ends_with(" GMT"));
            }),
        post("the case and order of linkedin.md", "14").check(|answer| {
            let names: Vec<&str> = answer
                .headers
                .iter()
                .map(|(name, _)| name.as_str())
                .collect();
            assert_eq!(
                names[..10],
                [
                    "Location",
                    "x-restli-protocol-version",
                    "x-linkedin-id",
                    "x-li-responseorigin",
                    "X-Li-Fabric",
                    "X-Li-Source-Fabric",
                    "X-Li-Pop",
                    "X-LI-Proto",
                    "X-LI-UUID",
                    "X-LI-Route-Key",
                ]
            );
        }),
        post("protocol 2.0.0", "15")
            .with("X-Restli-Protocol-Version", "2.0.0")
            .header("x-restli-protocol-version", "2.0.0")
            .header_begins("x-restli-id", "urn:li:share:7")
            .no_header("x-linkedin-id"),
        row("a ugc post also has a body", "POST", "/v2/ugcPosts")
            .bearer(&ada)
            .body(r#"{"author":"urn:li:person:a","commentary":"16"}"#)
            .gives(201)
            .contains("{\"id\":\"urn:li:share:"),
    ];
    world.all_hold(rows, 15);
}

fn cookies(answer: &client::Answer) -> Vec<&str> {
    let set = answer
        .headers
        .iter()
        .filter(|(name, _)| name == "Set-Cookie");
    set.map(|(_, value)| value.as_str()).collect()
}

#[test]
fn section_6_2_sizes() {
    let world = World::new();
    let ada = world.token_of("ada");
    let get = |why, target: String| row(why, "GET", target).rest(&ada);
    let query = |length: usize| format!("/rest/adAccounts?q=search&a={}", "a".repeat(length - 11));
    let long = "s".repeat(3_000);
    let padding = |head: usize| "p".repeat(head);
    let rows = vec![
        get("query of 4 KB", query(4_096)).gives(200),
        get("query over 4 KB", query(4_097)).gives(414),
        get(
            "segment over 4 KB",
            format!("/rest/adAccounts/{}", "s".repeat(4_097)),
        )
        .gives(414),
        get(
            "segment of 4 KB",
            format!("/rest/adAccounts/{}", "s".repeat(4_096)),
        )
        .gives(404),
        get("URL over 8 KB", format!("/rest/{long}/{long}/{long}")).gives(414),
        get("URL below 8 KB", format!("/rest/{long}/{long}")).gives(404),
        get("head over 28 KB", query(20))
            .with("X-Padding", padding(28 * 1_024))
            .gives(414),
        get("head below 28 KB", query(20))
            .with("X-Padding", padding(26 * 1_024))
            .gives(200),
    ];
    world.all_hold(rows, 8);
}

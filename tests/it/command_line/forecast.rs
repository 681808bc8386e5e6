//! `members forecast`, and what `members list` says of the future.

use linkgate::sandbox::{Fault, Kind};
use serde_json::Value;

use super::{
    run,
    served::{Served, World},
};

#[test]
fn the_forecast_lists_who_drops_out_when_in_three_forms() {
    let world = World::new();
    let mut soon = world.linkedin.sign_in("soon");
    soon.refresh_token = None;
    soon.expires_in = 3 * 86_400 + 3600;
    let unknown = r#"{"access_token":"AQXunknown"}"#;
    // Asked, LinkedIn would know of an expiry, or of no such token.
    let silent = Fault::on("POST /oauth/v2/introspectToken", Kind::status(503));
    world.linkedin.fault(silent.always());
    for (name, answer) in [
        ("later", world.linkedin.sign_in("later").json()),
        ("soon", soon.json()),
        ("unknown", unknown.to_owned()),
    ] {
        let imported = run(world.folder(), &["members", "import", name], &answer);
        assert_eq!(imported.0, Some(0), "{imported:?}");
    }
    let served = Served::start(&world);
    let asked = |more: &[&str]| {
        let arguments = [&["members", "forecast"], more].concat();
        let (code, out, told) = run(world.folder(), &arguments, "");
        assert_eq!(code, Some(0), "{told}");
        out
    };

    let all: Value = serde_json::from_str(&asked(&["--json"])).unwrap();
    let within: Value = serde_json::from_str(&asked(&["--json", "--within", "30d"])).unwrap();
    let csv = asked(&["--csv"]);
    let table = asked(&[]);

    let facts = |list: &Value| {
        let members = list.as_array().unwrap().iter();
        let fact = |member: &Value, field: &str| member[field].as_str().unwrap().to_owned();
        let facts = members.map(|m| [fact(m, "name"), fact(m, "window"), fact(m, "because")]);
        facts.collect::<Vec<_>>()
    };
    let expected = [
        ["soon", "7d", "no_refresh_token"],
        ["later", "later", "refresh_token_ends"],
        ["unknown", "unknown", "no_refresh_token"],
    ];
    assert_eq!(facts(&all), expected);
    assert_eq!(all[0]["days_left"], 3);
    assert_eq!(all[2]["ends_at"], Value::Null);
    let expected = [expected[0], expected[2]];
    assert_eq!(facts(&within), expected, "the unknown may, too");
    let lines: Vec<&str> = csv.split("\r\n").collect();
    assert!(lines[0].starts_with("name,application,window,days_left,ends_at,because"));
    assert!(lines[1].starts_with("soon,default,7d,3,"), "{csv}");
    assert_eq!(lines.len(), 5, "{csv}");
    assert!(
        table.contains("DAYS LEFT") && table.contains("soon"),
        "{table}"
    );
    counted(&served);
    assert_eq!(served.terminate(), Some(0));
}

/// The same, in numbers.
fn counted(served: &Served) {
    let metrics = served.admin("/metrics").body;
    for line in [
        "linkgate_grants_ending{window=\"7d\"} 1",
        "linkgate_grants_ending{window=\"later\"} 1",
        "linkgate_grants_ending{window=\"unknown\"} 1",
        "linkgate_grants_ending{window=\"overdue\"} 0",
        "linkgate_renewals_waiting 0",
        "linkgate_renewals_behind_seconds 0",
        "linkgate_applications_cooling 0",
    ] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
}

#[test]
fn the_list_says_what_is_left_and_how_the_last_renewal_went() {
    let world = World::new();
    let answer = world.linkedin.sign_in("ada").json();
    run(world.folder(), &["members", "import", "ada"], &answer);
    let served = Served::start(&world);
    let listed = || {
        let (_, out, _) = run(world.folder(), &["members", "list", "--json"], "");
        let list: Value = serde_json::from_str(&out).unwrap();
        list[0].clone()
    };
    let before = listed();
    assert_eq!(before["last_outcome"], Value::Null);
    assert_eq!(before["renewable"], true);
    assert!((363..=365).contains(&before["refresh_days_left"].as_i64().unwrap()));

    run(world.folder(), &["members", "renew", "ada"], "");
    let renewed = listed();
    world
        .linkedin
        .fault(Fault::on("token", Kind::status(503)).times(1));
    let failed = run(world.folder(), &["members", "renew", "ada"], "");
    assert_eq!(failed.0, Some(1), "{failed:?}");
    let failed = listed();
    world.linkedin.kill_refresh_token("ada");
    run(world.folder(), &["members", "renew", "ada"], "");
    let refused = listed();

    assert_eq!(renewed["last_outcome"], "renewed");
    assert_eq!(renewed["last_attempt"], renewed["last_renewal"]);
    assert_eq!(failed["last_outcome"], "failed");
    assert!(failed["last_failure"].as_str().unwrap().contains("503"));
    assert_eq!(refused["last_outcome"], "refused");
    assert_eq!(refused["renewable"], false);
    let (_, table, _) = run(world.folder(), &["members", "list"], "");
    for column in [
        "ACCESS DAYS LEFT",
        "REFRESH DAYS LEFT",
        "LAST USED",
        "LAST OUTCOME",
    ] {
        assert!(table.contains(column), "{table}");
    }
    assert_eq!(served.terminate(), Some(0));
}

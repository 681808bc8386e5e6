//! The table of bad values, and what the file, the environment and the defaults come to.

use super::{check::Values, *};

const SECRETS: [(&str, &str); 3] = [
    ("WEBHOOK_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
    ("LINKEDIN_CLIENT_ID", "77abc"),
    ("LINKEDIN_CLIENT_SECRET", "s3cr3t-value"),
];

fn load(text: &str, more: &[(&str, &str)]) -> Result<Config, Problems> {
    let environment = SECRETS.iter().chain(more).copied().collect();
    Config::from_text(text, Path::new("/etc/linkgate/config.yaml"), &environment)
}

fn effective(text: &str) -> String {
    load(text, &[]).unwrap().effective
}

#[test]
fn an_empty_file_is_the_defaults() {
    let config = load("", &[]).unwrap();

    assert_eq!(config.proxy.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(
        config.proxy.linkedin.api_url.to_string(),
        "https://api.linkedin.com"
    );
    assert_eq!(config.credentials.applications[0].client_id, "77abc");
    assert_eq!(
        config.places.control_socket,
        Path::new("/etc/linkgate/data/control.sock")
    );
    assert_eq!(
        config.places.store_url,
        "sqlite:/etc/linkgate/data/linkgate.db"
    );
    assert_eq!(config.remarks, Vec::<String>::new());
}

#[test]
fn the_members_door_is_open_where_it_has_an_address() {
    let text = "connect: {public_url: 'https://apps.example:8443/in', return_urls: ['https://app.example/']}";

    let open = load(text, &[]).unwrap().connect.unwrap();
    let shut = load("connect: {listen: '127.0.0.1:8081'}", &[]).unwrap();

    assert_eq!(open.title, "apps.example");
    assert_eq!(open.listener.hosts, ["apps.example"]);
    assert_eq!(open.link_time, Duration::from_secs(7 * 86_400));
    assert_eq!(open.return_urls.len(), 1);
    assert!(shut.connect.is_none());
}

#[test]
fn the_shipped_file_is_the_table_of_keys_and_means_the_defaults() {
    let shipped = include_str!("../../config.yaml");

    if shipped != effective::shipped() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/target/config.yaml");
        fs::write(path, effective::shipped()).unwrap();
        panic!("config.yaml is not what the table of keys says: that stands in {path}");
    }
    assert_eq!(effective(shipped), effective(""));
}

#[test]
fn every_default_is_a_value_its_key_takes() {
    let values = Values::check(&file::Node::empty());

    assert_eq!(values.problems, []);
}

#[test]
fn the_effective_text_loads_again_to_itself_and_shows_no_secret() {
    let text = "gateway: {hosts: [gw.example, 'a b'], instance: '007'}\nretry: {max_retries: 7}\n";

    let first = effective(text);

    assert_eq!(effective(&first), first);
    assert!(
        first.contains("max_retries: 7") && first.contains("[hidden]"),
        "{first}"
    );
    assert!(!first.contains("s3cr3t-value"), "{first}");
}

#[test]
fn webhooks_are_listed_without_their_secrets_and_load_again() {
    let text = "alerts:
  webhooks:
    - {name: chat, url_env: CHAT_URL, secret_env: WEBHOOK_SECRET}
    - name: crm
      url: https://crm.example/hooks?x=1
      secret_env: WEBHOOK_SECRET
      old_secret_env: WEBHOOK_SECRET
      events: [member.sign_in_needed, linkedin.failing]
      applications: [default]
";
    let more = [
        ("CHAT_URL", "https://chat.example/T0/secret-path"),
        ("LINKGATE__ALERTS__WEBHOOKS__0__EVENTS", "linkedin.failing"),
    ];

    let config = load(text, &more).unwrap();

    let [chat, crm] = &config.alerts.webhooks[..] else {
        panic!("{:?}", config.alerts.webhooks)
    };
    assert_eq!(chat.endpoint.to_string(), "https://chat.example");
    assert_eq!((chat.secrets.len(), crm.secrets.len()), (1, 2));
    assert_eq!(chat.events, [alerts::Event::LinkedInFailing]);
    assert_eq!((crm.events.len(), crm.applications.len()), (2, 1));
    let shown = config.effective;
    assert!(shown.contains("      # old_secret: [hidden]\n"), "{shown}");
    assert!(
        !shown.contains("whsec_") && !shown.contains("secret-path"),
        "{shown}"
    );
    assert_eq!(load(&shown, &more).unwrap().effective, shown);
}

/// Why, the file, and the problem: its key, its line (0: the file as a whole), its words.
#[rustfmt::skip]
const BAD_VALUES: &[(&str, &str, &str, u64, &str)] = &[
    ("below its range", "gateway:\n  max_connections: 0", "gateway.max_connections", 2, "out of range"),
    ("above its range", "incidents:\n  keep_bodies_hours: 48", "incidents.keep_bodies_hours", 2, "out of range"),
    ("negative", "retry: {max_retries: -1}", "retry.max_retries", 1, "wrong type"),
    ("fraction", "retry: {max_retries: 1.5}", "retry.max_retries", 1, "wrong type"),
    ("text for a number", "retry: {max_retries: many}", "retry.max_retries", 1, "wrong type"),
    ("number for text", "gateway: {instance: 7}", "gateway.instance", 1, "in quotes"),
    ("no address", "gateway:\n  listen: localhost", "gateway.listen", 2, "not that"),
    ("plain http", "linkedin: {api_url: 'http://api.linkedin.com'}", "linkedin.api_url", 1, "loopback"),
    ("unknown word", "log: {level: loud}", "log.level", 1, "not that"),
    ("no switch", "linkedin: {http2: 'on'}", "linkedin.http2", 1, "wrong type"),
    ("share of one", "renewal: {ahead_share: 1.0}", "renewal.ahead_share", 1, "out of range"),
    ("null where none is", "gateway: {listen: null}", "gateway.listen", 1, "no value"),
    ("list for a value", "gateway: {listen: [1]}", "gateway.listen", 1, "wrong type"),
    ("section for a value", "gateway: {listen: {a: 1}}", "gateway.listen", 1, "wrong type"),
    ("value for a section", "gateway: 5", "gateway", 1, "no section"),
    ("value for a list", "applications: default", "applications", 1, "no list"),
    ("empty list", "applications: []", "applications", 0, "no application"),
    ("twice", "gateway: {threads: 1, threads: 2}", "gateway.threads", 1, "second time"),
    ("unknown", "gateway:\n  lisen: 1", "gateway.lisen", 2, "no such key"),
    ("secret in the file", "applications:\n- client_secret: x", "applications.0.client_secret", 2, "no such key"),
    ("half of tls", "gateway: {tls: {key_file: /dev/null}}", "gateway.tls.cert_file", 1, "missing beside"),
    ("no such file", "linkedin: {ca_file: nowhere.pem}", "linkedin.ca_file", 1, "cannot be read"),
    ("lease too short", "renewal: {lease_ms: 15000}", "renewal.lease_ms", 1, "too small"),
    ("own listener", "linkedin: {api_url: 'http://localhost:8080'}", "linkedin.api_url", 1, "our own gateway.listen"),
    ("own admin", "linkedin: {oauth_url: 'http://127.0.0.1:8081/oauth/v2'}", "linkedin.oauth_url", 1, "our own admin.listen"),
    ("same port twice", "admin: {listen: '127.0.0.1:8080'}", "admin.listen", 1, "too"),
    ("public url in plain text", "connect: {public_url: 'http://apps.example'}", "connect.public_url", 1, "loopback"),
    ("return url in plain text", "connect: {public_url: 'https://a.example', return_urls: ['http://app.example/']}", "connect.return_urls", 1, "loopback"),
    ("return url without a path", "connect: {public_url: 'https://a.example', return_urls: ['https://app.example']}", "connect.return_urls", 1, "needs a path"),
    ("return url with a step up", "connect: {public_url: 'https://a.example', return_urls: ['https://app.example/a/../']}", "connect.return_urls", 1, "another way"),
    ("members sent where nobody signs in", "connect: {return_urls: ['https://app.example/']}", "connect.public_url", 1, "is null"),
    ("members on the operators' port", "connect: {public_url: 'https://a.example', listen: '127.0.0.1:8081'}", "connect.listen", 1, "too"),
    ("operators below a path", "admin: {public_url: 'https://ops.example/linkgate'}", "admin.public_url", 1, "do not work"),
    ("user in the proxy's url", "linkedin: {proxy_url: 'http://u:pw@p:1'}", "linkedin.proxy_url", 1, "not that"),
    ("no sqlite", "store: {url: 'postgres://u:pw@h/d'}", "store.url", 1, "not that"),
    ("socket path", "control: {socket: /a-folder-name-of-thirty-letters/a-folder-name-of-thirty-letters/a-folder-name-of-thirty-letters/control.sock}", "control.socket", 1, "too long"),
    ("name taken", "applications:\n- {client_id: a, client_secret_env: LINKEDIN_CLIENT_SECRET}\n- {client_id: b, client_secret_env: LINKEDIN_CLIENT_SECRET}", "applications.1.name", 0, "taken"),
    ("variable not set", "applications:\n- {client_id: a, client_secret_env: NOWHERE}", "applications.0.client_secret_env", 2, "not set"),
    ("two forms", "applications:\n- {client_id: a, client_id_env: LINKEDIN_CLIENT_ID, client_secret_env: LINKEDIN_CLIENT_SECRET}", "applications.0.client_id_env", 2, "beside"),
    ("scopes in one text", "applications:\n- {client_id: a, client_secret_env: LINKEDIN_CLIENT_SECRET, scopes: ['openid profile']}", "applications.0.scopes", 2, "is no scope"),
    ("scope twice", "applications:\n- {client_id: a, client_secret_env: LINKEDIN_CLIENT_SECRET, scopes: [openid, openid]}", "applications.0.scopes", 2, "twice"),
    ("native, elsewhere", "connect: {public_url: 'https://gw.example'}\napplications:\n- {client_id: a, client_secret_env: LINKEDIN_CLIENT_SECRET, native_pkce: true}", "applications.0.native_pkce", 3, "no loopback"),
    ("portraits from ourselves", "linkedin: {media_url: 'http://127.0.0.1:8081'}", "linkedin.media_url", 1, "our own admin.listen"),
    ("no secret", "applications:\n- {client_id: a}", "applications.0.client_secret", 2, "not given"),
    ("webhook without a name", "alerts: {webhooks: [{url: 'https://h.example', secret_env: WEBHOOK_SECRET}]}", "alerts.webhooks.0.name", 1, "not given"),
    ("webhook without a url", "alerts: {webhooks: [{name: a, secret_env: WEBHOOK_SECRET}]}", "alerts.webhooks.0.url", 1, "not given"),
    ("webhook without a secret", "alerts: {webhooks: [{name: a, url: 'https://h.example'}]}", "alerts.webhooks.0.secret", 1, "not given"),
    ("webhook's secret in the file", "alerts: {webhooks: [{name: a, url: 'https://h.example', secret: whsec_pw}]}", "alerts.webhooks.0.secret", 1, "no such key"),
    ("no signing secret", "alerts: {webhooks: [{name: a, url: 'https://h.example', secret_env: LINKEDIN_CLIENT_SECRET}]}", "alerts.webhooks.0.secret_env", 1, "does not begin with whsec_"),
    ("plain webhook", "alerts: {webhooks: [{name: a, url: 'http://h.example/pw', secret_env: WEBHOOK_SECRET}]}", "alerts.webhooks.0.url", 1, "loopback"),
    ("unknown event", "alerts: {webhooks: [{name: a, events: [member.born]}]}", "alerts.webhooks.0.events", 1, "none of them"),
    ("unknown application of a webhook", "alerts: {webhooks: [{name: a, url: 'https://h.example', secret_env: WEBHOOK_SECRET, applications: [ads]}]}", "alerts.webhooks.0.applications", 1, "no application"),
    ("webhook's name taken", "alerts: {webhooks: [{name: a, url: 'https://h.example', secret_env: WEBHOOK_SECRET}, {name: a, url: 'https://h.example', secret_env: WEBHOOK_SECRET}]}", "alerts.webhooks.1.name", 1, "earlier webhook"),
    ("first wait above the longest", "alerts: {retry_delay_secs: 60, max_retry_delay_secs: 10}", "alerts.max_retry_delay_secs", 1, "too small"),
    ("no yaml", "gateway: [", "", 1, "not YAML"),
    ("no section at all", "just words", "", 1, "no section"),
];

#[test]
fn each_bad_value_is_a_problem_with_its_key_and_line() {
    for (why, text, key, line, says) in BAD_VALUES.iter().copied() {
        let problems = load(text, &[]).expect_err(why);

        let found = problems.list.iter().any(|problem| {
            let at = if line == 0 {
                Place::Default
            } else {
                Place::Line(line)
            };
            problem.key == key && problem.wrong.contains(says) && problem.place == at
        });
        assert!(found, "{why}: {problems}");
        let shown = problems.to_string();
        assert!(
            !shown.contains("pw") && !shown.contains("s3cr3t-value"),
            "{why}: {shown}"
        );
    }
}

#[test]
fn unknown_keys_are_answered_with_the_nearest_known_one() {
    for (text, hint) in [
        ("gateway: {lisen: x}", "did you mean gateway.listen?"),
        ("gatway: {listen: x}", "did you mean gateway?"),
        (
            "gateway: {max_retries: 1}",
            "did you mean retry.max_retries?",
        ),
        (
            "applications: [{client_id: a, client_secret_fil: b}]",
            "did you mean applications.*.client_secret_file?",
        ),
        ("zzzz: 1", "known here: admin, "),
    ] {
        let problems = load(text, &[]).unwrap_err();

        assert!(
            problems.list.iter().any(|p| p.hint.contains(hint)),
            "{text}: {problems}"
        );
    }
}

#[test]
fn the_environment_overrides_the_file() {
    let config = load(
        "gateway: {listen: '127.0.0.1:1'}",
        &[
            ("LINKGATE__GATEWAY__LISTEN", "127.0.0.1:9"),
            ("LINKGATE__GATEWAY__HOSTS__0", "gw.example"),
            ("LINKGATE__GATEWAY__HOSTS__1", "gw2.example"),
            ("LINKGATE__RETRY__MAX_RETRIES", "1"),
            ("LINKGATE__LINKEDIN__HTTP2", "false"),
            ("LINKGATE__GATEWAY__MAX_BODY_BYTES", "7"),
            ("LINKGATE__APPLICATIONS__0__CLIENT_ID", "from-env"),
            ("LINKGATE__APPLICATIONS__1__NAME", "second"),
            ("LINKGATE__APPLICATIONS__1__CLIENT_ID", "id2"),
            (
                "LINKGATE__APPLICATIONS__1__CLIENT_SECRET_ENV",
                "LINKEDIN_CLIENT_SECRET",
            ),
        ],
    )
    .unwrap();

    assert_eq!(config.proxy.listen.to_string(), "127.0.0.1:9");
    assert_eq!(config.proxy.hosts, ["gw.example", "gw2.example"]);
    assert_eq!(config.proxy.retry.max_retries, 1);
    assert_eq!(
        (config.proxy.linkedin.http2, config.proxy.max_body_bytes),
        (false, Some(7))
    );
    let ids: Vec<&str> = config
        .credentials
        .applications
        .iter()
        .map(|a| a.client_id.as_str())
        .collect();
    assert_eq!(ids, ["from-env", "id2"]);
}

#[test]
fn a_bad_variable_is_named_in_the_problem() {
    for (name, value, says) in [
        ("LINKGATE__GATEWAY__LISTEN", "nowhere", "not that"),
        ("LINKGATE__GATEWAY__LISEN", "127.0.0.1:1", "no such key"),
        ("LINKGATE__GATEWAY__HOSTS__3", "a", "does not fit"),
        ("LINKGATE__RETRY__MAX_RETRIES", "11", "out of range"),
    ] {
        let problems = load("", &[(name, value)]).unwrap_err();

        let problem = &problems.list[0];
        assert_eq!(problem.place, Place::Variable(name.into()), "{problems}");
        assert!(problem.wrong.contains(says), "{problems}");
    }
}

#[test]
fn places_are_known_without_the_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.yaml");
    fs::write(&path, "").unwrap();

    let places = Places::load(&path, &Environment::default()).unwrap();

    assert_eq!(places.lock_file, folder.path().join("data/linkgate.lock"));
}

#[test]
fn hostile_text_never_panics() {
    let deep = "[".repeat(5000);
    let aliases = "a: &a [x,x]\nb: &b [*a,*a]\nc: [*b,*b]";
    for text in [
        "\u{0}",
        "- - -",
        "? {a: b}\n: c",
        "<<: {a: 1}",
        "!!binary x",
        "---\na: 1\n---\nb: 2",
        "1: 2",
        &deep,
        aliases,
    ] {
        assert!(load(text, &[]).is_err(), "{text:.40}");
    }
}

//! Every way in which a sign-in ends without a grant: what the page says, and that nothing was kept.

use super::*;
use crate::support::visitor::form;

/// What the door was asked to do, and the word on the page that came of it.
type Row = (&'static str, &'static str, &'static str);

#[tokio::test(flavor = "multi_thread")]
async fn a_member_who_says_no_is_told_so_and_may_try_again() {
    let linkedin = Sandbox::start();
    let gateway = before(&linkedin).start().await;
    let rows: [Row; 2] = [
        (
            "cancel_login",
            "user_cancelled_login",
            "You did not sign in to LinkedIn",
        ),
        (
            "cancel_authorize",
            "user_cancelled_authorize",
            "You did not allow access",
        ),
    ];
    for (decision, code, says) in rows {
        let awaited = gateway.door().awaited_link(&member("ada")).unwrap();
        let mut ada = Visitor::default();
        let consent = ada.go_to_linkedin(&awaited.url).await;
        let callback = ada.decide(&consent, "ada", decision).await;

        let page = ada.come_back(&callback).await;

        let text = page.text();
        assert!(
            text.contains(says) && text.contains(code),
            "{decision}: {text}"
        );
        assert_eq!(state(&gateway, "ada"), None, "{decision}");
        let told = gateway.door().progress(&awaited.id);
        assert!(
            matches!(&told, Some(Progress::Refused { code: told, .. }) if told == code),
            "{told:?}"
        );
        let again = form(&page, &awaited.url);
        assert_eq!(again.action, awaited.url, "the same link again");
    }
    // Changing one's mind is enough.
    let page = Visitor::default()
        .sign_in(&link(&gateway, "ada"), "ada")
        .await
        .text();
    assert!(page.contains("Signed in as Ada Lovelace"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scope_that_linkedin_does_not_give_is_the_applications_fault() {
    let mut options = linkgate::sandbox::Options::default();
    options.applications[0]
        .scopes
        .retain(|scope| scope != "r_ads");
    let linkedin = Sandbox::start_with(options).unwrap();
    let rows: [Row; 2] = [
        (
            "r_ads",
            "unauthorized_scope_error",
            "not authorized for your application",
        ),
        (
            "offline_access",
            "invalid_scope_error",
            "Unknown scope &quot;offline_access&quot;",
        ),
    ];
    for (scope, code, words) in rows {
        let gateway = before(&linkedin)
            .renewing(|settings| settings.applications[0].scopes.push(scope.to_owned()))
            .start()
            .await;
        let mut ada = Visitor::default();
        let consent = ada.go_to_linkedin(&link(&gateway, "ada")).await;
        let callback = ada.decide(&consent, "ada", "allow").await;

        let page = ada.come_back(&callback).await.text();

        assert!(
            page.contains("LinkedIn does not let us ask for this"),
            "{scope}: {page}"
        );
        assert!(
            page.contains(code) && page.contains(words),
            "{scope}: {page}"
        );
        assert!(!page.contains("Try again"), "{scope}: {page}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_is_good_once_for_ten_minutes_and_in_its_own_browser() {
    let linkedin = Sandbox::start();
    let gateway = before(&linkedin).start().await;
    let mut ada = Visitor::default();
    let consent = ada.go_to_linkedin(&link(&gateway, "ada")).await;
    let callback = ada.decide(&consent, "ada", "allow").await;

    let mut other = Visitor::default();
    let elsewhere = other.come_back(&callback).await.text();
    // One that began a sign-in of its own is no better.
    other.go_to_linkedin(&link(&gateway, "ada")).await;
    let lured = other.come_back(&callback).await.text();
    let first = ada.come_back(&callback).await.text();
    let second = ada.come_back(&callback).await.text();

    for page in [elsewhere, lured] {
        assert!(page.contains("You began in another browser"), "{page}");
        assert!(!page.contains("ada"), "nobody is named: {page}");
    }
    assert!(
        first.contains("Signed in as"),
        "a stranger spent nothing: {first}"
    );
    assert!(second.contains("This step was already done"), "{second}");
    assert_eq!(linkedin.counts().token_calls, 1);

    let consent = ada.go_to_linkedin(&link(&gateway, "grace")).await;
    let callback = ada.decide(&consent, "grace", "allow").await;
    gateway.clock.advance(Duration::from_secs(601));
    let late = ada.come_back(&callback).await.text();
    assert!(late.contains("That took too long"), "{late}");
    assert_eq!(state(&gateway, "grace"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_made_here_is_not_known_here() {
    let linkedin = Sandbox::start();
    let gateway = before(&linkedin).start().await;
    let mut ada = Visitor::default();
    let consent = ada.go_to_linkedin(&link(&gateway, "ada")).await;
    let callback = ada.decide(&consent, "ada", "allow").await;
    let place = callback.split('?').next().unwrap();
    let state = callback.split("state=").nth(1).unwrap();
    let other = if state[40..].starts_with('A') {
        "B"
    } else {
        "A"
    };
    let bent = format!("{}{other}{}", &state[..40], &state[41..]);
    for (why, query) in [
        ("nothing at all", String::new()),
        ("no state", "?code=abc".to_owned()),
        ("an empty state", "?code=abc&state=".to_owned()),
        ("somebody else's state", "?code=abc&state=xyz".to_owned()),
        ("a bent state", format!("?code=abc&state={bent}")),
        (
            "two states",
            format!("?code=abc&state={state}&state={state}"),
        ),
        ("no text", "?code=%ff&state=%ff".to_owned()),
    ] {
        let page = ada.come_back(&format!("{place}{query}")).await.text();

        assert!(
            page.contains("We do not know this sign-in"),
            "{why}: {page}"
        );
    }
    let nothing = ada
        .come_back(&format!("{place}?state={state}"))
        .await
        .text();
    assert!(
        nothing.contains("LinkedIn refused"),
        "neither code nor reason: {nothing}"
    );
    assert_eq!(linkedin.counts().token_calls, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_that_linkedin_does_not_take_is_told_from_a_linkedin_that_is_down() {
    let linkedin = Sandbox::start();
    let gateway = before(&linkedin).start().await;
    let mut ada = Visitor::default();
    let first = ada.go_to_linkedin(&link(&gateway, "ada")).await;
    let first = ada.decide(&first, "ada", "allow").await;
    let code = first
        .split("code=")
        .nth(1)
        .unwrap()
        .split('&')
        .next()
        .unwrap();
    ada.come_back(&first).await;

    let second = ada.go_to_linkedin(&link(&gateway, "grace")).await;
    let second = ada.decide(&second, "grace", "allow").await;
    let state = second.split("state=").nth(1).unwrap();
    let place = second.split('?').next().unwrap();
    let reused = ada
        .come_back(&format!("{place}?code={code}&state={state}"))
        .await
        .text();
    let third = ada.go_to_linkedin(&link(&gateway, "grace")).await;
    let third = ada.decide(&third, "grace", "allow").await;
    linkedin.fault(Fault::on("token", Kind::status(503)));
    let down = ada.come_back(&third).await.text();

    assert!(
        reused.contains("LinkedIn did not take the sign-in"),
        "{reused}"
    );
    assert!(down.contains("LinkedIn did not answer"), "{down}");
    assert_eq!(super::state(&gateway, "grace"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_with_invented_codes_is_soon_not_listened_to() {
    let linkedin = Sandbox::start();
    let gateway = before(&linkedin).start().await;
    let mut eve = Visitor::default();
    let link = link(&gateway, "eve");
    let before = linkedin.counts().token_calls;

    let mut last = String::new();
    for n in 0..7 {
        let consent = eve.go_to_linkedin(&link).await;
        let back = eve.decide(&consent, "eve", "allow").await;
        let state = back.split("state=").nth(1).unwrap();
        let place = back.split('?').next().unwrap();
        let invented = format!("{place}?code=invented-{n}&state={state}");
        last = eve.come_back(&invented).await.text();
    }

    assert_eq!(linkedin.counts().token_calls - before, 5);
    assert!(last.contains("Too many people are signing in"), "{last}");
    let other = super::link(&gateway, "ada");
    let page = Visitor::default().sign_in(&other, "ada").await.text();
    assert!(page.contains("Signed in as Ada Lovelace"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_client_secret_is_nobodys_fault_but_the_applications() {
    let linkedin = Sandbox::start();
    let gateway = before(&linkedin)
        .renewing(|settings| settings.applications[0].client_secret = "wrong".into())
        .start()
        .await;

    let page = Visitor::default()
        .sign_in(&link(&gateway, "ada"), "ada")
        .await
        .text();

    assert!(
        page.contains("This application is not set up correctly"),
        "{page}"
    );
    assert_eq!(state(&gateway, "ada"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_keeps_its_linkedin_member_and_a_member_one_name() {
    let linkedin = Sandbox::start();
    let gateway = before(&linkedin).start().await;
    let mut browser = Visitor::default();
    browser.sign_in(&link(&gateway, "ada"), "ada").await;

    let another = browser
        .sign_in(&link(&gateway, "ada"), "grace")
        .await
        .text();
    let named = browser
        .sign_in(&link(&gateway, "lady-lovelace"), "ada")
        .await
        .text();

    assert!(
        another.contains("That is another LinkedIn account"),
        "{another}"
    );
    assert!(
        !another.contains("Lovelace") && !another.contains("Hopper"),
        "{another}"
    );
    assert!(named.contains("connected already"), "{named}");
    assert!(
        !named.contains(">ada<"),
        "the other name is not told: {named}"
    );
    assert_eq!(state(&gateway, "lady-lovelace"), None);
    let call = gateway.get("/v2/userinfo", "ada").await;
    assert_eq!(
        call.json()["sub"],
        linkedin.sub("ada"),
        "the grant is as it was"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_sent_to_linkedin_without_the_form_that_was_shown() {
    let linkedin = Sandbox::start();
    let gateway = before(&linkedin).start().await;
    let (ada, grace) = (link(&gateway, "ada"), link(&gateway, "grace"));
    let mut browser = Visitor::default();
    let shown = form(&browser.get(&ada).await, &ada);
    let other = form(&browser.get(&grace).await, &grace);
    let mut stranger = Visitor::default();
    stranger.get(&ada).await;
    let mut without = Visitor::default();
    without.get(&ada).await;
    without.forget_cookies();
    let mut again = browser.other_window();
    for (why, visitor, fields) in [
        ("no fields", &mut again, vec![]),
        (
            "another link's form",
            &mut browser.other_window(),
            other.fields,
        ),
        (
            "another browser's form",
            &mut stranger,
            shown.fields.clone(),
        ),
        ("no cookie", &mut without, shown.fields.clone()),
    ] {
        let reply = visitor.post(&ada, &fields).await;

        assert_eq!(reply.status, 403, "{why}: {}", reply.text());
        assert!(reply.text().contains("Please start again"), "{why}");
    }
    let good = browser.post(&ada, &shown.fields).await;
    assert_eq!(good.status, 303, "{}", good.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_is_over_or_bent_opens_nothing() {
    let linkedin = Sandbox::start();
    let gateway = before(&linkedin).start().await;
    let link = link(&gateway, "ada");
    let mut ada = Visitor::default();
    let shown = form(&ada.get(&link).await, &link);
    let bent = link.replacen("/start/", "/start/A", 1);

    let refused = ada.get(&bent).await;
    gateway.clock.advance(Duration::from_secs(7 * 86_400));
    let over = ada.get(&link).await;
    let posted = ada.post(&link, &shown.fields).await;

    assert_eq!(refused.status, 404);
    assert!(refused.text().contains("This link does not work"));
    for reply in [over, posted] {
        assert_eq!(reply.status, 410);
        assert!(reply.text().contains("This link has ended"));
    }
    assert_eq!(linkedin.counts().token_calls, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_but_the_door_is_there_and_only_under_its_own_names() {
    let linkedin = Sandbox::start();
    let gateway = before(&linkedin).start().await;
    let address = gateway.door_address();
    let mut visitor = Visitor::default();
    for (path, status) in [
        ("/", 404),
        ("/metrics", 404),
        ("/livez", 404),
        ("/api/members", 404),
        ("/connect", 404),
        ("/connect/start/", 404),
        ("/connect/done/AAAA", 404),
        ("/connect/ended/whatever", 404),
        ("/connect/ended/state_used", 200),
        ("/connect/style.css", 200),
        ("/connect/icon.svg", 200),
    ] {
        let reply = visitor.get(&format!("http://{address}{path}")).await;
        assert_eq!(reply.status, status, "{path}");
    }
    let foreign = "GET /connect/style.css HTTP/1.1\r\nHost: evil.example\r\n\r\n";
    let mut connection = crate::support::Connection::to(address).await;
    assert_eq!(connection.ask(foreign).await.status, 421);
}

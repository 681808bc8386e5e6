//! Lists by the page, with many members.

use super::*;

/// More than any page shows.
const MANY: usize = 20_000;

/// Ada's grant under `MANY` further names, in memory alone.
async fn many() -> World {
    let world = World::start().await;
    world.import(&ada(), RENEWABLE).await;
    let cache = &world.credentials.0.cache;
    let grant = cache.grant(&ada()).unwrap();
    for n in 0..MANY {
        cache.publish(&member(&format!("m{n:05}")), (*grant).clone());
    }
    world
}

#[tokio::test]
async fn page_by_page_every_member_is_listed_once_and_in_order() {
    let world = many().await;
    let (mut listed, mut after) = (Vec::new(), None);
    loop {
        let page = world
            .credentials
            .page(&Wanted::default(), after.as_ref(), 1_000);
        assert!(page.grants.len() <= 1_000);
        listed.extend(page.grants.into_iter().map(|(member, _)| member));
        after = listed.last().cloned();
        if !page.has_more {
            break;
        }
    }
    let mut expected: Vec<Member> = (0..MANY).map(|n| member(&format!("m{n:05}"))).collect();
    expected.insert(0, ada());
    assert!(listed == expected, "{} of {}", listed.len(), expected.len());
}

#[tokio::test]
async fn only_those_who_are_wanted_are_listed() {
    let world = many().await;
    let named = |text: &str| Wanted {
        text: Some(text.to_owned()),
        ..Wanted::default()
    };
    let count = |wanted: &Wanted| {
        let page = world.credentials.page(wanted, None, 15);
        (page.grants.len(), page.has_more)
    };
    for (why, wanted, expected) in [
        ("one", named("ADA"), (1, false)),
        ("ten", named("m1234"), (10, false)),
        ("more than a page", named("m1"), (15, true)),
        ("nobody", named("nobody"), (0, false)),
        (
            "a state nobody is in",
            Wanted {
                state: Some(GrantState::SignInNeeded),
                ..Wanted::default()
            },
            (0, false),
        ),
        (
            "another application",
            Wanted {
                application: Some("ads".parse().unwrap()),
                ..Wanted::default()
            },
            (0, false),
        ),
    ] {
        assert_eq!(count(&wanted), expected, "{why}");
    }
    let exact = world.credentials.page(&named("m1234"), None, 10);
    assert!(!exact.has_more, "a full page is not the sign of another");
}

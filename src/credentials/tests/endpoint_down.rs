//! The token endpoint down or throttling: what it costs, and how it ends.

use super::*;

fn members(count: usize) -> Vec<Member> {
    (0..count).map(|n| member(&format!("m{n}"))).collect()
}

/// So many members with a token that is over.
async fn expired(count: usize) -> (World, Vec<Member>) {
    let world = World::start().await;
    let members = members(count);
    for each in &members {
        world.import(each, RENEWABLE).await;
    }
    world.pass(3600);
    (world, members)
}

async fn all_call(world: &World, members: &[Member]) -> (usize, Option<Refused>) {
    let calls = members.iter().map(|each| {
        let (credentials, each) = (world.credentials.clone(), each.clone());
        tokio::spawn(async move {
            match credentials.token(&each)? {
                Some(token) => Ok(token),
                None => credentials.renew(&each, None).await,
            }
        })
    });
    let (mut good, mut last) = (0, None);
    for call in calls.collect::<Vec<_>>() {
        match call.await.unwrap() {
            Ok(_) => good += 1,
            Err(refused) => last = Some(refused),
        }
    }
    (good, last)
}

#[tokio::test]
async fn an_endpoint_that_is_down_costs_a_few_posts_and_not_one_of_each_member() {
    let (world, members) = expired(50).await;
    world.linkedin.always(Play::Say(503, "", Vec::new()));

    for _ in 0..5 {
        let (good, last) = all_call(&world, &members).await;

        assert_eq!(good, 0);
        assert!(matches!(last, Some(Refused::TryLater { after, .. }) if !after.is_zero()));
    }

    let posts = world.linkedin.posts();
    assert!(
        posts <= 9,
        "{posts}: five in a row, and those under way beside them"
    );
    assert_eq!(world.credentials.0.cooling.applications(), 1);
}

#[tokio::test]
async fn one_probe_finds_out_for_all_that_the_endpoint_is_back() {
    let (world, members) = expired(50).await;
    world.linkedin.always(Play::Say(503, "", Vec::new()));
    all_call(&world, &members).await;
    let before = world.linkedin.posts();
    let cooling = &world.credentials.0.cooling;
    cooling.lift(&members[0]);
    let (_, told) = all_call(&world, &members).await;
    assert!(told.is_some());
    assert_eq!(
        world.linkedin.posts(),
        before + 1,
        "one probe for fifty members"
    );

    world.linkedin.always(Play::Token {
        life_secs: 3600,
        is_rotated: true,
    });
    cooling.lift(&members[0]);
    assert!(all_call(&world, &members).await.0 >= 1);
    let (good, _) = all_call(&world, &members).await;

    assert_eq!(good, 50, "the others are free as soon as one was renewed");
    assert_eq!(
        world.linkedin.posts(),
        before + 1 + 50,
        "each was renewed once"
    );
}

#[tokio::test]
async fn a_throttled_application_waits_as_a_whole_and_as_long_as_linkedin_says() {
    let (world, members) = expired(10).await;
    let elsewhere = Member {
        application: "ads".parse().unwrap(),
        name: None,
    };
    let told = vec![("retry-after", "600".to_owned())];
    world.linkedin.next(Play::Say(429, "{}", told));
    let first = world.credentials.renew(&members[0], None).await;
    assert!(matches!(first, Err(Refused::TryLater { after, .. }) if after.as_secs() == 600));

    let (good, last) = all_call(&world, &members).await;

    assert_eq!(good, 0);
    assert!(matches!(last, Some(Refused::TryLater { after, .. }) if after.as_secs() >= 599));
    assert_eq!(world.linkedin.posts(), 1);
    world.credentials.renew(&elsewhere, None).await.unwrap();
}

#[tokio::test]
async fn a_scheduler_rests_while_its_application_is_throttled() {
    let (world, members) = expired(10).await;
    let told = vec![("retry-after", "1".to_owned())];
    world.linkedin.always(Play::Say(429, "{}", told));
    world.credentials.keep_fresh();
    world.linkedin.received(1).await;
    // At most three are under way at once, and each of them is told the same.
    let is_idle = || world.credentials.flights_under_way() == 0;
    eventually("all are told to wait", is_idle).await;
    let throttled = world.linkedin.posts();
    assert!(throttled <= 3, "{throttled}");
    world.linkedin.always(Play::Token {
        life_secs: 3600,
        is_rotated: true,
    });
    world.credentials.0.cooling.lift(&members[0]);
    // Those who were told to wait are planned for later.
    world.pass(60);

    world.linkedin.received(throttled + 10).await;

    eventually("all are renewed", is_idle).await;
    let (good, _) = all_call(&world, &members).await;
    assert_eq!(good, 10);
    assert_eq!(world.linkedin.posts(), throttled + 10);
}

//! LinkedIn's scopes in words (linkedin.md §9): what a member is asked to allow.

/// What the scope lets an application do; one that nobody has described yet is called by its name.
pub(super) fn in_words(scope: &str) -> &str {
    let known = WORDS.iter().find(|(name, _)| *name == scope);
    known.map_or("Something that LinkedIn calls", |(_, words)| words)
}

const WORDS: &[(&str, &str)] = &[
    ("openid", "Recognise you by your LinkedIn account"),
    ("profile", "See your name and photo"),
    ("email", "See your e-mail address"),
    ("r_emailaddress", "See your e-mail address"),
    ("r_liteprofile", "See your name and photo"),
    ("r_basicprofile", "See your name, photo and headline"),
    ("r_profile_basicinfo", "See your name, photo and headline"),
    ("r_verify", "See whether LinkedIn has verified you"),
    ("w_member_social", "Post, comment and react in your name"),
    ("r_member_social", "See your posts, comments and reactions"),
    ("w_member_social_feed", "Comment and react in your name"),
    (
        "r_member_social_feed",
        "See comments and reactions on your posts",
    ),
    ("r_member_postAnalytics", "See statistics of your posts"),
    (
        "r_member_profileAnalytics",
        "See statistics of your profile",
    ),
    (
        "r_1st_connections_size",
        "See how many connections you have",
    ),
    (
        "r_organization_social",
        "See posts and reactions of pages you manage",
    ),
    (
        "w_organization_social",
        "Post, comment and react for pages you manage",
    ),
    (
        "r_organization_social_feed",
        "See comments and reactions on posts of pages you manage",
    ),
    (
        "w_organization_social_feed",
        "Comment and react for pages you manage",
    ),
    (
        "r_organization_admin",
        "See pages you manage and their statistics",
    ),
    (
        "rw_organization_admin",
        "Manage your pages and see their statistics",
    ),
    ("r_ads", "See your advertising accounts"),
    ("rw_ads", "Manage your advertising accounts"),
    (
        "r_ads_reporting",
        "See reports of your advertising accounts",
    ),
    (
        "rw_conversions",
        "Report conversions to your advertising accounts",
    ),
    (
        "rw_dmp_segments",
        "Manage audiences of your advertising accounts",
    ),
    (
        "r_marketing_leadgen_automation",
        "See leads of your advertising accounts",
    ),
    ("r_events", "See your events"),
    ("rw_events", "Manage your events"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_described_or_called_by_its_name() {
        assert_eq!(in_words("profile"), "See your name and photo");
        assert_eq!(in_words("r_novelty"), "Something that LinkedIn calls");
    }
}

//! 403: the token is good, the permission is not there. Which scope it takes is told from the resource
//! (linkedin.md §3.3, §9).

use super::{Case, Finding, case::cut};

/// Any of these scopes lets a member's token read or write the resource.
struct Needs {
    resources: &'static [&'static str],
    to_read: &'static [&'static str],
    to_write: &'static [&'static str],
    /// What else it takes.
    also: &'static str,
}

const fn needs(
    resources: &'static [&'static str],
    to_read: &'static [&'static str],
    to_write: &'static [&'static str],
    also: &'static str,
) -> Needs {
    Needs {
        resources,
        to_read,
        to_write,
        also,
    }
}

const ROLE_ON_PAGE: &str = "; the member must have a role on the organization's page";
const ROLE_ON_ACCOUNT: &str = "; the member must have a role on the ad account";

#[rustfmt::skip]
const TABLE: &[Needs] = &[
    needs(&["userinfo"], &["openid", "profile"], &[], ""),
    needs(&["me"], &["r_liteprofile", "r_basicprofile"], &[], "; an app that signs in with openid reads /v2/userinfo instead"),
    needs(&["emailAddress", "primaryContact"], &["r_emailaddress", "email"], &[], ""),
    needs(&["posts", "ugcPosts", "shares"], &["r_organization_social", "w_organization_social", "w_member_social"],
        &["w_member_social", "w_organization_social"], " (w_member_social for the member's own posts, the other for a page's, where the member has a role)"),
    needs(&["socialActions", "reactions", "comments", "socialMetadata"],
        &["r_organization_social_feed", "r_member_social_feed", "r_organization_social"],
        &["w_organization_social_feed", "w_member_social_feed", "w_member_social", "w_organization_social"], ""),
    needs(&["images", "videos", "documents", "assets"], &["w_member_social", "w_organization_social", "rw_ads"],
        &["w_member_social", "w_organization_social", "rw_ads"], ""),
    needs(&["adAccounts", "adAccountUsers", "adCampaigns", "adCampaignGroups", "creatives", "adTargetingEntities", "adBudgetPricing"],
        &["r_ads", "rw_ads"], &["rw_ads"], ROLE_ON_ACCOUNT),
    needs(&["adAnalytics"], &["r_ads_reporting"], &[], ROLE_ON_ACCOUNT),
    needs(&["conversions", "conversionEvents", "campaignConversions"], &["rw_conversions"], &["rw_conversions"], ROLE_ON_ACCOUNT),
    needs(&["dmpSegments", "dmpSegmentUsers"], &["rw_dmp_segments"], &["rw_dmp_segments"], ROLE_ON_ACCOUNT),
    needs(&["leadForms", "leadFormResponses", "leadNotifications"], &["r_marketing_leadgen_automation"],
        &["r_marketing_leadgen_automation"], ""),
    needs(&["organizations", "organizationAcls", "organizationPageStatistics", "organizationalEntityFollowerStatistics",
        "organizationalEntityShareStatistics"], &["r_organization_admin", "rw_organization_admin"], &["rw_organization_admin"], ROLE_ON_PAGE),
    needs(&["memberCreatorPostAnalytics"], &["r_member_postAnalytics"], &[], ""),
    needs(&["memberFollowersCount"], &["r_member_profileAnalytics"], &[], ""),
    needs(&["connections"], &["r_1st_connections_size"], &[], ""),
    needs(&["events"], &["r_events", "rw_events"], &["rw_events"], ""),
    needs(&["verificationReport"], &["r_verify"], &[], ""),
    needs(&["identityMe"], &["r_profile_basicinfo"], &[], ""),
];

/// 403 with LinkedIn's own code, or with a verdict that says so.
pub(super) fn missing(case: &Case<'_>) -> Option<Finding> {
    let is_coded = matches!(case.linkedin_code(), Some("100" | "ACCESS_DENIED"));
    let is_judged = case.verdict().contains("lacks the scope");
    if !case.is_answered(403) || !(is_coded || is_judged) {
        return None;
    }
    let resource = resource(case);
    let row = TABLE
        .iter()
        .find(|row| row.resources.contains(&resource.as_str()));
    let scopes = row.map(|row| match case.is_write() && !row.to_write.is_empty() {
        true => row.to_write,
        false => row.to_read,
    });
    let does = if case.is_write() { "write" } else { "read" };
    let finding = match (scopes, row) {
        (Some(scopes), Some(row)) => Finding::new(
            "permission_missing",
            format!(
                "The token is good, but it may not {does} {resource}: a permission is missing."
            ),
            format!(
                "To {does} {resource} takes {}{}. Give the application the LinkedIn product that grants it, add the \
                 scope under its scopes, and let the member sign in again (linkgate members connect NAME): a new token \
                 alone does not help.",
                scopes.join(" or "),
                row.also
            ),
        ),
        _ => Finding::new(
            "permission_missing",
            format!(
                "The token is good, but it may not {does} {}: a permission is missing.",
                cut(&resource)
            ),
            "See LinkedIn's page about this resource for the scope that it takes. Give the application the product \
             that grants it, add the scope under its scopes, and let the member sign in again (linkgate members \
             connect NAME).",
        ),
    };
    let granted = case
        .verdict()
        .split_once("it has ")
        .map(|(_, granted)| granted);
    Some(
        finding
            .seen_if(granted.map(|granted| format!("granted: {}", cut(granted))))
            .seen_if(case.answered()),
    )
}

/// The resource as LinkedIn names it (`posts.CREATE.20260901`), else as it stands in the path.
fn resource(case: &Case<'_>) -> String {
    let named = case.about().and_then(|about| about.split('.').next());
    let in_path = || {
        let mut segments = case.path().split('/').filter(|segment| !segment.is_empty());
        segments.find(|segment| !matches!(*segment, "rest" | "v1" | "v2"))
    };
    // A sub-resource such as `GET /me` names a path in place of a resource.
    named
        .filter(|named| named.bytes().all(|byte| byte.is_ascii_alphanumeric()))
        .filter(|named| !named.is_empty())
        .or_else(in_path)
        .unwrap_or("this")
        .to_owned()
}

//! The URL template: what makes two calls alike, whatever they ask about.
//!
//! Ids, URNs and long tokens in the path become `{id}`; of the query only the argument names that
//! choose a Rest.li method (`q`, `bq`, `action`) stay. Used for signatures, for counting 429s, and
//! wherever a path must not grow a metric or a table without bound.

/// Returns the template of a path with optional query, such as `/rest/posts/{id}` or
/// `/rest/adAccounts?q=search`.
pub fn template(path_and_query: &str) -> String {
    let (path, query) = path_and_query
        .split_once('?')
        .unwrap_or((path_and_query, ""));
    let mut out = String::with_capacity(path.len());
    for (n, segment) in path.split('/').take(MAX_SEGMENTS).enumerate() {
        if n > 0 {
            out.push('/');
        }
        out.push_str(if is_id(segment) { "{id}" } else { segment });
    }
    let method = query.split('&').filter(|argument| chooses_method(argument));
    for (n, argument) in method.take(2).enumerate() {
        out.push(if n == 0 { '?' } else { '&' });
        out.push_str(argument.get(..MAX_ARGUMENT).unwrap_or(argument));
    }
    out
}

/// Deeper paths do not occur at LinkedIn; cutting bounds what a caller can make us keep.
const MAX_SEGMENTS: usize = 8;
const MAX_ARGUMENT: usize = 48;

fn chooses_method(argument: &str) -> bool {
    ["q=", "bq=", "action="]
        .iter()
        .any(|name| argument.starts_with(name))
}

/// A path segment that names one entity rather than a resource.
fn is_id(segment: &str) -> bool {
    let digits = segment.bytes().filter(u8::is_ascii_digit).count();
    segment.contains(':')
        || segment.contains("%3A")
        || segment.contains("%3a")
        || segment.contains('(')
        || segment.len() > 40
        || (digits > 0 && digits * 2 >= segment.len() && !is_version(segment))
}

/// `v1`, `v2`: the API's own path prefix.
fn is_version(segment: &str) -> bool {
    segment.len() == 2 && segment.starts_with('v')
}

#[cfg(test)]
mod tests {
    use super::template;

    #[test]
    fn ids_and_urns_are_replaced_and_the_method_stays() {
        for (why, input, expected) in [
            ("resource", "/v2/userinfo", "/v2/userinfo"),
            (
                "number",
                "/rest/adAccounts/512345678",
                "/rest/adAccounts/{id}",
            ),
            (
                "encoded urn",
                "/rest/posts/urn%3Ali%3Ashare%3A71",
                "/rest/posts/{id}",
            ),
            (
                "raw urn",
                "/rest/posts/urn:li:share:71/likes",
                "/rest/posts/{id}/likes",
            ),
            (
                "finder",
                "/rest/adAccounts?q=search&start=0",
                "/rest/adAccounts?q=search",
            ),
            (
                "action",
                "/rest/images?action=initializeUpload",
                "/rest/images?action=initializeUpload",
            ),
            ("compound key", "/rest/x/(a:1,b:2)", "/rest/x/{id}"),
            ("bare root", "/", "/"),
        ] {
            assert_eq!(template(input), expected, "{why}");
        }
    }
}

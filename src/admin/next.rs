//! Where to go after signing in: back to the page that was asked for, if it is one of ours.
//!
//! **Invariant:** whatever `next` says, the answer is a path of this listener: nobody is sent elsewhere.

use form_urlencoded::Serializer;

/// The sign-in page.
pub(super) const SIGN_IN: &str = "/sign-in";
/// A path longer than this is none of ours.
const LONGEST: usize = 2048;

/// The sign-in page that leads on to `target` (path and query).
pub(super) fn sign_in_for(target: &str) -> String {
    match own(target) {
        "/" => SIGN_IN.to_owned(),
        target => {
            let mut query = Serializer::new(String::new());
            format!("{SIGN_IN}?{}", query.append_pair("next", target).finish())
        }
    }
}

/// `next` if it is a path of a page of ours, else the first page.
pub(super) fn own(next: &str) -> &str {
    let path = next.split(['?', '#']).next().unwrap_or_default();
    let is_plain =
        |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'\\' | b'"' | b'<' | b'>');
    let is_ours = next.len() <= LONGEST
        && path.starts_with('/')
        // `//host/…` leads to another host, and so does what a browser makes of dots before it.
        && !path.contains("//")
        && !path.split('/').any(|segment| matches!(segment, "." | ".."))
        && next.bytes().all(is_plain)
        && !path.starts_with(SIGN_IN)
        && !path.starts_with(super::door::SIGN_OUT);
    match is_ours {
        true => next,
        false => "/",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_led_anywhere_but_to_our_own_pages() {
        for (next, expected) in [
            ("/members", "/members"),
            (
                "/members?state=fresh&text=a%20b",
                "/members?state=fresh&text=a%20b",
            ),
            ("/members/default/ada", "/members/default/ada"),
            ("/members/default/~..", "/members/default/~.."),
            ("", "/"),
            ("members", "/"),
            ("https://evil.example/", "/"),
            ("//evil.example", "/"),
            ("///evil.example", "/"),
            ("/\\evil.example", "/"),
            ("/\t/evil.example", "/"),
            ("/.//evil.example", "/"),
            ("/..//evil.example", "/"),
            ("/members//evil.example", "/"),
            ("\\\\evil.example", "/"),
            ("javascript:alert(1)", "/"),
            ("/a\r\nset-cookie: x=y", "/"),
            ("/\"><script>", "/"),
            ("/sign-in", "/"),
            ("/sign-out", "/"),
        ] {
            assert_eq!(own(next), expected, "{next:?}");
        }
        assert_eq!(own(&format!("/{}", "a".repeat(LONGEST))), "/");
    }

    #[test]
    fn the_way_to_sign_in_keeps_where_one_wanted_to_go() {
        assert_eq!(sign_in_for("/"), "/sign-in");
        assert_eq!(
            sign_in_for("/members?text=a&state=fresh"),
            "/sign-in?next=%2Fmembers%3Ftext%3Da%26state%3Dfresh"
        );
        assert_eq!(sign_in_for("//evil.example"), "/sign-in");
    }
}

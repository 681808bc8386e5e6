//! What goes and what stays, row by row, and for any bytes at all.

use data_encoding::{BASE64, BASE64URL_NOPAD, HEXLOWER, HEXUPPER};
use proptest::prelude::*;

use super::*;

const TOKEN: &str = "AQXdSP_W41_UPs5ioT_t8HESyODB4FqbkJ8LrV_5mff4gPODzOYR";

fn redaction() -> Redaction {
    let ring = KeyRing::random();
    Redaction::new(ring.clone(), LiveSecrets::new(ring))
}

/// `text` after the door, with every mark shortened to `#`.
fn plain(redactor: &Redactor<'_>, text: &str) -> String {
    unmarked(&redactor.text(text.as_bytes(), End::Whole))
}

fn unmarked(text: &[u8]) -> String {
    let mut text = String::from_utf8_lossy(text).into_owned();
    while let Some(start) = text.find("[redacted:") {
        let end = start + MARK_START.len() + MARK_DIGITS + 1;
        text.replace_range(start..end, "#");
    }
    text
}

#[test]
fn values_go_by_their_name_in_queries_and_forms() {
    let redaction = redaction();
    let redactor = redaction.of(&[]);
    for (why, text, expected) in [
        (
            "query",
            "/x?a=1&access_token=abc&b=2",
            "/x?a=1&access_token=#&b=2",
        ),
        (
            "form",
            "grant_type=refresh_token&refresh_token=a%26b&client_secret=x",
            "grant_type=refresh_token&refresh_token=#&client_secret=#",
        ),
        (
            "percent in the name",
            "client%5Fsecret=abc",
            "client%5Fsecret=#",
        ),
        (
            "upload url",
            "https://www.linkedin.com/dms-uploads/x?ca=v&ut=2aT&x=1",
            "https://www.linkedin.com/dms-uploads/x?ca=v&ut=#&x=1",
        ),
        (
            "code of oauth",
            "/cb?code=abc&state=1",
            "/cb?code=#&state=1",
        ),
    ] {
        assert_eq!(plain(&redactor, text), expected, "{why}");
    }
}

#[test]
fn values_go_by_their_name_in_json_and_what_looks_like_it() {
    let redaction = redaction();
    let redactor = redaction.of(&[]);
    for (why, text, expected) in [
        (
            "json",
            r#"{"access_token": "a\"b", "n": 1}"#,
            r##"{"access_token": "#", "n": 1}"##,
        ),
        (
            "json, camel",
            r#"{"clientSecret":"abc"}"#,
            r##"{"clientSecret":"#"}"##,
        ),
        (
            "json, number",
            r#"{"password":1234,"n":1}"#,
            r##"{"password":#,"n":1}"##,
        ),
        (
            "json, torn",
            r#"{"refresh_token":"abc"#,
            r##"{"refresh_token":"#"##,
        ),
        (
            "json in json",
            r#"{"m":"{\"access_token\":\"abc\"}"}"#,
            r##"{"m":"{\"access_token\":\"#\"}"}"##,
        ),
        ("python", "{'id_token': 'abc'}", "{'id_token': '#'}"),
        (
            "url in json",
            r#"{"uploadUrl":"https://x/?ut=abc\u0026y=1"}"#,
            r##"{"uploadUrl":"https://x/?ut=#"}"##,
        ),
        (
            "code of oauth in json",
            r#"{"code":"AQT0aB3dE5fG7hI9jK"}"#,
            r##"{"code":"#"}"##,
        ),
    ] {
        assert_eq!(plain(&redactor, text), expected, "{why}");
    }
}

#[test]
fn values_go_by_their_shape() {
    let redaction = redaction();
    let redactor = redaction.of(&[]);
    for (why, text, expected) in [
        ("token", format!("see {TOKEN}, please"), "see #, please"),
        ("token, stuck", format!("Bearer{TOKEN}"), "Bearer#"),
        ("key", "lgk_k1_0123456789~ada".into(), "#~ada"),
        (
            "operator's token",
            "x=lgo_k1_0123456789, y".into(),
            "x=#, y",
        ),
        (
            "jwt",
            "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJlMTIz!".into(),
            "#!",
        ),
        (
            "echoed header",
            "<pre>authorization: bearer 0123456789abcdefghij</pre>".into(),
            "<pre>authorization: bearer #</pre>",
        ),
        ("in percent", format!("x%3D{TOKEN}%26"), "x%3D#%26"),
    ] {
        assert_eq!(plain(&redactor, &text), expected, "{why}");
    }
}

#[test]
fn what_support_needs_stays() {
    let redaction = redaction();
    let redactor = redaction.of(&[Bytes::from_static(TOKEN.as_bytes())]);
    for text in [
        r#"{"status":401,"serviceErrorCode":65601,"code":"REVOKED_ACCESS_TOKEN","message":"The token used in the request has been revoked by the user"}"#,
        "AAYFBPDs9ZaGJ88vWwff2w==",
        "/rest/adAccounts?q=search&search=(status:(values:List(ACTIVE)))&fields=id,name",
        "urn:li:share:7106697166089269248",
        "0199f0a2-7c1b-7a55-8c66-5d9b1f0f4e21",
        "token_type=bearer&expires_in=5184000",
        r#"{"access_token":null,"token":""}"#,
        "Bearer token is missing in the request, see the documentation",
        "access_token=[redacted:0123456789abcdef]&x=1",
    ] {
        assert_eq!(
            *redactor.text(text.as_bytes(), End::Whole),
            *text.as_bytes(),
            "{text}"
        );
    }
}

#[test]
fn headers_keep_scheme_cookie_names_and_the_member_a_key_was_used_for() {
    let redaction = redaction();
    let redactor = redaction.of(&[]);
    for (name, value, expected) in [
        ("Authorization", "Bearer abc", "Bearer #"),
        (
            "authorization",
            "bearer lgk_k1_secret0~ada/default",
            "bearer #~ada/default",
        ),
        ("Proxy-Authorization", "Basic dTpw", "Basic #"),
        ("Authorization", "abc def", "#"),
        ("Cookie", "a=1; b=2;c", "a=#; b=#;#"),
        (
            "Set-Cookie",
            "lidc=\"b=1:s=2\"; Expires=Wed, 01 Jan 2031 00:00:00 GMT; Path=/",
            "lidc=#; Expires=Wed, 01 Jan 2031 00:00:00 GMT; Path=/",
        ),
        ("X-LI-Route-Key", "b=1", "#"),
        ("X_Api_Key", "abc", "#"),
        ("Location", "https://x/?code=abc", "https://x/?code=#"),
        (
            "X-LI-UUID",
            "AAYFBPDs9ZaGJ88vWwff2w==",
            "AAYFBPDs9ZaGJ88vWwff2w==",
        ),
        ("Authorization", "", ""),
    ] {
        let once = redactor
            .header(name.as_bytes(), value.as_bytes())
            .into_owned();
        assert_eq!(unmarked(&once), expected, "{name}: {value}");
        assert_eq!(
            *redactor.header(name.as_bytes(), &once),
            *once,
            "{name}: {value}, again"
        );
    }
}

#[test]
fn equal_secrets_have_equal_marks_however_they_are_written() {
    let redaction = redaction();
    let redactor = redaction.of(&[Bytes::from_static(TOKEN.as_bytes())]);
    let mark = marker(&redaction.ring.fingerprint(TOKEN.as_bytes()));
    let encoded = BASE64.encode(format!("id:{TOKEN}").as_bytes());

    for text in [
        TOKEN,
        &format!("access_token={TOKEN}"),
        &format!("x {encoded} y"),
        &HEXLOWER.encode(TOKEN.as_bytes()),
    ] {
        let out = redactor.text(text.as_bytes(), End::Whole).into_owned();
        assert!(memchr::memmem::find(&out, &mark).is_some(), "{text}");
    }
}

#[test]
fn a_secret_is_found_behind_a_false_beginning_of_itself() {
    let redaction = redaction();
    let secret = "ab".repeat(14) + "-0123456789";
    let redactor = redaction.of(&[Bytes::from(secret.clone())]);

    let out = plain(&redactor, &format!("x|abab{secret}|y"));

    assert_eq!(out, "x|abab#|y");
}

#[test]
fn a_secret_cut_off_at_the_end_goes_too() {
    let redaction = redaction();
    let redactor = redaction.of(&[Bytes::from_static(b"0123456789abcdefghijklmnop")]);
    for (why, text, expected) in [
        ("own", "x 0123456789ab", "x #"),
        ("own, percent", "x %30123456789ab", "x #"),
        ("own, too little", "x 0123456789a", "x 0123456789a"),
        ("shape", "x AQXdSP_W41_UPs5", "x #"),
        ("name", r#"{"access_token":"ab"#, r##"{"access_token":"#"##),
    ] {
        assert_eq!(
            unmarked(&redactor.text(text.as_bytes(), End::Cut)),
            expected,
            "{why}"
        );
    }
}

#[test]
fn a_live_secret_is_found_between_separators() {
    let redaction = redaction();
    redaction.live.add(b"WPL_AP1.0123456789ab.cdef==");
    let redactor = redaction.of(&[]);
    for (text, expected) in [
        ("WPL_AP1.0123456789ab.cdef==", "#"),
        (
            "https://x/a/WPL_AP1.0123456789ab.cdef==/b",
            "https://x/a/#/b",
        ),
        ("secretly=WPL_AP1.0123456789ab.cdef==&", "secretly=#&"),
        ("a=WPL_AP1.0123456789ab.cdef%3D%3d&", "a=#&"),
        ("WPL_AP1.0123456789ab.cdeg==", "WPL_AP1.0123456789ab.cdeg=="),
    ] {
        assert_eq!(plain(&redactor, text), expected);
    }
}

/// How a secret may be written.
fn written(secret: &[u8], way: usize, noise: u64) -> Vec<u8> {
    let coin = |n: usize| noise.rotate_left(u32::try_from(n % 64).unwrap()) & 1 == 1;
    let some =
        |escape: fn(u8, bool) -> String| -> Vec<u8> {
            let each = secret.iter().enumerate().map(|(n, byte)| {
                match coin(n) || b"%\\\"".contains(byte) {
                    true => escape(*byte, coin(n + 7)),
                    false => char::from(*byte).to_string(),
                }
            });
            each.collect::<String>().into_bytes()
        };
    match way {
        0 => secret.to_vec(),
        1 => some(|byte, upper| {
            if upper {
                format!("%{byte:02X}")
            } else {
                format!("%{byte:02x}")
            }
        }),
        2 => some(|byte, upper| {
            if upper {
                format!("\\u{byte:04X}")
            } else {
                format!("\\u{byte:04x}")
            }
        }),
        3 => HEXLOWER.encode(secret).into_bytes(),
        4 => HEXUPPER.encode(secret).into_bytes(),
        5..=7 => BASE64
            .encode(&[&b"ab"[..way - 5], secret, b"xyz"].concat())
            .into_bytes(),
        _ => BASE64URL_NOPAD
            .encode(&[&b"ab"[..(way - 8) % 3], secret].concat())
            .into_bytes(),
    }
}

proptest! {
    #[test]
    fn a_planted_secret_never_survives(
        secret in "[A-Za-z0-9_+/=.~%\"\\\\ &-]{14,64}",
        way in 0_usize..11,
        noise: u64,
        before in "[ -$&-\\[\\]-~]{0,40}",
        after in "[ -~]{0,40}",
    ) {
        let redaction = redaction();
        let redactor = redaction.of(&[Bytes::from(secret.clone())]);
        let form = written(secret.as_bytes(), way, noise);
        let text = [before.as_bytes(), b" ", &form, b" ", after.as_bytes()].concat();

        let out = redactor.text(&text, End::Whole);

        // A base64 form shares its ends with its neighbours: its middle is what would betray it.
        let middle = &form[4..form.len() - 6];
        prop_assert!(memchr::memmem::find(&out, middle).is_none(), "{}", String::from_utf8_lossy(&out));
        prop_assert!(memchr::memmem::find(&out, secret.as_bytes()).is_none());
    }

    #[test]
    fn any_bytes_go_through_without_a_panic_and_a_second_time_unchanged(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        text in "([ -~]|access_token=|\"code\":|%25|\\\\u00|lgk_|AQXabcdefgh|\\[redacted:|Bearer |=|;){0,60}",
        secret in "[a-z%]{4,20}",
        is_cut: bool,
    ) {
        let redaction = redaction();
        let redactor = redaction.of(&[Bytes::from(secret.clone())]);
        let end = if is_cut { End::Cut } else { End::Whole };
        let mixed = [&bytes, text.as_bytes(), secret.as_bytes(), &bytes].concat();
        for input in [bytes.as_slice(), text.as_bytes(), &mixed] {
            let once = redactor.text(input, end).into_owned();
            prop_assert_eq!(&*redactor.text(&once, end), &*once);
            for name in ["authorization", "cookie", "set-cookie", "x-li-route-key", "other"] {
                let once = redactor.header(name.as_bytes(), input).into_owned();
                prop_assert_eq!(&*redactor.header(name.as_bytes(), &once), &*once, "{}", name);
            }
        }
    }

    #[test]
    fn words_around_a_secret_stay_byte_for_byte(
        before in "([a-z]{1,9}[ ,.:/\n]){0,20}",
        after in "([ ,.:/\n][a-z]{1,9}){0,20}",
    ) {
        let redaction = redaction();
        let redactor = redaction.of(&[Bytes::from_static(b"0123456789/abcdefghij+K")]);
        let text = format!("{before}|0123456789/abcdefghij+K|{after}");

        prop_assert_eq!(plain(&redactor, &text), format!("{}|#|{}", before, after));
    }
}

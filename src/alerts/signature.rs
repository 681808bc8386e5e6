//! Standard Webhooks 1.0: `v1,BASE64(HMAC-SHA256(key, "ID.TIMESTAMP.BODY"))`.
//!
//! **Invariant:** a secret never prints; the signature is made over the very bytes that are sent.

use std::{fmt::Write as _, str::FromStr};

use aws_lc_rs::hmac;
use data_encoding::{BASE64, BASE64_NOPAD};

use crate::secret::Secret;

const PREFIX: &str = "whsec_";
/// Bytes of a key, by the specification: 192 to 512 bits.
const KEY_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// What a webhook's notices are signed with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SigningSecret(Secret<Vec<u8>>);

/// Why a text is no [`SigningSecret`]. The text itself is never part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSecret {
    /// Some other secret.
    #[error("does not begin with whsec_")]
    Prefix,
    /// Mistyped or cut.
    #[error("is no base64 after whsec_")]
    Base64,
    /// Guessable, or not what the specification allows.
    #[error("holds less than 24 or more than 64 bytes")]
    Length,
}

impl FromStr for SigningSecret {
    type Err = BadSecret;

    fn from_str(text: &str) -> Result<Self, BadSecret> {
        let coded = text.strip_prefix(PREFIX).ok_or(BadSecret::Prefix)?;
        let key = BASE64
            .decode(coded.as_bytes())
            .or_else(|_| BASE64_NOPAD.decode(coded.as_bytes()));
        let key = Secret::new(key.map_err(|_| BadSecret::Base64)?);
        match KEY_BYTES.contains(&key.expose().len()) {
            true => Ok(Self(key)),
            false => Err(BadSecret::Length),
        }
    }
}

/// The value of `webhook-signature`: one signature for each secret, one space apart.
pub(super) fn signatures(
    secrets: &[SigningSecret],
    id: &str,
    timestamp: i64,
    body: &str,
) -> String {
    let mut all = String::new();
    for secret in secrets {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.0.expose());
        let mut context = hmac::Context::with_key(&key);
        context.update(format!("{id}.{timestamp}.").as_bytes());
        context.update(body.as_bytes());
        let space = if all.is_empty() { "" } else { " " };
        // Writing to a String cannot fail.
        write!(all, "{space}v1,{}", BASE64.encode(context.sign().as_ref())).unwrap_or_default();
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the reference libraries of the specification (`sign function works`).
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const BODY: &str = r#"{"test": 2432232314}"#;
    const SIGNED: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    #[test]
    fn the_specifications_own_example_is_signed_as_it_is_there() {
        let secret = SECRET.parse().unwrap();

        assert_eq!(signatures(&[secret], ID, 1_614_265_330, BODY), SIGNED);
    }

    #[test]
    fn while_a_secret_is_replaced_both_sign() {
        let old: SigningSecret = SECRET.parse().unwrap();
        let new = format!("whsec_{}", BASE64.encode(&[7; 32]))
            .parse()
            .unwrap();

        let both = signatures(&[new, old], ID, 1_614_265_330, BODY);

        let each: Vec<&str> = both.split(' ').collect();
        assert_eq!((each.len(), each[1]), (2, SIGNED));
        assert!(each[0].starts_with("v1,") && each[0] != SIGNED);
    }

    #[test]
    fn secrets_of_another_form_are_refused_without_being_shown() {
        let of = |bytes: usize| format!("whsec_{}", BASE64.encode(&vec![1; bytes]));
        for (why, text, expected) in [
            ("as others write it", of(24), None),
            ("the longest", of(64), None),
            ("without padding", of(32).replace('=', ""), None),
            ("too short", of(23), Some(BadSecret::Length)),
            ("too long", of(65), Some(BadSecret::Length)),
            ("no prefix", of(24)[6..].to_owned(), Some(BadSecret::Prefix)),
            (
                "no base64",
                "whsec_!!!!".to_owned(),
                Some(BadSecret::Base64),
            ),
            ("empty", "whsec_".to_owned(), Some(BadSecret::Length)),
        ] {
            assert_eq!(text.parse::<SigningSecret>().err(), expected, "{why}");
        }
        let shown = format!("{:?}", SECRET.parse::<SigningSecret>().unwrap());
        assert_eq!(shown, "SigningSecret([hidden])");
    }
}

//! The text of what is presented to us as `Authorization: Bearer …`: callers' keys and operators' tokens.
//!
//! `{prefix}{id}_{secret}{check}`, all behind the prefix base62: the id finds it, SHA-256 of the secret
//! proves it, and the check (CRC-32) tells a mistyped text from an unknown one without asking anybody.
//!
//! **Invariant:** the secret carries 256 bits from the system's generator, so a plain SHA-256 of it
//! can be stored; no slow hash is needed for what cannot be guessed. Every wrong text costs the same.
//! **Neighbours:** `callers` and `operators` keep the tables; `incident::redact` knows the shapes.

use std::sync::Arc;

use aws_lc_rs::digest;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::keyring::random_bytes;

/// Callers' keys.
pub const KEY: Form = Form("lgk_");
/// Operators' tokens.
pub const OPERATOR: Form = Form("lgo_");
/// How all of them begin.
pub const PREFIXES: [&str; 2] = [KEY.0, OPERATOR.0];

const ID_LENGTH: usize = 12;
/// 62^43 > 2^256.
const SECRET_LENGTH: usize = 43;
/// 62^6 > 2^32.
const CHECK_LENGTH: usize = 6;
/// An application has no reason to hash more of what a stranger sends.
const LONGEST: usize = 256;
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// One kind of text, told by its prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form(&'static str);

/// A text that was just made. It is shown once; its id and digest are kept.
#[derive(Debug)]
pub struct Minted {
    /// What is shown.
    pub text: Zeroizing<String>,
    /// The look-up handle.
    pub id: Arc<str>,
    /// SHA-256 of the secret part.
    pub digest: [u8; 32],
}

/// The two parts that decide.
struct Parts<'a> {
    id: &'a str,
    secret: &'a [u8],
}

impl Form {
    /// Whether `text` is whole and correctly typed; says nothing about whether it is known.
    pub fn is_well_formed(self, text: &[u8]) -> bool {
        self.split(text).is_some()
    }

    /// What `find` has under the id of `presented`, if the secret's digest is the one `digest_of` tells;
    /// in constant time for any wrong text.
    pub fn proven<T>(
        self,
        presented: &[u8],
        find: impl FnOnce(&str) -> Option<T>,
        digest_of: impl FnOnce(&T) -> [u8; 32],
    ) -> Option<T> {
        let parts = self.split(presented);
        let found = parts.as_ref().and_then(|parts| find(parts.id));
        // Where nothing is found the comparison is made all the same, with a digest that nothing has.
        let expected = found.as_ref().map_or([0; 32], digest_of);
        let digest = digest(parts.as_ref().map_or(presented, |parts| parts.secret));
        let is_proven = bool::from(digest.ct_eq(&expected));
        found.filter(|_| is_proven)
    }

    /// Takes a text apart; none if it is not of this form, the check included.
    fn split(self, text: &[u8]) -> Option<Parts<'_>> {
        if text.len() > LONGEST {
            return None;
        }
        let text = std::str::from_utf8(text).ok()?;
        let (checked, check) = text.split_at_checked(text.len().checked_sub(CHECK_LENGTH)?)?;
        let (id, secret) = checked.strip_prefix(self.0)?.split_once('_')?;
        let is_base62 = |part: &str| part.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let is_whole = id.len() >= 10 && secret.len() == SECRET_LENGTH;
        if is_whole && is_base62(id) && is_base62(secret) && check.chars().eq(check_of(checked)) {
            let secret = secret.as_bytes();
            Some(Parts { id, secret })
        } else {
            None
        }
    }

    /// Makes a new text.
    pub fn mint(self) -> Minted {
        let id = random_base62(ID_LENGTH);
        let secret = random_base62(SECRET_LENGTH);
        let length = self.0.len() + ID_LENGTH + 1 + SECRET_LENGTH + CHECK_LENGTH;
        let mut text = Zeroizing::new(String::with_capacity(length));
        for part in [self.0, &id, "_", &secret] {
            text.push_str(part);
        }
        let check = check_of(&text);
        text.extend(check);
        Minted {
            text,
            id: id.as_str().into(),
            digest: digest(secret.as_bytes()),
        }
    }
}

/// SHA-256 of a secret, or of what was presented instead of one.
fn digest(secret: &[u8]) -> [u8; 32] {
    let part = secret.get(..LONGEST).unwrap_or(secret);
    let digest = digest::digest(&digest::SHA256, part);
    digest.as_ref().first_chunk().copied().unwrap_or_default()
}

fn random_base62(length: usize) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(length));
    while text.len() < length {
        let drawn = Zeroizing::new(random_bytes::<64>());
        let wanted = length - text.len();
        // 248 is the largest multiple of 62 in a byte: what is above would favour some digits.
        let fair = drawn.iter().filter(|byte| **byte < 248);
        for byte in fair.take(wanted) {
            text.push(digit(u32::from(*byte)));
        }
    }
    text
}

fn check_of(checked: &str) -> impl Iterator<Item = char> + use<> {
    let mut rest = crc32fast::hash(checked.as_bytes());
    (0..CHECK_LENGTH).map(move |_| {
        let low = digit(rest);
        rest /= 62;
        low
    })
}

/// The base62 digit of `number` modulo 62.
fn digit(number: u32) -> char {
    let at = usize::try_from(number % 62).unwrap_or_default();
    BASE62.get(at).copied().map_or('0', char::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_of_one_form_and_proven_by_its_secret_alone() {
        let (made, other) = (OPERATOR.mint(), OPERATOR.mint());
        let find = |id: &str| (id == &*made.id).then_some(made.digest);
        let proven = |text: &str| OPERATOR.proven(text.as_bytes(), find, |found| *found);

        assert!(made.text.starts_with("lgo_"), "an operator's token");
        assert_eq!(proven(&made.text), Some(made.digest));
        for (why, text) in [
            ("unknown", other.text.to_string()),
            ("another form", made.text.replacen("lgo_", "lgk_", 1)),
            ("a longer id", made.text.replacen("lgo_", "lgo_A", 1)),
            ("cut", made.text[..made.text.len() - 1].to_owned()),
            ("too long", made.text.repeat(5)),
            ("nothing", String::new()),
        ] {
            assert_eq!(proven(&text), None, "{why}");
        }
        assert!(!KEY.is_well_formed(made.text.as_bytes()));
        assert!(OPERATOR.is_well_formed(made.text.as_bytes()));
    }
}

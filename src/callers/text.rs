//! A key's text: `lgk_{id}_{secret}{check}`, all of it base62.
//!
//! **Invariant:** the secret carries 256 bits from the system's generator, so a plain SHA-256 of it
//! can be stored; no slow hash is needed for what cannot be guessed.

use std::sync::Arc;

use aws_lc_rs::digest;
use zeroize::Zeroizing;

use crate::keyring::random_bytes;

const PREFIX: &str = "lgk_";
const ID_LENGTH: usize = 12;
/// 62^43 > 2^256.
const SECRET_LENGTH: usize = 43;
/// 62^6 > 2^32.
const CHECK_LENGTH: usize = 6;
/// An application has no reason to hash more of what a stranger sends.
const LONGEST: usize = 256;
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The two parts that decide.
pub(super) struct Parts<'a> {
    pub(super) id: &'a str,
    pub(super) secret: &'a [u8],
}

/// Whether `text` is a whole, correctly typed key; says nothing about whether it exists.
pub fn is_well_formed(text: &[u8]) -> bool {
    split(text).is_some()
}

/// Takes a key's text apart; none if it is not one, the check included.
pub(super) fn split(text: &[u8]) -> Option<Parts<'_>> {
    if text.len() > LONGEST {
        return None;
    }
    let text = std::str::from_utf8(text).ok()?;
    let (checked, check) = text.split_at_checked(text.len().checked_sub(CHECK_LENGTH)?)?;
    let (id, secret) = checked.strip_prefix(PREFIX)?.split_once('_')?;
    let is_base62 = |part: &str| part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let is_whole = id.len() >= 10 && secret.len() == SECRET_LENGTH;
    if is_whole && is_base62(id) && is_base62(secret) && check.chars().eq(check_of(checked)) {
        let secret = secret.as_bytes();
        Some(Parts { id, secret })
    } else {
        None
    }
}

/// SHA-256 of a secret, or of what was presented instead of one.
pub(super) fn digest(secret: &[u8]) -> [u8; 32] {
    let part = secret.get(..LONGEST).unwrap_or(secret);
    let digest = digest::digest(&digest::SHA256, part);
    digest.as_ref().first_chunk().copied().unwrap_or_default()
}

/// A new text, its id and the digest of its secret.
pub(super) fn mint() -> (Zeroizing<String>, Arc<str>, [u8; 32]) {
    let id = random_base62(ID_LENGTH);
    let secret = random_base62(SECRET_LENGTH);
    let length = PREFIX.len() + ID_LENGTH + 1 + SECRET_LENGTH + CHECK_LENGTH;
    let mut text = Zeroizing::new(String::with_capacity(length));
    for part in [PREFIX, &id, "_", &secret] {
        text.push_str(part);
    }
    let check = check_of(&text);
    text.extend(check);
    let digest = digest(secret.as_bytes());
    (text, id.as_str().into(), digest)
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

//! The strings LinkedIn hands out: tokens, codes, upload ids, and the `x-li-uuid` of an answer.
//!
//! **Invariant:** every secret holds [`CANARY`] several times, at all three base64 alignments, so a
//! search for it finds a leaked secret whichever part of it leaked, and however it was encoded.

use data_encoding::BASE64;

/// Stands several times inside every token, refresh token, code and client secret made here.
pub const CANARY: &str = "Zq7CanaryLinkgate9xW2";

/// The form of LinkedIn's own tokens: plan for 1,000 characters and more.
const TOKEN_LENGTH: usize = 1_040;
const CODE_LENGTH: usize = 280;
/// Random characters between two canaries; with the canary's 21 the period is 61, which is not a
/// multiple of three, so the canaries fall on every base64 alignment.
const RANDOM_RUN: usize = 40;
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// A new access token; LinkedIn's begin `AQU`, `AQV` or `AQX`.
pub(crate) fn access_token() -> String {
    secret("AQV", TOKEN_LENGTH)
}

/// A new refresh token; LinkedIn's begin `AQW` or `AQQ`.
pub(crate) fn refresh_token() -> String {
    secret("AQW", TOKEN_LENGTH)
}

/// A new authorization code.
pub(crate) fn code() -> String {
    secret("AQT", CODE_LENGTH)
}

/// The client secret of the first application, in the form of LinkedIn's newer ones.
pub(crate) fn client_secret() -> String {
    format!("WPL_AP1.{CANARY}x{CANARY}yz{CANARY}.MTIzNA==")
}

/// `length` random characters of the URL-safe base64 alphabet.
pub(crate) fn random_text(length: usize) -> String {
    let mut text = String::with_capacity(length);
    push_random(&mut text, length);
    text
}

/// `length` random decimal digits that begin with a seven, as the numbers in LinkedIn's URNs do.
pub(crate) fn random_digits(length: usize) -> String {
    let mut text = String::from("7");
    while text.len() < length {
        text.push(char::from(b'0' + rand::random::<u8>() % 10));
    }
    text
}

/// `x-li-uuid`: bytes 0–7 are the microseconds since the epoch, big-endian, 8–15 are random.
pub(crate) fn li_uuid(micros: u64) -> String {
    let layout = (u128::from(micros) << 64) | u128::from(rand::random::<u64>());
    BASE64.encode(&layout.to_be_bytes())
}

fn secret(prefix: &str, length: usize) -> String {
    let mut text = String::with_capacity(length + RANDOM_RUN + CANARY.len());
    text.push_str(prefix);
    while text.len() < length {
        push_random(&mut text, RANDOM_RUN);
        text.push_str(CANARY);
    }
    text
}

fn push_random(text: &mut String, length: usize) {
    let mut pool: u64 = 0;
    for position in 0..length {
        if position % 10 == 0 {
            pool = rand::random();
        }
        let letter = ALPHABET
            .iter()
            .copied()
            .nth(usize::from(low_byte(pool) & 63));
        text.push(char::from(letter.unwrap_or(b'A')));
        pool >>= 6;
    }
}

fn low_byte(pool: u64) -> u8 {
    let [low, ..] = pool.to_le_bytes();
    low
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_long_begins_with_aq_and_is_full_of_canaries() {
        for token in [access_token(), refresh_token()] {
            assert!(token.len() >= 1_000, "{}", token.len());
            assert!(token.starts_with("AQ"));
            assert!(token.bytes().all(|byte| ALPHABET.contains(&byte)));
            let alignments: std::collections::BTreeSet<usize> = token
                .match_indices(CANARY)
                .map(|(start, _)| start % 3)
                .collect();
            assert_eq!(alignments.len(), 3);
        }
        assert!(code().matches(CANARY).count() >= 2);
        assert!(client_secret().matches(CANARY).count() >= 2);
        assert_ne!(access_token(), access_token());
    }

    #[test]
    fn the_uuid_holds_the_time_in_its_first_eight_bytes() {
        // linkedin.md §5.3: AAYFBPDs9ZaGJ88vWwff2w== was sent on 2023-09-10 at 17:57:20.333.
        let sample = BASE64.decode(b"AAYFBPDs9ZaGJ88vWwff2w==").unwrap();
        let sample_micros = u64::from_be_bytes(sample[..8].try_into().unwrap());
        assert_eq!(sample_micros / 1_000, 1_694_368_640_333);
        let made = BASE64.decode(li_uuid(sample_micros).as_bytes()).unwrap();
        assert_eq!(made.len(), 16);
        assert_eq!(made[..8], sample[..8]);
        assert_ne!(li_uuid(sample_micros), li_uuid(sample_micros));
    }
}

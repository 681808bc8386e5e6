//! The one sealed form: XChaCha20-Poly1305 with a random nonce of 24 bytes in front.
//!
//! **Invariant:** no nonce is ever chosen by a caller or derived; 192 random bits do not repeat.

use std::cell::RefCell;

use chacha20poly1305::{
    Key, KeyInit as _, XChaCha20Poly1305, XNonce,
    aead::{Aead as _, AeadInOut as _, Payload},
};

use super::Unsealable;

/// Bytes that sealing adds: nonce and tag.
pub(super) const OVERHEAD: usize = 24 + 16;

/// Random bytes from the system.
#[expect(
    clippy::expect_used,
    reason = "the system's generator does not fail once it is seeded, and without it nothing may be sealed"
)]
pub(crate) fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the system gives random bytes");
    bytes
}

/// Bytes of a nonce, and how many are drawn at once: getrandom(2) for each was one of the two system calls that the
/// support log's writer made for a record.
const NONCE: usize = 24;
const DRAWN: usize = 64;

thread_local! {
    /// Drawn, and none of them used yet.
    static NONCES: RefCell<Vec<[u8; NONCE]>> = const { RefCell::new(Vec::new()) };
}

/// A nonce that nobody else gets.
fn nonce() -> [u8; NONCE] {
    NONCES.with_borrow_mut(|nonces| {
        if nonces.is_empty() {
            let drawn: [u8; NONCE * DRAWN] = random_bytes();
            nonces.extend_from_slice(drawn.as_chunks().0);
        }
        nonces.pop().unwrap_or_else(random_bytes)
    })
}

/// Associated data of a key id and a place; the length in front keeps the two apart.
pub(super) fn bound(id: &str, place: &[u8]) -> Vec<u8> {
    let mut bound = format!("{}:{id}:", id.len()).into_bytes();
    bound.extend_from_slice(place);
    bound
}

/// Appends `[nonce][ciphertext and tag]`.
#[expect(
    clippy::expect_used,
    reason = "the cipher refuses only texts of more than 256 GiB"
)]
pub(super) fn seal(key: &[u8; 32], plain: &[u8], place: &[u8], sealed: &mut Vec<u8>) {
    let nonce = nonce();
    sealed.reserve(plain.len() + OVERHEAD);
    sealed.extend_from_slice(&nonce);
    let start = sealed.len();
    sealed.extend_from_slice(plain);
    let text = sealed.get_mut(start..).unwrap_or_default();
    let tag = XChaCha20Poly1305::new(&Key::from(*key))
        .encrypt_inout_detached(&XNonce::from(nonce), place, text.into())
        .expect("a text that fits in memory can be sealed");
    sealed.extend_from_slice(&tag);
}

/// The plain text, if key and place are the ones it was sealed with.
pub(super) fn open(key: &[u8; 32], sealed: &[u8], place: &[u8]) -> Result<Vec<u8>, Unsealable> {
    let (nonce, ciphertext) = sealed.split_first_chunk::<24>().ok_or(Unsealable)?;
    let payload = Payload {
        msg: ciphertext,
        aad: place,
    };
    XChaCha20Poly1305::new(&Key::from(*key))
        .decrypt(&XNonce::from(*nonce), payload)
        .map_err(|_| Unsealable)
}

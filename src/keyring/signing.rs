//! Signatures: short proofs that a text was made here, such as the links members sign in by.
//!
//! **Invariant:** a master key never signs: each label has a key of its own, derived from it, so that
//! a signature for one purpose proves nothing for another. The first key signs, every key verifies:
//! a rotation ends no link at once.

use aws_lc_rs::hmac;

use super::{KeyRing, MasterKey};

/// What signing keys are derived for.
const LABEL: &[u8] = b"linkgate signing key v1:";
/// Bytes of a signature (HMAC-SHA-256).
pub const SIGNATURE_BYTES: usize = 32;

impl KeyRing {
    /// Signs `text` for the purpose `label` (HMAC-SHA-256 with a key derived from the first one).
    pub fn sign(&self, label: &str, text: &[u8]) -> [u8; SIGNATURE_BYTES] {
        let signature = hmac::sign(&derived(&self.masters().first, label), text);
        signature
            .as_ref()
            .first_chunk()
            .copied()
            .unwrap_or([0; SIGNATURE_BYTES])
    }

    /// Whether any key of this ring signed `text` for the purpose `label`. Takes the same time wherever
    /// a signature differs.
    pub fn verify(&self, label: &str, text: &[u8], signature: &[u8]) -> bool {
        let masters = self.masters();
        masters
            .all()
            .any(|key| hmac::verify(&derived(key, label), text, signature).is_ok())
    }
}

fn derived(key: &MasterKey, label: &str) -> hmac::Key {
    let deriving = hmac::Key::new(hmac::HMAC_SHA256, &*key.secret);
    let mut purpose = LABEL.to_vec();
    purpose.extend_from_slice(label.as_bytes());
    hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&deriving, &purpose).as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;
    /// A ring with `old` behind a new first key.
    fn rotated(old: &KeyRing) -> KeyRing {
        let new = KeyRing::random().masters().first.clone();
        let others = vec![old.masters().first.clone()];
        KeyRing::assemble(new, others, old.0.fingerprint_secret.clone())
    }

    #[test]
    fn a_signature_holds_for_its_text_and_label_alone() {
        let ring = KeyRing::random();
        let signature = ring.sign("link", b"ada");
        let mut bent = signature;
        bent[31] ^= 1;
        for (why, by, label, text, given, holds) in [
            ("as it was made", &ring, "link", "ada", &signature[..], true),
            ("another text", &ring, "link", "adb", &signature[..], false),
            ("another label", &ring, "form", "ada", &signature[..], false),
            ("one bit off", &ring, "link", "ada", &bent[..], false),
            ("cut short", &ring, "link", "ada", &signature[..16], false),
            ("none", &ring, "link", "ada", &[][..], false),
            (
                "another ring",
                &KeyRing::random(),
                "link",
                "ada",
                &signature[..],
                false,
            ),
        ] {
            assert_eq!(by.verify(label, text.as_bytes(), given), holds, "{why}");
        }
    }

    #[test]
    fn a_rotation_ends_no_signature_that_was_made_before() {
        let old = KeyRing::random();
        let new = rotated(&old);

        assert!(new.verify("link", b"ada", &old.sign("link", b"ada")));
        assert!(!old.verify("link", b"ada", &new.sign("link", b"ada")));
    }
}

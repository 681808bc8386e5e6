//! The key ring: sealing what rests on disk, and fingerprints that name a secret without showing it.
//!
//! The ring holds the operator's master keys. They seal nothing but data keys; a data key belongs to
//! one member (or application) and seals that member's tokens and kept bodies. What is signed is
//! signed with keys derived from them (`signing`).
//!
//! **Invariant:** the first key seals, every key opens; the fingerprint key is a key of its own and
//! stays when the others change, so that records of different years can be compared.
//! **Neighbours:** `credentials` (tokens), `incident` (bodies, fingerprints), `connect` (signed links).

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use arc_swap::ArcSwap;
use aws_lc_rs::hmac;
use data_encoding::HEXLOWER;
use zeroize::Zeroizing;

mod file;
mod live;
mod seal;
mod signing;
mod source;
mod turning;

pub use file::KeyFileError;
pub use live::LiveSecrets;
pub(crate) use seal::random_bytes;
pub use signing::SIGNATURE_BYTES;
pub use source::KeySource;
pub use turning::NewKey;

/// A short keyed fingerprint of a secret (HMAC-SHA-256, 16 hex digits): equal secrets have equal
/// fingerprints in all records, and nobody without the key can test a guess.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Fingerprint(Arc<str>);

impl Fingerprint {
    /// The text that stands in records: 16 hex digits.
    pub fn as_arc(&self) -> &Arc<str> {
        &self.0
    }

    /// Takes back what [`Fingerprint::as_arc`] gave, as it was stored.
    pub fn from_stored(text: &str) -> Self {
        Self(text.into())
    }

    /// Its number; none where what was stored is no fingerprint.
    fn tag(&self) -> Option<Tag> {
        u64::from_str_radix(&self.0, 16).ok().map(Tag)
    }
}

impl From<Tag> for Fingerprint {
    fn from(Tag(number): Tag) -> Self {
        Self(HEXLOWER.encode(&number.to_be_bytes()).into())
    }
}

/// A [`Fingerprint`] as the number that its digits write: a tenth of the text's bytes where there are very many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag(u64);

impl Tag {
    /// As a database keeps it.
    pub fn to_stored(self) -> i64 {
        self.0.cast_signed()
    }

    /// Takes back what [`Tag::to_stored`] gave.
    pub fn from_stored(number: i64) -> Self {
        Self(number.cast_unsigned())
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A key for one member's (or application's) rows and bodies; stored only wrapped by the ring.
/// Forgetting a member is deleting this one small key.
#[derive(Clone)]
pub struct DataKey {
    secret: Arc<Zeroizing<[u8; 32]>>,
    id: Arc<str>,
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DataKey({})", self.id)
    }
}

/// One of the operator's keys.
#[derive(Clone)]
struct MasterKey {
    id: Arc<str>,
    secret: Zeroizing<[u8; 32]>,
}

/// The master keys of a moment.
struct Masters {
    /// The one that seals.
    first: MasterKey,
    others: Vec<MasterKey>,
}

struct Keys {
    /// Changed by a rotation, under those who seal and open.
    masters: ArcSwap<Masters>,
    fingerprints: hmac::Key,
    fingerprint_secret: Zeroizing<[u8; 32]>,
    /// The key file; none where the keys came from elsewhere, and cannot be changed from here.
    file: Option<PathBuf>,
}

/// The operator's keys. Cheap to clone; all clones see a rotation at once.
#[derive(Clone)]
pub struct KeyRing(Arc<Keys>);

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyRing")?;
        f.debug_list().entries(self.ids()).finish()
    }
}

/// Something sealed did not open: wrong key, wrong place, or damaged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("sealed data does not open: wrong key, moved or damaged")]
pub struct Unsealable;

/// Associated data of the check value.
const CHECK_PLACE: &[u8] = b"linkgate check value v1";
/// What the fingerprint key is derived for when the first master key is made.
const FINGERPRINT_LABEL: &[u8] = b"linkgate fingerprint key v1";

impl Masters {
    fn all(&self) -> impl Iterator<Item = &MasterKey> {
        std::iter::once(&self.first).chain(&self.others)
    }
}

impl KeyRing {
    /// A ring with one random key, for tests and the demo.
    pub fn random() -> Self {
        let secret = Zeroizing::new(random_bytes());
        let label = hmac::Key::new(hmac::HMAC_SHA256, &*secret);
        let mut fingerprint_secret = Zeroizing::new([0; 32]);
        let derived = hmac::sign(&label, FINGERPRINT_LABEL);
        for (to, from) in fingerprint_secret.iter_mut().zip(derived.as_ref()) {
            *to = *from;
        }
        let id = random_id();
        Self::assemble(MasterKey { id, secret }, Vec::new(), fingerprint_secret)
    }

    /// Makes a key file with one new key, mode 0600, on disk when this returns.
    ///
    /// # Errors
    /// [`KeyFileError`]; a file that exists is never overwritten.
    pub fn create_file(path: &Path) -> Result<Self, KeyFileError> {
        let ring = Self::random();
        file::write_new(path, &ring.text())?;
        Ok(ring.kept_in(path))
    }

    /// Reads a key file.
    ///
    /// # Errors
    /// [`KeyFileError`]: missing, readable by others, or not a key file.
    pub fn load_file(path: &Path) -> Result<Self, KeyFileError> {
        Ok(file::read(path, file::Readers::Owner)?.kept_in(path))
    }

    /// The same ring, with the file that a rotation changes.
    fn kept_in(self, path: &Path) -> Self {
        let masters = self.masters();
        let secret = self.0.fingerprint_secret.clone();
        let mut ring = Self::assemble(masters.first.clone(), masters.others.clone(), secret);
        if let Some(keys) = Arc::get_mut(&mut ring.0) {
            keys.file = Some(path.to_owned());
        }
        ring
    }

    /// The whole ring as a key file's text: what `store.key_env` and `store.key_credential` take.
    pub fn text(&self) -> Zeroizing<String> {
        file::render(&self.masters(), &self.0.fingerprint_secret)
    }

    fn masters(&self) -> Arc<Masters> {
        self.0.masters.load_full()
    }

    fn assemble(
        first: MasterKey,
        others: Vec<MasterKey>,
        fingerprint_secret: Zeroizing<[u8; 32]>,
    ) -> Self {
        let fingerprints = hmac::Key::new(hmac::HMAC_SHA256, &*fingerprint_secret);
        Self(Arc::new(Keys {
            masters: ArcSwap::from_pointee(Masters { first, others }),
            fingerprints,
            fingerprint_secret,
            file: None,
        }))
    }

    /// The keyed fingerprint of `secret`.
    pub fn fingerprint(&self, secret: &[u8]) -> Fingerprint {
        self.tag(secret).into()
    }

    /// The same as a number.
    pub fn tag(&self, secret: &[u8]) -> Tag {
        let full = hmac::sign(&self.0.fingerprints, secret);
        let first = full.as_ref().first_chunk().copied().unwrap_or_default();
        Tag(u64::from_be_bytes(first))
    }

    /// A new random data key.
    pub fn new_data_key(&self) -> DataKey {
        DataKey::from_secret(Zeroizing::new(random_bytes()))
    }

    /// Wraps a data key for storage; `place` names whose it is.
    pub fn wrap(&self, key: &DataKey, place: &str) -> Vec<u8> {
        self.seal(key.secret.as_slice(), place.as_bytes())
    }

    /// Opens a wrapped data key.
    ///
    /// # Errors
    /// [`Unsealable`].
    pub fn unwrap(&self, wrapped: &[u8], place: &str) -> Result<DataKey, Unsealable> {
        let opened = Zeroizing::new(self.open(wrapped, place.as_bytes())?);
        let secret = <[u8; 32]>::try_from(opened.as_slice()).map_err(|_| Unsealable)?;
        Ok(DataKey::from_secret(Zeroizing::new(secret)))
    }

    /// A value that only this ring opens: kept beside the data, it tells a wrong key file before
    /// anything is written.
    pub fn check_value(&self) -> Vec<u8> {
        let fingerprint = self.fingerprint(CHECK_PLACE);
        self.seal(fingerprint.0.as_bytes(), CHECK_PLACE)
    }

    /// Whether this ring made `check_value`, fingerprint key included.
    pub fn matches(&self, check_value: &[u8]) -> bool {
        let expected = self.fingerprint(CHECK_PLACE);
        self.open(check_value, CHECK_PLACE)
            .is_ok_and(|opened| opened == expected.0.as_bytes())
    }

    /// `[id length][id][nonce][ciphertext and tag]`, bound to the id and the place.
    fn seal(&self, plain: &[u8], place: &[u8]) -> Vec<u8> {
        let masters = self.masters();
        let key = &masters.first;
        let mut sealed = Vec::with_capacity(1 + key.id.len() + plain.len() + seal::OVERHEAD);
        // Ids are read from a file that allows no longer ones.
        sealed.push(u8::try_from(key.id.len()).unwrap_or(u8::MAX));
        sealed.extend_from_slice(key.id.as_bytes());
        let bound = seal::bound(&key.id, place);
        seal::seal(&key.secret, plain, &bound, &mut sealed);
        sealed
    }

    fn open(&self, sealed: &[u8], place: &[u8]) -> Result<Vec<u8>, Unsealable> {
        let (id, rest) = split_id(sealed).ok_or(Unsealable)?;
        let masters = self.masters();
        let key = masters.all().find(|key| key.id.as_bytes() == id);
        let key = key.ok_or(Unsealable)?;
        seal::open(&key.secret, rest, &seal::bound(&key.id, place))
    }
}

/// The key id in front of what a ring sealed, and the rest.
fn split_id(sealed: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = sealed.split_first()?;
    rest.split_at_checked(usize::from(*length))
}

fn random_id() -> Arc<str> {
    HEXLOWER.encode(&random_bytes::<4>()).into()
}

impl DataKey {
    fn from_secret(secret: Zeroizing<[u8; 32]>) -> Self {
        let naming = hmac::Key::new(hmac::HMAC_SHA256, &*secret);
        let name = hmac::sign(&naming, b"linkgate data key id v1");
        let short: [u8; 8] = name.as_ref().first_chunk().copied().unwrap_or_default();
        Self {
            secret: Arc::new(secret),
            id: HEXLOWER.encode(&short).into(),
        }
    }

    /// Names the key without showing it: 16 hex digits derived from it.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Seals `plain` (XChaCha20-Poly1305, random nonce); `place` is the associated data.
    pub fn seal(&self, plain: &[u8], place: &str) -> Vec<u8> {
        let mut sealed = Vec::with_capacity(plain.len() + seal::OVERHEAD);
        self.seal_to(plain, place, &mut sealed);
        sealed
    }

    /// The same, behind what stands in `sealed` already.
    pub fn seal_to(&self, plain: &[u8], place: &str, sealed: &mut Vec<u8>) {
        seal::seal(&self.secret, plain, place.as_bytes(), sealed);
    }

    /// Opens what [`DataKey::seal`] made for the same place.
    ///
    /// # Errors
    /// [`Unsealable`].
    pub fn open(&self, sealed: &[u8], place: &str) -> Result<Vec<u8>, Unsealable> {
        seal::open(&self.secret, sealed, place.as_bytes())
    }
}

#[cfg(test)]
mod tests;

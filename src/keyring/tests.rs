//! The ring, its file and the live secrets.

use std::os::unix::fs::PermissionsExt as _;

use proptest::prelude::*;

use super::*;

#[test]
fn a_data_key_survives_wrapping_and_opens_only_in_its_own_place() {
    let ring = KeyRing::random();
    let key = ring.new_data_key();

    let wrapped = ring.wrap(&key, "default/ada");

    let again = ring.unwrap(&wrapped, "default/ada").unwrap();
    assert_eq!(again.open(&key.seal(b"AQX", "p"), "p").unwrap(), b"AQX");
    assert_eq!(again.id(), key.id());
    assert!(ring.unwrap(&wrapped, "default/grace").is_err());
    assert!(KeyRing::random().unwrap(&wrapped, "default/ada").is_err());
}

#[test]
fn a_key_file_is_private_and_gives_the_same_ring_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data/linkgate.key");

    let made = KeyRing::create_file(&path).unwrap();
    let loaded = KeyRing::load_file(&path).unwrap();

    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
    assert!(loaded.matches(&made.check_value()));
    assert_eq!(loaded.fingerprint(b"AQX"), made.fingerprint(b"AQX"));
    assert_eq!(
        std::fs::read_dir(path.parent().unwrap()).unwrap().count(),
        1
    );
}

#[test]
fn an_existing_key_file_is_never_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("linkgate.key");
    KeyRing::create_file(&path).unwrap();
    let before = std::fs::read(&path).unwrap();

    let second = KeyRing::create_file(&path);

    assert!(matches!(second, Err(KeyFileError::Io { .. })));
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn a_key_file_that_others_may_read_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("linkgate.key");
    KeyRing::create_file(&path).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();

    let refused = KeyRing::load_file(&path).unwrap_err().to_string();

    assert!(refused.contains("mode 0640"), "{refused}");
}

#[test]
fn a_damaged_key_file_is_named_by_line_without_showing_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("linkgate.key");
    for (why, content, line) in [
        ("empty", "", 1),
        ("another file", "hello\n", 1),
        ("no key", "linkgate-key-v1\n", 1),
        ("cut", "linkgate-key-v1\na QUJD\n", 2),
        ("no base64", "linkgate-key-v1\n# note\na ???\n", 3),
        ("no separator", "linkgate-key-v1\nabc\n", 2),
    ] {
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();

        let error = KeyRing::load_file(&path).unwrap_err();

        assert!(
            matches!(error, KeyFileError::Malformed { line: at, .. } if at == line),
            "{why}: {error}"
        );
        assert!(!error.to_string().contains("QUJD"), "{why}");
    }
    assert!(matches!(
        KeyRing::load_file(&folder.path().join("none")),
        Err(KeyFileError::Missing { .. })
    ));
}

#[test]
fn a_ring_with_a_new_sealing_key_opens_what_the_old_one_sealed() {
    let old = KeyRing::random();
    let wrapped = old.wrap(&old.new_data_key(), "default/ada");
    let check = old.check_value();
    let newer = KeyRing::random();

    let both = KeyRing::assemble(
        newer.masters().first.clone(),
        vec![old.masters().first.clone()],
        old.0.fingerprint_secret.clone(),
    );

    assert!(both.unwrap(&wrapped, "default/ada").is_ok());
    assert!(both.matches(&check));
    assert_eq!(both.fingerprint(b"AQX"), old.fingerprint(b"AQX"));
    assert!(!old.matches(&both.check_value()));
}

#[test]
fn another_ring_is_told_by_the_check_value() {
    let ring = KeyRing::random();

    assert!(ring.matches(&ring.check_value()));
    assert!(!ring.matches(&KeyRing::random().check_value()));
    assert!(!ring.matches(b""));
}

#[test]
fn the_generation_of_live_secrets_rises_only_when_one_is_new() {
    let live = LiveSecrets::new(KeyRing::random());
    let mut generations = vec![live.generation()];
    let mut note = |live: &LiveSecrets| generations.push(live.generation());

    let fingerprint = live.add(b"AQX");
    note(&live);
    assert_eq!(live.add(b"AQX"), fingerprint);
    live.add_known(&fingerprint);
    note(&live);
    live.add_known(&live.fingerprint(b"AQY"));
    note(&live);
    live.remove(&fingerprint);
    live.add(b"AQX");
    note(&live);

    assert_eq!(generations, [0, 1, 1, 2, 3]);
}

#[test]
fn live_secrets_are_found_by_value_until_removed() {
    let ring = KeyRing::random();
    let live = LiveSecrets::new(ring.clone());
    let other = LiveSecrets::new(ring);

    let fingerprint = live.add(b"AQXtoken");
    other.add_known(&Fingerprint::from_stored(fingerprint.as_arc()));

    assert_eq!(live.find(b"AQXtoken"), Some(fingerprint.clone()));
    assert_eq!(other.find(b"AQXtoken"), Some(fingerprint.clone()));
    assert_eq!(live.find(b"AQXtokem"), None);
    assert_eq!(fingerprint.as_arc().len(), 16);
    live.remove(&fingerprint);
    assert_eq!(live.find(b"AQXtoken"), None);
}

#[test]
fn nothing_here_prints_a_key() {
    let ring = KeyRing::random();
    let key = ring.new_data_key();
    let secret = format!("{:?}", &**key.secret);

    let printed = format!("{ring:?} {key:?} {:?}", LiveSecrets::new(ring.clone()));

    assert!(!printed.contains(&secret));
    assert!(printed.contains("LiveSecrets(0)"));
}

proptest! {
    #[test]
    fn what_is_sealed_opens_unchanged_and_any_flipped_bit_is_refused(
        plain in proptest::collection::vec(any::<u8>(), 0..2000),
        place in ".{0,40}",
        at in any::<prop::sample::Index>(),
        bit in 0..8_u32,
    ) {
        let key = KeyRing::random().new_data_key();
        let mut sealed = key.seal(&plain, &place);

        prop_assert_eq!(key.open(&sealed, &place).unwrap(), plain);
        let elsewhere = format!("{place}x");
        prop_assert!(key.open(&sealed, &elsewhere).is_err());
        let at = at.index(sealed.len());
        sealed[at] ^= 1 << bit;
        prop_assert!(key.open(&sealed, &place).is_err());
    }

    #[test]
    fn arbitrary_bytes_never_open_and_never_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let ring = KeyRing::random();

        prop_assert!(ring.unwrap(&bytes, "p").is_err());
        prop_assert!(!ring.matches(&bytes));
        prop_assert!(ring.new_data_key().open(&bytes, "p").is_err());
    }
}

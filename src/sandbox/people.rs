//! The members who live in the sandbox, and the names LinkedIn knows them by.
//!
//! **Invariant:** a member's `sub` differs from application to application (it is pairwise) and is
//! the same in every run, so a test can compute it.

/// The people the consent page offers; any other name is let in too.
pub(crate) const PEOPLE: [(&str, &str, &str); 4] = [
    ("ada", "Ada", "Lovelace"),
    ("grace", "Grace", "Hopper"),
    ("katherine", "Katherine", "Johnson"),
    ("linus", "Linus", "Pauling"),
];

/// Given and family name of a member.
pub(crate) fn full_name(member: &str) -> (String, String) {
    PEOPLE
        .iter()
        .find(|(name, ..)| *name == member)
        .map_or_else(
            || (member.to_owned(), String::from("Sandbox")),
            |(_, given, family)| ((*given).to_owned(), (*family).to_owned()),
        )
}

/// The member's pairwise identifier for one application: ten characters, like LinkedIn's.
pub(crate) fn sub(client_id: &str, member: &str) -> String {
    let low = crc32fast::hash(format!("{client_id}/{member}").as_bytes());
    let high = crc32fast::hash(format!("{member}@{client_id}").as_bytes());
    let mut rest = (u64::from(high) << 32) | u64::from(low);
    let mut text = String::with_capacity(10);
    for _ in 0..10 {
        let digit = u32::try_from(rest % 36).unwrap_or(0);
        text.push(char::from_digit(digit, 36).unwrap_or('0'));
        rest /= 36;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sub_is_stable_for_one_application_and_differs_in_another() {
        assert_eq!(sub("78a", "ada"), sub("78a", "ada"));
        assert_ne!(sub("78a", "ada"), sub("78b", "ada"));
        assert_ne!(sub("78a", "ada"), sub("78a", "grace"));
        assert_eq!(sub("78a", "ada").len(), 10);
    }
}

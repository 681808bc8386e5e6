//! How long a webhook, or a notice it refused, is left alone.

use std::time::Duration;

/// The wait after `failures` failed tries: doubles from `first` to `longest`, of which the last half is
/// drawn by lot, so that receivers that fell together are not knocked at together.
pub(super) fn wait(first: Duration, longest: Duration, failures: u32, drawn: f64) -> Duration {
    let doubled = 2_u32.saturating_pow(failures.saturating_sub(1).min(30));
    let ceiling = first.saturating_mul(doubled).min(longest);
    ceiling.mul_f64(0.5 + 0.5 * drawn.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FIRST: Duration = Duration::from_secs(5);
    const LONGEST: Duration = Duration::from_secs(3600);

    #[test]
    fn waits_double_and_end_at_the_longest() {
        let full = |failures| wait(FIRST, LONGEST, failures, 1.0).as_secs();

        assert_eq!([1, 2, 3, 4].map(full), [5, 10, 20, 40]);
        assert_eq!([11, 100, u32::MAX].map(full), [3600, 3600, 3600]);
    }

    proptest! {
        #[test]
        fn no_wait_is_below_half_or_above_its_ceiling(failures in 1..2000_u32, drawn in 0.0..1.0) {
            let ceiling = wait(FIRST, LONGEST, failures, 1.0);
            let drawn = wait(FIRST, LONGEST, failures, drawn);

            prop_assert!(drawn >= ceiling / 2 && drawn <= ceiling);
        }
    }
}

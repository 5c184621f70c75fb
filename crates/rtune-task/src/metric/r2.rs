//! The coefficient of determination.

use super::mean;

/// The coefficient of determination (Wright, 1921), 1 − Σ(ŷ − y)² / Σ(y − ȳ)², or `None` if all
/// targets are equal, so that there is nothing to explain.
pub(super) fn r2(predictions: &[f64], targets: &[f64]) -> Option<f64> {
    let first = targets.first()?;
    if targets.iter().all(|target| target == first) {
        return None;
    }
    let center = mean(targets.iter().copied());
    let pairs = predictions.iter().zip(targets);
    let left: f64 = pairs.map(|(found, target)| (found - target).powi(2)).sum();
    let total: f64 = targets.iter().map(|target| (target - center).powi(2)).sum();
    Some(1.0 - left / total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_hand_computed_values() {
        for (predictions, expected) in [
            ([1.0, 2.0, 6.0], Some(1.0)),
            ([3.0, 3.0, 3.0], Some(0.0)),
            // 1 + 1 of 4 + 1 + 9.
            ([2.0, 1.0, 6.0], Some(1.0 - 2.0 / 14.0)),
        ] {
            assert_eq!(r2(&predictions, &[1.0, 2.0, 6.0]), expected);
        }
    }

    #[test]
    fn equal_targets_have_none() {
        // Their mean is not 0.1 in floats.
        assert_eq!(r2(&[0.1, 0.2, 0.3], &[0.1; 3]), None);
        assert_eq!(r2(&[], &[]), None);
    }
}

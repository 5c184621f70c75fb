//! Mean absolute errors.

use super::{mean, ratio};

/// The mean absolute error.
pub(super) fn mae(errors: impl Iterator<Item = f64>) -> f64 {
    mean(errors.map(f64::abs))
}

/// The mean over classes of the mean absolute error within each, in classes. Classes without
/// examples do not count.
pub(super) fn macro_mae(confusion: &[Vec<usize>]) -> f64 {
    let present = confusion
        .iter()
        .enumerate()
        .filter(|(_, row)| row.iter().any(|count| *count > 0));
    mean(present.map(|(class, row)| {
        let distances = row.iter().enumerate().map(|(k, n)| n * k.abs_diff(class));
        ratio(distances.sum(), row.iter().sum())
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn macro_mae_weighs_classes_alike_and_skips_empty_ones() {
        let of = |rows: [[usize; 3]; 3]| macro_mae(&rows.map(|row| row.to_vec()));
        assert_eq!(
            of([[1, 1, 0], [0, 1, 0], [1, 0, 0]]),
            (0.5 + 0.0 + 2.0) / 3.0
        );
        assert_eq!(of([[99, 0, 0], [0, 0, 0], [0, 1, 0]]), 0.5);
    }

    #[test]
    fn mae_takes_magnitudes() {
        assert_eq!(mae([1.0, -3.0].into_iter()), 2.0);
    }
}

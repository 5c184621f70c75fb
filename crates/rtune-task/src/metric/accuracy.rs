//! Accuracy, off-by-one accuracy and the confusion matrix.

use super::mean;

/// The share of pairs of predicted and true class that are at most `distance` classes apart.
pub(super) fn within(pairs: &[(usize, usize)], distance: usize) -> f64 {
    mean(
        pairs
            .iter()
            .map(|(predicted, class)| f64::from(predicted.abs_diff(*class) <= distance)),
    )
}

/// The number of examples by true class (rows) and predicted class (columns).
///
/// # Shapes
/// → `[classes, classes]`
pub(super) fn confusion(pairs: &[(usize, usize)], classes: usize) -> Vec<Vec<usize>> {
    let mut confusion = vec![vec![0; classes]; classes];
    for (predicted, class) in pairs {
        confusion[*class][*predicted] += 1;
    }
    confusion
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAIRS: [(usize, usize); 4] = [(0, 0), (1, 0), (1, 1), (0, 2)];

    #[test]
    fn counts_match_a_hand_computed_table() {
        assert_eq!(
            [within(&PAIRS, 0), within(&PAIRS, 1), within(&PAIRS, 2)],
            [0.5, 0.75, 1.0]
        );
        assert_eq!(confusion(&PAIRS, 3), [[1, 1, 0], [0, 1, 0], [1, 0, 0]]);
    }
}

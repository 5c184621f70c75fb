//! Accuracy, off-by-one accuracy, recall and the confusion matrix.

use super::{mean, ratio};

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

/// For each class, the share of its examples that were predicted as it; none without examples.
pub(super) fn recall(confusion: &[Vec<usize>]) -> Vec<Option<f64>> {
    let rows = confusion.iter().enumerate();
    let recall = |(class, row): (usize, &Vec<usize>)| {
        let examples = row.iter().sum();
        (examples > 0).then(|| ratio(row[class], examples))
    };
    rows.map(recall).collect()
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
        let confusion = confusion(&PAIRS, 3);
        assert_eq!(confusion, [[1, 1, 0], [0, 1, 0], [1, 0, 0]]);
        assert_eq!(recall(&confusion), [Some(0.5), Some(1.0), Some(0.0)]);
    }

    #[test]
    fn a_class_without_examples_has_no_recall() {
        assert_eq!(recall(&confusion(&[(0, 0)], 2)), [Some(1.0), None]);
        assert_eq!(within(&[], 0), 0.0);
    }
}

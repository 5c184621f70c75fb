//! Precision and recall of each class.

use super::{defined, ratio};

/// For each class, the share of the examples predicted as it that are of it; none if no example was
/// predicted as it.
///
/// # Shapes
/// confusion `[classes, classes]` → `[classes]`
pub(super) fn precision(confusion: &[Vec<usize>]) -> Vec<Option<f64>> {
    let of = |class: usize| {
        let predicted = confusion.iter().map(|row| row[class]).sum();
        defined(ratio(confusion[class][class], predicted))
    };
    (0..confusion.len()).map(of).collect()
}

/// For each class, the share of its examples that were predicted as it; none without examples.
///
/// # Shapes
/// confusion `[classes, classes]` → `[classes]`
pub(super) fn recall(confusion: &[Vec<usize>]) -> Vec<Option<f64>> {
    let rows = confusion.iter().enumerate();
    rows.map(|(class, row)| defined(ratio(row[class], row.iter().sum())))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_match_a_hand_computed_table() {
        let confusion = [[1, 1, 0], [0, 1, 0], [1, 0, 0]].map(|row| row.to_vec());
        assert_eq!(recall(&confusion), [Some(0.5), Some(1.0), Some(0.0)]);
        assert_eq!(precision(&confusion), [Some(0.5), Some(0.5), None]);
    }

    #[test]
    fn a_class_without_examples_has_no_recall() {
        let confusion = [[1, 1], [0, 0]].map(|row| row.to_vec());
        assert_eq!(recall(&confusion), [Some(0.5), None]);
        assert_eq!(precision(&confusion), [Some(1.0), Some(0.0)]);
    }
}

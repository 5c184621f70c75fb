//! Quadratic weighted kappa.

/// Kappa with quadratic weights (Cohen, 1968): 1 minus the observed over the expected
/// disagreement. `None` if all targets and predictions are in one class, where chance agrees, too.
///
/// # Shapes
/// confusion `[classes, classes]`
pub(super) fn qwk(confusion: &[Vec<usize>]) -> Option<f64> {
    let classes = confusion.len();
    let rows: Vec<usize> = confusion.iter().map(|row| row.iter().sum()).collect();
    let columns: Vec<usize> = (0..classes)
        .map(|k| confusion.iter().map(|row| row[k]).sum())
        .collect();
    let total = rows.iter().sum::<usize>() as f64;
    let (mut observed, mut expected) = (0.0, 0.0);
    for i in 0..classes {
        for j in 0..classes {
            let weight = (i.abs_diff(j) as f64).powi(2);
            observed += weight * confusion[i][j] as f64;
            expected += weight * rows[i] as f64 * columns[j] as f64 / total;
        }
    }
    (expected > 0.0).then(|| 1.0 - observed / expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_hand_computed_tables() {
        for (rows, expected) in [
            // Observed 1 + 4 = 5; expected from rows 2 1 1 and columns 2 2 0:
            // (2·2·1 + 1·2·1 + 1·2·4 + 1·2·1) / 4 = 4.
            ([[1, 1, 0], [0, 1, 0], [1, 0, 0]], 1.0 - 5.0 / 4.0),
            ([[2, 0, 0], [0, 3, 0], [0, 0, 4]], 1.0),
            // As good as chance: each row has the same distribution.
            ([[1, 1, 1], [1, 1, 1], [1, 1, 1]], 0.0),
            // One true class, two predicted ones.
            ([[0, 0, 0], [1, 4, 0], [0, 0, 0]], 0.0),
        ] {
            let found = qwk(&rows.map(|row| row.to_vec())).unwrap();
            assert!((found - expected).abs() < 1e-12, "{rows:?}: {found}");
        }
    }

    #[test]
    fn complete_disagreement_of_two_classes_is_minus_1() {
        assert_eq!(qwk(&[vec![0, 4], vec![4, 0]]), Some(-1.0));
    }

    #[test]
    fn one_class_has_none() {
        assert_eq!(qwk(&[vec![0, 0], vec![0, 5]]), None);
        assert_eq!(qwk(&[vec![0, 0], vec![0, 0]]), None);
    }
}

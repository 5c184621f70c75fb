//! Rank correlation.

use super::mean;

/// The rank correlation of two lists (Spearman, 1904), or `None` if all values of one list are
/// equal, which has no order.
pub(super) fn spearman(a: &[f64], b: &[f64]) -> Option<f64> {
    let (a, b) = (ranks(a), ranks(b));
    let (mean_a, mean_b) = (mean(a.iter().copied()), mean(b.iter().copied()));
    let products = a.iter().zip(&b).map(|(x, y)| (x - mean_a) * (y - mean_b));
    let covariance: f64 = products.sum();
    let spread = |values: &[f64], mean: f64| values.iter().map(|v| (v - mean).powi(2)).sum::<f64>();
    let scale = (spread(&a, mean_a) * spread(&b, mean_b)).sqrt();
    (scale > 0.0).then(|| covariance / scale)
}

/// Ranks from 1; equal values share the mean of their ranks.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut ranks = vec![0.0; values.len()];
    let mut start = 0;
    for equals in order.chunk_by(|a, b| values[*a] == values[*b]) {
        let rank = start as f64 + (equals.len() as f64 + 1.0) / 2.0;
        equals.iter().for_each(|index| ranks[*index] = rank);
        start += equals.len();
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_share_ranks() {
        assert_eq!(ranks(&[3.0, 1.0, 3.0]), [2.5, 1.0, 2.5]);
        assert_eq!(ranks(&[]), [0.0; 0]);
    }

    #[test]
    fn correlation_depends_on_order_only() {
        for (b, expected) in [
            ([10.0, 20.0, 40.0], 1.0),
            ([3.0, 2.0, 1.0], -1.0),
            ([2.0, 1.0, 3.0], 0.5),
        ] {
            let found = spearman(&[1.0, 2.0, 3.0], &b).unwrap();
            assert!((found - expected).abs() < 1e-12, "{b:?}: {found}");
        }
    }

    #[test]
    fn constant_values_have_none() {
        assert_eq!(spearman(&[1.0, 2.0, 3.0], &[0.1; 3]), None);
        assert_eq!(spearman(&[0.1; 3], &[1.0, 2.0, 3.0]), None);
        assert_eq!(spearman(&[], &[]), None);
    }
}

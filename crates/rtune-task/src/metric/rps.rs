//! The ranked probability score.

/// The ranked probability score of one example (Epstein, 1969), divided by the number of classes
/// less one, so that it lies between 0 and 1.
///
/// # Shapes
/// probabilities `[classes]`, at least two
pub(super) fn ranked_probability_score(probabilities: &[f64], class: usize) -> f64 {
    let steps = probabilities.len() - 1;
    let mut cumulative = 0.0;
    let terms = probabilities[..steps].iter().enumerate().map(|(k, p)| {
        cumulative += p;
        (cumulative - f64::from(k >= class)).powi(2)
    });
    terms.sum::<f64>() / steps as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_a_hand_computed_table() {
        for (probabilities, class, expected) in [
            ([1.0, 0.0, 0.0], 0, 0.0),
            ([1.0, 0.0, 0.0], 1, 0.5),
            ([1.0, 0.0, 0.0], 2, 1.0),
            ([0.5, 0.5, 0.0], 1, 0.125),
        ] {
            let found = ranked_probability_score(&probabilities, class);
            assert!(
                (found - expected).abs() < 1e-12,
                "{probabilities:?} {class}"
            );
        }
    }
}

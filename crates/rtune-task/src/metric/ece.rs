//! The expected calibration error.

use crate::Decision;

/// The number of bins of confidence.
const BINS: usize = 15;

/// The expected calibration error (Naeini et al., 2015; Guo et al., 2017).
///
/// The confidence of an example is its largest probability, and a hit is an example whose most
/// probable class, the lowest of equals, is the true one. Examples are divided by their confidence
/// into 15 bins of equal width, (0, 1/15], (1/15, 2/15], …, and
///
/// ```text
/// ECE = Σ_bins (examples of the bin / examples) · |share of hits − mean confidence|
/// ```
///
/// It does not depend on a decision rule. Of probabilities that are right it is 0 in the limit of
/// many examples; chance adds up to about 0.08 with 200 examples, and 0.03 with 2,000.
///
/// # Shapes
/// `examples`: probabilities `[classes]` and the true class
pub(super) fn expected_calibration_error<'a>(
    examples: impl Iterator<Item = (&'a [f64], usize)>,
) -> f64 {
    // For each bin, the sum over its examples of hit (1 or 0) minus confidence.
    let mut excess = [0.0; BINS];
    let mut count = 0_usize;
    for (probabilities, class) in examples {
        let predicted = Decision::Mode.class(probabilities);
        let confidence = probabilities[predicted];
        let bin = (confidence * BINS as f64).ceil() as usize;
        excess[bin.clamp(1, BINS) - 1] += f64::from(u8::from(predicted == class)) - confidence;
        count += 1;
    }
    // Each bin's share of the examples cancels with the division in its two means.
    let total: f64 = excess.iter().map(|bin| bin.abs()).sum();
    total / count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ece(examples: &[([f64; 3], usize)]) -> f64 {
        expected_calibration_error(examples.iter().map(|(p, class)| (&p[..], *class)))
    }

    #[test]
    fn matches_hand_computed_tables() {
        let (sure, half) = ([1.0, 0.0, 0.0], [0.3, 0.5, 0.2]);
        for (examples, expected) in [
            (&[(sure, 0)][..], 0.0),
            (&[(sure, 1)], 1.0),
            // One bin: half of the examples are hits.
            (&[(half, 1), (half, 0)], 0.0),
            (&[(half, 1), (half, 1)], 0.5),
            // Two bins do not cancel: |2 − 1| and |1 − 2| of four examples.
            (&[(half, 1), (half, 1), (sure, 0), (sure, 2)], 0.5),
        ] {
            assert!((ece(examples) - expected).abs() < 1e-12, "{examples:?}");
        }
    }

    #[test]
    fn the_upper_edge_belongs_to_a_bin() {
        // 0.4 = 6/15 is in the sixth bin and 0.41 in the seventh, so hit and miss do not cancel.
        let (edge, above) = ([0.4, 0.3, 0.3], [0.41, 0.3, 0.29]);
        let found = ece(&[(edge, 0), (above, 1)]);
        assert!((found - (0.6 + 0.41) / 2.0).abs() < 1e-12, "{found}");
        let within = [0.39, 0.31, 0.3];
        let found = ece(&[(edge, 0), (within, 1)]);
        assert!((found - (0.6 - 0.39) / 2.0).abs() < 1e-12, "{found}");
    }

    /// Labels drawn from the probabilities themselves, by a fixed rule without chance.
    #[test]
    fn right_probabilities_are_calibrated_and_sharpened_ones_are_not() {
        let draws = |answer: [f64; 3]| -> Vec<([f64; 3], usize)> {
            (0..10)
                .map(|draw| (answer, [0, 0, 0, 0, 0, 0, 0, 1, 1, 2][draw]))
                .collect()
        };
        assert!(ece(&draws([0.7, 0.2, 0.1])) < 1e-12);
        assert!((ece(&draws([0.95, 0.04, 0.01])) - 0.25).abs() < 1e-12);
    }
}

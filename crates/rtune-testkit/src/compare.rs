/// Asserts that two vectors agree: |expected − found| ≤ tolerance · (1 + |expected|) everywhere.
///
/// # Shapes
/// `[n]`, `[n]` with n > 0
///
/// # Panics
/// If the vectors are empty, have different lengths, or differ; the message names `what` and the
/// first element that differs. NaN agrees with nothing.
pub fn assert_close(what: &str, expected: &[f32], found: &[f32], tolerance: f32) {
    assert_eq!(expected.len(), found.len(), "{what}: lengths differ");
    assert!(!expected.is_empty(), "{what}: nothing to compare");
    for (index, (a, b)) in expected.iter().zip(found).enumerate() {
        assert!(
            (a - b).abs() <= tolerance * (1.0 + a.abs()),
            "{what}, element {index}: expected {a}, found {b}"
        );
    }
}

/// Returns `count` numbers between −1 and 1 without a visible pattern, the same for each `seed`.
pub fn noise(count: usize, seed: usize) -> Vec<f32> {
    (0..count)
        .map(|i| (((i + 1) * (seed + 7) * 2_654_435_761) % 10_007) as f32 / 5003.5 - 1.0)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "sum, element 1: expected 2, found NaN")]
    fn nan_is_a_difference() {
        assert_close("sum", &[1.0, 2.0], &[1.0, f32::NAN], 1e-5);
    }

    #[test]
    #[should_panic(expected = "nothing to compare")]
    fn empty_vectors_prove_nothing() {
        assert_close("sum", &[], &[], 1e-5);
    }

    #[test]
    fn noise_covers_the_range_and_depends_on_the_seed() {
        let values = noise(1000, 1);
        assert!(values.iter().all(|v| (-1.0..=1.0).contains(v)));
        assert!(values.iter().any(|v| *v < -0.9) && values.iter().any(|v| *v > 0.9));
        assert_ne!(values, noise(1000, 2));
    }
}

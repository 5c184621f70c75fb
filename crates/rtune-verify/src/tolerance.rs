/// The distance that two numbers may have: |a − b| ≤ atol + rtol · |a|, as in NumPy's `allclose`
/// with the reference as a.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tolerance {
    /// The absolute part.
    pub atol: f64,
    /// The part that grows with the reference.
    pub rtol: f64,
}

impl Tolerance {
    /// Returns the limit for a reference number.
    pub fn limit(&self, reference: f64) -> f64 {
        self.atol + self.rtol * reference.abs()
    }

    /// Returns the tolerance for inner values. They can be much larger than outputs, so the
    /// absolute part grows with the largest of them; it never shrinks.
    #[must_use]
    pub fn scaled_to(&self, reference: &[f32]) -> Self {
        let largest = reference
            .iter()
            .fold(1.0_f64, |largest, v| largest.max(f64::from(v.abs())));
        Self {
            atol: self.atol * largest,
            ..*self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absolute_part_grows_with_large_values_only() {
        let tolerance = Tolerance {
            atol: 1e-5,
            rtol: 1e-3,
        };
        for (values, atol) in [(&[0.1, -0.5][..], 1e-5), (&[-20.0, 3.0], 2e-4), (&[], 1e-5)] {
            let scaled = tolerance.scaled_to(values);
            assert!((scaled.atol - atol).abs() < 1e-12, "{values:?}");
            assert_eq!(scaled.rtol, 1e-3);
        }
    }
}

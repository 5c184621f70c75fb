use crate::Tolerance;

/// The distance of two runs.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Comparison {
    /// Numbers compared.
    pub elements: usize,
    /// Numbers beyond the tolerance. A number that is not finite is always beyond it.
    pub mismatches: usize,
    /// The largest |a − b|.
    pub max_abs: f64,
    /// The largest |a − b| / (atol + rtol · |a|); above 1 is beyond the tolerance. Infinite if the
    /// tolerance is 0 and the numbers differ.
    pub max_ratio: f64,
}

impl Comparison {
    /// Compares a candidate with a reference, element by element. A difference in length counts as
    /// mismatches.
    pub fn of(reference: &[f32], candidate: &[f32], tolerance: Tolerance) -> Self {
        let elements = reference.len().max(candidate.len());
        let missing = elements - reference.len().min(candidate.len());
        let mut result = Self {
            elements,
            mismatches: missing,
            ..Self::default()
        };
        let larger = |found: f64, next: f64| {
            if next.is_finite() {
                found.max(next)
            } else {
                f64::INFINITY
            }
        };
        for (a, b) in reference.iter().zip(candidate) {
            let (a, b) = (f64::from(*a), f64::from(*b));
            let difference = (a - b).abs();
            // Equal numbers are within any tolerance, one of 0 as well.
            let ratio = match difference == 0.0 {
                true => 0.0,
                false => difference / tolerance.limit(a),
            };
            if ratio.is_nan() || ratio > 1.0 {
                result.mismatches += 1;
            }
            result.max_abs = larger(result.max_abs, difference);
            result.max_ratio = larger(result.max_ratio, ratio);
        }
        result
    }

    /// Returns true if all numbers are within the tolerance.
    pub fn holds(&self) -> bool {
        self.mismatches == 0
    }

    /// Returns both comparisons as one.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            elements: self.elements + other.elements,
            mismatches: self.mismatches + other.mismatches,
            max_abs: self.max_abs.max(other.max_abs),
            max_ratio: self.max_ratio.max(other.max_ratio),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Tolerance = Tolerance {
        atol: 1.0,
        rtol: 1.0,
    };

    #[test]
    fn mismatches_are_counted() {
        // Reference, candidate, number of mismatches at |a − b| ≤ 1 + |a|.
        let cases: [(&[f32], &[f32], usize); 7] = [
            (&[1.0], &[2.9], 0),
            (&[1.0], &[3.1], 1),
            (&[0.0, 4.0], &[1.5, 8.5], 1),
            (&[f32::NAN], &[f32::NAN], 1),
            (&[f32::INFINITY], &[f32::INFINITY], 1),
            (&[1.0], &[1.0, 2.0], 1),
            (&[1.0, 2.0], &[], 2),
        ];
        for (reference, candidate, mismatches) in cases {
            let found = Comparison::of(reference, candidate, ONE);
            assert_eq!(found.mismatches, mismatches, "{reference:?} {candidate:?}");
            assert_eq!(found.holds(), mismatches == 0);
        }
    }

    #[test]
    fn no_tolerance_accepts_equal_numbers_only() {
        let none = Tolerance {
            atol: 0.0,
            rtol: 0.0,
        };
        let equal = Comparison::of(&[1.5, 0.0], &[1.5, 0.0], none);
        assert_eq!((equal.mismatches, equal.max_ratio), (0, 0.0));
        let other = Comparison::of(&[1.5], &[1.25], none);
        assert_eq!((other.mismatches, other.max_ratio), (1, f64::INFINITY));
    }

    #[test]
    fn sum_of_comparisons_has_the_larger_distance() {
        let near = Comparison::of(&[1.0], &[1.5], ONE);
        let far = Comparison::of(&[0.0, 0.0], &[0.0, 2.0], ONE);
        let both = near.and(far);
        assert_eq!((both.elements, both.mismatches), (3, 1));
        assert_eq!((both.max_abs, both.max_ratio), (2.0, 2.0));
    }
}

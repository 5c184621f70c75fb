/// How far two numbers may be apart: |a − b| ≤ atol + rtol · |a|, as in NumPy's `allclose` with the
/// reference as a.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tolerance {
    /// The absolute part.
    pub atol: f64,
    /// The part that grows with the reference.
    pub rtol: f64,
}

/// How far two runs are apart.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Comparison {
    /// Numbers compared.
    pub elements: usize,
    /// Numbers beyond the tolerance; a number that is not finite is always beyond.
    pub mismatches: usize,
    /// The largest |a − b|.
    pub max_abs: f64,
    /// The largest |a − b| / (atol + rtol · |a|): above 1 is beyond the tolerance.
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
        for (a, b) in reference.iter().zip(candidate) {
            let (a, b) = (f64::from(*a), f64::from(*b));
            let difference = (a - b).abs();
            let ratio =
                difference / (tolerance.atol + tolerance.rtol * a.abs()).max(f64::MIN_POSITIVE);
            if ratio.is_nan() || ratio > 1.0 {
                result.mismatches += 1;
            }
            result.max_abs = if difference.is_finite() {
                result.max_abs.max(difference)
            } else {
                f64::INFINITY
            };
            result.max_ratio = if ratio.is_finite() {
                result.max_ratio.max(ratio)
            } else {
                f64::INFINITY
            };
        }
        result
    }

    /// Whether all numbers are within the tolerance.
    pub fn holds(&self) -> bool {
        self.mismatches == 0
    }

    /// Both comparisons together.
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

/// The first of `count` points in order of execution that diverges, found by bisection; `None`
/// where the last does not.
///
/// Once a run has diverged, later points do as well; so the number of looks is the logarithm of
/// `count`.
///
/// # Errors
/// As `diverges`.
pub fn first_divergence<E>(
    count: usize,
    mut diverges: impl FnMut(usize) -> Result<bool, E>,
) -> Result<Option<usize>, E> {
    if count == 0 || !diverges(count - 1)? {
        return Ok(None);
    }
    let (mut low, mut high) = (0, count - 1);
    while low < high {
        let middle = low + (high - low) / 2;
        if diverges(middle)? {
            high = middle
        } else {
            low = middle + 1
        }
    }
    Ok(Some(low))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // Tests.
mod tests {
    use super::*;

    #[test]
    fn bisection_finds_every_place_in_few_looks() {
        for first in 0..100 {
            let mut looks = 0;
            let found = first_divergence::<()>(100, |i| {
                looks += 1;
                Ok(i >= first)
            });
            assert_eq!(found.unwrap(), Some(first));
            assert!(looks <= 8);
        }
        assert_eq!(first_divergence::<()>(100, |_| Ok(false)).unwrap(), None);
    }

    #[test]
    fn a_number_that_is_none_is_a_mismatch() {
        let tolerance = Tolerance {
            atol: 1.0,
            rtol: 1.0,
        };
        assert!(!Comparison::of(&[f32::NAN], &[f32::NAN], tolerance).holds());
        assert!(!Comparison::of(&[1.0], &[1.0, 2.0], tolerance).holds());
        assert!(Comparison::of(&[1.0], &[2.9], tolerance).holds());
    }
}

//! The distribution of a tensor's values in a fixed amount of memory.

/// Number of bins: half for each sign.
const BINS: usize = 4096;

/// Histogram of the values that a tensor took.
///
/// Bins cover −2ᵉ..2ᵉ. A value outside doubles that range and merges each pair of bins into one, so
/// the result does not depend on the order or the grouping in which values arrive.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Histogram {
    min: f32,
    max: f32,
    radius: f64,
    counts: Vec<u64>,
    non_finite: Option<f32>,
}

impl Default for Histogram {
    fn default() -> Self {
        // The first range is so small that any real tensor widens it.
        Self {
            min: f32::INFINITY,
            max: f32::NEG_INFINITY,
            radius: (-40.0_f64).exp2(),
            counts: vec![0; BINS],
            non_finite: None,
        }
    }
}

impl Histogram {
    /// Adds values. A NaN or infinite value is remembered and counted nowhere.
    pub(crate) fn add(&mut self, values: &[f32]) {
        let finite = || values.iter().copied().filter(|value| value.is_finite());
        for value in finite() {
            self.min = self.min.min(value);
            self.max = self.max.max(value);
        }
        self.non_finite = values
            .iter()
            .copied()
            .filter(|value| !value.is_finite())
            .chain(self.non_finite)
            .max_by(f32::total_cmp);
        let Some((min, max)) = self.min_max() else {
            return;
        };
        let largest = f64::from(min.abs().max(max.abs()));
        while largest >= self.radius {
            self.widen();
        }
        let (scale, middle) = ((BINS / 2) as f64 / self.radius, (BINS / 2) as f64);
        for value in finite() {
            // Below BINS because |value| < radius; rounding may still reach BINS itself.
            let bin = (f64::from(value) * scale + middle) as usize;
            self.counts[bin.min(BINS - 1)] += 1;
        }
    }

    /// Doubles the range in the same number of bins.
    fn widen(&mut self) {
        let mut wider = vec![0; BINS];
        for (bin, count) in self.counts.iter().enumerate() {
            wider[BINS / 4 + bin / 2] += count;
        }
        self.counts = wider;
        self.radius *= 2.0;
    }

    /// Returns the smallest and the largest finite value, or `None` without any.
    pub(crate) fn min_max(&self) -> Option<(f32, f32)> {
        (self.min <= self.max).then_some((self.min, self.max))
    }

    /// Returns a NaN or infinite value that was added, if there was one.
    pub(crate) fn non_finite(&self) -> Option<f32> {
        self.non_finite
    }

    /// Number of finite values in each bin, in ascending order of the bins.
    pub(crate) fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// Lower edge of the bin at `index`; `counts().len()` gives the upper edge of the last one.
    pub(crate) fn edge(&self, index: usize) -> f64 {
        (index as f64 / (BINS / 2) as f64 - 1.0) * self.radius
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(values: &[f32]) -> Histogram {
        let mut histogram = Histogram::default();
        histogram.add(values);
        histogram
    }

    #[test]
    fn bins_hold_every_finite_value_between_their_edges() {
        let histogram = of(&[-3.0, -0.5, 0.0, 1.5, 3.99]);
        assert_eq!(histogram.counts().iter().sum::<u64>(), 5);
        assert_eq!(
            (histogram.edge(0), histogram.edge(BINS)),
            (-4.0, 4.0),
            "the range is the next power of two"
        );
        let bin = |value: f64| {
            let inside = |i: &usize| histogram.edge(*i) <= value && value < histogram.edge(i + 1);
            (0..BINS).find(inside)
        };
        for value in [-3.0, -0.5, 0.0, 1.5, 3.99] {
            assert_eq!(
                bin(value).map(|i| histogram.counts()[i]),
                Some(1),
                "{value}"
            );
        }
    }

    #[test]
    fn nan_and_infinity_are_remembered_and_not_counted() {
        let histogram = of(&[1.0, f32::INFINITY, -2.0]);
        assert_eq!(histogram.min_max(), Some((-2.0, 1.0)));
        assert_eq!(histogram.counts().iter().sum::<u64>(), 2);
        assert_eq!(histogram.non_finite(), Some(f32::INFINITY));
        assert_eq!(of(&[f32::NAN]).min_max(), None);
        assert_eq!(of(&[]), Histogram::default());
    }

    proptest! {
        #[test]
        fn order_and_grouping_do_not_matter(
            mut values in proptest::collection::vec(
                prop_oneof![20 => -1e4_f32..1e4, 1 => Just(f32::INFINITY), 1 => Just(1e-30)],
                1..200,
            ),
            cut in 0_usize..200,
        ) {
            let whole = of(&values);
            let cut = cut.min(values.len());
            let mut parts = Histogram::default();
            parts.add(&values[cut..]);
            parts.add(&values[..cut]);
            prop_assert_eq!(&whole, &parts);
            values.reverse();
            prop_assert_eq!(&whole, &of(&values));
        }
    }
}

/// The number of bins: half for each sign.
const BINS: usize = 4096;

/// The distribution of a tensor's values in a fixed amount of memory.
///
/// Bins cover −2ᵉ..2ᵉ. A value outside doubles that range, and each pair of bins becomes one; so
/// the result does not depend on the order or the grouping in which values arrive.
#[derive(Debug, Clone, PartialEq)]
pub struct Histogram {
    min: f32,
    max: f32,
    radius: f64,
    counts: Vec<u64>,
    /// A value that was not finite.
    broken: Option<f32>,
}

impl Default for Histogram {
    fn default() -> Self {
        // The first range is so small that any real tensor widens it.
        Self {
            min: f32::INFINITY,
            max: f32::NEG_INFINITY,
            radius: (-40.0_f64).exp2(),
            counts: vec![0; BINS],
            broken: None,
        }
    }
}

impl Histogram {
    /// Adds values.
    pub fn add(&mut self, values: &[f32]) {
        if values.is_empty() {
            return;
        }
        let (mut min, mut max) = (self.min, self.max);
        for value in values {
            if !value.is_finite() {
                self.broken = Some(*value);
                return;
            }
            min = min.min(*value);
            max = max.max(*value);
        }
        (self.min, self.max) = (min, max);
        let largest = f64::from(min.abs().max(max.abs()));
        while largest >= self.radius {
            self.widen();
        }
        #[allow(clippy::cast_precision_loss)]
        let (scale, middle) = ((BINS / 2) as f64 / self.radius, (BINS / 2) as f64);
        for value in values {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            // Within 0..BINS by the radius.
            let bin = (f64::from(*value) * scale + middle) as usize;
            self.counts[bin.min(BINS - 1)] += 1;
        }
    }

    /// Twice the range in the same number of bins.
    fn widen(&mut self) {
        let mut wider = vec![0; BINS];
        for (bin, count) in self.counts.iter().enumerate() {
            wider[BINS / 4 + bin / 2] += count;
        }
        self.counts = wider;
        self.radius *= 2.0;
    }

    /// The smallest and the largest value, or `None` where there was none.
    pub fn min_max(&self) -> Option<(f32, f32)> {
        (self.min <= self.max).then_some((self.min, self.max))
    }

    /// A value that was not finite, where there was one.
    pub fn broken(&self) -> Option<f32> {
        self.broken
    }

    /// The range that holds `percent` of the values, with as much cut off on each side, to the
    /// width of a bin.
    pub fn percentile(&self, percent: f64) -> Option<(f32, f32)> {
        let (min, max) = self.min_max()?;
        let total: u64 = self.counts.iter().sum();
        #[allow(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss
        )]
        // A share of a count.
        let cut = (total as f64 * (1.0 - percent / 100.0) / 2.0) as u64;
        #[allow(clippy::cast_precision_loss)]
        let edge = |bin: usize| (bin as f64 / (BINS / 2) as f64 - 1.0) * self.radius;
        let low = first_beyond(self.counts.iter(), cut)?;
        let high = BINS - first_beyond(self.counts.iter().rev(), cut)?;
        #[allow(clippy::cast_possible_truncation)] // Values came in single precision.
        Some(((edge(low) as f32).max(min), (edge(high) as f32).min(max)))
    }
}

/// The first bin at which the counts so far exceed `cut`.
fn first_beyond<'a>(mut counts: impl Iterator<Item = &'a u64>, cut: u64) -> Option<usize> {
    let mut sum = 0;
    counts.position(|count| {
        sum += count;
        sum > cut
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // Tests.
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn percentile_cuts_both_sides() {
        let mut histogram = Histogram::default();
        let values: Vec<f32> = (0..=1000)
            .map(|i| (i as f32) / 1000.0)
            .chain([100.0])
            .collect();
        histogram.add(&values);
        assert_eq!(histogram.min_max(), Some((0.0, 100.0)));
        let (_, high) = histogram.percentile(99.0).unwrap();
        assert!((high - 1.0).abs() < 0.1, "{high}");
    }

    proptest! {
        #[test]
        fn order_and_grouping_do_not_matter(values in proptest::collection::vec(-1e4_f32..1e4, 1..200), cut in 0_usize..200) {
            let mut whole = Histogram::default();
            whole.add(&values);
            let mut parts = Histogram::default();
            let (first, second) = values.split_at(cut.min(values.len()));
            parts.add(second);
            parts.add(first);
            prop_assert_eq!(whole, parts);
        }
    }
}

//! The central share of the values, to the width of a bin.

use crate::QuantError;
use crate::calibrate::Histogram;
use std::fmt;
use std::str::FromStr;

pub(super) const NAME: &str = "percentile";

/// Share of the values that a range holds, in percent: above 50 and at most 100.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Percentile(f64);

impl Percentile {
    /// 99.999 percent.
    pub const DEFAULT: Self = Self(99.999);

    /// Checks a percentage.
    ///
    /// # Errors
    /// If `percent` is NaN, at most 50, or above 100.
    pub fn new(percent: f64) -> Result<Self, QuantError> {
        if percent > 50.0 && percent <= 100.0 {
            Ok(Self(percent))
        } else {
            Err(QuantError::Percentile(percent.to_string()))
        }
    }
}

impl fmt::Display for Percentile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Percentile {
    type Err = QuantError;

    fn from_str(text: &str) -> Result<Self, QuantError> {
        let percent = text.parse();
        Self::new(percent.map_err(|_| QuantError::Percentile(text.to_owned()))?)
    }
}

pub(super) fn range(histogram: &Histogram, percentile: Percentile) -> Option<(f32, f32)> {
    let (min, max) = histogram.min_max()?;
    let counts = histogram.counts();
    let total: u64 = counts.iter().sum();
    let cut = (total as f64 * (1.0 - percentile.0 / 100.0) / 2.0) as u64;
    let low = first_beyond(counts.iter(), cut)?;
    let high = counts.len() - first_beyond(counts.iter().rev(), cut)?;
    let (low, high) = (histogram.edge(low) as f32, histogram.edge(high) as f32);
    Some((low.max(min), high.min(max)))
}

/// Index of the first bin at which the sum of the counts exceeds `cut`.
fn first_beyond<'a>(mut counts: impl Iterator<Item = &'a u64>, cut: u64) -> Option<usize> {
    let mut sum = 0;
    counts.position(|count| {
        sum += count;
        sum > cut
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: impl IntoIterator<Item = f32>) -> Histogram {
        let mut histogram = Histogram::default();
        histogram.add(&values.into_iter().collect::<Vec<_>>());
        histogram
    }

    #[test]
    fn matches_values_computed_by_hand() {
        // 1000 values −5.00, −4.99, … 4.99; bins are 8 · 2 / 4096 = 1/256 wide.
        let histogram = of((-500..500).map(|i| i as f32 / 100.0));
        for (percent, low, high) in [
            // 0 values cut at each end: the whole range.
            (100.0, -5.0, 4.99),
            // 10 values cut at each end: the 11th is −4.90, whose bin begins at −1255/256; the
            // 11th from above is 4.89, whose bin ends at 1252/256.
            (98.0, -1255.0 / 256.0, 1252.0 / 256.0),
            // 125 at each end: −3.75 begins a bin; the bin of 3.74 ends at 958/256.
            (75.0, -3.75, 958.0 / 256.0),
        ] {
            let percentile = Percentile::new(percent).unwrap();
            assert_eq!(
                range(&histogram, percentile),
                Some((low, high)),
                "{percent}"
            );
        }
    }

    #[test]
    fn an_outlier_is_cut_and_a_constant_is_kept() {
        let histogram = of((0..=1000).map(|i| i as f32 / 1000.0).chain([100.0]));
        let (low, high) = range(&histogram, Percentile::new(99.0).unwrap()).unwrap();
        // Bins are 256 / 4096 = 1/16 wide.
        assert_eq!((low, high), (0.0, 1.0));
        let constant = of([0.3; 10]);
        assert_eq!(range(&constant, Percentile::DEFAULT), Some((0.3, 0.3)));
        assert_eq!(range(&Histogram::default(), Percentile::DEFAULT), None);
    }

    #[test]
    fn percentages_outside_the_limits_are_errors() {
        for percent in [50.0, 100.1, -3.0, f64::NAN, f64::INFINITY] {
            assert!(Percentile::new(percent).is_err(), "{percent}");
        }
    }
}

//! The range from the smallest to the largest value.

use crate::calibrate::Histogram;

pub(super) const NAME: &str = "min-max";

pub(super) fn range(histogram: &Histogram) -> Option<(f32, f32)> {
    histogram.min_max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_outlier_sets_the_end() {
        let mut histogram = Histogram::default();
        histogram.add(&[0.25; 1000]);
        histogram.add(&[-7.3, 12.1]);
        assert_eq!(range(&histogram), Some((-7.3, 12.1)));
        assert_eq!(range(&Histogram::default()), None);
    }
}

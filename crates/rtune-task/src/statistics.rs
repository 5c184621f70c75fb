use crate::{Target, TaskError};
use serde::{Deserialize, Serialize};

/// Mean and standard deviation of the targets that a regression was trained on.
///
/// Training computes in standardized units, in which the targets have mean 0 and deviation 1; the
/// head of a saved model gives numbers in the unit of the targets.
///
/// ```
/// use rtune_task::{Target, TargetStatistics};
///
/// let targets = [20.0, 80.0].map(Target::Number);
/// let statistics = TargetStatistics::of(&targets)?;
/// assert_eq!((statistics.mean, statistics.deviation), (50.0, 30.0));
/// assert_eq!(statistics.standardize(20.0), -1.0);
/// assert_eq!(statistics.restore(1.0), 80.0);
/// # Ok::<(), rtune_task::TaskError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TargetStatistics {
    /// The mean, in the unit of the targets.
    pub mean: f64,
    /// The standard deviation in the same unit; 1 if all targets are equal.
    pub deviation: f64,
}

impl TargetStatistics {
    /// Computes the statistics of targets that 32-bit floats can tell apart.
    ///
    /// # Errors
    /// If there are no targets, or the numbers are too large, too small or too close to each other
    /// for 32-bit floats, in which a model computes.
    pub fn of(targets: &[Target]) -> Result<Self, TaskError> {
        let numbers = || targets.iter().map(|target| target.number());
        let (least, largest) = bounds(numbers());
        let (mut mean, mut squares, mut count) = (0.0, 0.0, 0.0);
        // The recurrence of Welford (1962) does not cancel.
        for number in numbers() {
            count += 1.0;
            let distance = number - mean;
            mean += distance / count;
            squares += distance * (number - mean);
        }
        let is_constant = least == largest;
        let statistics = Self {
            mean,
            deviation: match is_constant {
                true => 1.0,
                false => (squares / count).sqrt(),
            },
        };
        let fail = |problem: String| Err(TaskError::new("labels", problem));
        let magnitude = f64::max(least.abs(), largest.abs());
        // Predictions beyond the targets need room, too.
        let fits = magnitude < f64::from(f32::MAX) / 1e3 && statistics.mean.is_finite();
        if !fits {
            return fail(format!(
                "the numbers reach {magnitude:.1e}, which is too large for 32-bit floats; divide \
                 them"
            ));
        }
        let spread = largest - least;
        if !is_constant && statistics.deviation < f64::from(f32::MIN_POSITIVE) * 1e3 {
            return fail(format!(
                "the numbers differ by at most {spread:.1e}, which is too little for 32-bit \
                 floats; multiply them"
            ));
        }
        let resolution = resolution(magnitude);
        if !is_constant && statistics.deviation < resolution {
            return fail(format!(
                "the numbers reach {:?} and differ by at most {:?}, but 32-bit floats of that \
                 size have steps of {:?}; subtract a constant from them",
                magnitude as f32, spread as f32, resolution as f32
            ));
        }
        Ok(statistics)
    }

    /// Returns a target in standardized units.
    pub fn standardize(self, number: f64) -> f64 {
        (number - self.mean) / self.deviation
    }

    /// Returns a number in standardized units in the unit of the targets.
    pub fn restore(self, standardized: f64) -> f64 {
        standardized * self.deviation + self.mean
    }

    /// Returns whether numbers with these statistics are of the unit of others, by size: the
    /// deviations are within a factor of 3, and the means within 3 of the larger deviation.
    ///
    /// A head that gives numbers of another unit is further from the targets than a new one, and
    /// at usual learning rates it does not get there.
    pub fn is_near(self, other: Self) -> bool {
        const FACTOR: f64 = 3.0;
        let larger = self.deviation.max(other.deviation);
        larger <= FACTOR * self.deviation.min(other.deviation)
            && (self.mean - other.mean).abs() <= FACTOR * larger
    }

    /// Checks values that were read from a file.
    ///
    /// # Errors
    /// If a number is not finite, or the deviation is not positive.
    pub(crate) fn check(self) -> Result<(), TaskError> {
        if self.mean.is_finite() && self.deviation.is_finite() && self.deviation > 0.0 {
            return Ok(());
        }
        let problem = format!(
            "expected a finite mean and a positive deviation, found {} and {}",
            self.mean, self.deviation
        );
        Err(TaskError::new("targets", problem))
    }
}

/// The least and the largest number, NaN without numbers.
fn bounds(numbers: impl Iterator<Item = f64>) -> (f64, f64) {
    numbers.fold((f64::NAN, f64::NAN), |(least, largest), number| {
        (number.min(least), number.max(largest))
    })
}

/// The distance between neighboring 32-bit floats of a size.
fn resolution(magnitude: f64) -> f64 {
    let number = magnitude as f32;
    f64::from(number.next_up()) - f64::from(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(numbers: &[f64]) -> Result<(f64, f64), String> {
        let targets: Vec<Target> = numbers.iter().map(|n| Target::Number(*n)).collect();
        let found = TargetStatistics::of(&targets).map_err(|error| error.to_string())?;
        Ok((found.mean, found.deviation))
    }

    #[test]
    fn statistics_match_their_closed_forms() {
        for (numbers, mean, deviation) in [
            (&[0.0, 1.0][..], 0.5, 0.5),
            (&[0.0, 100.0, 100.0, 0.0], 50.0, 50.0),
            // Sums of squares would cancel here.
            (&[1e6 + 4.0, 1e6 + 10.0], 1e6 + 7.0, 3.0),
            (&[1.0, 2.0, 3.0, 4.0], 2.5, 1.25_f64.sqrt()),
            (&[-2e-20, 2e-20], 0.0, 2e-20),
            (&[7.0, 7.0, 7.0], 7.0, 1.0),
            (&[1e20], 1e20, 1.0),
            (&[0.0, 0.0], 0.0, 1.0),
        ] {
            let found = of(numbers).unwrap();
            let close = |found: f64, expected: f64| {
                (found - expected).abs() <= 1e-12 * expected.abs().max(deviation)
            };
            assert!(
                close(found.0, mean) && close(found.1, deviation),
                "{numbers:?}: {found:?}"
            );
        }
    }

    #[test]
    fn both_directions_are_inverse() {
        let statistics = TargetStatistics {
            mean: 1e6,
            deviation: 0.25,
        };
        for number in [0.0, 1e6, 1e6 + 0.125, -3.5] {
            assert_eq!(statistics.restore(statistics.standardize(number)), number);
        }
    }

    #[test]
    fn numbers_of_one_unit_are_near_each_other() {
        let of = |mean, deviation| TargetStatistics { mean, deviation };
        let stars = of(3.5, 1.2);
        for (other, expected) in [
            (stars, true),
            // Ratings of another product; out of 10, 20 and 100; counted from another start.
            (of(2.1, 0.8), true),
            (of(7.0, 2.4), true),
            (of(14.0, 4.8), false),
            (of(70.0, 24.0), false),
            (of(3.5, 0.1), false),
            (of(-96.5, 1.2), false),
        ] {
            assert_eq!(stars.is_near(other), expected, "{other:?}");
            assert_eq!(other.is_near(stars), expected, "{other:?}");
        }
    }

    #[test]
    fn numbers_that_do_not_fit_single_precision_are_errors() {
        for (numbers, expected) in [
            (
                &[1e300, -1e300][..],
                "labels: the numbers reach 1.0e300, which is too large for 32-bit floats; divide \
                 them",
            ),
            (
                &[1e-40, 2e-40],
                "labels: the numbers differ by at most 1.0e-40, which is too little for 32-bit \
                 floats; multiply them",
            ),
            (
                &[1_700_000_000.0, 1_700_000_010.0],
                "labels: the numbers reach 1700000000.0 and differ by at most 10.0, but 32-bit \
                 floats of that size have steps of 128.0; subtract a constant from them",
            ),
        ] {
            assert_eq!(of(numbers), Err(expected.to_owned()));
        }
        assert!(of(&[]).is_err() && of(&[1.0, f64::NAN]).is_err());
        assert!(of(&[f64::MAX, f64::MIN]).is_err());
    }
}

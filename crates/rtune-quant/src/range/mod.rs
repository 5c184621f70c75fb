//! Range methods: from the values that calibration saw to the range of a tensor.
//!
//! A method is a file here that reads a histogram, a variant of [`RangeMethod`], and the lines of
//! this file that the compiler then asks for. The flag, the report and the metadata use its
//! [`Display`](std::fmt::Display) and [`FromStr`] forms.

mod min_max;
mod percentile;

pub use percentile::Percentile;

use crate::QuantError;
use crate::calibrate::Histogram;
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// Lower and upper end of each calibrated tensor, by the tensor's name.
pub type Ranges = BTreeMap<String, (f32, f32)>;

/// Largest magnitude of a range. Products of larger ranges overflow, and such values come from
/// masks, not from activations.
const MAX_MAGNITUDE: f32 = 1e30;

/// Rule that derives a tensor's range from its calibration values.
///
/// ```
/// use rtune_quant::RangeMethod;
///
/// # fn main() -> Result<(), rtune_quant::QuantError> {
/// let method: RangeMethod = "percentile 99.99".parse()?;
/// assert_eq!(method.name(), "percentile");
/// assert_eq!(method.to_string(), "percentile 99.99");
/// assert_eq!("percentile".parse::<RangeMethod>()?.to_string(), "percentile 99.999");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum RangeMethod {
    /// From the smallest to the largest value.
    MinMax,
    /// The central share of the values, with an equal share cut off at each end.
    Percentile(Percentile),
}

impl RangeMethod {
    /// Every method, with its default parameter.
    pub const ALL: [Self; 2] = [Self::MinMax, Self::Percentile(Percentile::DEFAULT)];

    /// Name of the method, without its parameter.
    pub fn name(self) -> &'static str {
        match self {
            Self::MinMax => min_max::NAME,
            Self::Percentile(_) => percentile::NAME,
        }
    }

    /// The method with `percentile` as its parameter, if it has such a parameter.
    #[must_use]
    pub fn with_percentile(self, percentile: Percentile) -> Self {
        match self {
            Self::MinMax => self,
            Self::Percentile(_) => Self::Percentile(percentile),
        }
    }

    /// Returns the range of the values in `histogram`, or `None` without values.
    fn of(self, histogram: &Histogram) -> Option<(f32, f32)> {
        match self {
            Self::MinMax => min_max::range(histogram),
            Self::Percentile(percentile) => percentile::range(histogram, percentile),
        }
    }

    /// Returns the range of the tensor named `tensor`.
    ///
    /// # Errors
    /// If the histogram is empty, holds a non-finite value, or reaches beyond 10³⁰.
    pub(crate) fn range(
        self,
        tensor: &str,
        histogram: &Histogram,
    ) -> Result<(f32, f32), QuantError> {
        let too_large = |value| QuantError::Range {
            tensor: tensor.to_owned(),
            value,
        };
        if let Some(value) = histogram.non_finite() {
            return Err(too_large(value));
        }
        let range = self.of(histogram);
        let (min, max) = range.ok_or_else(|| QuantError::Unseen(tensor.to_owned()))?;
        let largest = if max.abs() > min.abs() { max } else { min };
        if largest.abs() > MAX_MAGNITUDE {
            return Err(too_large(largest));
        }
        Ok((min, max))
    }
}

impl fmt::Display for RangeMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match self {
            Self::MinMax => Ok(()),
            Self::Percentile(percentile) => write!(f, " {percentile}"),
        }
    }
}

impl Serialize for RangeMethod {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl FromStr for RangeMethod {
    type Err = QuantError;

    /// Reads a method's name, and behind a space its parameter.
    fn from_str(text: &str) -> Result<Self, QuantError> {
        let (name, parameter) = match text.split_once(' ') {
            Some((name, parameter)) => (name, Some(parameter)),
            None => (text, None),
        };
        match (name, parameter) {
            (min_max::NAME, None) => Ok(Self::MinMax),
            (percentile::NAME, None) => Ok(Self::Percentile(Percentile::DEFAULT)),
            (percentile::NAME, Some(parameter)) => parameter.parse().map(Self::Percentile),
            _ => Err(QuantError::Method(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_is_read_back_from_its_text() {
        for method in RangeMethod::ALL {
            assert_eq!(method.to_string().parse::<RangeMethod>().unwrap(), method);
            assert_eq!(method.name().parse::<RangeMethod>().unwrap(), method);
        }
    }

    #[test]
    fn unknown_methods_and_parameters_are_errors() {
        for (text, expected) in [
            (
                "widest",
                "range method `widest` is unknown; known are min-max, percentile",
            ),
            (
                "min-max 3",
                "range method `min-max 3` is unknown; known are min-max, percentile",
            ),
            (
                "percentile x",
                "a percentile must be above 50 and at most 100, found x",
            ),
            (
                "percentile 50",
                "a percentile must be above 50 and at most 100, found 50",
            ),
        ] {
            let error = text.parse::<RangeMethod>().unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
    }

    #[test]
    fn json_is_the_text() {
        let json = |method: RangeMethod| serde_json::to_string(&method).unwrap();
        assert_eq!(json(RangeMethod::MinMax), r#""min-max""#);
        let text = "percentile 99.5";
        assert_eq!(json(text.parse().unwrap()), format!("\"{text}\""));
    }

    #[test]
    fn a_range_without_values_or_without_precision_is_an_error() {
        for (values, expected) in [
            (&[][..], "tensor `x`: calibration saw no value of it"),
            (
                &[1.0, f32::NAN],
                "tensor `x`: its values in calibration reach NaN, for which",
            ),
            (
                &[f32::NEG_INFINITY],
                "tensor `x`: its values in calibration reach -inf, for which",
            ),
            (
                &[1.0, -2e30],
                "tensor `x`: its values in calibration reach -2000000",
            ),
        ] {
            let mut histogram = Histogram::default();
            histogram.add(values);
            for method in RangeMethod::ALL {
                let error = method.range("x", &histogram).unwrap_err().to_string();
                assert!(error.starts_with(expected), "{method}: {error}");
            }
        }
    }
}

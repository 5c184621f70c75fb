//! The quality gate: how much worse a metric may become.

use serde::Serialize;
use std::fmt;

/// The metric of a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GateMetric<'a> {
    /// Its name.
    pub name: &'a str,
    /// True if a larger value is a better one.
    pub higher_is_better: bool,
    /// True if a change says something only as a share of the value, because the metric has no
    /// largest value.
    pub is_relative: bool,
}

/// Change of one metric from the float to the int8 model, with the largest accepted drop.
///
/// ```
/// use rtune_quant::{GateMetric, MetricGate};
///
/// let metric = GateMetric { name: "mae", higher_is_better: false, is_relative: true };
/// let gate = MetricGate::new(metric, Some(50.0), Some(51.0), 0.01);
/// assert!(!gate.holds);
/// assert_eq!(gate.to_string(), "mae is worse by 2.00 %");
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MetricGate {
    /// Name of the metric.
    pub metric: String,
    /// True if the drop and its limit are shares of the float model's value.
    pub relative: bool,
    /// How much worse the int8 model is; negative if it is better, none if the metric is undefined
    /// for one of the models, or infinite.
    pub drop: Option<f64>,
    /// Largest accepted drop.
    pub max_drop: f64,
    /// True if the drop is accepted. One that is undefined is not.
    pub holds: bool,
}

/// Room for the rounding of a difference of two floats, such as 0.9 - 0.89.
const ROUNDING: f64 = 1e-12;

impl MetricGate {
    /// Compares the metric of the two models; `None` is an undefined value.
    pub fn new(
        metric: GateMetric<'_>,
        float: Option<f64>,
        int8: Option<f64>,
        max_drop: f64,
    ) -> Self {
        let drop = float.zip(int8).and_then(|(float, int8)| {
            let difference = match metric.higher_is_better {
                true => float - int8,
                false => int8 - float,
            };
            let drop = match metric.is_relative && difference != 0.0 {
                true => difference / float.abs(),
                false => difference,
            };
            drop.is_finite().then_some(drop)
        });
        Self {
            metric: metric.name.to_owned(),
            relative: metric.is_relative,
            drop,
            max_drop,
            holds: drop.is_some_and(|drop| drop <= max_drop + ROUNDING),
        }
    }

    /// Returns the largest accepted drop in text.
    pub fn limit(&self) -> String {
        match self.relative {
            true => format!("{} %", self.max_drop * 100.0),
            false => self.max_drop.to_string(),
        }
    }

    /// A drop in text, with as many digits as say something.
    fn amount(&self, drop: f64) -> String {
        let (amount, unit) = match self.relative {
            true => (drop * 100.0, " %"),
            false => (drop, ""),
        };
        match amount {
            1e4.. => format!("{amount:.1e}{unit}"),
            0.01.. if self.relative => format!("{amount:.2}{unit}"),
            1e-4.. if !self.relative => format!("{amount:.4}"),
            _ => format!("{amount:.1e}{unit}"),
        }
    }
}

impl fmt::Display for MetricGate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let metric = &self.metric;
        match self.drop {
            None if self.relative => {
                write!(
                    f,
                    "{metric} is 0 for the float model, so no drop is a share of it"
                )
            }
            None => write!(f, "{metric} is undefined for one of the models"),
            Some(0.0) => write!(f, "{metric} is the same"),
            Some(drop) if drop > 0.0 => write!(f, "{metric} is worse by {}", self.amount(drop)),
            Some(drop) => write!(f, "{metric} is better by {}", self.amount(-drop)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(
        (higher_is_better, is_relative): (bool, bool),
        float: f64,
        int8: f64,
        max_drop: f64,
    ) -> MetricGate {
        let metric = GateMetric {
            name: "m",
            higher_is_better,
            is_relative,
        };
        let defined = |value: f64| (!value.is_nan()).then_some(value);
        MetricGate::new(metric, defined(float), defined(int8), max_drop)
    }

    #[test]
    fn the_direction_of_the_metric_decides_what_is_worse() {
        let (higher, lower, share) = ((true, false), (false, false), (false, true));
        for (metric, float, int8, max_drop, holds, text) in [
            (higher, 0.75, 0.5, 0.25, true, "m is worse by 0.2500"),
            (higher, 0.75, 0.5, 0.2, false, "m is worse by 0.2500"),
            (higher, 0.5, 0.75, 0.0, true, "m is better by 0.2500"),
            (higher, 0.5, 0.5, 0.0, true, "m is the same"),
            // The difference is 0.010000000000000009.
            (higher, 0.9, 0.89, 0.01, true, "m is worse by 0.0100"),
            (higher, 0.9, 0.89999, 0.0, false, "m is worse by 1.0e-5"),
            (lower, 0.75, 0.5, 0.0, true, "m is better by 0.2500"),
            (lower, 0.5, 0.75, 0.2, false, "m is worse by 0.2500"),
            (share, 50.0, 50.4, 0.01, true, "m is worse by 0.80 %"),
            (share, 50.0, 51.0, 0.01, false, "m is worse by 2.00 %"),
            (share, 1e-300, 1.0, 0.01, false, "m is worse by 1.0e302 %"),
            (share, 0.0, 0.0, 0.0, true, "m is the same"),
            (
                share,
                0.0,
                1.0,
                1.0,
                false,
                "m is 0 for the float model, so no drop is a share of it",
            ),
            (
                higher,
                f64::NAN,
                0.5,
                1.0,
                false,
                "m is undefined for one of the models",
            ),
        ] {
            let gate = gate(metric, float, int8, max_drop);
            assert_eq!((gate.holds, &*gate.to_string()), (holds, text), "{gate:?}");
        }
    }

    #[test]
    fn limits_are_shown_in_the_unit_of_the_drop() {
        assert_eq!(gate((true, false), 1.0, 1.0, 0.01).limit(), "0.01");
        assert_eq!(gate((false, true), 1.0, 1.0, 0.01).limit(), "1 %");
    }
}

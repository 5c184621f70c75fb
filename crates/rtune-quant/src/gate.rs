//! The quality gate: how much worse a metric may become.

use serde::Serialize;

/// Change of one metric from the float to the int8 model, with the largest accepted drop.
///
/// ```
/// use rtune_quant::MetricGate;
///
/// // A loss: lower is better.
/// let gate = MetricGate::new("loss", false, 0.50, 0.52, 0.01);
/// assert!((gate.drop - 0.02).abs() < 1e-12 && !gate.holds());
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MetricGate {
    /// Name of the metric.
    pub metric: String,
    /// How much worse the int8 model is; negative if it is better.
    pub drop: f64,
    /// Largest accepted drop.
    pub max_drop: f64,
}

impl MetricGate {
    /// Compares the metric of the two models.
    pub fn new(
        metric: impl Into<String>,
        higher_is_better: bool,
        float: f64,
        int8: f64,
        max_drop: f64,
    ) -> Self {
        let drop = if higher_is_better {
            float - int8
        } else {
            int8 - float
        };
        Self {
            metric: metric.into(),
            drop,
            max_drop,
        }
    }

    /// Returns whether the drop is within its limit. A NaN drop is not.
    pub fn holds(&self) -> bool {
        self.drop <= self.max_drop
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_direction_of_the_metric_decides_what_is_worse() {
        for (higher_is_better, float, int8, max_drop, holds) in [
            (true, 0.75, 0.5, 0.25, true),
            (true, 0.75, 0.5, 0.2, false),
            (true, 0.5, 0.75, 0.0, true),
            (false, 0.75, 0.5, 0.0, true),
            (false, 0.5, 0.75, 0.2, false),
            (true, f64::NAN, 0.5, 1.0, false),
            (true, 0.5, 0.5, -0.1, false),
        ] {
            let gate = MetricGate::new("m", higher_is_better, float, int8, max_drop);
            assert_eq!(gate.holds(), holds, "{gate:?}");
        }
    }
}

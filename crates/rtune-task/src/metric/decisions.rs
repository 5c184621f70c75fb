//! The choice of an ordinal model's decision rule by its metrics.

use super::{Metric, MetricError, Metrics};
use crate::{Decision, Prediction, Target, Task};
use serde::{Deserialize, Serialize};

/// The metrics that depend most on a decision rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DecisionMetrics {
    /// The rule.
    pub decision: Decision,
    /// The share of labels that equal their targets.
    pub accuracy: Option<f64>,
    /// Kappa with quadratic weights.
    pub qwk: Option<f64>,
    /// The mean absolute error in classes.
    pub mae: f64,
}

impl DecisionMetrics {
    fn new(decision: Decision, metrics: &Metrics) -> Self {
        Self {
            decision,
            accuracy: metrics.accuracy,
            qwk: metrics.get(Metric::Qwk),
            mae: metrics.mae,
        }
    }
}

impl Metric {
    /// The decision rule that is optimal for the metric, or the nearest to it, if the probabilities
    /// of an ordinal model are right. `None` if the metric rates no labels.
    pub const fn optimal_decision(self) -> Option<Decision> {
        match self {
            Self::Accuracy => Some(Decision::Mode),
            Self::Mae | Self::MacroMae | Self::OffByOne => Some(Decision::Median),
            Self::Qwk => Some(Decision::Mean),
            Self::Rps | Self::Ece | Self::Spearman | Self::R2 | Self::Loss => None,
        }
    }
}

/// Returns the decision rule whose labels are the best by `metric`, its metrics, and a row for each
/// rule.
///
/// A metric that rates no labels, such as the loss, leaves the choice to the default metric of
/// ordinal models. Of rules that are equally good, the one of [`Metric::optimal_decision`] is
/// taken, and after it the first in the order of [`Decision::ALL`].
///
/// # Errors
/// As [`Metrics::compute`].
pub fn best_decision(
    metric: Metric,
    predictions: &[Prediction],
    targets: &[Target],
    labels: &[String],
) -> Result<(Decision, Metrics, Vec<DecisionMetrics>), MetricError> {
    let metric = match metric.optimal_decision() {
        Some(_) => metric,
        None => Metric::default_for(Task::Ordinal),
    };
    let measure = |decision| {
        let metrics = Metrics::compute(predictions, targets, decision, labels);
        Ok((decision, metrics?))
    };
    let [mode, median, mean] = Decision::ALL.map(measure);
    let mut all = [mode?, median?, mean?];
    let rows = all
        .iter()
        .map(|(decision, metrics)| DecisionMetrics::new(*decision, metrics));
    let rows = rows.collect();
    // The sort is stable, and of equals the first is taken.
    all.sort_by_key(|(decision, _)| metric.optimal_decision() != Some(*decision));
    let value = |metrics: &Metrics| metrics.get(metric);
    let [first, second, third] = all;
    let better = |best: (Decision, Metrics), next: (Decision, Metrics)| {
        let is_better = match (value(&next.1), value(&best.1)) {
            (Some(next), Some(best)) => metric.is_better(next, best),
            (next, best) => next.is_some() && best.is_none(),
        };
        if is_better { next } else { best }
    };
    let (decision, metrics) = better(better(first, second), third);
    Ok((decision, metrics, rows))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels() -> Vec<String> {
        (0..5).map(|class| class.to_string()).collect()
    }

    fn prediction(probabilities: &[f64]) -> Prediction {
        Prediction {
            probabilities: probabilities.to_vec(),
            log_probabilities: probabilities.iter().map(|p| p.ln()).collect(),
            score: 0.0,
        }
    }

    /// Mode, median and mean pick the classes 4, 1 and 2 of the first, and the same of the others.
    fn predictions() -> Vec<Prediction> {
        [
            [0.42, 0.10, 0.00, 0.00, 0.48],
            [0.9, 0.1, 0.0, 0.0, 0.0],
            [0.0, 0.0, 0.0, 0.1, 0.9],
        ]
        .iter()
        .map(|p| prediction(p))
        .collect()
    }

    #[test]
    fn the_metric_chooses() {
        for (class, metric, expected) in [
            (4, Metric::Accuracy, Decision::Mode),
            (4, Metric::Qwk, Decision::Mode),
            (1, Metric::Mae, Decision::Median),
            (1, Metric::Accuracy, Decision::Median),
            (2, Metric::Qwk, Decision::Mean),
            (2, Metric::OffByOne, Decision::Median),
            // These rate no labels, so QWK decides.
            (2, Metric::Loss, Decision::Mean),
            (4, Metric::Rps, Decision::Mode),
        ] {
            let targets = [class, 0, 4].map(Target::Class);
            let (found, metrics, rows) =
                best_decision(metric, &predictions(), &targets, &labels()).unwrap();
            assert_eq!(found, expected, "{class} {metric}");
            assert_eq!(
                rows.iter().map(|row| row.decision).collect::<Vec<_>>(),
                Decision::ALL
            );
            let row = rows.iter().find(|row| row.decision == found).unwrap();
            assert_eq!(*row, DecisionMetrics::new(found, &metrics));
        }
    }

    #[test]
    fn of_equals_the_optimal_rule_of_the_metric_wins() {
        let predictions = &predictions()[1..];
        let targets = [0, 4].map(Target::Class);
        for metric in Metric::all() {
            let expected = metric.optimal_decision().unwrap_or(Decision::Mean);
            let (found, _, _) = best_decision(metric, predictions, &targets, &labels()).unwrap();
            assert_eq!(found, expected, "{metric}");
        }
    }
}

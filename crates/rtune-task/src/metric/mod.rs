use crate::{Prediction, Target, Task};
use serde::{Deserialize, Serialize};

/// How well predictions match targets. Class metrics are left out for regression.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Metrics {
    /// The number of examples.
    pub samples: usize,
    /// The mean negative log-likelihood, or squared error for regression.
    pub loss: f64,
    /// The share of predictions that hit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<f64>,
    /// The mean absolute distance, in classes or in the target's unit.
    pub mae: f64,
    /// The mean over classes of the mean absolute distance within each.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub macro_mae: Option<f64>,
    /// Kappa with quadratic weights (Cohen, 1968).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub qwk: Option<f64>,
    /// The share of predictions at most one class off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub off_by_one: Option<f64>,
    /// The ranked probability score (Epstein, 1969), divided by the number of classes less one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rps: Option<f64>,
    /// The rank correlation of scores and targets (Spearman, 1904).
    pub spearman: f64,
    /// For each class, the share of its examples that were found.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub recall: Vec<f64>,
    /// Examples by class and prediction.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub confusion: Vec<Vec<usize>>,
}

impl Metrics {
    /// The metrics of `predictions` for `targets`, one each.
    pub fn compute(predictions: &[Prediction], targets: &[Target]) -> Self {
        let scores: Vec<f64> = predictions.iter().map(|p| p.score).collect();
        let numbers: Vec<f64> = targets.iter().map(|t| t.number()).collect();
        let base = Self {
            samples: targets.len(),
            spearman: spearman(&scores, &numbers),
            ..Self::default()
        };
        let classes = predictions.first().map_or(0, |p| p.probabilities.len());
        if classes == 0 {
            let errors = || scores.iter().zip(&numbers).map(|(s, n)| s - n);
            return Self {
                loss: mean(errors().map(|e| e * e)),
                mae: mean(errors().map(f64::abs)),
                ..base
            };
        }
        let truth: Vec<usize> = targets.iter().map(|t| t.class().unwrap_or(0)).collect();
        let mut confusion = vec![vec![0_usize; classes]; classes];
        for (prediction, class) in predictions.iter().zip(&truth) {
            confusion[*class][prediction.class()] += 1;
        }
        let distances = || {
            predictions
                .iter()
                .zip(&truth)
                .map(|(p, t)| number(p.class().abs_diff(*t)))
        };
        let likelihood = |(p, t): (&Prediction, &usize)| -p.log_probabilities[*t];
        Self {
            loss: mean(predictions.iter().zip(&truth).map(likelihood)),
            accuracy: Some(mean(distances().map(|d| f64::from(u8::from(d < 0.5))))),
            mae: mean(distances()),
            macro_mae: Some(macro_mae(&confusion)),
            qwk: Some(quadratic_kappa(&confusion)),
            off_by_one: Some(mean(distances().map(|d| f64::from(u8::from(d < 1.5))))),
            rps: Some(mean(
                predictions
                    .iter()
                    .zip(&truth)
                    .map(|(p, t)| ranked_probability_score(&p.probabilities, *t)),
            )),
            recall: confusion
                .iter()
                .enumerate()
                .map(|(k, row)| ratio(row[k], row.iter().sum()))
                .collect(),
            confusion,
            ..base
        }
    }

    /// A metric by the name that JSON results use, or `None` where the task has no such metric.
    pub fn get(&self, name: &str) -> Option<f64> {
        match name {
            "accuracy" => self.accuracy,
            "mae" => Some(self.mae),
            "macro_mae" => self.macro_mae,
            "qwk" => self.qwk,
            "off_by_one" => self.off_by_one,
            "rps" => self.rps,
            "spearman" => Some(self.spearman),
            "loss" => Some(self.loss),
            _ => None,
        }
    }

    /// The names that [`Metrics::get`] knows.
    pub const NAMES: [&'static str; 8] = [
        "accuracy",
        "mae",
        "macro_mae",
        "qwk",
        "off_by_one",
        "rps",
        "spearman",
        "loss",
    ];

    /// The names of the metrics that a task has.
    pub fn names(task: Task) -> Vec<&'static str> {
        let of_classes = ["accuracy", "macro_mae", "qwk", "off_by_one", "rps"];
        let has = |name: &&str| task != Task::Regression || !of_classes.contains(name);
        Self::NAMES.into_iter().filter(has).collect()
    }

    /// The metric that models of a task are judged by where nobody says.
    pub fn default_name(task: Task) -> &'static str {
        match task {
            Task::Ordinal => "qwk",
            Task::Classification => "accuracy",
            Task::Regression => "mae",
        }
    }

    /// Whether more of a metric is better.
    pub fn higher_is_better(name: &str) -> bool {
        !matches!(name, "mae" | "macro_mae" | "rps" | "loss")
    }
}

#[allow(clippy::cast_precision_loss)] // Counts are far below 2⁵³.
fn number(count: usize) -> f64 {
    count as f64
}

fn ratio(part: usize, whole: usize) -> f64 {
    if whole == 0 {
        0.0
    } else {
        number(part) / number(whole)
    }
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0), |(sum, count), value| (sum + value, count + 1));
    if count == 0 { 0.0 } else { sum / number(count) }
}

/// Classes without an example do not count.
fn macro_mae(confusion: &[Vec<usize>]) -> f64 {
    let present = confusion
        .iter()
        .enumerate()
        .filter(|(_, row)| row.iter().sum::<usize>() > 0);
    mean(present.map(|(class, row)| {
        let distance: usize = row
            .iter()
            .enumerate()
            .map(|(k, n)| n * k.abs_diff(class))
            .sum();
        ratio(distance, row.iter().sum())
    }))
}

fn quadratic_kappa(confusion: &[Vec<usize>]) -> f64 {
    let classes = confusion.len();
    let rows: Vec<usize> = confusion.iter().map(|row| row.iter().sum()).collect();
    let columns: Vec<usize> = (0..classes)
        .map(|k| confusion.iter().map(|row| row[k]).sum())
        .collect();
    let total = number(rows.iter().sum());
    let (mut observed, mut expected) = (0.0, 0.0);
    for i in 0..classes {
        for j in 0..classes {
            let weight = number(i.abs_diff(j)).powi(2);
            observed += weight * number(confusion[i][j]);
            expected += weight * number(rows[i]) * number(columns[j]) / total;
        }
    }
    // All truths and predictions in one class: agreement is complete, and chance can do no worse.
    if expected == 0.0 {
        1.0
    } else {
        1.0 - observed / expected
    }
}

fn ranked_probability_score(probabilities: &[f64], class: usize) -> f64 {
    let mut cumulative = 0.0;
    let terms = probabilities
        .iter()
        .enumerate()
        .take(probabilities.len() - 1)
        .map(|(k, p)| {
            cumulative += p;
            (cumulative - f64::from(u8::from(k >= class))).powi(2)
        });
    terms.sum::<f64>() / number(probabilities.len() - 1)
}

/// Ranks from 1, equals sharing their mean.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut ranks = vec![0.0; values.len()];
    let mut start = 0;
    for equals in order.chunk_by(|a, b| values[*a] == values[*b]) {
        let rank = number(start) + (number(equals.len()) + 1.0) / 2.0;
        equals.iter().for_each(|index| ranks[*index] = rank);
        start += equals.len();
    }
    ranks
}

fn spearman(a: &[f64], b: &[f64]) -> f64 {
    let (a, b) = (ranks(a), ranks(b));
    let (mean_a, mean_b) = (mean(a.iter().copied()), mean(b.iter().copied()));
    let covariance: f64 = a
        .iter()
        .zip(&b)
        .map(|(x, y)| (x - mean_a) * (y - mean_b))
        .sum();
    let spread = |values: &[f64], mean: f64| values.iter().map(|v| (v - mean).powi(2)).sum::<f64>();
    let scale = (spread(&a, mean_a) * spread(&b, mean_b)).sqrt();
    if scale == 0.0 {
        0.0
    } else {
        covariance / scale
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // Tests.
mod tests {
    use super::*;

    fn sure(class: usize) -> Prediction {
        let mut probabilities = vec![0.0; 3];
        probabilities[class] = 1.0;
        let log_probabilities = probabilities.iter().map(|p: &f64| p.ln()).collect();
        Prediction {
            probabilities,
            log_probabilities,
            score: number(class),
        }
    }

    #[test]
    fn matches_a_hand_computed_table() {
        // Truth 0 0 1 2, predicted 0 1 1 0.
        let predictions = [sure(0), sure(1), sure(1), sure(0)];
        let targets = [0, 0, 1, 2].map(Target::Class);
        let metrics = Metrics::compute(&predictions, &targets);
        assert_eq!(metrics.confusion, [[1, 1, 0], [0, 1, 0], [1, 0, 0]]);
        let close = |name: &str, expected: f64| {
            assert!(
                (metrics.get(name).unwrap() - expected).abs() < 1e-12,
                "{name}"
            )
        };
        close("accuracy", 0.5);
        close("mae", 0.75);
        close("macro_mae", (0.5 + 0.0 + 2.0) / 3.0);
        close("off_by_one", 0.75);
        // Observed: 1 + 4 = 5. Expected: rows 2 1 1, columns 2 2 0: (2·2·1 + 1·2·1 + 1·2·4 + 1·2·1)
        // / 4 = 4.
        close("qwk", 1.0 - 5.0 / 4.0);
        // Each miss by d classes costs d of 2.
        close("rps", (0.0 + 0.5 + 0.0 + 1.0) / 4.0);
        assert_eq!(metrics.recall, [0.5, 1.0, 0.0]);
    }

    #[test]
    fn spearman_shares_ranks_among_equals() {
        assert_eq!(ranks(&[3.0, 1.0, 3.0]), [2.5, 1.0, 2.5]);
        assert!((spearman(&[1.0, 2.0, 3.0], &[10.0, 20.0, 40.0]) - 1.0).abs() < 1e-12);
        assert!((spearman(&[1.0, 2.0, 3.0], &[3.0, 2.0, 1.0]) + 1.0).abs() < 1e-12);
    }

    #[test]
    fn regression_leaves_class_metrics_out() {
        let predictions = [1.0, 2.0].map(|score| Prediction {
            probabilities: vec![],
            log_probabilities: vec![],
            score,
        });
        let metrics = Metrics::compute(&predictions, &[Target::Number(1.0), Target::Number(4.0)]);
        assert_eq!((metrics.mae, metrics.loss, metrics.qwk), (1.0, 2.0, None));
    }
}

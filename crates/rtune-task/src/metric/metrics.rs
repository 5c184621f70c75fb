use super::table::Of;
use super::{
    Metric, MetricError, accuracy, ece, loss, mae, mean, precision_recall, qwk, r2, rps, spearman,
};
use crate::{ByClass, Decision, Prediction, Target};
use serde::{Deserialize, Serialize};

/// The values of all metrics for a set of predictions.
///
/// As JSON, every metric has a field, which is null if the metric is undefined for these examples
/// or the task does not have it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Metrics {
    /// The number of examples.
    pub samples: usize,
    /// The mean negative log-likelihood, or squared error for regression.
    pub loss: f64,
    /// The share of predictions that equal their targets.
    pub accuracy: Option<f64>,
    /// The mean absolute error, in classes or in the target's unit.
    pub mae: f64,
    /// The mean over classes of the mean absolute error within each.
    pub macro_mae: Option<f64>,
    /// Kappa with quadratic weights (Cohen, 1968); none if all are in one class.
    pub qwk: Option<f64>,
    /// The share of predictions that are at most one class off.
    pub off_by_one: Option<f64>,
    /// The ranked probability score (Epstein, 1969), divided by the number of classes less one.
    pub rps: Option<f64>,
    /// The expected calibration error over 15 bins of confidence (Guo et al., 2017).
    pub ece: Option<f64>,
    /// The rank correlation of scores and targets (Spearman, 1904); none if either are all equal.
    pub spearman: Option<f64>,
    /// The coefficient of determination of a regression; none if all targets are equal.
    pub r2: Option<f64>,
    /// For each class, the share of the examples predicted as it that are of it; none if there are
    /// no such examples.
    pub precision: ByClass<Option<f64>>,
    /// For each class, the share of its examples that were predicted as it; none without examples.
    pub recall: ByClass<Option<f64>>,
    /// The number of examples by true class and, within, by predicted class.
    pub confusion: ByClass<ByClass<usize>>,
}

impl Metrics {
    /// Computes the metrics of `predictions` for `targets`, with the labels that `decision` picks;
    /// `labels` are the names of the classes. Predictions without probabilities are those of
    /// regression.
    ///
    /// # Errors
    /// If there are no examples, or not one prediction for each, the predictions differ in their
    /// numbers of classes or have another number than there are names, or a target of a class model
    /// is a number or an unknown class.
    pub fn compute(
        predictions: &[Prediction],
        targets: &[Target],
        decision: Decision,
        labels: &[String],
    ) -> Result<Self, MetricError> {
        if predictions.len() != targets.len() {
            return Err(MetricError::Count {
                predictions: predictions.len(),
                targets: targets.len(),
            });
        }
        if targets.is_empty() {
            return Err(MetricError::NoExamples);
        }
        let scores: Vec<f64> = predictions.iter().map(|p| p.score).collect();
        let numbers: Vec<f64> = targets.iter().map(|t| t.number()).collect();
        let base = Self {
            samples: targets.len(),
            spearman: spearman::spearman(&scores, &numbers),
            ..Self::default()
        };
        let classes = predictions.first().map_or(0, |p| p.probabilities.len());
        let truth = check_classes(predictions, targets, classes)?;
        if classes != 0 && classes != labels.len() {
            let labels = labels.len();
            return Err(MetricError::Labels { labels, classes });
        }
        Ok(if classes == 0 {
            let errors = || scores.iter().zip(&numbers).map(|(s, n)| s - n);
            Self {
                loss: loss::squared_error(errors()),
                mae: mae::mae(errors()),
                r2: r2::r2(&scores, &numbers),
                ..base
            }
        } else {
            base.of_classes(predictions, &truth, labels, decision)
        })
    }

    fn of_classes(
        self,
        predictions: &[Prediction],
        truth: &[usize],
        labels: &[String],
        decision: Decision,
    ) -> Self {
        let examples = || predictions.iter().zip(truth.iter().copied());
        let pairs = examples().map(|(p, t)| (p.class(decision), t));
        let pairs: Vec<(usize, usize)> = pairs.collect();
        let confusion = accuracy::confusion(&pairs, labels.len());
        let scores = examples().map(|(p, t)| rps::ranked_probability_score(&p.probabilities, t));
        let probabilities = examples().map(|(p, t)| (p.probabilities.as_slice(), t));
        Self {
            loss: loss::negative_log_likelihood(examples().map(|(p, t)| p.log_probabilities[t])),
            accuracy: Some(accuracy::within(&pairs, 0)),
            mae: mae::mae(pairs.iter().map(|(p, t)| p.abs_diff(*t) as f64)),
            macro_mae: Some(mae::macro_mae(&confusion)),
            qwk: qwk::qwk(&confusion),
            off_by_one: Some(accuracy::within(&pairs, 1)),
            rps: (labels.len() > 1).then(|| mean(scores)),
            ece: Some(ece::expected_calibration_error(probabilities)),
            precision: ByClass::new(labels, precision_recall::precision(&confusion)),
            recall: ByClass::new(labels, precision_recall::recall(&confusion)),
            confusion: ByClass::new(
                labels,
                confusion.into_iter().map(|row| ByClass::new(labels, row)),
            ),
            ..self
        }
    }

    /// Puts the values of classes into the order of their names; a file may have had another one.
    pub fn sort_classes(&mut self, labels: &[String]) {
        self.precision.sort(labels);
        self.recall.sort(labels);
        self.confusion.sort(labels);
        self.confusion.values_mut().for_each(|row| row.sort(labels));
    }

    /// The value of a metric, or `None` if it is undefined or the task has no such metric.
    pub fn get(&self, metric: Metric) -> Option<f64> {
        (metric.row().value)(self)
    }

    /// Iterates over the metrics that the task has, with `None` for one that is undefined.
    pub fn values(&self) -> impl Iterator<Item = (Metric, Option<f64>)> + '_ {
        let values = Metric::all().map(|metric| (metric, self.get(metric)));
        values.filter(|(metric, value)| {
            let has = match metric.row().of {
                Of::Classes => self.has_classes(),
                Of::Numbers => !self.has_classes(),
                Of::Both => true,
            };
            has || value.is_some()
        })
    }

    fn has_classes(&self) -> bool {
        !self.confusion.is_empty()
    }
}

/// Lists the metrics that the task has, on one line.
impl std::fmt::Display for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, (metric, value)) in self.values().enumerate() {
            let separator = if index == 0 { "" } else { "  " };
            write!(f, "{separator}{metric} {}", Metric::shown(value))?;
        }
        Ok(())
    }
}

/// Returns the true classes, none for predictions without classes.
fn check_classes(
    predictions: &[Prediction],
    targets: &[Target],
    classes: usize,
) -> Result<Vec<usize>, MetricError> {
    let sizes = predictions.iter().map(|p| p.probabilities.len());
    if let Some((index, found)) = sizes.enumerate().find(|(_, found)| *found != classes) {
        return Err(MetricError::Classes {
            index,
            found,
            classes,
        });
    }
    if classes == 0 {
        return Ok(Vec::new());
    }
    let check = |(index, target): (usize, &Target)| match *target {
        Target::Class(class) if class < classes => Ok(class),
        Target::Class(class) => Err(MetricError::ClassOutOfRange {
            index,
            class,
            classes,
        }),
        Target::Number(number) => Err(MetricError::NotAClass { index, number }),
    };
    targets.iter().enumerate().map(check).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels() -> Vec<String> {
        ["a", "b", "c"].map(str::to_owned).to_vec()
    }

    fn sure(class: usize) -> Prediction {
        let probabilities = [0, 1, 2].map(|k| f64::from(u8::from(k == class))).to_vec();
        let log_probabilities = probabilities.iter().map(|p| p.ln()).collect();
        Prediction {
            probabilities,
            log_probabilities,
            score: class as f64,
        }
    }

    fn number(score: f64) -> Prediction {
        Prediction {
            probabilities: vec![],
            log_probabilities: vec![],
            score,
        }
    }

    #[test]
    fn matches_a_hand_computed_table() {
        // Truth 0 0 1 2, predicted 0 1 1 0.
        let predictions = [sure(0), sure(1), sure(1), sure(0)];
        let targets = [0, 0, 1, 2].map(Target::Class);
        let metrics = Metrics::compute(&predictions, &targets, Decision::Mode, &labels()).unwrap();
        for (metric, expected) in [
            (Metric::Accuracy, 0.5),
            (Metric::Mae, 0.75),
            (Metric::MacroMae, 2.5 / 3.0),
            (Metric::OffByOne, 0.75),
            (Metric::Qwk, 1.0 - 5.0 / 4.0),
            // Each miss by d classes costs d of 2.
            (Metric::Rps, (0.0 + 0.5 + 0.0 + 1.0) / 4.0),
            // All are in one bin, and half of them are hits.
            (Metric::Ece, 0.5),
            (Metric::Loss, f64::INFINITY),
        ] {
            let found = metrics.get(metric).unwrap();
            assert!(
                found == expected || (found - expected).abs() < 1e-12,
                "{metric} {found}"
            );
        }
        let json = serde_json::to_string(&(&metrics.recall, &metrics.confusion)).unwrap();
        let expected = concat!(
            r#"[{"a":0.5,"b":1.0,"c":0.0},"#,
            r#"{"a":{"a":1,"b":1,"c":0},"b":{"a":0,"b":1,"c":0},"c":{"a":1,"b":0,"c":0}}]"#
        );
        assert_eq!(json, expected);
        assert_eq!(metrics.samples, 4);
    }

    #[test]
    fn metrics_of_classes_are_null_for_numbers() {
        let targets = [Target::Number(1.0), Target::Number(4.0)];
        let predictions = [number(1.0), number(2.0)];
        let metrics = Metrics::compute(&predictions, &targets, Decision::Mode, &labels()).unwrap();
        assert_eq!(
            metrics.to_string(),
            "mae 1.0000  spearman 1.0000  r2 0.1111  loss 2.0000"
        );
        assert_eq!(metrics.get(Metric::Qwk), None);
        let json = serde_json::to_value(&metrics).unwrap();
        let predictions = [sure(0), sure(1)];
        let targets = [0, 2].map(Target::Class);
        let classes = Metrics::compute(&predictions, &targets, Decision::Mode, &labels()).unwrap();
        let classes = serde_json::to_value(&classes).unwrap();
        let keys = |json: &serde_json::Value| -> Vec<String> {
            json.as_object().unwrap().keys().cloned().collect()
        };
        assert_eq!(keys(&json), keys(&classes));
        let has_value = |key: &String| json[key].is_number();
        let values: Vec<String> = keys(&json).into_iter().filter(has_value).collect();
        assert_eq!(values, ["loss", "mae", "r2", "samples", "spearman"]);
        assert_eq!(json["confusion"], serde_json::json!({}));
    }

    #[test]
    fn targets_that_do_not_fit_are_errors() {
        let error = |predictions: &[Prediction], targets: &[Target]| {
            Metrics::compute(predictions, targets, Decision::Mode, &labels()).unwrap_err()
        };
        let class = Target::Class;
        for (found, expected) in [
            (
                error(&[sure(0), sure(0)], &[class(0), Target::Number(2.5)]),
                "example 1: the target is the number 2.5, expected a class",
            ),
            (
                error(&[sure(0)], &[class(3)]),
                "example 0: the target is class 3, but the model has 3 classes",
            ),
            (
                error(&[sure(0), number(1.0)], &[class(0), class(0)]),
                "example 1: the prediction has 0 classes, that of example 0 has 3",
            ),
            (
                error(&[sure(0)], &[]),
                "1 predictions for 0 targets; expected one for each",
            ),
        ] {
            assert_eq!(found.to_string(), expected);
        }
    }

    #[test]
    fn a_class_without_examples_has_no_recall() {
        let found = Metrics::compute(&[sure(0)], &[Target::Class(0)], Decision::Mode, &labels());
        let recall = found.unwrap().recall;
        assert_eq!(
            (recall.get("a"), recall.get("c")),
            (Some(&Some(1.0)), Some(&None))
        );
    }

    #[test]
    fn names_must_fit_the_classes() {
        let found = Metrics::compute(&[sure(0)], &[Target::Class(0)], Decision::Mode, &[]);
        let error = found.unwrap_err().to_string();
        assert_eq!(
            error,
            "the predictions have 3 classes, but there are 0 names of classes"
        );
    }

    #[test]
    fn no_examples_are_an_error() {
        let found = Metrics::compute(&[], &[], Decision::Mode, &labels());
        assert_eq!(found, Err(MetricError::NoExamples));
    }

    #[test]
    fn what_is_undefined_is_null_in_json_and_not_available_in_text() {
        let of = |predictions: &[Prediction], targets: &[Target]| {
            let found = Metrics::compute(predictions, targets, Decision::Mode, &labels()).unwrap();
            (serde_json::to_value(&found).unwrap(), found)
        };
        let (json, found) = of(&[sure(1), sure(1)], &[1, 1].map(Target::Class));
        for name in ["qwk", "spearman"] {
            assert_eq!(json.get(name), Some(&serde_json::Value::Null), "{name}");
        }
        assert!(found.to_string().contains("qwk n/a  "), "{found}");
        assert!(found.to_string().contains("spearman n/a  "), "{found}");
        assert_eq!(json["precision"]["a"], serde_json::Value::Null);
        assert_eq!(json["precision"]["b"], 1.0);
        let read: Metrics = serde_json::from_value(json).unwrap();
        assert_eq!(read.to_string(), found.to_string());
        let (json, found) = of(&[number(1.0), number(2.0)], &[0.1, 0.1].map(Target::Number));
        assert_eq!(json.get("r2"), Some(&serde_json::Value::Null));
        let text = found.to_string();
        assert_eq!(text, "mae 1.4000  spearman n/a  r2 n/a  loss 2.2100");
    }
}

use crate::{Decision, OrdinalScale, Task, TaskError};

/// The prediction for one text.
#[derive(Debug, Clone, PartialEq)]
pub struct Prediction {
    /// The probability of each class; empty for regression.
    pub probabilities: Vec<f64>,
    /// Natural logarithms of the probabilities, finite even if a probability underflows to 0.
    pub log_probabilities: Vec<f64>,
    /// The number that orders texts: the ordinal score, the predicted number, or the mean class.
    pub score: f64,
}

impl Prediction {
    /// Interprets one row of logits; `scale` belongs to an ordinal model.
    ///
    /// # Shapes
    /// logits `[outputs]`: one for each class of a classification, else one
    ///
    /// # Errors
    /// If an ordinal model has no scale, or the number of logits does not fit the task.
    pub fn from_logits(
        task: Task,
        scale: Option<&OrdinalScale>,
        logits: &[f32],
    ) -> Result<Self, TaskError> {
        match task {
            Task::Classification if logits.is_empty() => {
                let problem = "expected one for each class, found none";
                Err(TaskError::new("logits", problem))
            }
            Task::Classification => {
                let values: Vec<f64> = logits.iter().copied().map(f64::from).collect();
                let classes = Self::from_log_probabilities(log_softmax(&values));
                let score = classes
                    .probabilities
                    .iter()
                    .enumerate()
                    .map(|(k, p)| as_number(k) * p)
                    .sum();
                Ok(Self { score, ..classes })
            }
            Task::Ordinal => {
                let scale = scale.ok_or_else(|| {
                    let problem = "an ordinal model needs them, and none are given";
                    TaskError::new("cutpoints", problem)
                })?;
                let score = only(logits)?;
                Ok(Self {
                    score,
                    ..Self::from_log_probabilities(scale.log_probabilities(score))
                })
            }
            Task::Embedding => {
                let problem = "an encoder without a head predicts nothing";
                Err(TaskError::new("task", problem))
            }
            Task::Regression => Ok(Self {
                score: only(logits)?,
                ..Self::from_log_probabilities(Vec::new())
            }),
        }
    }

    fn from_log_probabilities(log_probabilities: Vec<f64>) -> Self {
        let probabilities = log_probabilities.iter().map(|log| log.exp()).collect();
        Self {
            probabilities,
            log_probabilities,
            score: 0.0,
        }
    }

    /// Returns the class that a rule picks; 0 for regression.
    ///
    /// The rule of a classification is [`Decision::Mode`].
    pub fn class(&self, decision: Decision) -> usize {
        decision.class(&self.probabilities)
    }
}

/// Returns the logit of a model that has one.
fn only(logits: &[f32]) -> Result<f64, TaskError> {
    match logits {
        [logit] => Ok(f64::from(*logit)),
        _ => {
            let problem = format!("expected one for each text, found {}", logits.len());
            Err(TaskError::new("logits", problem))
        }
    }
}

/// Returns the logarithm of softmax. The largest logit is subtracted first, so that nothing
/// overflows.
///
/// # Shapes
/// `[classes]` → `[classes]`
pub fn log_softmax(logits: &[f64]) -> Vec<f64> {
    let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let log_total = largest + logits.iter().map(|v| (v - largest).exp()).sum::<f64>().ln();
    logits.iter().map(|v| v - log_total).collect()
}

fn as_number(class: usize) -> f64 {
    class as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Link;

    #[test]
    fn classification_has_softmax_and_the_mean_class() {
        let logits = [0.0, (2.0_f32).ln(), 0.0];
        let found = Prediction::from_logits(Task::Classification, None, &logits).unwrap();
        for (found, expected) in found.probabilities.iter().zip([0.25, 0.5, 0.25]) {
            assert!((found - expected).abs() < 1e-7, "{found}");
        }
        assert!((found.score - 1.0).abs() < 1e-7);
        assert_eq!(found.class(Decision::Mode), 1);
    }

    #[test]
    fn an_ordinal_score_is_the_logit() {
        let scale = OrdinalScale::new(vec![-1.0, 1.0], Link::Logit);
        let found = Prediction::from_logits(Task::Ordinal, Some(&scale), &[3.0]).unwrap();
        assert_eq!(found.score, 3.0);
        assert_eq!(found.probabilities, scale.probabilities(3.0));
        assert_eq!(found.class(Decision::Mode), 2);
    }

    #[test]
    fn a_regression_has_no_classes() {
        let found = Prediction::from_logits(Task::Regression, None, &[-2.5]).unwrap();
        assert_eq!((found.score, found.probabilities.len()), (-2.5, 0));
    }

    #[test]
    fn logits_that_do_not_fit_the_task_are_errors() {
        let scale = OrdinalScale::new(vec![-1.0, 1.0], Link::Logit);
        let no_cutpoints = "cutpoints: an ordinal model needs them, and none are given";
        let cases: [(Task, Option<&OrdinalScale>, &[f32], &str); 5] = [
            (Task::Ordinal, None, &[1.0], no_cutpoints),
            (
                Task::Ordinal,
                Some(&scale),
                &[],
                "logits: expected one for each text, found 0",
            ),
            (
                Task::Ordinal,
                Some(&scale),
                &[1.0, 2.0],
                "logits: expected one for each text, found 2",
            ),
            (
                Task::Regression,
                None,
                &[1.0, 2.0],
                "logits: expected one for each text, found 2",
            ),
            (
                Task::Classification,
                None,
                &[],
                "logits: expected one for each class, found none",
            ),
        ];
        for (task, scale, logits, expected) in cases {
            let error = Prediction::from_logits(task, scale, logits).unwrap_err();
            assert_eq!(error.to_string(), expected, "{task:?} {logits:?}");
        }
    }

    #[test]
    fn of_equal_probabilities_the_lowest_class_wins() {
        let found = Prediction::from_logits(Task::Classification, None, &[1.0, 2.0, 2.0]).unwrap();
        assert_eq!(found.class(Decision::Mode), 1);
    }

    #[test]
    fn log_softmax_neither_overflows_nor_underflows() {
        let found = log_softmax(&[1000.0, 0.0, -1000.0]);
        assert_eq!(found, [0.0, -1000.0, -2000.0]);
        assert!(log_softmax(&[f64::NAN, 0.0])[1].is_nan());
    }
}

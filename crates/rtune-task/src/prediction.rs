use crate::{OrdinalScale, Task};

/// What a model says of one text.
#[derive(Debug, Clone, PartialEq)]
pub struct Prediction {
    /// The probability of each class; empty for regression.
    pub probabilities: Vec<f64>,
    /// Their logarithms, finite also where a probability is too small for a number.
    pub log_probabilities: Vec<f64>,
    /// The number that orders texts: the score, the predicted number, or the expected class.
    pub score: f64,
}

impl Prediction {
    /// What one row of logits means; `scale` is an ordinal model's.
    ///
    /// # Shapes
    /// logits `[outputs]`
    pub fn from_logits(task: Task, scale: Option<&OrdinalScale>, logits: &[f32]) -> Self {
        let values: Vec<f64> = logits.iter().copied().map(f64::from).collect();
        match (task, scale) {
            (Task::Classification, _) => {
                let classes = Self::from_log_probabilities(log_softmax(&values));
                let score = classes
                    .probabilities
                    .iter()
                    .enumerate()
                    .map(|(k, p)| as_number(k) * p)
                    .sum();
                Self { score, ..classes }
            }
            (Task::Ordinal, Some(scale)) => Self {
                score: values[0],
                ..Self::from_log_probabilities(scale.log_probabilities(values[0]))
            },
            _ => Self {
                score: values[0],
                ..Self::from_log_probabilities(Vec::new())
            },
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

    /// The most probable class, the lower one of equals.
    pub fn class(&self) -> usize {
        let better = |best: usize, (index, p): (usize, &f64)| {
            if *p > self.log_probabilities[best] {
                index
            } else {
                best
            }
        };
        self.log_probabilities.iter().enumerate().fold(0, better)
    }
}

/// The logarithm of softmax, computed from the largest value down.
///
/// # Shapes
/// `[classes]` → `[classes]`
pub fn log_softmax(logits: &[f64]) -> Vec<f64> {
    let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let log_total = largest + logits.iter().map(|v| (v - largest).exp()).sum::<f64>().ln();
    logits.iter().map(|v| v - log_total).collect()
}

#[allow(clippy::cast_precision_loss)] // Classes are few.
fn as_number(class: usize) -> f64 {
    class as f64
}

use crate::{OrdinalScale, Task};

/// What a model says of one text.
#[derive(Debug, Clone, PartialEq)]
pub struct Prediction {
    /// The probability of each class; empty for regression.
    pub probabilities: Vec<f64>,
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
                let largest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let powers: Vec<f64> = values.iter().map(|v| (v - largest).exp()).collect();
                let total: f64 = powers.iter().sum();
                let probabilities: Vec<f64> = powers.into_iter().map(|p| p / total).collect();
                let score = probabilities.iter().enumerate().map(|(k, p)| as_number(k) * p).sum();
                Self { probabilities, score }
            }
            (Task::Ordinal, Some(scale)) => Self { probabilities: scale.probabilities(values[0]), score: values[0] },
            _ => Self { probabilities: Vec::new(), score: values[0] },
        }
    }

    /// The most probable class, the lower one of equals.
    pub fn class(&self) -> usize {
        let better = |best: usize, (index, p): (usize, &f64)| if *p > self.probabilities[best] { index } else { best };
        self.probabilities.iter().enumerate().fold(0, better)
    }
}

#[allow(clippy::cast_precision_loss)] // Classes are few.
fn as_number(class: usize) -> f64 {
    class as f64
}

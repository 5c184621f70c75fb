use crate::Task;
use serde::{Deserialize, Serialize};

/// The outputs of an exported model. `logits` is one of them in every form.
///
/// # Shapes
/// - [`Logits`](Self::Logits): `logits` `[batch, 1]`, the score of an ordinal model or the number
///   of a regression; of a classification `[batch, classes]`
/// - [`Probabilities`](Self::Probabilities): `logits` and `probabilities` `[batch, classes]`, in
///   the order of the labels, and for an ordinal model `score` `[batch, 1]`; a regression has no
///   such form. Softmax of `logits` are the probabilities: for an ordinal model, `logits` are
///   log P(y = k).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OutputForm {
    /// The values that the head computes.
    #[default]
    Logits,
    /// The probability of each class as well.
    Probabilities,
}

impl OutputForm {
    /// All forms, in the order of every list.
    pub const ALL: [Self; 2] = [Self::Logits, Self::Probabilities];

    /// The name of the output that every model has.
    pub const LOGITS: &'static str = "logits";
    /// The name of the output with the probability of each class.
    pub const PROBABILITIES: &'static str = "probabilities";
    /// The name of the output with the score of an ordinal model, if `logits` are others.
    pub const SCORE: &'static str = "score";

    /// The name of the output that rtune interprets, for which all forms have the same numbers.
    pub const fn interpreted(self, task: Task) -> &'static str {
        match (self, task) {
            (Self::Probabilities, Task::Ordinal) => Self::SCORE,
            _ => Self::LOGITS,
        }
    }

    /// The name in flags and files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Logits => "logits",
            Self::Probabilities => "probabilities",
        }
    }
}

use serde::{Deserialize, Serialize};

/// The outputs of an exported model.
///
/// | form | ordinal | classification | regression |
/// |---|---|---|---|
/// | `logits` | `logits` `[batch, 1]`: the score | `logits` `[batch, classes]` | `logits` `[batch, 1]` |
/// | `probabilities` | `logits`, `probabilities` `[batch, classes]`; `score` `[batch, 1]` | `logits`, `probabilities` `[batch, classes]` | – |
///
/// In the form `probabilities`, the columns are in the order of the labels, and softmax of `logits`
/// are the probabilities: the logits of an ordinal model are then log P(y = k).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OutputForm {
    /// What the head computes.
    #[default]
    Logits,
    /// The probability of each class as well.
    Probabilities,
}

impl OutputForm {
    /// All forms, in the order of every list.
    pub const ALL: [Self; 2] = [Self::Logits, Self::Probabilities];

    /// The name in flags and files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Logits => "logits",
            Self::Probabilities => "probabilities",
        }
    }
}

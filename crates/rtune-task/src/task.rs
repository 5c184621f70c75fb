use crate::{Link, TaskError};
use serde::{Deserialize, Serialize};

/// What the model's outputs mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Task {
    /// A score and ascending cutpoints.
    #[default]
    Ordinal,
    /// One logit per class.
    Classification,
    /// One number.
    Regression,
}

/// How token vectors become one vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pooling {
    /// The mean over the tokens that are no padding.
    #[default]
    Mean,
    /// The first token's vector.
    First,
    /// The first token's vector through the encoder's pooler.
    Pooler,
}

/// How cutpoints are kept in ascending order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cutpoints {
    /// By construction: the first cutpoint, then softplus of each gap.
    #[default]
    Ordered,
    /// Free parameters, made ascending again after each update.
    Clipped,
}

/// The part of `config.json` that is rtune's, under the key `rtune`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskSpec {
    /// What the outputs mean.
    pub task: Task,
    /// The classes' names in order; empty for regression.
    pub labels: Vec<String>,
    /// How token vectors become one vector.
    pub pooling: Pooling,
    /// The link of an ordinal model.
    #[serde(default)]
    pub link: Link,
    /// The parametrization of an ordinal model's cutpoints.
    #[serde(default)]
    pub cutpoints: Cutpoints,
    /// Longer texts are truncated to this many tokens.
    pub max_length: usize,
}

impl TaskSpec {
    /// The number of columns of `logits`.
    pub fn outputs(&self) -> usize {
        match self.task {
            Task::Classification => self.labels.len(),
            Task::Ordinal | Task::Regression => 1,
        }
    }

    /// Whether the spec contradicts itself.
    ///
    /// # Errors
    /// Where there are too few labels for the task, or no room for a token.
    pub fn check(&self) -> Result<(), TaskError> {
        let fail = |place: &str, problem: String| {
            Err(TaskError {
                place: place.to_owned(),
                problem,
            })
        };
        if self.task != Task::Regression && self.labels.len() < 2 {
            return fail(
                "labels",
                format!("at least 2 are needed, found {}", self.labels.len()),
            );
        }
        if self.max_length < 3 {
            return fail(
                "max_length",
                format!(
                    "at least 3 is needed for one token, found {}",
                    self.max_length
                ),
            );
        }
        Ok(())
    }
}

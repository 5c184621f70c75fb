use crate::{Decision, Link, TargetStatistics, TaskError};
use serde::{Deserialize, Serialize};

/// The meaning of a model's outputs.
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
    /// A vector of the text: an encoder without a head, which nothing is predicted with.
    Embedding,
}

/// The reduction of token vectors to one vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pooling {
    /// The mean over the tokens, without padding.
    #[default]
    Mean,
    /// The first token's vector.
    First,
    /// As the sequence classification of the encoder's family does in Hugging Face's transformers:
    /// the first token's vector or the mean, through the dense layer of its head.
    Pooler,
}

/// The parametrization that keeps cutpoints ascending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cutpoints {
    /// By construction: the first cutpoint, then softplus of each gap.
    #[default]
    Ordered,
    /// Free parameters, made ascending again after each update.
    Clipped,
}

/// The section `rtune` of `config.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskSpec {
    /// The meaning of the outputs.
    pub task: Task,
    /// The classes' names in order; empty for regression.
    pub labels: Vec<String>,
    /// The reduction of token vectors to one vector.
    pub pooling: Pooling,
    /// The link of an ordinal model.
    #[serde(default)]
    pub link: Link,
    /// The parametrization of an ordinal model's cutpoints.
    #[serde(default)]
    pub cutpoints: Cutpoints,
    /// The rule of an ordinal model's labels; older models have the default.
    #[serde(default)]
    pub decision: Decision,
    /// The statistics of the targets that a regression was trained on; older models have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub targets: Option<TargetStatistics>,
    /// True if the model takes pairs of texts; older models take single ones.
    #[serde(default)]
    pub text_pairs: bool,
    /// Largest number of tokens of a text; longer texts are truncated.
    pub max_length: usize,
}

impl TaskSpec {
    /// Returns the number of columns of `logits`.
    pub fn outputs(&self) -> usize {
        match self.task {
            Task::Classification => self.labels.len(),
            Task::Ordinal | Task::Regression => 1,
            Task::Embedding => 0,
        }
    }

    /// Returns true if the head is that of the sequence classification of the encoder's family in
    /// Hugging Face's transformers, so that transformers reads the model.
    pub fn has_family_head(&self) -> bool {
        self.pooling == Pooling::Pooler && self.task != Task::Ordinal
    }

    /// Checks that the settings agree with each other.
    ///
    /// # Errors
    /// If there are too few labels for the task, a rule that it does not have, or no room for a
    /// token.
    pub fn check(&self) -> Result<(), TaskError> {
        let fail = |place: &str, problem: String| {
            Err(TaskError {
                place: place.to_owned(),
                problem,
            })
        };
        let has_classes = matches!(self.task, Task::Ordinal | Task::Classification);
        if has_classes && self.labels.len() < 2 {
            return fail(
                "labels",
                format!("at least 2 are needed, found {}", self.labels.len()),
            );
        }
        if self.task != Task::Ordinal && self.decision != Decision::Mode {
            let problem = format!("only ordinal models can have `{}`", self.decision);
            return fail("decision", problem);
        }
        match self.targets {
            Some(_) if self.task != Task::Regression => {
                let problem = "only regressions have statistics of their targets".to_owned();
                return fail("targets", problem);
            }
            Some(statistics) => statistics.check()?,
            None => {}
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

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(task: Task, labels: &[&str], max_length: usize) -> TaskSpec {
        TaskSpec {
            task,
            labels: labels.iter().map(|label| (*label).to_owned()).collect(),
            pooling: Pooling::default(),
            link: Link::default(),
            cutpoints: Cutpoints::default(),
            decision: Decision::default(),
            targets: None,
            text_pairs: false,
            max_length,
        }
    }

    #[test]
    fn only_classification_has_a_logit_per_class() {
        for (task, outputs) in [
            (Task::Classification, 3),
            (Task::Ordinal, 1),
            (Task::Regression, 1),
        ] {
            assert_eq!(spec(task, &["a", "b", "c"], 8).outputs(), outputs);
        }
    }

    #[test]
    fn sections_without_a_rule_have_the_most_probable_class() {
        let mut json = serde_json::to_value(spec(Task::Ordinal, &["a", "b"], 8)).unwrap();
        assert_eq!(json["decision"], "mode");
        json.as_object_mut().unwrap().remove("decision");
        let read: TaskSpec = serde_json::from_value(json).unwrap();
        assert_eq!(read.decision, Decision::Mode);
    }

    #[test]
    fn contradictions_are_named() {
        assert!(spec(Task::Ordinal, &["a", "b"], 3).check().is_ok());
        assert!(spec(Task::Regression, &[], 3).check().is_ok());
        let median = TaskSpec {
            decision: Decision::Median,
            ..spec(Task::Classification, &["a", "b"], 8)
        };
        let with_targets = |task, labels: &[&str], deviation| TaskSpec {
            targets: Some(TargetStatistics {
                mean: 1.0,
                deviation,
            }),
            ..spec(task, labels, 8)
        };
        assert!(with_targets(Task::Regression, &[], 2.0).check().is_ok());
        for (spec, message) in [
            (
                with_targets(Task::Regression, &[], 0.0),
                "targets: expected a finite mean and a positive deviation, found 1 and 0",
            ),
            (
                with_targets(Task::Ordinal, &["a", "b"], 2.0),
                "targets: only regressions have statistics of their targets",
            ),
            (median, "decision: only ordinal models can have `median`"),
            (
                spec(Task::Ordinal, &["a"], 8),
                "labels: at least 2 are needed, found 1",
            ),
            (
                spec(Task::Classification, &["a", "b"], 2),
                "max_length: at least 3 is needed for one token, found 2",
            ),
        ] {
            assert_eq!(spec.check().unwrap_err().to_string(), message);
        }
    }
}

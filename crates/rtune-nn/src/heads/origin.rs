use crate::{ModelConfig, Result, classifier};
use rtune_task::{TargetStatistics, Task, TaskSpec};

/// The origin of the parameters of a head.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum HeadOrigin {
    /// The checkpoint has no head for sequences, so the parameters have initial values.
    #[default]
    New,
    /// The checkpoint's head, which was trained for the same task.
    Checkpoint,
    /// Initial values in place of the checkpoint's head, which was trained for another task.
    Replaced {
        /// The settings of the task that differ, with both values.
        differences: Vec<String>,
    },
    /// Initial values in place of the checkpoint's head, as the caller asked for.
    Requested,
}

impl HeadOrigin {
    /// The origin of a head for the task `now`, from a checkpoint with this config.
    ///
    /// # Errors
    /// If rtune's section of the config is not valid.
    pub(crate) fn of_config(config: &ModelConfig, now: &TaskSpec) -> Result<Self> {
        match config.task() {
            Ok(Some(stored)) if !config.is_ours() => {
                // Other tools do not store whether a model takes pairs.
                let stored = TaskSpec {
                    text_pairs: now.text_pairs,
                    ..stored
                };
                Ok(Self::of(Some(&stored), now))
            }
            Ok(stored) => Ok(Self::of(stored.as_ref(), now)),
            // Another tool's head, of a task that rtune does not have.
            Err(error) if !config.is_ours() => Ok(Self::Replaced {
                differences: vec![error.to_string()],
            }),
            Err(error) => Err(error),
        }
    }

    /// The origin of a head for the task `now`, from a checkpoint that was trained for `stored`.
    pub(crate) fn of(stored: Option<&TaskSpec>, now: &TaskSpec) -> Self {
        let Some(stored) = stored else {
            return Self::New;
        };
        let differences = differences(stored, now);
        match differences.is_empty() {
            true => Self::Checkpoint,
            false => Self::Replaced { differences },
        }
    }
}

/// The settings of two tasks that give a head another meaning, such as `link logit (now probit)`.
fn differences(stored: &TaskSpec, now: &TaskSpec) -> Vec<String> {
    let text = |value: serde_json::Result<serde_json::Value>| match value {
        Ok(serde_json::Value::String(text)) => text,
        Ok(other) => other.to_string(),
        Err(error) => error.to_string(),
    };
    macro_rules! difference {
        ($setting:ident) => {
            (stored.$setting != now.$setting).then(|| {
                let values = [&stored.$setting, &now.$setting];
                let [stored, now] = values.map(|value| text(serde_json::to_value(value)));
                format!("{} {stored} (now {now})", stringify!($setting))
            })
        };
    }
    // rtune numbers classes without names.
    let is_numbered = classifier::are_placeholders(&stored.labels);
    let numbers = (0..stored.labels.len()).map(|class| class.to_string());
    let labels = match is_numbered && numbers.eq(now.labels.iter().cloned()) {
        true => None,
        false => difference!(labels),
    };
    let mut found = vec![
        difference!(task),
        labels,
        difference!(pooling),
        difference!(text_pairs),
    ];
    if let (Some(before), Some(statistics)) = (stored.targets, now.targets)
        && !before.is_near(statistics)
    {
        // As the 32-bit floats that the model computes with.
        let text = |of: TargetStatistics| {
            format!(
                "mean {} and deviation {}",
                of.mean as f32, of.deviation as f32
            )
        };
        let [before, now] = [before, statistics].map(text);
        found.push(Some(format!("targets of {before} (now {now})")));
    }
    if stored.task == Task::Ordinal && now.task == Task::Ordinal {
        found.extend([difference!(link), difference!(cutpoints)]);
    }
    found.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rtune_task::{Cutpoints, Decision, Link, Pooling};

    #[test]
    fn the_head_is_kept_if_its_meaning_is_the_same() {
        let spec = || TaskSpec {
            task: Task::Ordinal,
            labels: ["a", "b"].map(str::to_owned).to_vec(),
            pooling: Pooling::Mean,
            link: Link::Logit,
            cutpoints: Cutpoints::Ordered,
            decision: Decision::Mode,
            targets: None,
            text_pairs: false,
            max_length: 8,
        };
        type Change = fn(&mut TaskSpec);
        let cases: [(Change, &[&str]); 9] = [
            (|_| {}, &[]),
            (|now| now.max_length = 9, &[]),
            (|now| now.decision = Decision::Mean, &[]),
            (
                |now| now.labels.reverse(),
                &["labels [\"a\",\"b\"] (now [\"b\",\"a\"])"],
            ),
            (|now| now.link = Link::Probit, &["link logit (now probit)"]),
            (
                |now| now.pooling = Pooling::First,
                &["pooling mean (now first)"],
            ),
            (
                |now| now.cutpoints = Cutpoints::Clipped,
                &["cutpoints ordered (now clipped)"],
            ),
            (
                |now| now.task = Task::Classification,
                &["task ordinal (now classification)"],
            ),
            (
                |now| {
                    now.task = Task::Classification;
                    now.link = Link::Cloglog;
                },
                &["task ordinal (now classification)"],
            ),
        ];
        for (change, expected) in cases {
            let mut now = spec();
            change(&mut now);
            let found = HeadOrigin::of(Some(&spec()), &now);
            let differences = expected.iter().map(|text| (*text).to_owned()).collect();
            match expected {
                [] => assert_eq!(found, HeadOrigin::Checkpoint),
                _ => assert_eq!(found, HeadOrigin::Replaced { differences }),
            }
        }
        assert_eq!(HeadOrigin::of(None, &spec()), HeadOrigin::New);
    }

    #[test]
    fn the_head_of_a_regression_is_kept_for_numbers_of_its_size() {
        let spec = |mean, deviation| TaskSpec {
            task: Task::Regression,
            labels: Vec::new(),
            pooling: Pooling::Mean,
            link: Link::Logit,
            cutpoints: Cutpoints::Ordered,
            decision: Decision::Mode,
            targets: Some(TargetStatistics { mean, deviation }),
            text_pairs: false,
            max_length: 8,
        };
        let stored = spec(50.0, 30.0);
        let of = |now| HeadOrigin::of(Some(&stored), &now);
        assert_eq!(of(spec(55.0, 28.5)), HeadOrigin::Checkpoint);
        let difference = "targets of mean 50 and deviation 30 (now mean 0.5 and deviation 0.3)";
        let differences = vec![difference.to_owned()];
        assert_eq!(of(spec(0.5, 0.3)), HeadOrigin::Replaced { differences });
        // A model from before they were stored.
        let unknown = TaskSpec {
            targets: None,
            ..spec(0.5, 0.3)
        };
        assert_eq!(of(unknown), HeadOrigin::Checkpoint);
    }
}

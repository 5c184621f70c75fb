use rtune_task::{Task, TaskSpec};

/// The origin of the parameters of a head.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum HeadOrigin {
    /// The checkpoint has no head of rtune's, so the parameters have initial values.
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
    let mut found = vec![difference!(task), difference!(labels), difference!(pooling)];
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
}

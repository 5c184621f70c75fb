//! The identity of a run: the settings, model and data that determine its outcome.

use crate::{SchedulerType, TrainConfig, TrainError, TrainInputs};
use rtune_data::Dataset;
use rtune_nn::{NnError, TensorRef, TextModel};
use rtune_package::sha256_hex;
use rtune_task::{Cutpoints, Decision, Link, Metric, Pooling, Target, Task};
use serde::{Deserialize, Serialize};
use std::num::NonZeroUsize;

/// Defines the identity from one list of settings and one of digests.
macro_rules! run_identity {
    (
        settings { $($(#[$attribute:meta])* $setting:ident: $type:ty),* $(,)? }
        digests { $($digest:ident: $label:literal),* $(,)? }
    ) => {
        /// The settings, task, model and data that determine the outcome of a run. A run resumes
        /// only from a checkpoint with the same identity.
        ///
        /// Logging and the number of checkpoints do not change the outcome and are not part of it.
        /// Field names are part of the checkpoint format.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub(crate) struct RunIdentity {
            $($(#[$attribute])* $setting: $type,)*
            $($digest: String,)*
        }

        impl RunIdentity {
            /// The settings that differ, as names with both values in JSON, in alphabetical order.
            fn settings_that_differ(&self, now: &Self) -> Vec<(&'static str, String, String)> {
                let mut found = Vec::new();
                $(if self.$setting != now.$setting {
                    let (saved, now) = (text(&self.$setting), text(&now.$setting));
                    found.push((stringify!($setting), saved, now));
                })*
                found.sort();
                found
            }

            /// All settings and digests by their names, in the order of their declaration. Numbers
            /// and names are as in JSON, without quotes.
            pub(crate) fn entries(&self) -> Vec<(String, String)> {
                let plain = |text: String| match text.as_str() {
                    "null" => "none".to_owned(),
                    text => text.trim_matches('"').to_owned(),
                };
                vec![
                    $((stringify!($setting).to_owned(), plain(text(&self.$setting))),)*
                    $((stringify!($digest).to_owned(), self.$digest.clone()),)*
                ]
            }

            /// The digests with the words that messages have for them.
            fn digests(&self) -> Vec<(&'static str, &str)> {
                vec![$(($label, self.$digest.as_str()),)*]
            }
        }
    };
}

run_identity! {
    settings {
        num_train_epochs: f64,
        max_steps: Option<NonZeroUsize>,
        train_batch_size: NonZeroUsize,
        eval_batch_size: NonZeroUsize,
        gradient_accumulation_steps: NonZeroUsize,
        learning_rate: f64,
        head_learning_rate: f64,
        /// None for tasks without cutpoints, and in checkpoints of earlier builds, whose cutpoints
        /// had the rate of the head.
        #[serde(skip_serializing_if = "Option::is_none")]
        cutpoint_learning_rate: Option<f64>,
        /// None without new cutpoints, and in checkpoints of earlier builds, which did not fit a
        /// new head.
        #[serde(skip_serializing_if = "Option::is_none")]
        head_start_rows: Option<usize>,
        /// None if it is true.
        #[serde(skip_serializing_if = "Option::is_none")]
        refit: Option<bool>,
        weight_decay: f64,
        warmup_ratio: f64,
        warmup_steps: Option<usize>,
        lr_scheduler_type: SchedulerType,
        max_grad_norm: f64,
        eval_steps: Option<NonZeroUsize>,
        metric_for_best_model: Metric,
        #[serde(skip_serializing_if = "Option::is_none")]
        decision: Option<Decision>,
        early_stopping_patience: Option<NonZeroUsize>,
        class_weights: Option<Vec<f64>>,
        initialize_cutpoints: bool,
        seed: u64,
        task: Task,
        labels: Vec<String>,
        pooling: Pooling,
        link: Link,
        cutpoints: Cutpoints,
        /// None if it is false.
        #[serde(skip_serializing_if = "Option::is_none")]
        text_pairs: Option<bool>,
        max_length: usize,
    }
    digests {
        model_config_sha256: "model config",
        model_weights_sha256: "model weights",
        training_data_sha256: "training data",
        validation_data_sha256: "validation data",
    }
}

/// The JSON text of a setting, for messages.
fn text(setting: &impl Serialize) -> String {
    serde_json::to_string(setting).unwrap_or_else(|error| error.to_string())
}

impl RunIdentity {
    /// The identity of a run that has not changed its model yet.
    pub(crate) fn new(config: &TrainConfig, inputs: &TrainInputs<'_>) -> Result<Self, TrainError> {
        let c = config.clone();
        let spec = inputs.model.spec().clone();
        let model_config = inputs.model.config().to_json().to_string();
        Ok(Self {
            num_train_epochs: c.num_train_epochs,
            max_steps: c.max_steps,
            train_batch_size: c.train_batch_size,
            eval_batch_size: c.eval_batch_size,
            gradient_accumulation_steps: c.gradient_accumulation_steps,
            learning_rate: c.learning_rate,
            head_learning_rate: c.head_learning_rate,
            cutpoint_learning_rate: (spec.task == Task::Ordinal)
                .then_some(c.cutpoint_learning_rate),
            refit: (!c.refit && spec.task == Task::Ordinal).then_some(false),
            head_start_rows: inputs.has_new_cutpoints().then_some(c.head_start_rows),
            weight_decay: c.weight_decay,
            warmup_ratio: c.warmup_ratio,
            warmup_steps: c.warmup_steps,
            lr_scheduler_type: c.lr_scheduler_type,
            max_grad_norm: c.max_grad_norm,
            eval_steps: c.eval_steps,
            metric_for_best_model: c.metric_for_best_model,
            decision: c.decision,
            early_stopping_patience: c.early_stopping_patience,
            class_weights: c.class_weights,
            initialize_cutpoints: inputs.has_new_cutpoints(),
            seed: c.seed,
            task: spec.task,
            labels: spec.labels,
            pooling: spec.pooling,
            link: spec.link,
            cutpoints: spec.cutpoints,
            text_pairs: spec.text_pairs.then_some(true),
            max_length: spec.max_length,
            // Dropout and the like.
            model_config_sha256: sha256_hex(model_config.as_bytes()),
            model_weights_sha256: digest_of_model(inputs.model)?,
            training_data_sha256: digest_of_data(inputs.training),
            validation_data_sha256: digest_of_data(inputs.validation),
        })
    }

    /// The same identity with the values that earlier builds had in place of settings they lacked.
    fn completed(mut self) -> Self {
        self.text_pairs.get_or_insert(false);
        if self.task == Task::Ordinal {
            self.cutpoint_learning_rate
                .get_or_insert(self.head_learning_rate);
            self.refit.get_or_insert(true);
        }
        if self.task == Task::Ordinal && self.initialize_cutpoints {
            self.head_start_rows.get_or_insert(0);
        }
        self
    }

    /// Differences between this saved identity and the current one, for the error message, such as
    /// `seed 42 (now 7)`. Empty if they are equal.
    pub(crate) fn differences(&self, now: &Self) -> Vec<String> {
        let (saved, now) = (self.clone().completed(), now.clone().completed());
        let settings = saved.settings_that_differ(&now).into_iter();
        let mut differences: Vec<String> = settings
            .map(|(name, saved, now)| format!("{name} {saved} (now {now})"))
            .collect();
        // Settings determine the parameters of a new head, so where a setting differs, a
        // different model is its consequence.
        let explained = !differences.is_empty();
        let digests = saved.digests().into_iter().zip(now.digests());
        differences.extend(
            digests
                .filter(|(saved, now)| saved != now)
                .filter(|((label, _), _)| !(explained && label.starts_with("model ")))
                .map(|((label, _), _)| format!("other {label}")),
        );
        differences
    }
}

fn digest_of_model(model: &TextModel) -> Result<String, NnError> {
    let mut lines = String::new();
    for param in model.params() {
        let bytes = TensorRef::Tensor(param.value()).to_bytes()?;
        let (name, dims) = (param.name(), param.value().dims());
        lines += &format!("{name} {dims:?} {}\n", sha256_hex(&bytes));
    }
    Ok(sha256_hex(lines.as_bytes()))
}

/// The digest of tokens and targets. Tokens and not texts, because they depend on the tokenizer,
/// too.
fn digest_of_data(data: &Dataset) -> String {
    let mut bytes = Vec::new();
    for (text, target) in data.texts.iter().zip(&data.targets) {
        bytes.extend((text.len() as u64).to_le_bytes());
        let ids = text.input_ids.iter().chain(&text.token_type_ids);
        bytes.extend(ids.flat_map(|id| id.to_le_bytes()));
        bytes.extend(match target {
            Target::Class(class) => (*class as u64).to_le_bytes(),
            Target::Number(number) => number.to_le_bytes(),
        });
    }
    sha256_hex(&bytes)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use serde_json::Value;

    /// As rtune 0.1 wrote it.
    const TEXT: &str = r#"{
        "class_weights": null, "cutpoints": "ordered", "early_stopping_patience": null,
        "eval_batch_size": 64, "eval_steps": null, "gradient_accumulation_steps": 1,
        "head_learning_rate": 0.001, "initialize_cutpoints": true, "labels": ["0", "1", "2"],
        "learning_rate": 0.0001, "link": "logit", "lr_scheduler_type": "linear",
        "max_grad_norm": 1.0, "max_length": 24, "max_steps": null,
        "metric_for_best_model": "qwk", "model_config_sha256": "a",
        "model_weights_sha256": "b", "num_train_epochs": 60.0, "pooling": "mean", "seed": 42,
        "task": "ordinal", "train_batch_size": 8, "training_data_sha256": "c",
        "validation_data_sha256": "d", "warmup_ratio": 0.1, "warmup_steps": null,
        "weight_decay": 0.01
    }"#;

    pub(crate) fn identity() -> RunIdentity {
        serde_json::from_str(TEXT).unwrap()
    }

    #[test]
    fn the_format_of_checkpoints_is_kept() {
        let text: Value = serde_json::from_str(TEXT).unwrap();
        assert_eq!(serde_json::to_value(identity()).unwrap(), text);
    }

    #[test]
    fn each_difference_is_named() {
        let same = identity();
        assert_eq!(same.differences(&identity()), [""; 0]);
        let changes: [(fn(&mut RunIdentity), &[&str]); 9] = [
            (
                |i| i.decision = Some(Decision::Median),
                &[r#"decision null (now "median")"#],
            ),
            (|i| i.seed = 7, &["seed 42 (now 7)"]),
            // The checkpoint of an earlier build has neither.
            (|i| i.cutpoint_learning_rate = Some(0.001), &[]),
            (
                |i| (i.cutpoint_learning_rate, i.head_start_rows) = (Some(0.03), Some(2000)),
                &[
                    "cutpoint_learning_rate 0.001 (now 0.03)",
                    "head_start_rows 0 (now 2000)",
                ],
            ),
            (
                |i| (i.learning_rate, i.max_steps) = (0.5, NonZeroUsize::new(3)),
                &["learning_rate 0.0001 (now 0.5)", "max_steps null (now 3)"],
            ),
            (
                |i| i.labels = ["a", "b"].map(str::to_owned).to_vec(),
                &[r#"labels ["0","1","2"] (now ["a","b"])"#],
            ),
            (
                |i| i.training_data_sha256 = "x".to_owned(),
                &["other training data"],
            ),
            (
                |i| i.model_weights_sha256 = "x".to_owned(),
                &["other model weights"],
            ),
            // The seed explains the weights, but not the data.
            (
                |i| {
                    i.seed = 7;
                    i.model_weights_sha256 = "x".to_owned();
                    i.validation_data_sha256 = "x".to_owned();
                },
                &["seed 42 (now 7)", "other validation data"],
            ),
        ];
        for (change, expected) in changes {
            let mut now = identity();
            change(&mut now);
            assert_eq!(same.differences(&now), expected);
        }
    }

    #[test]
    fn every_field_is_compared() {
        let mut text: Value = serde_json::from_str(TEXT).unwrap();
        text["cutpoint_learning_rate"] = 0.03.into();
        text["head_start_rows"] = 2000.into();
        text["refit"] = true.into();
        let saved: RunIdentity = serde_json::from_value(text.clone()).unwrap();
        for (name, value) in text.as_object().unwrap() {
            let mut changed = text.clone();
            changed[name] = match value {
                Value::Null if name == "class_weights" => serde_json::json!([1.0]),
                Value::Null => 3.into(),
                Value::Bool(value) => (!value).into(),
                Value::Number(_) => 5.into(),
                Value::Array(_) => serde_json::json!(["x"]),
                _ if name.ends_with("sha256") => "x".into(),
                _ => match name.as_str() {
                    "cutpoints" => "clipped",
                    "link" => "probit",
                    "lr_scheduler_type" => "cosine",
                    "metric_for_best_model" => "mae",
                    "pooling" => "first",
                    _ => "classification",
                }
                .into(),
            };
            let now: RunIdentity = serde_json::from_value(changed).unwrap();
            assert_eq!(saved.differences(&now).len(), 1, "{name}");
        }
    }
}

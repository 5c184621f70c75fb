use crate::SchedulerType;
use rtune_task::{Decision, Metric, MetricError, Task};
use serde::{Deserialize, Serialize};
use std::num::NonZeroUsize;

/// The learning rate of cutpoints by default: the first factor times that of the head, but not more
/// than the second number, and not less than that of the head.
///
/// An update of Adam moves each parameter by about its learning rate. A cutpoint is one parameter,
/// and a score the sum of hundreds, so at one rate cutpoints lag behind. The limit is in the unit
/// of the link, in which the probability of a class changes from near 0 to near 1 over a few units.
const CUTPOINT_RATE: (f64, f64) = (30.0, 0.03);

/// The settings of a run as a user gives them, by their Hugging Face names.
///
/// Nothing is checked here: [`TrainConfig::new`] checks all of them.
///
/// ```
/// use rtune_task::Task;
/// use rtune_train::{TrainConfig, TrainSettings};
///
/// let settings = TrainSettings {
///     train_batch_size: 0,
///     ..TrainSettings::default()
/// };
/// let error = TrainConfig::new(&settings, Task::Ordinal).unwrap_err();
/// assert_eq!(error.to_string(), "train_batch_size must be at least 1");
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainSettings {
    /// The number of passes over the training data.
    pub num_train_epochs: f64,
    /// The number of updates; overrides `num_train_epochs`.
    pub max_steps: Option<usize>,
    /// The number of texts in a training batch.
    pub train_batch_size: usize,
    /// The number of texts in an evaluation batch.
    pub eval_batch_size: usize,
    /// The number of batches whose gradients make one update.
    pub gradient_accumulation_steps: usize,
    /// The largest learning rate of the encoder.
    pub learning_rate: f64,
    /// The largest learning rate of the head's weight and bias; ten times `learning_rate` by
    /// default.
    pub head_learning_rate: Option<f64>,
    /// The largest learning rate of the cutpoints of an ordinal model; by default 30 times that of
    /// the head but at most 0.03, or that of the head if it is larger.
    pub cutpoint_learning_rate: Option<f64>,
    /// The number of training rows that a new head of an ordinal model is fitted to before the
    /// first update; 0 keeps its initial values.
    pub head_start_rows: usize,
    /// True if the scale of an ordinal model, and with enough rows its cutpoints, are fitted to the
    /// validation rows at the end.
    pub refit: bool,
    /// The share of a weight that is subtracted per unit of learning rate.
    pub weight_decay: f64,
    /// The share of the updates in which the learning rate rises.
    pub warmup_ratio: f64,
    /// The number of updates in which the learning rate rises; overrides `warmup_ratio`.
    pub warmup_steps: Option<usize>,
    /// The course of the learning rate after warmup.
    pub lr_scheduler_type: SchedulerType,
    /// Gradients are scaled down to this norm; 0 disables it.
    pub max_grad_norm: f64,
    /// The number of updates between evaluations; an epoch by default.
    pub eval_steps: Option<usize>,
    /// The number of updates between lines of the log.
    pub logging_steps: usize,
    /// The number of updates between checkpoints.
    pub save_steps: usize,
    /// The number of checkpoints to keep.
    pub save_total_limit: usize,
    /// The metric that chooses the best model; [`Metric::default_for`] the task by default.
    pub metric_for_best_model: Option<Metric>,
    /// The rule of an ordinal model's labels; by default the best on the validation data.
    pub decision: Option<Decision>,
    /// Stop after this number of evaluations without improvement.
    pub early_stopping_patience: Option<usize>,
    /// One factor of the loss for each class.
    pub class_weights: Option<Vec<f64>>,
    /// The seed of the order of batches, of dropout and of new parameters.
    pub seed: u64,
}

impl Default for TrainSettings {
    fn default() -> Self {
        Self {
            num_train_epochs: 3.0,
            max_steps: None,
            train_batch_size: 32,
            eval_batch_size: 64,
            gradient_accumulation_steps: 1,
            learning_rate: 1e-4,
            head_learning_rate: None,
            cutpoint_learning_rate: None,
            head_start_rows: 2000,
            refit: true,
            weight_decay: 0.01,
            warmup_ratio: 0.1,
            warmup_steps: None,
            lr_scheduler_type: SchedulerType::Linear,
            max_grad_norm: 1.0,
            eval_steps: None,
            logging_steps: 50,
            save_steps: 500,
            save_total_limit: 2,
            metric_for_best_model: None,
            decision: None,
            early_stopping_patience: None,
            class_weights: None,
            seed: 42,
        }
    }
}

/// Checked settings of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainConfig {
    pub(crate) num_train_epochs: f64,
    pub(crate) max_steps: Option<NonZeroUsize>,
    pub(crate) train_batch_size: NonZeroUsize,
    pub(crate) eval_batch_size: NonZeroUsize,
    pub(crate) gradient_accumulation_steps: NonZeroUsize,
    pub(crate) learning_rate: f64,
    pub(crate) head_learning_rate: f64,
    pub(crate) cutpoint_learning_rate: f64,
    pub(crate) head_start_rows: usize,
    pub(crate) refit: bool,
    pub(crate) weight_decay: f64,
    pub(crate) warmup_ratio: f64,
    pub(crate) warmup_steps: Option<usize>,
    pub(crate) lr_scheduler_type: SchedulerType,
    pub(crate) max_grad_norm: f64,
    pub(crate) eval_steps: Option<NonZeroUsize>,
    pub(crate) logging_steps: NonZeroUsize,
    pub(crate) save_steps: NonZeroUsize,
    pub(crate) save_total_limit: NonZeroUsize,
    pub(crate) metric_for_best_model: Metric,
    pub(crate) decision: Option<Decision>,
    pub(crate) early_stopping_patience: Option<NonZeroUsize>,
    pub(crate) class_weights: Option<Vec<f64>>,
    pub(crate) seed: u64,
}

impl TrainConfig {
    /// Checks settings for a task and fills in the defaults that depend on the task or on other
    /// settings.
    ///
    /// # Errors
    /// If a setting is out of range, or the task does not have the metric or decision rules.
    pub fn new(settings: &TrainSettings, task: Task) -> Result<Self, SettingError> {
        let s = settings;
        if task == Task::Embedding {
            return Err(SettingError::Embedding);
        }
        let metric = s.metric_for_best_model.unwrap_or(Metric::default_for(task));
        if task != Task::Ordinal && s.decision.is_some() {
            return Err(SettingError::Decision);
        }
        let head_rate = s.head_learning_rate.unwrap_or(10.0 * s.learning_rate);
        let (factor, most) = CUTPOINT_RATE;
        let cutpoint_rate = (factor * head_rate).min(most).max(head_rate);
        let config = Self {
            num_train_epochs: s.num_train_epochs,
            max_steps: s.max_steps.and_then(NonZeroUsize::new),
            train_batch_size: positive("train_batch_size", s.train_batch_size)?,
            eval_batch_size: positive("eval_batch_size", s.eval_batch_size)?,
            gradient_accumulation_steps: positive(
                "gradient_accumulation_steps",
                s.gradient_accumulation_steps,
            )?,
            save_steps: positive("save_steps", s.save_steps)?,
            save_total_limit: positive("save_total_limit", s.save_total_limit)?,
            logging_steps: positive("logging_steps", s.logging_steps)?,
            eval_steps: optional("eval_steps", s.eval_steps)?,
            early_stopping_patience: optional(
                "early_stopping_patience",
                s.early_stopping_patience,
            )?,
            learning_rate: s.learning_rate,
            head_learning_rate: head_rate,
            cutpoint_learning_rate: s.cutpoint_learning_rate.unwrap_or(cutpoint_rate),
            head_start_rows: s.head_start_rows,
            refit: s.refit,
            weight_decay: s.weight_decay,
            warmup_ratio: s.warmup_ratio,
            warmup_steps: s.warmup_steps,
            lr_scheduler_type: s.lr_scheduler_type,
            max_grad_norm: s.max_grad_norm,
            metric_for_best_model: Metric::parse_for(task, metric.name())?,
            decision: s.decision,
            class_weights: s.class_weights.clone(),
            seed: s.seed,
        };
        config.check_numbers()?;
        let epochs = s.num_train_epochs;
        if s.max_steps == Some(0)
            || (s.max_steps.is_none() && !(epochs > 0.0 && epochs.is_finite()))
        {
            return Err(SettingError::Length);
        }
        Ok(config)
    }

    fn check_numbers(&self) -> Result<(), SettingError> {
        let positive = |value: f64| value > 0.0 && value.is_finite();
        let from_zero = |value: f64| value >= 0.0 && value.is_finite();
        let share = |value: f64| (0.0..=1.0).contains(&value);
        let checks: [(_, _, fn(f64) -> bool, _); 6] = [
            ("learning_rate", self.learning_rate, positive, "positive"),
            (
                "head_learning_rate",
                self.head_learning_rate,
                from_zero,
                "a number from 0",
            ),
            (
                "cutpoint_learning_rate",
                self.cutpoint_learning_rate,
                from_zero,
                "a number from 0",
            ),
            (
                "weight_decay",
                self.weight_decay,
                from_zero,
                "a number from 0",
            ),
            (
                "max_grad_norm",
                self.max_grad_norm,
                from_zero,
                "a number from 0",
            ),
            ("warmup_ratio", self.warmup_ratio, share, "between 0 and 1"),
        ];
        match checks.iter().find(|(_, value, holds, _)| !holds(*value)) {
            None => Ok(()),
            Some((setting, found, _, expected)) => Err(SettingError::Number {
                setting,
                expected,
                found: *found,
            }),
        }
    }

    /// The number of texts in an evaluation batch.
    pub fn eval_batch_size(&self) -> NonZeroUsize {
        self.eval_batch_size
    }
}

fn positive(setting: &'static str, value: usize) -> Result<NonZeroUsize, SettingError> {
    NonZeroUsize::new(value).ok_or(SettingError::Zero { setting })
}

fn optional(
    setting: &'static str,
    value: Option<usize>,
) -> Result<Option<NonZeroUsize>, SettingError> {
    value.map(|value| positive(setting, value)).transpose()
}

/// A setting that is out of range or does not fit the task.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SettingError {
    /// A count is 0.
    #[error("{setting} must be at least 1")]
    Zero {
        /// The setting.
        setting: &'static str,
    },
    /// A number is out of range.
    #[error("{setting} must be {expected}, found {found}")]
    Number {
        /// The setting.
        setting: &'static str,
        /// The range.
        expected: &'static str,
        /// The value.
        found: f64,
    },
    /// A run of no steps.
    #[error("num_train_epochs and max_steps must be positive")]
    Length,
    /// Class weights for a task without classes.
    #[error("class weights need classes, but the task is regression")]
    ClassWeightsOfRegression,
    /// Class weights that do not fit the classes.
    #[error("{classes} positive class weights are needed, found {found:?}")]
    ClassWeights {
        /// The number of classes.
        classes: usize,
        /// The class weights.
        found: Vec<f64>,
    },
    /// Names of classes for a task without classes.
    #[error("labels names classes, but the task is regression")]
    LabelsOfRegression,
    /// A class without a name.
    #[error("labels names a class with no name; separate the names by single commas")]
    EmptyLabel,
    /// A single class.
    #[error("labels needs at least two names")]
    OneLabel,
    /// Two classes with the same name.
    #[error("labels names `{0}` twice")]
    LabelTwice(
        /// The name.
        String,
    ),
    /// A task without labels.
    #[error("task is embedding, which has no labels to train on")]
    Embedding,
    /// A decision rule for a task that has none.
    #[error("decision is a rule of ordinal models, but the task is another one")]
    Decision,
    /// A metric that the task does not have.
    #[error(transparent)]
    Metric(#[from] MetricError),
}

impl SettingError {
    /// The settings that the message names first, for callers whose users know them by other names.
    pub fn settings(&self) -> Vec<&'static str> {
        match self {
            Self::Zero { setting } | Self::Number { setting, .. } => vec![setting],
            Self::Length => vec!["num_train_epochs", "max_steps"],
            Self::LabelsOfRegression | Self::EmptyLabel | Self::OneLabel | Self::LabelTwice(_) => {
                vec!["labels"]
            }
            Self::Decision => vec!["decision"],
            Self::Embedding
            | Self::ClassWeightsOfRegression
            | Self::ClassWeights { .. }
            | Self::Metric(_) => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(change: impl FnOnce(&mut TrainSettings)) -> Option<String> {
        let mut settings = TrainSettings::default();
        change(&mut settings);
        let error = TrainConfig::new(&settings, Task::Ordinal).err()?;
        for setting in error.settings() {
            assert!(error.to_string().contains(setting), "{error}");
        }
        Some(error.to_string())
    }

    #[test]
    fn each_count_refuses_zero() {
        let changes: [(&str, fn(&mut TrainSettings)); 8] = [
            ("train_batch_size", |s| s.train_batch_size = 0),
            ("eval_batch_size", |s| s.eval_batch_size = 0),
            ("gradient_accumulation_steps", |s| {
                s.gradient_accumulation_steps = 0;
            }),
            ("save_steps", |s| s.save_steps = 0),
            ("save_total_limit", |s| s.save_total_limit = 0),
            ("logging_steps", |s| s.logging_steps = 0),
            ("eval_steps", |s| s.eval_steps = Some(0)),
            ("early_stopping_patience", |s| {
                s.early_stopping_patience = Some(0);
            }),
        ];
        for (setting, change) in changes {
            let expected = format!("{setting} must be at least 1");
            assert_eq!(message(change), Some(expected));
        }
    }

    #[test]
    fn each_number_refuses_values_out_of_range() {
        type Case = (fn(&mut TrainSettings, f64), &'static [f64], &'static str);
        let cases: [Case; 6] = [
            (
                |s, v| s.learning_rate = v,
                &[0.0, -1.0, f64::NAN, f64::INFINITY],
                "learning_rate must be positive, found ",
            ),
            (
                |s, v| s.head_learning_rate = Some(v),
                &[-1.0, f64::NAN, f64::INFINITY],
                "head_learning_rate must be a number from 0, found ",
            ),
            (
                |s, v| s.cutpoint_learning_rate = Some(v),
                &[-1.0, f64::NAN, f64::INFINITY],
                "cutpoint_learning_rate must be a number from 0, found ",
            ),
            (
                |s, v| s.weight_decay = v,
                &[-1.0, f64::NAN],
                "weight_decay must be a number from 0, found ",
            ),
            (
                |s, v| s.max_grad_norm = v,
                &[-1.0, f64::NAN],
                "max_grad_norm must be a number from 0, found ",
            ),
            (
                |s, v| s.warmup_ratio = v,
                &[-0.1, 1.1, f64::NAN],
                "warmup_ratio must be between 0 and 1, found ",
            ),
        ];
        for (change, values, expected) in cases {
            for value in values {
                let expected = format!("{expected}{value}");
                assert_eq!(message(|s| change(s, *value)), Some(expected));
            }
        }
    }

    #[test]
    fn a_run_has_a_length() {
        let expected = "num_train_epochs and max_steps must be positive".to_owned();
        for epochs in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(
                message(|s| s.num_train_epochs = epochs),
                Some(expected.clone())
            );
        }
        assert_eq!(message(|s| s.max_steps = Some(0)), Some(expected));
        // The epochs do not matter with max_steps.
        let both = |s: &mut TrainSettings| (s.max_steps, s.num_train_epochs) = (Some(1), 0.0);
        assert_eq!(message(both), None);
    }

    #[test]
    fn cutpoints_move_faster_than_the_head_up_to_a_limit() {
        for (learning_rate, head, cutpoints) in [
            (1e-4, None, 0.03),
            (1e-5, None, 3e-3),
            (1e-4, Some(1e-5), 3e-4),
            (1e-3, None, 0.03),
            (1e-4, Some(0.1), 0.1),
            (1e-4, Some(0.0), 0.0),
        ] {
            let settings = TrainSettings {
                learning_rate,
                head_learning_rate: head,
                ..TrainSettings::default()
            };
            let found = |settings: &TrainSettings| {
                let config = TrainConfig::new(settings, Task::Ordinal);
                config.map(|config| config.cutpoint_learning_rate)
            };
            let rate = found(&settings).unwrap();
            assert!((rate - cutpoints).abs() < 1e-12, "{learning_rate}: {rate}");
            let own = TrainSettings {
                cutpoint_learning_rate: Some(0.5),
                ..settings
            };
            assert_eq!(found(&own), Ok(0.5));
        }
    }

    #[test]
    fn defaults_follow_from_the_task_and_other_settings() {
        let settings = TrainSettings {
            learning_rate: 0.5,
            ..TrainSettings::default()
        };
        for (task, metric) in [
            (Task::Ordinal, Metric::Qwk),
            (Task::Classification, Metric::Accuracy),
            (Task::Regression, Metric::Mae),
        ] {
            let found = TrainConfig::new(&settings, task);
            let found = found.map(|c| (c.metric_for_best_model, c.head_learning_rate));
            assert_eq!(found, Ok((metric, 5.0)));
        }
        let settings = TrainSettings {
            metric_for_best_model: Some(Metric::Qwk),
            ..settings
        };
        let median = TrainSettings {
            decision: Some(Decision::Median),
            ..settings.clone()
        };
        assert!(TrainConfig::new(&median, Task::Ordinal).is_ok());
        let error = TrainConfig::new(&median, Task::Classification).map(|_| ());
        assert_eq!(error, Err(SettingError::Decision));
        let error = TrainConfig::new(&settings, Task::Regression).map_err(|e| e.to_string());
        let expected = "the task has no metric `qwk`; it has mae, spearman, r2, loss";
        assert_eq!(error.err().as_deref(), Some(expected));
    }

    #[test]
    fn settings_in_json_refuse_unknown_names() {
        let found: TrainSettings = serde_json::from_str("{\"seed\": 7}").unwrap_or_default();
        assert_eq!(found.seed, 7);
        let found = serde_json::from_str::<TrainSettings>("{\"sed\": 7}");
        assert!(found.is_err_and(|e| e.to_string().contains("unknown field `sed`")));
    }
}

//! The flags of the model and of training, by their Hugging Face names.

use crate::flags::{Names, Numbers, PoolingFlag, names, number, numbers, whole};
use clap::{Args, ValueEnum};
use rtune_task::{Cutpoints, Decision, Link, Metric, MetricError, Task};
use rtune_train::{Products, RunRequest, SchedulerType, TrainSettings};

/// Flags of the model that is trained.
#[derive(Debug, Args)]
pub(super) struct ModelFlags {
    /// Names of the classes in order, separated by commas; a name with a comma in double quotes
    /// [default: those of a fine-tuned model, or the numbers of the rows]
    #[arg(long, value_parser = names, value_name = "A,B,..")]
    pub(super) labels: Option<Names>,
    /// Give a fine-tuned model a new head; it gets one in any case if task, labels, pooling, link
    /// or cutpoints are others than the model's, texts are pairs and were none, or the reverse, or
    /// numbers are of another size
    #[arg(long)]
    pub(super) init_head: bool,
    /// Meaning of the labels
    #[arg(long, default_value = "ordinal")]
    pub(super) task: TaskFlag,
    /// Reduction of token vectors to one vector; pooler: as the family's own head in Hugging Face's
    /// transformers, which then reads a classification or regression [default: mean for ordinal
    /// models, pooler for others]
    #[arg(long)]
    pub(super) pooling: Option<PoolingFlag>,
    /// Link of the ordinal model
    #[arg(long, default_value = "logit")]
    pub(super) link: LinkFlag,
    /// Parametrization that keeps cutpoints ascending: by construction, or by clipping
    #[arg(long, default_value = "ordered")]
    pub(super) cutpoints: CutpointsFlag,
    /// Rule of an ordinal model's labels: the most probable class, the median or the rounded mean;
    /// auto: the one that is best by --metric-for-best-model on the validation rows
    #[arg(long, default_value = "auto")]
    pub(super) decision: DecisionFlag,
    /// Maximum number of tokens; longer texts are truncated
    #[arg(long, visible_alias = "max-seq-length", value_parser = whole::<usize>)]
    #[arg(default_value_t = RunRequest::MAX_LENGTH, value_name = "N")]
    pub(super) max_length: usize,
}

/// Flags of training.
#[derive(Debug, Args)]
pub(super) struct TrainingFlags {
    /// Number of passes over the training rows
    #[arg(long, value_parser = number)]
    #[arg(default_value_t = default().num_train_epochs, value_name = "N")]
    num_train_epochs: f64,
    /// Number of updates, in place of --num-train-epochs
    #[arg(long, value_parser = whole::<usize>, value_name = "N")]
    max_steps: Option<usize>,
    /// Number of texts in a training batch
    #[arg(long, visible_alias = "per-device-train-batch-size", value_parser = whole::<usize>)]
    #[arg(default_value_t = default().train_batch_size, value_name = "N")]
    train_batch_size: usize,
    /// Number of texts in an evaluation batch
    #[arg(long, visible_alias = "per-device-eval-batch-size", value_parser = whole::<usize>)]
    #[arg(default_value_t = default().eval_batch_size, value_name = "N")]
    eval_batch_size: usize,
    /// Number of batches whose gradients make one update
    #[arg(long, value_parser = whole::<usize>)]
    #[arg(default_value_t = default().gradient_accumulation_steps, value_name = "N")]
    gradient_accumulation_steps: usize,
    /// Largest learning rate of the encoder
    #[arg(long, value_parser = number)]
    #[arg(default_value_t = default().learning_rate, value_name = "RATE")]
    learning_rate: f64,
    /// Largest learning rate of the head's weight and bias [default: ten times --learning-rate]
    #[arg(long, value_parser = number, value_name = "RATE")]
    head_learning_rate: Option<f64>,
    /// Largest learning rate of cutpoints [default: 30 times --head-learning-rate up to 0.03, or
    /// that rate itself if it is larger]
    #[arg(long, value_parser = number, value_name = "RATE")]
    cutpoint_learning_rate: Option<f64>,
    /// Number of training rows that a new head is fitted to before the first update; 0: none
    #[arg(long, value_parser = whole::<usize>)]
    #[arg(default_value_t = default().head_start_rows, value_name = "N")]
    head_start_rows: usize,
    /// Keep scale and cutpoints as trained; by default they are fitted once more at the end, to at
    /// least 50 and 400 validation rows
    #[arg(long)]
    no_refit: bool,
    /// Share of a weight that is subtracted per unit of learning rate
    #[arg(long, value_parser = number, default_value_t = default().weight_decay, value_name = "X")]
    weight_decay: f64,
    /// Share of the updates in which the learning rate rises
    #[arg(long, value_parser = number, default_value_t = default().warmup_ratio, value_name = "X")]
    warmup_ratio: f64,
    /// Number of updates in which the learning rate rises, in place of --warmup-ratio
    #[arg(long, value_parser = whole::<usize>, value_name = "N")]
    warmup_steps: Option<usize>,
    /// Course of the learning rate after warmup
    #[arg(long, default_value = "linear")]
    lr_scheduler_type: SchedulerFlag,
    /// Gradients are scaled down to this norm; 0 disables it
    #[arg(long, value_parser = number, default_value_t = default().max_grad_norm, value_name = "X")]
    max_grad_norm: f64,
    /// Number of updates between evaluations [default: an epoch]
    #[arg(long, value_parser = whole::<usize>, value_name = "N")]
    eval_steps: Option<usize>,
    /// Number of updates between checkpoints; the end and an interruption write one too
    #[arg(long, value_parser = whole::<usize>)]
    #[arg(default_value_t = default().save_steps, value_name = "N")]
    save_steps: usize,
    /// Maximum number of checkpoints; the newest are kept
    #[arg(long, value_parser = whole::<usize>)]
    #[arg(default_value_t = default().save_total_limit, value_name = "N")]
    save_total_limit: usize,
    /// Number of updates between lines of the log
    #[arg(long, value_parser = whole::<usize>)]
    #[arg(default_value_t = default().logging_steps, value_name = "N")]
    logging_steps: usize,
    #[arg(long, help = metric_help(), value_name = "NAME")]
    metric_for_best_model: Option<String>,
    /// Stop after N evaluations without improvement
    #[arg(long, value_parser = whole::<usize>, value_name = "N")]
    early_stopping_patience: Option<usize>,
    /// Factors of the loss, one for each class, separated by commas
    #[arg(long, value_parser = numbers, value_name = "X,Y,..")]
    class_weights: Option<Numbers>,
    /// Seed of new parameters, the order of batches, and dropout
    #[arg(long, value_parser = whole::<u64>, default_value_t = default().seed, value_name = "N")]
    seed: u64,
    /// Number type of matrix products; the rest is float32. tf32, on CUDA, rounds their inputs to
    /// 10 bits of precision and is faster
    #[arg(long, default_value = "float32", value_name = "TYPE")]
    dtype: DtypeFlag,
}

fn default() -> TrainSettings {
    TrainSettings::default()
}

/// The help text with all metrics, and the default of each task.
fn metric_help() -> String {
    let tasks = TaskFlag::value_variants()
        .iter()
        .map(|flag| Task::from(*flag));
    let defaults = Metric::list(tasks.map(Metric::default_for));
    let all = Metric::list(Metric::all());
    format!(
        "Metric that chooses the best model: {all}; `rtune evaluate --help` explains them \
         [default: {defaults}, by task]"
    )
}

impl TrainingFlags {
    /// The precision of matrix products.
    pub(super) fn products(&self) -> Products {
        match self.dtype {
            DtypeFlag::Float32 => Products::Float32,
            DtypeFlag::Tf32 => Products::Tf32,
        }
    }

    /// The settings of a run that trains a model.
    ///
    /// # Errors
    /// If the task does not have the metric.
    pub(super) fn settings(&self, model: &ModelFlags) -> Result<TrainSettings, MetricError> {
        let task = model.task.into();
        let metric = self.metric_for_best_model.as_deref();
        let metric = metric.map(|name| Metric::parse_for(task, name)).transpose();
        Ok(TrainSettings {
            num_train_epochs: self.num_train_epochs,
            max_steps: self.max_steps,
            train_batch_size: self.train_batch_size,
            eval_batch_size: self.eval_batch_size,
            gradient_accumulation_steps: self.gradient_accumulation_steps,
            learning_rate: self.learning_rate,
            head_learning_rate: self.head_learning_rate,
            cutpoint_learning_rate: self.cutpoint_learning_rate,
            head_start_rows: self.head_start_rows,
            refit: !self.no_refit,
            weight_decay: self.weight_decay,
            warmup_ratio: self.warmup_ratio,
            warmup_steps: self.warmup_steps,
            lr_scheduler_type: self.lr_scheduler_type.into(),
            max_grad_norm: self.max_grad_norm,
            eval_steps: self.eval_steps,
            logging_steps: self.logging_steps,
            save_steps: self.save_steps,
            save_total_limit: self.save_total_limit,
            metric_for_best_model: metric?,
            decision: model.decision.rule(),
            early_stopping_patience: self.early_stopping_patience,
            class_weights: self.class_weights.clone().map(|weights| weights.0),
            seed: self.seed,
        })
    }
}

macro_rules! flag_enum {
    ($flag:ident => $target:ident { $($name:ident),+ }) => {
        #[derive(Debug, Clone, Copy, ValueEnum)]
        pub(super) enum $flag { $($name),+ }
        impl From<$flag> for $target {
            fn from(flag: $flag) -> Self {
                match flag { $($flag::$name => Self::$name),+ }
            }
        }
    };
}

flag_enum!(TaskFlag => Task { Ordinal, Classification, Regression });
flag_enum!(LinkFlag => Link { Logit, Probit, Cloglog });
flag_enum!(CutpointsFlag => Cutpoints { Ordered, Clipped });
flag_enum!(SchedulerFlag => SchedulerType { Linear, Cosine, Constant });

/// A decision rule, or its choice on the validation rows.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum DecisionFlag {
    Auto,
    Mode,
    Median,
    Mean,
}

impl DecisionFlag {
    /// The rule; `None` if the run chooses it.
    pub(super) fn rule(self) -> Option<Decision> {
        match self {
            Self::Auto => None,
            Self::Mode => Some(Decision::Mode),
            Self::Median => Some(Decision::Median),
            Self::Mean => Some(Decision::Mean),
        }
    }
}

/// The types that training supports; half precision comes with its kernels.
#[derive(Debug, Clone, Copy, PartialEq, ValueEnum)]
enum DtypeFlag {
    Float32,
    Tf32,
}

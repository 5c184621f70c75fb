use crate::{RunResult, TrainError};
use rtune_nn::LoadReport;
use rtune_task::{ByClass, Decision, DecisionMetrics, Metrics};
use rtune_text::TokenizerChange;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Means over the steps since the last log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepLog {
    /// The number of steps done.
    pub step: usize,
    /// The number of steps of the run.
    pub total_steps: usize,
    /// The number of epochs done.
    pub epoch: f64,
    /// The mean of the training loss over the examples, each with its class weight.
    pub loss: f64,
    /// The mean norm of the gradient of a step, before clipping.
    pub gradient_norm: f64,
    /// The learning rate of the last step.
    pub learning_rate: f64,
}

/// One evaluation on the validation data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// The number of steps done.
    pub step: usize,
    /// The number of epochs done.
    pub epoch: f64,
    /// True if it was better than all before it: by the metric that chooses the best model or, if
    /// that was equal, by the loss.
    pub best: bool,
    /// The rule of an ordinal model's labels that the metrics are of. If no rule is set, the one
    /// that is the best here.
    #[serde(default)]
    pub decision: Option<Decision>,
    /// The cutpoints of an ordinal model at this step.
    #[serde(default)]
    pub cutpoints: Vec<f64>,
    /// The metrics on the validation data.
    pub metrics: Metrics,
    /// A row for each rule of an ordinal model.
    #[serde(default)]
    pub decisions: Vec<DecisionMetrics>,
}

impl Evaluation {
    /// Drops everything but single numbers: the confusion matrix, precision and recall of each
    /// class, and the rows of the rules.
    pub(crate) fn drop_details(&mut self) {
        self.metrics.precision = ByClass::default();
        self.metrics.recall = ByClass::default();
        self.metrics.confusion = ByClass::default();
        self.decisions = Vec::new();
    }
}

/// The point at which a run starts or resumes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Start<'a> {
    /// The checkpoint that the run resumes from.
    pub checkpoint: Option<&'a Path>,
    /// The number of steps done.
    pub step: usize,
    /// False if the evaluation of that step is due.
    pub evaluated: bool,
    /// The number of logs and evaluations before this point.
    pub logged: usize,
}

/// An event of a run, in the order of its documentation.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The tokenizer differs from the files of the model.
    TokenizerChanged(&'a TokenizerChange),
    /// The names of the classes are those of a model that was trained for the same task.
    LabelsOfModel {
        /// The folder of the model.
        folder: &'a Path,
        /// The names.
        labels: &'a [String],
    },
    /// Validation examples were taken from the training file.
    HeldOut {
        /// The number of examples taken.
        examples: usize,
        /// The number of examples in the file.
        of: usize,
    },
    /// The separator of a file's columns was found out.
    Delimiter {
        /// The file.
        path: &'a Path,
        /// The separator.
        delimiter: char,
    },
    /// Some classes have no row to train on.
    ClassesWithoutRows {
        /// The file.
        path: &'a Path,
        /// The names of the classes.
        labels: &'a [&'a str],
    },
    /// Some texts of a file are longer than the limit and were truncated.
    Truncated {
        /// The file.
        path: &'a Path,
        /// The number of truncated texts.
        texts: usize,
        /// The number of texts.
        of: usize,
        /// The limit in tokens.
        max_length: usize,
    },
    /// The model was loaded.
    Loaded {
        /// The folder of the checkpoint.
        folder: &'a Path,
        /// The tensors that were used, created and ignored.
        report: &'a LoadReport,
    },
    /// An earlier run was archived until this one is complete.
    Archived {
        /// The reason that it cannot be resumed.
        reason: &'a TrainError,
    },
    /// The run has no output, and the run that it would have replaced could not be restored.
    NotRestored {
        /// The folder of the run; the other run is in a hidden folder there.
        output: &'a Path,
        /// The error.
        reason: &'a rtune_package::PackageError,
    },
    /// A damaged checkpoint was skipped.
    SkippedCheckpoint {
        /// The checkpoint.
        path: &'a Path,
        /// The damage.
        problem: &'a str,
    },
    /// The run starts, or resumes from a checkpoint.
    Start(Start<'a>),
    /// A step is done.
    Step {
        /// The number of steps done.
        step: usize,
        /// The number of steps of the run.
        total: usize,
    },
    /// A log is due.
    Log(&'a StepLog),
    /// An evaluation is done.
    Evaluation(&'a Evaluation),
    /// A checkpoint is about to be written. Logs must be flushed now: after a crash they must not
    /// be older than the checkpoint.
    BeforeCheckpoint,
    /// A checkpoint was written.
    Checkpoint(&'a Path),
    /// The hook failed for a checkpoint; the run continues.
    HookFailed {
        /// The checkpoint.
        checkpoint: &'a Path,
        /// The error.
        reason: &'a (dyn std::error::Error + 'static),
    },
    /// The run waits for the hook: at its end, or because it has written more checkpoints than the
    /// hook is done with.
    AwaitingHook,
    /// The run is done, and its result is about to be moved into place.
    Result(&'a RunResult<'a>),
    /// The log of the run has a problem; the run continues.
    LogProblem(&'a LogProblem),
}

/// A problem of the log of a run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogProblem {
    /// A line cannot be written.
    #[error("metrics.jsonl cannot be written; the run continues")]
    Write,
    /// The file system reports an error.
    #[error("metrics.jsonl: {0}; the run continues")]
    Io(std::io::Error),
    /// Lines of the run before its checkpoint are absent.
    #[error("metrics.jsonl lacks {0} of the run's earlier lines")]
    Missing(usize),
}

/// A receiver of the events of a run.
///
/// Closures are callbacks:
///
/// ```
/// use rtune_train::{Callback, Event};
///
/// let mut steps = 0;
/// let mut callback = |event: &Event<'_>| {
///     if let Event::Step { .. } = event {
///         steps += 1;
///     }
/// };
/// callback.on_event(&Event::Step { step: 1, total: 9 });
/// assert_eq!(steps, 1);
/// ```
pub trait Callback {
    /// Receives one event.
    fn on_event(&mut self, event: &Event<'_>);
}

impl<F: FnMut(&Event<'_>)> Callback for F {
    fn on_event(&mut self, event: &Event<'_>) {
        self(event);
    }
}

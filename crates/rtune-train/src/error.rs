use crate::{CheckpointProblem, SettingError};
use rtune_data::{DataError, DataProblem};
use rtune_interrupt::Interrupted;
use rtune_nn::NnError;
use rtune_package::PackageError;
use rtune_task::{MetricError, TaskError};
use rtune_text::TextError;
use std::path::PathBuf;

/// An error of training, evaluation or the folder of a run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// The model cannot be loaded, or an operation fails.
    #[error(transparent)]
    Model(#[from] NnError),
    /// A folder or file cannot be read or written.
    #[error(transparent)]
    Package(#[from] PackageError),
    /// A data file cannot be used.
    #[error(transparent)]
    Data(DataError),
    /// The tokenizer cannot be used.
    #[error(transparent)]
    Text(#[from] TextError),
    /// The system gives no thread for the hook of checkpoints.
    #[error("no thread for the hook of checkpoints: {0}")]
    HookThread(std::io::Error),
    /// The output folder of a run must not be written.
    #[error("{}: {problem}", path.display())]
    Folder {
        /// The folder, or the entry in it that is in the way.
        path: PathBuf,
        /// The reason.
        problem: FolderProblem,
    },
    /// A request has fields of another version.
    #[error(
        "the request has version {0}, and this rtune reads {VERSION}",
        VERSION = crate::RunRequest::VERSION
    )]
    RequestVersion(
        /// The version of the request.
        u32,
    ),
    /// Predictions and targets do not fit.
    #[error(transparent)]
    Metric(#[from] MetricError),
    /// A setting is out of range.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// The targets of a regression do not fit 32-bit floats.
    #[error("{}: {source}", path.display())]
    Targets {
        /// The file of the training rows.
        path: PathBuf,
        /// The reason.
        source: TaskError,
    },
    /// A dataset has no example.
    #[error("training and validation need at least one example each")]
    NoExamples,
    /// Parameters without a gradient, or with a gradient that is not finite.
    #[error("step {step}: {problem}: {}", parameters.join(", "))]
    Coverage {
        /// The step, from 1.
        step: usize,
        /// The problem with their gradients.
        problem: &'static str,
        /// Their names.
        parameters: Vec<String>,
    },
    /// A device of CUDA cannot be used.
    #[error("CUDA device {ordinal}: {problem}")]
    Device {
        /// The number of the device, from 0.
        ordinal: usize,
        /// The reason.
        problem: String,
    },
    /// The memory of the device does not hold a batch.
    #[error(
        "step {step}: {texts} texts of {tokens} tokens do not fit into the memory of the device; \
         lower train_batch_size and raise gradient_accumulation_steps by the same factor, or lower \
         max_length"
    )]
    Memory {
        /// The step, from 1.
        step: usize,
        /// The texts of the batch.
        texts: usize,
        /// The tokens of its longest text.
        tokens: usize,
    },
    /// The loss is not finite.
    #[error("step {step}: the loss is {loss}; lower learning_rate or raise warmup_ratio")]
    Diverged {
        /// The step, from 1.
        step: usize,
        /// The loss.
        loss: f64,
    },
    /// The run has no steps left and was never evaluated.
    #[error("the run ended without an evaluation")]
    NoEvaluation,
    /// A checkpoint cannot be written; those before it are kept.
    #[error(
        "{}: this checkpoint cannot be written; those before it are kept, so make room and run \
         again",
        path.display()
    )]
    Save {
        /// The checkpoint.
        path: PathBuf,
        /// The cause.
        source: Box<TrainError>,
    },
    /// A checkpoint cannot be resumed from.
    #[error("{}: {problem}", path.display())]
    Checkpoint {
        /// The checkpoint.
        path: PathBuf,
        /// The reason.
        problem: CheckpointProblem,
    },
    /// A stop was requested.
    #[error("interrupted")]
    Interrupted {
        /// The checkpoint from which the run can resume, if there is one.
        checkpoint: Option<PathBuf>,
    },
}

/// The reason why the output folder of a run must not be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FolderProblem {
    /// It holds other files, and no run to resume.
    #[error("is not an empty folder, and holds no run to go on with")]
    NotARun,
    /// It holds a finished run, and replacing was not asked for.
    #[error("holds a finished run, whose model is in final/")]
    Finished,
    /// It is in a result that is to be replaced, and rtune did not write it.
    #[error("is none of rtune's, so it is not replaced; move it away")]
    NotOurs,
}

impl TrainError {
    /// The settings that the message names, for callers whose users know them by other names.
    pub fn settings(&self) -> Vec<&'static str> {
        match self {
            Self::Setting(error) => error.settings(),
            Self::Diverged { .. } => vec!["learning_rate", "warmup_ratio"],
            Self::Memory { .. } => vec![
                "train_batch_size",
                "gradient_accumulation_steps",
                "max_length",
            ],
            _ => Vec::new(),
        }
    }

    /// Returns whether the caller's settings, files or checkpoints are the cause.
    pub fn is_input(&self) -> bool {
        match self {
            Self::Model(error) => error.is_input(),
            Self::Setting(_)
            | Self::Metric(_)
            | Self::Data(_)
            | Self::Text(_)
            | Self::Folder { .. }
            | Self::Device { .. }
            | Self::RequestVersion(_)
            | Self::NoExamples
            | Self::Targets { .. }
            | Self::Package(_)
            | Self::Checkpoint { .. } => true,
            _ => false,
        }
    }
}

impl From<Interrupted> for TrainError {
    fn from(_: Interrupted) -> Self {
        Self::Interrupted { checkpoint: None }
    }
}

impl From<DataError> for TrainError {
    fn from(error: DataError) -> Self {
        match error.problem {
            DataProblem::Interrupted(interrupted) => interrupted.into(),
            _ => Self::Data(error),
        }
    }
}

impl From<candle_core::Error> for TrainError {
    fn from(error: candle_core::Error) -> Self {
        Self::Model(error.into())
    }
}

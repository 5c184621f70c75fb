use crate::{CheckpointProblem, SettingError};
use rtune_interrupt::Interrupted;
use rtune_nn::NnError;
use rtune_package::PackageError;
use rtune_task::MetricError;
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
    /// Predictions and targets do not fit.
    #[error(transparent)]
    Metric(#[from] MetricError),
    /// A setting is out of range.
    #[error(transparent)]
    Setting(#[from] SettingError),
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
        "{}: this checkpoint cannot be written ({source}); those before it are kept, \
         so make room and run again",
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

impl TrainError {
    /// The settings that the message names, for callers whose users know them by other names.
    pub fn settings(&self) -> Vec<&'static str> {
        match self {
            Self::Setting(error) => error.settings(),
            Self::Diverged { .. } => vec!["learning_rate", "warmup_ratio"],
            _ => Vec::new(),
        }
    }

    /// Returns whether the caller's settings, files or checkpoints are the cause.
    pub fn is_input(&self) -> bool {
        match self {
            Self::Model(error) => error.is_input(),
            Self::Setting(_)
            | Self::Metric(_)
            | Self::NoExamples
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

impl From<candle_core::Error> for TrainError {
    fn from(error: candle_core::Error) -> Self {
        Self::Model(error.into())
    }
}

use rtune_interrupt::Interrupted;
use rtune_nn::NnError;
use rtune_package::PackageError;
use rtune_task::MetricError;
use std::path::PathBuf;

/// Why training stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// The model failed.
    #[error(transparent)]
    Model(#[from] NnError),
    /// Parameters that a step did not reach, or reached with a number that is not finite.
    #[error("step {step}: {problem}: {}", parameters.join(", "))]
    Coverage {
        /// The step, from 1.
        step: usize,
        /// What is wrong with their gradients.
        problem: &'static str,
        /// Their names.
        parameters: Vec<String>,
    },
    /// The loss is not a number.
    #[error("step {step}: the loss is {loss}; lower --learning-rate or raise --warmup-ratio")]
    Diverged {
        /// The step, from 1.
        step: usize,
        /// The loss.
        loss: f64,
    },
    /// Predictions and targets do not fit.
    #[error(transparent)]
    Metric(#[from] MetricError),
    /// A setting contradicts another.
    #[error("{0}")]
    Config(String),
    /// A checkpoint cannot be read.
    #[error(transparent)]
    Package(#[from] PackageError),
    /// A checkpoint cannot be written; those before it are still there.
    #[error("{}: this checkpoint cannot be written ({problem}); those before it are kept, so make room and run the same command again", path.display())]
    Save {
        /// Its folder.
        path: PathBuf,
        /// What the system said.
        problem: String,
    },
    /// A checkpoint belongs to another run, or none is whole.
    #[error("{}: {problem}", path.display())]
    Checkpoint {
        /// Its folder.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// A stop was requested.
    #[error("interrupted")]
    Interrupted {
        /// The checkpoint from which the run can resume, if there is one.
        checkpoint: Option<PathBuf>,
    },
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

impl TrainError {
    /// Whether the caller's settings, files or checkpoints are the cause.
    pub fn is_input(&self) -> bool {
        match self {
            Self::Config(_) | Self::Metric(_) | Self::Package(_) | Self::Checkpoint { .. } => true,
            Self::Model(error) => error.is_input(),
            _ => false,
        }
    }
}

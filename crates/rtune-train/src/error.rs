use rtune_nn::NnError;

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
    /// A setting contradicts another.
    #[error("{0}")]
    Config(String),
    /// The caller asked to stop.
    #[error("interrupted at step {0}")]
    Interrupted(usize),
}

impl From<candle_core::Error> for TrainError {
    fn from(error: candle_core::Error) -> Self {
        Self::Model(error.into())
    }
}

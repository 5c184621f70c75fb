use rtune_graph::GraphError;
use rtune_interrupt::Interrupted;
use rtune_onnx::OnnxError;
use rtune_runtime::RuntimeError;

/// An error of any type, from a reference outside this crate.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// An error that keeps two models from being compared. Models that differ are not an error.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// A model file cannot be read or written.
    #[error(transparent)]
    Onnx(#[from] OnnxError),
    /// A value cannot be made an output.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// A model cannot be run.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// The reference failed.
    #[error("the reference cannot be computed")]
    Reference(#[source] BoxError),
    /// A stop was requested.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

impl VerifyError {
    /// Returns true if the caller's models or inputs are the cause. The source of
    /// [`VerifyError::Reference`] has its own answer.
    pub fn is_input(&self) -> bool {
        match self {
            Self::Onnx(error) => error.is_input(),
            Self::Graph(error) => error.is_input(),
            Self::Runtime(error) => error.is_input(),
            Self::Reference(_) | Self::Interrupted(_) => false,
        }
    }
}

use rtune_graph::GraphError;
use rtune_nn::NnError;

/// Why a model cannot be exported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The module tree failed. An error of the graph is its source.
    #[error(transparent)]
    Model(#[from] NnError),
    /// The graph does not hold together.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// An operator set without support.
    #[error(
        "opset {0} is not supported; supported is {SUPPORTED}",
        SUPPORTED = crate::SUPPORTED_OPSET
    )]
    Opset(i64),
}

impl ExportError {
    /// Returns true if the caller's model or settings are the cause.
    pub fn is_input(&self) -> bool {
        match self {
            // The graph's own error behind one of the module tree.
            Self::Model(NnError::Interpreter { source, .. }) => source
                .downcast_ref::<GraphError>()
                .is_some_and(GraphError::is_input),
            Self::Model(error) => error.is_input(),
            Self::Opset(_) => true,
            Self::Graph(error) => error.is_input(),
        }
    }
}

use rtune_graph::GraphError;
use rtune_runtime::RuntimeError;
use std::path::PathBuf;

/// Why a model cannot be quantized.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QuantError {
    /// The graph does not hold together.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// The runtime failed while it was watched.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// The graph has nothing that could run as integers.
    #[error(
        "the model has no matrix product with constant float weights, so there is nothing to quantize; is it quantized already?"
    )]
    NothingToQuantize,
    /// The operator set has no per-channel quantization.
    #[error("the model is in operator set {0}; quantization per channel needs 13 or newer, so export it anew")]
    Opset(i64),
    /// A tensor took values that no integer range can hold.
    #[error(
        "tensor `{tensor}`: its values in calibration reach {value}; a range with values that are not finite or beyond 1e4 leaves no precision"
    )]
    Range {
        /// The tensor.
        tensor: String,
        /// The value.
        value: f32,
    },
    /// A calibration file cannot be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A calibration file does not fit the model.
    #[error("{}: {problem}", path.display())]
    Sample {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        problem: String,
    },
    /// A tensor has no range.
    #[error("tensor `{0}`: calibration saw no value of it")]
    Unseen(String),
    /// A tensor's shape does not fit its tokens.
    #[error("tensor `{tensor}`: {dims:?} does not match a batch of {batch} texts of {sequence} tokens")]
    Shape {
        /// The tensor.
        tensor: String,
        /// Its dimensions.
        dims: Vec<usize>,
        /// Texts in the batch.
        batch: usize,
        /// Tokens of each, padding included.
        sequence: usize,
    },
}

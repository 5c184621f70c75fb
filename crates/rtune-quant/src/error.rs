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
        "nothing to quantize: the model has no MatMul of a float32 tensor and a constant float32 matrix on its right, and no such Gemm with alpha and beta 1, transA 0 and a constant bias; is it quantized already, or in half precision?"
    )]
    NothingToQuantize,
    /// The operator set has no per-channel quantization.
    #[error(
        "the model is in operator set {0}; quantization per channel needs 13 or newer, so export it anew"
    )]
    Opset(i64),
    /// A tensor took values that no integer range can hold.
    #[error(
        "tensor `{tensor}`: its values in calibration reach {value}, for which 8 bits have no range; look for what overflows in the float model"
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
    /// A constant weight is no number.
    #[error(
        "tensor `{tensor}`: the weight holds {value} at element {element}; mend the float model first"
    )]
    Weight {
        /// The tensor.
        tensor: String,
        /// The value.
        value: f32,
        /// Where, in row-major order.
        element: usize,
    },
    /// A tensor has no range.
    #[error("tensor `{0}`: calibration saw no value of it")]
    Unseen(String),
    /// A tensor's shape does not fit its tokens.
    #[error(
        "tensor `{tensor}`: {dims:?} does not match a batch of {batch} texts of {sequence} tokens"
    )]
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

impl QuantError {
    /// Whether the caller's model or data is the cause, and not a run that failed.
    pub fn is_input(&self) -> bool {
        match self {
            Self::Runtime(error) => error.is_input(),
            _ => true,
        }
    }
}

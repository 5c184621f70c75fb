//! Errors of quantization.

use rtune_graph::GraphError;
use rtune_interrupt::Interrupted;
use rtune_runtime::RuntimeError;
use std::path::PathBuf;

/// Reason why a model cannot be quantized.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QuantError {
    /// The graph is invalid.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// The runtime failed during calibration.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// A stop was requested.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
    /// The graph has nothing that could run as integers.
    #[error(
        "nothing to quantize: the model has no MatMul of a float32 tensor and a constant float32 \
         matrix on its right, and no such Gemm with alpha and beta 1, transA 0 and a constant \
         bias; is it quantized already, or in half precision?"
    )]
    NothingToQuantize,
    /// The operator set has no per-channel quantization.
    #[error(
        "the model is in operator set {0}; quantization per channel needs 13 or newer, so export \
         it anew"
    )]
    Opset(i64),
    /// The text names no range method.
    #[error(
        "range method `{0}` is unknown; known are {known}",
        known = crate::RangeMethod::ALL.map(crate::RangeMethod::name).join(", ")
    )]
    Method(String),
    /// A percentile is outside its limits.
    #[error("a percentile must be above 50 and at most 100, found {0}")]
    Percentile(String),
    /// A tensor took values that no integer range can hold.
    #[error(
        "tensor `{tensor}`: its values in calibration reach {value}, for which 8 bits have no \
         range; look for what overflows in the float model"
    )]
    Range {
        /// The tensor.
        tensor: String,
        /// The value.
        value: f32,
    },
    /// A calibration file or folder cannot be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The I/O error.
        source: std::io::Error,
    },
    /// A calibration file does not fit the model.
    #[error("{}: {problem}", path.display())]
    Sample {
        /// The file.
        path: PathBuf,
        /// The mismatch.
        problem: String,
    },
    /// A constant weight is NaN or infinite.
    #[error(
        "tensor `{tensor}`: the weight holds {value} at element {element}; repair the float model \
         first"
    )]
    Weight {
        /// The tensor.
        tensor: String,
        /// The value.
        value: f32,
        /// Index of the element in row-major order.
        element: usize,
    },
    /// A tensor has no range.
    #[error("tensor `{0}`: calibration saw no value of it")]
    Unseen(String),
    /// A tensor that should have one row per token has another shape.
    #[error("tensor `{tensor}`: {dims:?} does not have one row for each of {tokens} mask entries")]
    Shape {
        /// The tensor.
        tensor: String,
        /// Its dimensions.
        dims: Vec<usize>,
        /// Number of entries of the mask.
        tokens: usize,
    },
}

impl QuantError {
    /// Returns whether the caller's model or data is the cause, and not a run that failed.
    pub fn is_input(&self) -> bool {
        match self {
            Self::Runtime(error) => error.is_input(),
            Self::Interrupted(_) => false,
            _ => true,
        }
    }
}

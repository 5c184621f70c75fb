use std::path::PathBuf;

/// Why a model cannot be run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RuntimeError {
    /// There is no such file.
    #[error("{}: the ONNX Runtime library is not there", .0.display())]
    Missing(PathBuf),
    /// The file is no shared library.
    #[error("{}: not a shared library that can be loaded ({reason})", path.display())]
    NotALibrary {
        /// The file.
        path: PathBuf,
        /// What the loader said.
        reason: String,
    },
    /// The file is a library, but another one.
    #[error("{}: a shared library, but not ONNX Runtime: it exports no OrtGetApiBase", .0.display())]
    NotOnnxRuntime(PathBuf),
    /// The library is too old.
    #[error("{}: ONNX Runtime {found} is too old; {minimum} or newer is needed", path.display(), minimum = crate::MIN_VERSION)]
    TooOld {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: String,
    },
    /// The runtime does not accept a model.
    #[error("{model}: ONNX Runtime does not load the model: {reason}")]
    Model {
        /// The file, or what the model is.
        model: String,
        /// What the runtime said.
        reason: String,
    },
    /// A model has no such input or output, or one of another type.
    #[error("`{name}`: {problem}")]
    Tensor {
        /// The input or output.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The runtime failed.
    #[error("ONNX Runtime failed: {0}")]
    Run(String),
}

impl RuntimeError {
    /// Whether the user's library, file or tensor is to blame.
    pub fn is_input(&self) -> bool {
        !matches!(self, Self::Run(_))
    }

    pub(crate) fn run<T>(error: ort::Error<T>) -> Self {
        Self::Run(error.to_string())
    }
}

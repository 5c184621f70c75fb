use std::path::PathBuf;

/// An error of loading the runtime or running a model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RuntimeError {
    /// There is no such file.
    #[error("{}: the ONNX Runtime library is not there", .0.display())]
    Missing(PathBuf),
    /// The file is not a shared library.
    #[error("{}: not a shared library that can be loaded ({reason})", path.display())]
    NotALibrary {
        /// The file.
        path: PathBuf,
        /// The kind of the file, or the loader's message.
        reason: String,
    },
    /// The file is a part of a shared library, such as a download that was interrupted.
    #[error("{}: a part of this library is missing: {problem}; copy or download it again",
        path.display())]
    Incomplete {
        /// The file.
        path: PathBuf,
        /// The missing part.
        problem: String,
    },
    /// The file is a library, but another one.
    #[error(
        "{}: a shared library, but not ONNX Runtime: it exports no OrtGetApiBase",
        .0.display()
    )]
    NotOnnxRuntime(PathBuf),
    /// The library is too old.
    #[error(
        "{}: ONNX Runtime {found} is too old; {minimum} or newer is needed",
        path.display(),
        minimum = crate::MIN_VERSION
    )]
    TooOld {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: String,
    },
    /// The runtime does not accept a model.
    #[error("{model}: ONNX Runtime does not load the model: {reason}")]
    Model {
        /// The file or a description of the model.
        model: String,
        /// The runtime's message.
        reason: String,
    },
    /// A model has no such input or output, or one of another type.
    #[error("`{name}`: {problem}")]
    Tensor {
        /// The input or output.
        name: String,
        /// Expected and found.
        problem: String,
    },
    /// The runtime failed.
    #[error("ONNX Runtime failed: {0}")]
    Run(String),
}

impl RuntimeError {
    /// Returns true if the caller's library, model or tensor is the cause, and not the run itself.
    pub fn is_input(&self) -> bool {
        !matches!(self, Self::Run(_))
    }

    pub(crate) fn run<T>(error: ort::Error<T>) -> Self {
        Self::Run(error.to_string())
    }
}

use crate::WeightFaults;
use std::path::PathBuf;

/// Why a model cannot be loaded, saved or run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NnError {
    /// A tensor operation failed.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
    /// A model folder lacks a file.
    #[error(
        "{}: no {expected} in this folder; a model folder holds config.json, model.safetensors and \
         tokenizer.json",
        folder.display()
    )]
    MissingFile {
        /// The folder.
        folder: PathBuf,
        /// The missing file.
        expected: &'static str,
    },
    /// An I/O error.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The error of the file system.
        source: std::io::Error,
    },
    /// A file does not have the expected contents.
    #[error("{}: {problem}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The problem and its remedy.
        problem: String,
    },
    /// A setting of the model is not supported or contradicts another.
    #[error("{place}: {problem}")]
    Config {
        /// The setting.
        place: String,
        /// The problem, with expected and found values.
        problem: String,
    },
    /// Weights do not fit the model.
    #[error("{}: {faults}", folder.display())]
    Weights {
        /// The model folder.
        folder: PathBuf,
        /// The tensors that do not fit.
        faults: Box<WeightFaults>,
    },
    /// An operation does not take its inputs.
    #[error("{0}")]
    Operation(String),
    /// An interpreter's own error, such as a graph's; the exit code follows from it.
    #[error("{operation}")]
    Interpreter {
        /// The operation that failed, by the name of its result.
        operation: String,
        /// The interpreter's error.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl NnError {
    /// Returns true if the caller's files or settings are the cause, and not an operation that
    /// failed.
    pub fn is_input(&self) -> bool {
        !matches!(
            self,
            Self::Candle(_) | Self::Operation(_) | Self::Interpreter { .. }
        )
    }

    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }

    /// An operation that does not take its inputs; `problem` names both and the requirement.
    pub fn operation(problem: impl Into<String>) -> Self {
        Self::Operation(problem.into())
    }

    /// An error of an interpreter in `operation`.
    pub fn interpreter(
        operation: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Interpreter {
            operation: operation.into(),
            source: source.into(),
        }
    }

    /// A setting that is not supported, and the problem.
    pub fn config(place: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Config {
            place: place.into(),
            problem: problem.into(),
        }
    }
}

use rtune_interrupt::Interrupted;
use rtune_package::PackageError;
use rtune_runtime::RuntimeError;
use rtune_task::{MetricError, Outputs, TaskError, TextSignature};
use rtune_text::TextError;
use std::path::PathBuf;

/// An error of opening a model or of predicting with it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InferError {
    /// The folder has no readable metadata, so the meaning of the outputs is unknown.
    #[error(
        "{}: is no model of rtune's: it has no readable metadata.json beside it",
        file.display()
    )]
    NoMetadata {
        /// The ONNX file.
        file: PathBuf,
        /// The error of reading.
        source: PackageError,
    },
    /// The model has other inputs or outputs than a text model.
    #[error("`{}`: is no text model of rtune's: {problem}", file.display())]
    Foreign {
        /// The ONNX file.
        file: PathBuf,
        /// Expected and found.
        problem: String,
    },
    /// The inputs of the model are not those of its metadata.
    #[error(
        "`{}`: has the inputs {found}, metadata.json says {expected}; \
         they belong to different models",
        file.display()
    )]
    Inputs {
        /// The ONNX file.
        file: PathBuf,
        /// The inputs of the model.
        found: TextSignature,
        /// The inputs that the metadata states.
        expected: TextSignature,
    },
    /// The model has none of the outputs that predictions follow from.
    #[error(
        "the model gives no predictions, since its outputs are {0}; export the checkpoint with \
         `logits` as well"
    )]
    NoPredictions(
        /// Its outputs.
        Outputs,
    ),
    /// The model has fewer positions than the metadata states.
    #[error(
        "{}: does not run on {length} tokens, the max_length of metadata.json; they belong to \
         different models",
        file.display()
    )]
    Length {
        /// The ONNX file.
        file: PathBuf,
        /// The number of tokens.
        length: usize,
    },
    /// The outputs do not fit the metadata.
    #[error("`{output}`: {problem}")]
    Output {
        /// The name of the output.
        output: &'static str,
        /// Expected and found.
        problem: String,
    },
    /// An error in a named file.
    #[error("{}: {source}", file.display())]
    InModel {
        /// The ONNX file, or the folder of a checkpoint.
        file: PathBuf,
        /// The error.
        source: Box<InferError>,
    },
    /// The tokenizer cannot be read.
    #[error(transparent)]
    Tokenizer(#[from] TextError),
    /// The folder contradicts itself.
    #[error(transparent)]
    Package(#[from] PackageError),
    /// The model cannot be run.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// Logits do not fit the task.
    #[error(transparent)]
    Task(#[from] TaskError),
    /// Predictions and targets do not fit.
    #[error(transparent)]
    Metric(#[from] MetricError),
    /// A stop was requested.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

impl InferError {
    /// Returns true if the caller's model or texts are the cause.
    pub fn is_input(&self) -> bool {
        match self {
            Self::Runtime(error) => error.is_input(),
            Self::InModel { source, .. } => source.is_input(),
            Self::Interrupted(_) => false,
            _ => true,
        }
    }
}

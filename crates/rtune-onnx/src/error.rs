use rtune_graph::GraphError;
use std::path::PathBuf;

/// An error of reading or writing ONNX.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OnnxError {
    /// The bytes are truncated or are not ONNX.
    #[error("not an ONNX model, or a truncated one ({0}); export or download it again")]
    Malformed(String),
    /// The file is ONNX, but holds something that rtune does not support.
    #[error("{place}: {content} is not supported")]
    Unsupported {
        /// Node, tensor or part of the file.
        place: String,
        /// The unsupported content.
        content: String,
    },
    /// The graph has a fault.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// The file would exceed the 2 GiB that the format allows.
    #[error("the model takes {0} bytes, but one ONNX file holds at most 2147483647")]
    TooLarge(u64),
    /// An error in a named file.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The error.
        source: Box<OnnxError>,
    },
    /// The file cannot be read.
    #[error(transparent)]
    Io(std::io::Error),
}

impl OnnxError {
    /// Returns true if the caller's input is the cause. Always true here.
    pub fn is_input(&self) -> bool {
        true
    }

    /// Returns true if the bytes are no ONNX model, or a part of one.
    pub fn is_malformed(&self) -> bool {
        match self {
            Self::Malformed(_) => true,
            Self::File { source, .. } => source.is_malformed(),
            _ => false,
        }
    }

    pub(crate) fn unsupported(place: impl Into<String>, content: impl Into<String>) -> Self {
        Self::Unsupported {
            place: place.into(),
            content: content.into(),
        }
    }
}

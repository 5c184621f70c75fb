use rtune_graph::GraphError;
use std::path::PathBuf;

/// Why bytes are not a model, or a model cannot become bytes.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OnnxError {
    /// The bytes are cut off or are something else.
    #[error("not an ONNX model, or a truncated one ({0}); export or download it again")]
    Malformed(String),
    /// The file is ONNX, but holds something that rtune does not support.
    #[error("{place}: {what} is not supported")]
    Unsupported {
        /// Node, tensor or part of the file.
        place: String,
        /// What it holds.
        what: String,
    },
    /// The file contradicts itself.
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
        /// What is wrong with it.
        source: Box<OnnxError>,
    },
    /// The file cannot be read.
    #[error(transparent)]
    Io(std::io::Error),
}

impl OnnxError {
    pub(crate) fn unsupported(place: impl Into<String>, what: impl Into<String>) -> Self {
        Self::Unsupported {
            place: place.into(),
            what: what.into(),
        }
    }
}

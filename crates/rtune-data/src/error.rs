use rtune_text::TextError;
use std::path::PathBuf;

/// Why a data file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// The file cannot be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Something about the file as a whole.
    #[error("{}: {problem}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// Something about one row.
    #[error("{}, line {line}: {problem}", path.display())]
    Row {
        /// The file.
        path: PathBuf,
        /// The line that the row begins at, counted from 1.
        line: u64,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// A text that cannot be tokenized.
    #[error("{}, line {line}: {source}", path.display())]
    Text {
        /// The file.
        path: PathBuf,
        /// The line that the row begins at, counted from 1.
        line: u64,
        /// What is wrong with the text.
        source: TextError,
    },
}

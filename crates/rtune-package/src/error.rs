use std::fmt;
use std::path::PathBuf;

/// An error of reading or writing a model folder.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackageError {
    /// A file or folder cannot be read.
    #[error("{}: cannot be read", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// A file or folder cannot be written, moved or removed.
    #[error("{}: cannot be written", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// A file is not the JSON document that it should be.
    #[error("{}: not the expected JSON", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// The position and the problem.
        source: serde_json::Error,
    },
    /// An output folder or file must not be written.
    #[error("{}: {problem}", path.display())]
    Target {
        /// The folder or file.
        path: PathBuf,
        /// The reason.
        problem: TargetProblem,
    },
    /// A folder cannot be moved, and so not replaced.
    #[error(
        "{}: this folder cannot be replaced; choose a folder that does not exist yet",
        path.display()
    )]
    Fixed {
        /// The folder.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The output is complete, but could not be moved to its target.
    #[error("{}: the output cannot be moved here and is in {}", path.display(), kept.display())]
    Kept {
        /// The target.
        path: PathBuf,
        /// The folder that holds the output.
        kept: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// A property of a file is missing or does not fit another.
    #[error("{place}: {problem}")]
    Property {
        /// The file or property.
        place: String,
        /// Expected and found.
        problem: String,
    },
}

/// The reason why a folder or file must not be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TargetProblem {
    /// It exists and is not a folder.
    NotAFolder,
    /// Another process writes to it.
    Busy,
    /// It holds entries that rtune did not write.
    NotOurs,
    /// A newer rtune wrote it.
    Newer,
    /// It holds an earlier output, and replacing was not asked for.
    Occupied,
    /// It holds an input of the operation.
    HoldsInput,
    /// It exists and is no regular file.
    NotAFile,
    /// It is a file, and replacing was not asked for.
    Exists,
    /// It is an input of the operation.
    IsInput,
}

impl fmt::Display for TargetProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAFolder => "exists and is not a folder",
            Self::Busy => "another rtune is at work in this folder",
            Self::NotOurs => "is not empty, and more than an earlier output of rtune is in it",
            Self::Newer => "is the output of a newer rtune, which this one does not replace",
            Self::Occupied => "holds an earlier output",
            Self::HoldsInput => "holds an input of this command",
            Self::NotAFile => "exists and is not a file",
            Self::Exists => "exists already",
            Self::IsInput => "is an input of this command",
        })
    }
}

impl PackageError {
    /// Names the file or folder that an error of reading is about.
    pub fn read(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Read { path, source }
    }

    /// Names the file or folder that an error of writing is about.
    pub fn write(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Write { path, source }
    }

    /// Returns true if the caller's input or output folder is the cause. Always true here.
    pub fn is_input(&self) -> bool {
        true
    }
}

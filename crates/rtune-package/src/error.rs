use std::path::PathBuf;

/// Why a model folder cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackageError {
    /// The file system said no.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A JSON file is not what it should be.
    #[error("{}: {source}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Where and what.
        source: serde_json::Error,
    },
    /// The target holds something already.
    #[error("{}: holds an earlier output; give another --output, or --force to replace it", .0.display())]
    Occupied(PathBuf),
    /// A property that a model needs is missing or broken.
    #[error("{place}: {problem}")]
    Property {
        /// The property.
        place: String,
        /// What is wrong with it.
        problem: String,
    },
}

impl PackageError {
    /// Says which file or folder an error of the system is about.
    pub fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }
}

use std::path::{Path, PathBuf};

/// An error of a report.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// A file or folder cannot be written.
    #[error("{}: cannot be written: {source}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// The error of the system.
        source: std::io::Error,
    },
    /// A chart cannot be drawn.
    #[error("the chart `{chart}` cannot be drawn: {problem}")]
    Chart {
        /// The title of the chart.
        chart: String,
        /// The error of the plotting library.
        problem: String,
    },
    /// The page cannot be composed.
    #[error("the page cannot be composed: {0}")]
    Page(#[from] minijinja::Error),
    /// The predictions of a split do not fit its targets.
    #[error("{split}: {predictions} predictions for {targets} targets")]
    Predictions {
        /// The name of the split.
        split: String,
        /// The number of predictions.
        predictions: usize,
        /// The number of targets.
        targets: usize,
    },
}

impl ReportError {
    /// Adds the path to an error of the system.
    pub(crate) fn write(path: impl AsRef<Path>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.as_ref().to_owned();
        move |source| Self::Write { path, source }
    }
}

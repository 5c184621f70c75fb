use crate::{RunReport, StepLog, TrainError};
use rtune_data::Dataset;
use rtune_nn::NnError;
use rtune_task::{Prediction, TaskSpec};
use rtune_text::Tokenizer;
use std::path::Path;

/// The rows of one part of a run's data.
#[derive(Debug, Clone, Copy)]
pub struct Split<'a> {
    /// `training`, `validation` or `test`.
    pub name: &'static str,
    /// The file of the rows.
    pub path: &'a Path,
    /// The rows.
    pub data: &'a Dataset,
}

/// A finished run, for receivers that describe it.
#[derive(Clone, Copy)]
pub struct RunResult<'a> {
    /// The folder of the run.
    pub folder: &'a Path,
    /// The report that the run will return.
    pub report: &'a RunReport,
    /// The meaning of the model's outputs.
    pub spec: &'a TaskSpec,
    /// All logs of steps since the start of the run that are in its log.
    pub steps: &'a [StepLog],
    /// The rows of the run.
    pub splits: &'a [Split<'a>],
    /// The tokenizer of the rows.
    pub tokenizer: &'a Tokenizer,
    /// The settings that determine the run, and digests of its model and data.
    pub identity: &'a [(String, String)],
    pub(super) predict: &'a dyn Fn(&Dataset) -> Result<Vec<Prediction>, TrainError>,
}

impl RunResult<'_> {
    /// The rows that the finished model is judged by: those of the test, or of the validation.
    ///
    /// # Errors
    /// If the run has no rows.
    pub fn judged(&self) -> Result<Split<'_>, TrainError> {
        let last = self.splits.last().copied();
        last.ok_or_else(|| NnError::operation("a run without rows").into())
    }

    /// Computes the predictions of the finished model for rows.
    ///
    /// # Errors
    /// If a tensor operation fails, or the run is interrupted.
    pub fn predictions(&self, data: &Dataset) -> Result<Vec<Prediction>, TrainError> {
        (self.predict)(data)
    }
}

impl std::fmt::Debug for RunResult<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RunResult")
            .field("folder", &self.folder)
            .field("report", &self.report)
            .finish_non_exhaustive()
    }
}

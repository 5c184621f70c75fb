//! The bad rows of a file, so that one attempt shows them all.

use crate::{DataError, DataProblem, RowError};
use std::path::Path;

/// Collects the bad rows of a file.
#[derive(Default)]
pub(crate) struct Faults {
    first: Vec<RowError>,
    count: usize,
}

impl Faults {
    /// Largest number of rows that a message lists.
    const LISTED: usize = 20;

    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(crate) fn push(&mut self, error: RowError) {
        self.count += 1;
        if self.first.len() < Self::LISTED {
            self.first.push(error);
        }
    }

    /// Adds the bad rows of the same file that were collected beside these.
    pub(crate) fn merge(&mut self, other: Self) {
        self.count += other.count;
        self.first.extend(other.first);
        self.first.sort_by_key(|error| error.line);
        self.first.truncate(Self::LISTED);
    }

    /// Returns the error of the only bad row, or one that lists them, with a fault of the labels as
    /// a whole if there is one.
    pub(crate) fn finish(
        mut self,
        path: &Path,
        labels: Option<DataProblem>,
    ) -> Result<(), DataError> {
        let labels = labels.map(Box::new);
        match (self.count, self.first.pop(), labels) {
            (0, _, None) => Ok(()),
            (0, _, Some(labels)) => Err(DataError::file(path, *labels)),
            (1, Some(error), None) => Err(error.of(path)),
            (count, last, labels) => {
                self.first.extend(last);
                let problem = DataProblem::BadRows {
                    first: self.first,
                    count,
                    labels,
                };
                Err(DataError::file(path, problem))
            }
        }
    }
}

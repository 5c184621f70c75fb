//! The bad rows of a file, so that one attempt shows them all.

use crate::{DataError, DataProblem, RowError};
use std::path::Path;

/// Collects the bad rows of a file.
pub(crate) struct Faults<'a> {
    path: &'a Path,
    first: Vec<RowError>,
    count: usize,
}

impl<'a> Faults<'a> {
    /// Largest number of rows that a message lists.
    const LISTED: usize = 20;

    pub(crate) fn new(path: &'a Path) -> Self {
        Self {
            path,
            first: Vec::new(),
            count: 0,
        }
    }

    pub(crate) fn push(&mut self, error: RowError) {
        self.count += 1;
        if self.first.len() < Self::LISTED {
            self.first.push(error);
        }
    }

    /// Returns the error of the only bad row, or one that lists them.
    pub(crate) fn finish(mut self) -> Result<(), DataError> {
        if self.count > 1 {
            let problem = DataProblem::BadRows {
                first: self.first,
                count: self.count,
            };
            return Err(DataError::file(self.path, problem));
        }
        match self.first.pop() {
            None => Ok(()),
            Some(error) => Err(error.of(self.path)),
        }
    }
}

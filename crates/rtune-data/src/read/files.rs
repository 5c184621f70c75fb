//! Texts of a file or a folder of files.

use super::{Format, RowReader};
use crate::faults::Faults;
use crate::{Columns, DataError, DataProblem};
use std::path::{Path, PathBuf};

/// Returns the files of texts that `path` stands for: itself, or the files of a folder whose suffix
/// is known, sorted by name.
///
/// # Errors
/// If there is none, or the folder cannot be read.
pub fn text_files(path: &Path) -> Result<Vec<PathBuf>, DataError> {
    let io = |error| DataError::file(path, DataProblem::Io(error));
    if !std::fs::metadata(path).map_err(io)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files: Vec<PathBuf> = Vec::new();
    for entry in std::fs::read_dir(path).map_err(io)? {
        let file = entry.map_err(io)?.path();
        if file.is_file() && Format::of(&file).is_some() {
            files.push(file);
        }
    }
    files.sort();
    if files.is_empty() {
        return Err(DataError::file(path, DataProblem::NoFiles));
    }
    Ok(files)
}

/// Reads the first `limit` texts, with their files and lines: a named column of a table, or each
/// line of a `.txt` file. A folder stands for its files, as [`text_files`] returns them.
///
/// # Errors
/// If a file is missing, empty or damaged, or the folder holds no text.
pub fn read_texts(
    path: &Path,
    columns: &Columns,
    limit: usize,
) -> Result<Vec<(PathBuf, u64, String)>, DataError> {
    let mut texts = Vec::new();
    for file in text_files(path)? {
        let mut faults = Faults::new(&file);
        for row in RowReader::open(&file, columns)? {
            if texts.len() == limit {
                break;
            }
            match row? {
                Ok(row) => texts.push((file.clone(), row.line, row.text)),
                Err(error) => faults.push(error),
            }
        }
        faults.finish()?;
    }
    Ok(texts)
}

//! Texts of a file or a folder of files.

use super::{Format, RowError, RowReader};
use crate::faults::Faults;
use crate::{Columns, DataError, DataProblem};
use rtune_text::{Encoded, Tokenizer};
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

/// Reads and tokenizes the first `limit` texts: a named column of a table, or each line of a `.txt`
/// file. A folder stands for its files, as [`text_files`] returns them. `detected` receives the
/// files whose separator was found out by the header; users should know it.
///
/// # Errors
/// If a file is missing or empty, or the folder holds no text; if the tokenizer takes pairs and the
/// rows are none, or the reverse. If rows before the limit cannot be used, the error names them.
pub fn read_texts(
    path: &Path,
    columns: &Columns,
    limit: usize,
    tokenizer: &Tokenizer,
    detected: &mut dyn FnMut(&Path, char),
) -> Result<Vec<Encoded>, DataError> {
    columns.check_texts(path, tokenizer)?;
    let mut texts = Vec::new();
    for file in text_files(path)? {
        let mut faults = Faults::default();
        let rows = RowReader::open(&file, columns)?;
        if let Some(delimiter) = rows.detected_delimiter() {
            detected(&file, delimiter);
        }
        for row in rows {
            if texts.len() == limit {
                break;
            }
            let text = row?.and_then(|row| {
                let text = tokenizer.encode(row.texts());
                text.map_err(|error| RowError::new(row.line, error))
            });
            match text {
                Ok(text) => texts.push(text),
                Err(error) => faults.push(error),
            }
        }
        faults.finish(&file, None)?;
    }
    Ok(texts)
}

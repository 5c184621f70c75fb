//! Data files as the commands take them.

use crate::console::note;
use anyhow::Result;
use rtune_data::{Columns, DataError, Dataset, read_texts};
use rtune_task::Task;
use rtune_text::{Encoded, Tokenizer};
use std::path::Path;

/// The names of the columns.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ColumnFlags {
    /// Column or field that holds the text
    #[arg(long, default_value = "text", value_name = "NAME")]
    pub(crate) text_column: String,
    /// Column or field that holds the label
    #[arg(long, default_value = "label", value_name = "NAME")]
    pub(crate) label_column: String,
}

impl ColumnFlags {
    pub(crate) fn columns(&self) -> Columns {
        Columns {
            text: self.text_column.clone(),
            label: self.label_column.clone(),
        }
    }
}

/// Labelled rows for a model that knows its task.
pub(crate) fn read_dataset(
    path: &Path,
    columns: &ColumnFlags,
    task: Task,
    labels: &[String],
    tokenizer: &Tokenizer,
) -> Result<Dataset> {
    let dataset = Dataset::read(path, &columns.columns(), task, labels, tokenizer)?;
    note_truncated(
        path,
        dataset.truncated,
        dataset.len(),
        tokenizer.max_length(),
    );
    Ok(dataset)
}

/// Texts of a file or folder as token ids, at most `limit` of them.
pub(crate) fn read_encoded(
    path: &Path,
    text_column: &str,
    limit: usize,
    tokenizer: &Tokenizer,
) -> Result<Vec<Encoded>> {
    let texts = read_texts(path, text_column)?;
    let mut encoded = Vec::new();
    for (file, line, text) in texts.into_iter().take(limit) {
        let text = tokenizer.encode(&text);
        encoded.push(text.map_err(|error| DataError::row(&file, line, error))?);
    }
    let truncated = encoded.iter().filter(|e| e.truncated).count();
    note_truncated(path, truncated, encoded.len(), tokenizer.max_length());
    Ok(encoded)
}

pub(crate) fn note_truncated(path: &Path, truncated: usize, total: usize, max_length: usize) {
    if truncated > 0 {
        note(format!(
            "{}: {truncated} of {total} texts are longer than {max_length} tokens \
             and were truncated",
            path.display()
        ));
    }
}

/// Files that belong to a tokenizer, where a folder has them.
const TOKENIZER_FILES: [&str; 5] = [
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.txt",
    "added_tokens.json",
];

/// Copies the tokenizer from one model folder to another.
pub(crate) fn copy_tokenizer(from: &Path, to: &Path) -> Result<()> {
    copy_existing(from, to, &TOKENIZER_FILES)
}

/// Copies those of the files `names` that the folder `from` has.
pub(crate) fn copy_existing(from: &Path, to: &Path, names: &[&str]) -> Result<()> {
    for name in names {
        let source = from.join(name);
        if source.is_file() {
            std::fs::copy(&source, to.join(name))
                .map_err(|e| anyhow::anyhow!("{}: {e}", source.display()))?;
        }
    }
    Ok(())
}

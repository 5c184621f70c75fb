//! Data files and tokenizers that commands read.

use crate::console::note;
use crate::exit::usage;
use crate::flags::ColumnFlags;
use crate::interrupt::INTERRUPT;
use crate::pipe::Pipe;
use anyhow::Result;
use rtune_data::{Columns, DataError, DataProblem, Dataset, Format, Row, RowReader, read_texts};
use rtune_package::layout::{TOKENIZER_FILES, copy_files};
use rtune_task::{Task, TaskSpec};
use rtune_text::{Encoded, Tokenizer, TokenizerChange};
use std::path::{Path, PathBuf};

/// Reads labelled rows for a model with a task.
pub(crate) fn read_dataset(
    path: &Path,
    columns: &ColumnFlags,
    task: Task,
    labels: &[String],
    tokenizer: &Tokenizer,
) -> Result<Dataset> {
    let columns = columns.columns();
    let dataset = Dataset::read(path, &columns, task, labels, tokenizer, &INTERRUPT)?;
    note_delimiter(path, dataset.detected_delimiter);
    note_truncated(
        path,
        dataset.truncated,
        dataset.len(),
        tokenizer.max_length(),
    );
    Ok(dataset)
}

/// Reads at most `limit` texts of a file or folder as token ids.
pub(crate) fn read_encoded(
    path: &Path,
    columns: &Columns,
    limit: usize,
    tokenizer: &Tokenizer,
) -> Result<Vec<Encoded>> {
    let mut detected = |file: &Path, delimiter| note_delimiter(file, Some(delimiter));
    let encoded = read_texts(path, columns, limit, tokenizer, &mut detected)?;
    let truncated = encoded.iter().filter(|e| e.truncated).count();
    note_truncated(path, truncated, encoded.len(), tokenizer.max_length());
    Ok(encoded)
}

/// The formats of rows, by the endings of names.
pub(crate) const FORMATS: [&str; 6] = ["csv", "tsv", "json", "jsonl", "txt", "parquet"];

/// Opens a file of texts, or standard input if the path is `-`, in a format that takes the place of
/// the one of the name. Returns the name for messages beside it.
pub(crate) fn open_rows(
    path: &Path,
    format: Option<&str>,
    columns: &Columns,
) -> Result<(PathBuf, RowReader)> {
    let format = format.and_then(|name| Format::of(Path::new(&format!(".{name}"))));
    let is_stdin = path == Path::new("-");
    let (name, pipe) = match is_stdin {
        true => (PathBuf::from("standard input"), Some(Pipe::stdin()?)),
        false => (path.to_owned(), Pipe::open(path)),
    };
    let rows = match (pipe, format.or_else(|| Format::of(path))) {
        (Some(_), None) if is_stdin => {
            return Err(usage(
                "--input -: standard input has no name to tell its format; give --input-format",
            ));
        }
        (Some(pipe), Some(format)) => RowReader::new(&name, format, Box::new(pipe), columns)?,
        (Some(_), None) => return Err(DataError::file(path, DataProblem::UnknownFormat).into()),
        (None, Some(format)) => RowReader::open_as(path, format, columns)?,
        (None, None) => RowReader::open(path, columns)?,
    };
    note_delimiter(&name, rows.detected_delimiter());
    Ok((name, rows))
}

/// Notes on stderr which separator was found out, if one was.
pub(crate) fn note_delimiter(path: &Path, delimiter: Option<char>) {
    if let Some(delimiter) = delimiter {
        let name = match delimiter {
            '\t' => "tab".to_owned(),
            other => format!("`{other}`"),
        };
        let path = path.display();
        note(format!("note: {path}: the columns are separated by {name}"));
    }
}

/// Notes on stderr how many texts were truncated, if any were.
pub(crate) fn note_truncated(path: &Path, truncated: usize, total: usize, max_length: usize) {
    if truncated > 0 {
        note(format!(
            "note: {}: {truncated} of {total} texts are longer than {max_length} tokens \
             and were truncated",
            path.display()
        ));
    }
}

/// A note of how a tokenizer differs from the files of its folder.
pub(crate) fn tokenizer_change(change: &TokenizerChange) -> String {
    match change {
        TokenizerChange::Built { from } => format!(
            "note: {}: the tokenizer is built from it; there is no tokenizer.json",
            from.display()
        ),
        TokenizerChange::SpecialTokens { path, first, last } => format!(
            "note: {}: adds no special tokens, so each text gets those of the model's family, \
             {first} and {last}",
            path.display()
        ),
    }
}

/// Writes a tokenizer with its other files from one model folder to another, and notes on stderr
/// how it differs from them.
pub(crate) fn write_tokenizer(tokenizer: &Tokenizer, from: &Path, to: &Path) -> Result<()> {
    if let Some(change) = tokenizer.change() {
        note(tokenizer_change(change));
    }
    copy_tokenizer(from, to)?;
    Ok(tokenizer.write_changed(to)?)
}

/// Reads the tokenizer of a checkpoint, for the texts that its model takes.
pub(crate) fn tokenizer_of(folder: &Path, spec: &TaskSpec) -> Result<Tokenizer> {
    Ok(Tokenizer::read(folder, spec.max_length)?.with_pairs(spec.text_pairs)?)
}

/// Returns the texts of the command line as rows for a model, each with the same second text if it
/// takes pairs.
pub(crate) fn given_rows<'a>(
    texts: &'a [String],
    pair: Option<&'a str>,
    tokenizer: &Tokenizer,
) -> Result<impl Iterator<Item = Row> + 'a> {
    match (pair, tokenizer.takes_pairs()) {
        (None, true) => Err(usage(
            "the model takes pairs of texts; give the second text with --text-pair",
        )),
        (Some(_), false) => Err(usage(
            "--text-pair: the model takes single texts; remove it",
        )),
        _ => Ok((1..).zip(texts).map(move |(line, text)| Row {
            line,
            text: text.clone(),
            pair: pair.map(str::to_owned),
            label: None,
            others: Vec::new(),
        })),
    }
}

/// Copies the tokenizer from one model folder to another.
pub(crate) fn copy_tokenizer(from: &Path, to: &Path) -> Result<()> {
    Ok(copy_files(from, to, &TOKENIZER_FILES)?)
}

mod delimited;
mod json_lines;
mod lines;

use crate::{Columns, DataError, DataProblem, Example, LabelKind};
use std::path::{Path, PathBuf};

/// A row whose label is not parsed yet.
#[derive(Debug, PartialEq)]
struct RawRow {
    line: u64,
    text: String,
    label: Option<String>,
}

/// Reads labelled rows. The format follows from the suffix of the file's name: `.csv`, `.tsv`,
/// `.jsonl` or `.ndjson`.
///
/// # Errors
/// If the file is missing, empty, or has a damaged row or an unknown label; the error names file
/// and line.
pub fn read_examples(
    path: &Path,
    columns: &Columns,
    kind: &LabelKind,
) -> Result<Vec<Example>, DataError> {
    let rows = read_rows(path, &columns.text, Some(&columns.label))?;
    rows.into_iter()
        .map(|row| {
            let target = kind.parse(row.label.as_deref().unwrap_or_default());
            Ok(Example {
                line: row.line,
                text: row.text,
                target: target.map_err(|problem| DataError::row(path, row.line, problem))?,
            })
        })
        .collect()
}

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

/// Reads texts with their files and lines: a named column of a table, or each line of a `.txt`
/// file. A folder stands for its files, as [`text_files`] returns them.
///
/// # Errors
/// If a file is missing, empty or damaged, or the folder holds no text.
pub fn read_texts(
    path: &Path,
    text_column: &str,
) -> Result<Vec<(PathBuf, u64, String)>, DataError> {
    let mut texts = Vec::new();
    for file in text_files(path)? {
        let rows = read_rows(&file, text_column, None)?;
        texts.extend(
            rows.into_iter()
                .map(|row| (file.clone(), row.line, row.text)),
        );
    }
    Ok(texts)
}

enum Format {
    /// A table whose fields a byte separates.
    Delimited(u8),
    JsonLines,
    Lines,
}

impl Format {
    fn of(path: &Path) -> Option<Self> {
        let suffix = path.extension()?.to_string_lossy().to_ascii_lowercase();
        match suffix.as_str() {
            "csv" => Some(Self::Delimited(b',')),
            "tsv" => Some(Self::Delimited(b'\t')),
            "jsonl" | "ndjson" => Some(Self::JsonLines),
            "txt" => Some(Self::Lines),
            _ => None,
        }
    }
}

fn read_rows(path: &Path, text: &str, label: Option<&str>) -> Result<Vec<RawRow>, DataError> {
    let file = |problem| DataError::file(path, problem);
    if path.is_dir() {
        return Err(file(DataProblem::IsFolder));
    }
    let bytes = std::fs::read(path).map_err(|error| file(DataProblem::Io(error)))?;
    let content = decode(path, &bytes)?;
    if content.trim().is_empty() {
        return Err(file(DataProblem::Empty));
    }
    let format = Format::of(path).ok_or_else(|| file(DataProblem::UnknownFormat))?;
    let rows = match format {
        Format::Delimited(delimiter) => delimited::read(path, content, delimiter, text, label)?,
        Format::JsonLines => json_lines::read(path, content, text, label)?,
        Format::Lines if label.is_some() => return Err(file(DataProblem::NoLabels)),
        Format::Lines => lines::read(content),
    };
    if rows.is_empty() {
        return Err(file(DataProblem::NoRows));
    }
    Ok(rows)
}

/// Returns the text of a file without its byte order mark.
fn decode<'a>(path: &Path, bytes: &'a [u8]) -> Result<&'a str, DataError> {
    let content = std::str::from_utf8(bytes).map_err(|error| {
        let before = &bytes[..error.valid_up_to()];
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count() as u64;
        DataError::row(path, line, DataProblem::NotUtf8)
    })?;
    Ok(content.strip_prefix('\u{feff}').unwrap_or(content))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rtune_task::Target;

    fn read(name: &str, content: &[u8], kind: &LabelKind) -> Result<Vec<Example>, DataError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        read_examples(&path, &Columns::default(), kind)
    }

    #[test]
    fn every_format_gives_the_same_examples() {
        for (name, content) in [
            ("a.csv", "text,label\na film,1\nthe cast,0\n"),
            ("a.CSV", "\u{feff}label,text\r\n1,a film\r\n0,the cast"),
            ("a.tsv", "id\ttext\tlabel\n7\ta film\t1\n8\tthe cast\t0\n"),
            (
                "a.jsonl",
                "{\"text\":\"a film\",\"label\":1}\n{\"text\":\"the cast\",\"label\":\"0\"}",
            ),
            (
                "a.ndjson",
                "{\"text\":\"a film\",\"label\":1}\n{\"text\":\"the cast\",\"label\":0}\n",
            ),
        ] {
            let found = read(name, content.as_bytes(), &LabelKind::Index).unwrap();
            let found: Vec<(&str, Target)> =
                found.iter().map(|e| (e.text.as_str(), e.target)).collect();
            let expected = [("a film", Target::Class(1)), ("the cast", Target::Class(0))];
            assert_eq!(found, expected, "{name}");
        }
    }

    #[test]
    fn faults_of_a_file_say_what_to_do() {
        for (name, content, message) in [
            ("a.csv", "", "the file is empty"),
            ("a.csv", " \n\n", "the file is empty"),
            ("a.csv", "text,label\n", "the file has a header, but no row"),
            (
                "a.txt",
                "a film\n",
                "a .txt file has no labels; use .csv, .tsv or .jsonl",
            ),
            (
                "a.xlsx",
                "x",
                "unknown kind of file; supported endings are .csv, .tsv, .jsonl and, \
                 for texts without labels, .txt",
            ),
        ] {
            let error = read(name, content.as_bytes(), &LabelKind::Index).unwrap_err();
            assert_eq!(
                (error.line, error.problem.to_string()),
                (None, message.to_owned())
            );
            assert!(
                error.to_string().ends_with(&format!("{name}: {message}")),
                "{error}"
            );
        }
    }

    #[test]
    fn text_that_is_not_utf8_names_the_line() {
        let error = read(
            "a.csv",
            b"text,label\na film,0\ncaf\xe9,1\n",
            &LabelKind::Index,
        );
        let error = error.unwrap_err();
        assert_eq!(error.line, Some(3));
        assert!(
            error
                .to_string()
                .ends_with("a.csv, line 3: not UTF-8; convert the file first")
        );
    }

    #[test]
    fn an_unknown_label_names_the_line() {
        let error = read(
            "a.csv",
            b"text,label\n\"a\nfilm\",0\ncast,x\n",
            &LabelKind::Index,
        );
        let error = error.unwrap_err();
        assert_eq!(error.line, Some(4), "{error}");
        assert!(matches!(error.problem, DataProblem::Label(_)));
    }

    #[test]
    fn texts_come_from_all_files_of_a_folder_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, content: &str| {
            std::fs::write(folder.path().join(name), content).unwrap();
        };
        write("b.txt", "one\n\n two\n");
        write("a.csv", "text\nzero\n");
        write("notes.md", "not read");
        let found = read_texts(folder.path(), "text").unwrap();
        let found: Vec<(String, u64, &str)> = found
            .iter()
            .map(|(path, line, text)| {
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                (name, *line, text.as_str())
            })
            .collect();
        let (csv, txt) = ("a.csv".to_owned(), "b.txt".to_owned());
        assert_eq!(
            found,
            [(csv, 2, "zero"), (txt.clone(), 1, "one"), (txt, 3, " two")]
        );
    }

    #[test]
    fn a_missing_file_and_an_empty_folder_are_errors() {
        let folder = tempfile::tempdir().unwrap();
        let error = read_texts(folder.path(), "text").unwrap_err();
        assert!(matches!(error.problem, DataProblem::NoFiles), "{error}");
        let error = read_texts(&folder.path().join("absent.csv"), "text").unwrap_err();
        assert!(matches!(error.problem, DataProblem::Io(_)), "{error}");
        let error = read_examples(folder.path(), &Columns::default(), &LabelKind::Index);
        assert!(matches!(error.unwrap_err().problem, DataProblem::IsFolder));
    }
}

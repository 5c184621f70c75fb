//! JSON objects, one on each line.

use super::RawRow;
use crate::{Column, DataError, DataProblem};
use serde_json::Value;
use std::path::Path;

/// Reads the fields `text` and `label` of each object; empty lines are skipped. A label may be a
/// string, a number or a boolean.
pub(super) fn read(
    path: &Path,
    content: &str,
    text: &str,
    label: Option<&str>,
) -> Result<Vec<RawRow>, DataError> {
    (1..)
        .zip(content.lines())
        .filter(|(_, content)| !content.trim().is_empty())
        .map(|(line, content)| {
            let row = read_object(content, text, label);
            let (text, label) = row.map_err(|problem| DataError::row(path, line, problem))?;
            Ok(RawRow { line, text, label })
        })
        .collect()
}

fn read_object(
    content: &str,
    text: &str,
    label: Option<&str>,
) -> Result<(String, Option<String>), DataProblem> {
    let object: Value = serde_json::from_str(content).map_err(|error| not_json(&error))?;
    let text = field(&object, Column::Text, text)?.as_str();
    let text = text.ok_or(DataProblem::NotString)?.to_owned();
    let label = label.map(|name| field(&object, Column::Label, name));
    let label = label.transpose()?.map(|value| match value {
        Value::String(value) => value.clone(),
        other => other.to_string(),
    });
    Ok((text, label))
}

fn field<'a>(object: &'a Value, column: Column, name: &str) -> Result<&'a Value, DataProblem> {
    object.get(name).ok_or_else(|| DataProblem::NoField {
        column,
        name: name.to_owned(),
    })
}

/// The parser's message without its place, which counts lines from this one.
fn not_json(error: &serde_json::Error) -> DataProblem {
    let text = error.to_string();
    let reason = text.split(" at line ").next().unwrap_or(&text);
    DataProblem::Json {
        column: error.column(),
        reason: reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(content: &str) -> Result<Vec<RawRow>, String> {
        read(Path::new("a.jsonl"), content, "text", Some("label"))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn labels_may_be_strings_or_numbers() {
        let content = "{\"text\": \"a \\\"film\\\"\", \"label\": \"good\"}\n\n\
                       {\"label\": 2.5, \"text\": \"caf\\u00e9\"}\n";
        let found = rows(content).unwrap();
        let row = |line, text: &str, label: &str| RawRow {
            line,
            text: text.to_owned(),
            label: Some(label.to_owned()),
        };
        assert_eq!(found, [row(1, "a \"film\"", "good"), row(3, "café", "2.5")]);
    }

    #[test]
    fn faults_name_line_and_column() {
        for (content, message) in [
            (
                "{\"text\": \"a\", \"label\": 0}\n{\"text\": \"a\", \"label\": \n",
                "a.jsonl, line 2: not JSON at column 23: EOF while parsing a value",
            ),
            (
                "film\n",
                "a.jsonl, line 1: not JSON at column 2: expected ident",
            ),
            ("{\"text\": \"a\"}", "a.jsonl, line 1: no field `label`"),
            ("[1]", "a.jsonl, line 1: no field `text`"),
            (
                "{\"text\": 1, \"label\": 0}",
                "a.jsonl, line 1: the text is not a string",
            ),
        ] {
            assert_eq!(rows(content).unwrap_err(), message);
        }
    }
}

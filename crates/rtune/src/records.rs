//! Predictions in the forms that programs read: tables, JSON Lines, one JSON document.

use crate::exit::usage;
use anyhow::Result;
use rtune_infer::{LabeledPrediction, OutputSpec};
use rtune_task::Task;
use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The prediction for a row of the input, or the reason why there is none.
pub(crate) struct Record {
    pub(crate) source: Source,
    pub(crate) prediction: Result<LabeledPrediction, String>,
}

/// A row of the input.
pub(crate) struct Source {
    /// The line that the row begins at, or the position of a text on the command line, from 1.
    pub(crate) line: u64,
    /// The value of the column of ids, if one is read and can be.
    pub(crate) id: Option<String>,
    /// The text, if it can be read.
    pub(crate) text: Option<String>,
    /// The second text of a pair, if it can be read.
    pub(crate) text_pair: Option<String>,
}

/// An object with the same fields for every row.
impl Serialize for Record {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        /// The probability of each label, in the order of the labels.
        struct Probabilities<'a>(&'a [(String, f64)]);

        impl Serialize for Probabilities<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_map(self.0.iter().map(|(label, p)| (label, p)))
            }
        }

        let prediction = self.prediction.as_ref().ok();
        let probabilities = prediction.map_or(&[][..], |found| &found.probabilities);
        let mut map = serializer.serialize_map(Some(8))?;
        map.serialize_entry("line", &self.source.line)?;
        map.serialize_entry("id", &self.source.id)?;
        map.serialize_entry("text", &self.source.text)?;
        map.serialize_entry("text_pair", &self.source.text_pair)?;
        map.serialize_entry("label", &prediction.and_then(|found| found.label.as_ref()))?;
        map.serialize_entry("score", &prediction.map(|found| found.score))?;
        map.serialize_entry("probabilities", &Probabilities(probabilities))?;
        map.serialize_entry("error", &self.prediction.as_ref().err())?;
        map.end()
    }
}

/// The result of a command without its predictions.
#[derive(Debug, Serialize)]
pub(crate) struct Summary {
    /// Version of the fields, from 1.
    pub(crate) version: u32,
    pub(crate) model: PathBuf,
    /// The file that has the predictions.
    pub(crate) output: Option<PathBuf>,
    /// Empty; [`RecordWriter`] fills it if there is no file.
    pub(crate) predictions: [(); 0],
    pub(crate) rows: usize,
    /// Rows that cannot be used.
    pub(crate) unusable: usize,
    /// Texts that were longer than the limit.
    pub(crate) truncated: usize,
}

impl Summary {
    pub(crate) const VERSION: u32 = 1;
}

/// The form of the predictions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// A table with a header and this separator.
    Table(char),
    /// A JSON object on each line.
    Lines,
    /// One JSON document.
    Document,
}

impl Form {
    /// The names of the forms that files have.
    pub(crate) const NAMES: [&'static str; 3] = ["csv", "tsv", "jsonl"];

    fn named(name: &str) -> Option<Self> {
        match name {
            "csv" => Some(Self::Table(',')),
            "tsv" | "tab" => Some(Self::Table('\t')),
            "jsonl" | "ndjson" => Some(Self::Lines),
            _ => None,
        }
    }

    /// The form of a file, by the ending of its name.
    fn of(path: &Path) -> Option<Self> {
        Self::named(&path.extension()?.to_string_lossy().to_ascii_lowercase())
    }

    /// The form that flags ask for.
    pub(crate) fn choose(output: Option<&Path>, name: Option<&str>, json: bool) -> Result<Self> {
        let named = name.and_then(Self::named);
        match (output, named) {
            (None, Some(_)) if json => Err(usage(
                "--output-format has no effect with --json and without --output; remove it",
            )),
            (None, _) if json => Ok(Self::Document),
            (None, named) => Ok(named.unwrap_or(Self::Table('\t'))),
            (Some(path), named) => named.or_else(|| Self::of(path)).ok_or_else(|| {
                usage(format!(
                    "--output {}: the ending is none of .csv, .tsv and .jsonl; change it, or give \
                     --output-format",
                    path.display()
                ))
            }),
        }
    }
}

/// Writes predictions in a form.
pub(crate) struct RecordWriter {
    form: Form,
    /// The columns of a table between text and error.
    columns: Vec<String>,
    has_id: bool,
    has_pair: bool,
    written: usize,
}

impl RecordWriter {
    /// A writer of rows with a column of ids, or of second texts, or none.
    pub(crate) fn new(form: Form, outputs: &OutputSpec, has_id: bool, has_pair: bool) -> Self {
        let label = (outputs.task != Task::Regression).then(|| "label".to_owned());
        let probabilities = outputs.labels.iter();
        let probabilities = probabilities.map(|label| format!("probability_{label}"));
        let columns = label.into_iter().chain(["score".to_owned()]);
        Self {
            form,
            columns: columns.chain(probabilities).collect(),
            has_id,
            has_pair,
            written: 0,
        }
    }

    /// Writes records, and before the first one the beginning of the form.
    pub(crate) fn write(
        &mut self,
        out: &mut dyn Write,
        records: &[Record],
        summary: &Summary,
    ) -> io::Result<()> {
        for record in records {
            if self.written == 0 {
                self.begin(out, summary)?;
            }
            match self.form {
                Form::Table(separator) => self.row(out, separator, record)?,
                Form::Lines => writeln!(out, "{}", serde_json::to_string(record)?)?,
                Form::Document => {
                    let comma = if self.written == 0 { "" } else { "," };
                    write!(out, "{comma}\n    {}", serde_json::to_string(record)?)?;
                }
            }
            self.written += 1;
        }
        Ok(())
    }

    /// Writes the end of the form.
    pub(crate) fn finish(&mut self, out: &mut dyn Write, summary: &Summary) -> io::Result<()> {
        if self.form == Form::Document {
            let (_, end) = parts(summary)?;
            writeln!(out, "\n  ]{end}")?;
        }
        out.flush()
    }

    fn begin(&self, out: &mut dyn Write, summary: &Summary) -> io::Result<()> {
        match self.form {
            Form::Table(separator) => {
                let id = self.has_id.then_some("id");
                let pair = self.has_pair.then_some("text_pair");
                let start = std::iter::once("line").chain(id).chain(["text"]);
                let start = start.chain(pair);
                let columns = self.columns.iter().map(String::as_str);
                let names: Vec<&str> = start.chain(columns).chain(["error"]).collect();
                line(out, separator, &names)
            }
            Form::Lines => Ok(()),
            Form::Document => write!(out, "{}[", parts(summary)?.0),
        }
    }

    fn row(&self, out: &mut dyn Write, separator: char, record: &Record) -> io::Result<()> {
        let source = &record.source;
        let mut fields = vec![source.line.to_string()];
        if self.has_id {
            fields.push(source.id.clone().unwrap_or_default());
        }
        fields.push(source.text.clone().unwrap_or_default());
        if self.has_pair {
            fields.push(source.text_pair.clone().unwrap_or_default());
        }
        match &record.prediction {
            Ok(found) => {
                fields.extend(found.label.clone());
                let probabilities = found.probabilities.iter().map(|(_, p)| *p);
                // Models compute in 32-bit floats; more digits would say nothing.
                let numbers = std::iter::once(found.score).chain(probabilities);
                fields.extend(numbers.map(|number| format!("{:?}", number as f32)));
                fields.push(String::new());
            }
            Err(error) => {
                fields.resize(fields.len() + self.columns.len(), String::new());
                fields.push(error.clone());
            }
        }
        line(out, separator, &fields)
    }
}

/// The text of a document before and after the list of its predictions.
fn parts(summary: &Summary) -> io::Result<(String, String)> {
    let text = serde_json::to_string_pretty(summary)?;
    // A quote within a path is escaped.
    let list = "\"predictions\": []";
    let at = text.find(list).map_or(text.len(), |at| at + list.len() - 2);
    let (start, end) = (&text[..at], text.get(at + 2..).unwrap_or_default());
    Ok((start.to_owned(), end.to_owned()))
}

/// Writes a line of a table. Fields with a separator, a quote or a line break are in quotes, and
/// quotes within are doubled.
fn line(out: &mut dyn Write, separator: char, fields: &[impl AsRef<str>]) -> io::Result<()> {
    for (index, field) in fields.iter().enumerate() {
        let field = field.as_ref();
        if index > 0 {
            write!(out, "{separator}")?;
        }
        match field.contains([separator, '"', '\n', '\r']) {
            true => write!(out, "\"{}\"", field.replace('"', "\"\""))?,
            false => out.write_all(field.as_bytes())?,
        }
    }
    out.write_all(b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use rtune_data::{Columns, Row, RowReader};
    use rtune_task::{Decision, Output};

    fn outputs() -> OutputSpec {
        OutputSpec {
            task: Task::Classification,
            labels: ["bad, or worse", "good"].map(str::to_owned).to_vec(),
            scale: None,
            decision: Decision::Mode,
            output: Output::Logits,
        }
    }

    fn records() -> Vec<Record> {
        let rows = outputs().labeled(&[vec![0.0, 0.0]]).unwrap();
        vec![
            Record {
                source: Source {
                    line: 2,
                    id: Some("7".to_owned()),
                    text: Some("a \"film\",\tor\nso".to_owned()),
                    text_pair: Some("a, b".to_owned()),
                },
                prediction: Ok(rows[0].clone()),
            },
            Record {
                source: Source {
                    line: 4,
                    id: None,
                    text: None,
                    text_pair: None,
                },
                prediction: Err("the text is empty".to_owned()),
            },
        ]
    }

    fn summary() -> Summary {
        Summary {
            version: Summary::VERSION,
            model: "a \"predictions\": []".into(),
            output: None,
            predictions: [],
            rows: 2,
            unusable: 1,
            truncated: 0,
        }
    }

    fn written(form: Form) -> String {
        let mut writer = RecordWriter::new(form, &outputs(), true, true);
        let mut out = Vec::new();
        for record in records() {
            writer.write(&mut out, &[record], &summary()).unwrap();
        }
        writer.finish(&mut out, &summary()).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn tables_are_read_back_by_the_strict_reader() {
        for (name, separator) in [("a.csv", ','), ("a.tsv", '\t')] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join(name);
            std::fs::write(&path, written(Form::Table(separator))).unwrap();
            let columns = Columns {
                pair: Some("text_pair".to_owned()),
                others: ["line", "id", "label", "probability_good", "error"]
                    .map(str::to_owned)
                    .to_vec(),
                ..Columns::default()
            };
            let rows = RowReader::open(&path, &columns).unwrap();
            let rows: Vec<Row> = rows.map(|row| row.unwrap().unwrap()).collect();
            assert_eq!(rows[0].text, "a \"film\",\tor\nso");
            assert_eq!(rows[0].pair.as_deref(), Some("a, b"));
            assert_eq!(rows[0].others, ["2", "7", "bad, or worse", "0.5", ""]);
            assert_eq!(rows[1].others, ["4", "", "", "", "the text is empty"]);
        }
    }

    #[test]
    fn json_has_the_same_fields_for_every_row() {
        let lines = written(Form::Lines);
        let lines: Vec<&str> = lines.lines().collect();
        assert_eq!(
            lines,
            [
                concat!(
                    r#"{"line":2,"id":"7","text":"a \"film\",\tor\nso","text_pair":"a, b","#,
                    r#""label":"bad, or worse","score":0.5,"#,
                    r#""probabilities":{"bad, or worse":0.5,"good":0.5},"error":null}"#
                ),
                concat!(
                    r#"{"line":4,"id":null,"text":null,"text_pair":null,"label":null,"#,
                    r#""score":null,"probabilities":{},"error":"the text is empty"}"#
                ),
            ]
        );
        let parse = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        let document = parse(&written(Form::Document));
        assert_eq!(document["predictions"][0], parse(lines[0]));
        assert_eq!(document["predictions"][1], parse(lines[1]));
        assert_eq!(document["unusable"], 1);
    }
}

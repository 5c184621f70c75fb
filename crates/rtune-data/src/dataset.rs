use crate::faults::Faults;
use crate::label::{LabelKind, Unnamed};
use crate::split::hold_out;
use crate::{Columns, DataError, DataProblem, LabelProblem, RowError, RowReader};
use rtune_interrupt::Interrupt;
use rtune_task::{Target, Task};
use rtune_text::{Encoded, Tokenizer};
use std::path::Path;

/// The number of rows between two checks of an interrupt. Tokenizing takes most of the time.
const ROWS_PER_CHECK: usize = 1024;

/// Rows with labels, as token ids.
#[derive(Debug, Clone)]
pub struct Dataset {
    /// Token ids of each text.
    pub texts: Vec<Encoded>,
    /// Label of each text.
    pub targets: Vec<Target>,
    /// Line of each text in its file, from 1; the record for formats without lines.
    pub lines: Vec<u64>,
    /// Number of texts that were longer than the limit.
    pub truncated: usize,
    /// The separator of the columns, if it was found out by the header; users should know it.
    pub detected_delimiter: Option<char>,
}

impl Dataset {
    /// Reads and tokenizes the labelled rows of a file for a model whose classes have the names
    /// `labels`.
    ///
    /// # Errors
    /// If the file cannot be read, or a label or text does not fit. The error names all bad rows.
    /// Also if `interrupt` is requested before all rows are read.
    pub fn read(
        path: &Path,
        columns: &Columns,
        task: Task,
        labels: &[String],
        tokenizer: &Tokenizer,
        interrupt: &Interrupt,
    ) -> Result<Self, DataError> {
        let kind = LabelKind::of_task(task, labels);
        Self::read_kind(path, columns, &kind, tokenizer, interrupt).map(|(data, _)| data)
    }

    /// Reads and tokenizes the rows to train a model on, and returns the names of its classes
    /// beside them: `labels`, or if there are none, the numbers from 0 that the rows have.
    ///
    /// # Errors
    /// Those of [`Dataset::read`]; if labels without names do not number the classes; if there is
    /// only one class.
    pub fn read_training(
        path: &Path,
        columns: &Columns,
        task: Task,
        labels: &[String],
        tokenizer: &Tokenizer,
        interrupt: &Interrupt,
    ) -> Result<(Self, Vec<String>), DataError> {
        let kind = LabelKind::of_task(task, labels);
        let (data, unnamed) = Self::read_kind(path, columns, &kind, tokenizer, interrupt)?;
        let names = match kind {
            LabelKind::Index => unnamed.names(),
            LabelKind::Names(names) => Ok(names),
            LabelKind::Number => return Ok((data, Vec::new())),
        };
        let names = names.map_err(|problem| DataError::file(path, problem))?;
        let mut classes = data.targets.iter().filter_map(|target| target.class());
        if let Some(first) = classes.next()
            && classes.all(|class| class == first)
        {
            let problem = DataProblem::OneClass(names[first].clone());
            return Err(DataError::file(path, problem));
        }
        Ok((data, names))
    }

    fn read_kind(
        path: &Path,
        columns: &Columns,
        kind: &LabelKind,
        tokenizer: &Tokenizer,
        interrupt: &Interrupt,
    ) -> Result<(Self, Unnamed), DataError> {
        columns.check_texts(path, tokenizer)?;
        let (mut faults, mut label_faults) = (Faults::default(), Faults::default());
        let mut unnamed = Unnamed::default();
        let rows = RowReader::labelled(path, columns)?;
        let mut data = Self {
            texts: Vec::new(),
            targets: Vec::new(),
            lines: Vec::new(),
            truncated: 0,
            detected_delimiter: rows.detected_delimiter(),
        };
        for (number, row) in (1_usize..).zip(rows) {
            if number.is_multiple_of(ROWS_PER_CHECK) {
                let stopped = |error| DataError::file(path, DataProblem::Interrupted(error));
                interrupt.check().map_err(stopped)?;
            }
            let example = row?.and_then(|row| {
                let target = kind.parse(row.label.as_deref().unwrap_or_default());
                unnamed.push(&target);
                let target = target.map_err(|problem| RowError::new(row.line, problem))?;
                let text = tokenizer.encode(row.texts());
                let text = text.map_err(|error| RowError::new(row.line, error))?;
                Ok((text, target, row.line))
            });
            match example {
                Ok((text, target, line)) => {
                    data.truncated += usize::from(text.truncated);
                    data.texts.push(text);
                    data.targets.push(target);
                    data.lines.push(line);
                }
                Err(error) => match error.problem {
                    DataProblem::Label(LabelProblem::NotIndex(_)) => label_faults.push(error),
                    _ => faults.push(error),
                },
            }
        }
        // If the labels as a whole do not number the classes, no single row is at fault.
        let labels = match kind {
            LabelKind::Index => unnamed.names().err(),
            _ => None,
        };
        // Another class may be in the bad rows.
        let labels = labels
            .filter(|problem| faults.is_empty() || !matches!(problem, DataProblem::OneClass(_)));
        if labels.is_none() {
            faults.merge(label_faults);
        }
        faults.finish(path, labels)?;
        Ok((data, unnamed))
    }

    /// Separates rows for validation, about `count` of them: each class gives its share, but keeps
    /// at least one row. `path` is the file of the rows.
    ///
    /// # Errors
    /// If one of both parts would be empty.
    pub fn hold_out(self, path: &Path, count: usize, seed: u64) -> Result<(Self, Self), DataError> {
        let classes: Vec<_> = self.targets.iter().map(|target| target.class()).collect();
        let (training, validation) = hold_out(&classes, count, seed);
        if training.is_empty() || validation.is_empty() {
            let problem = DataProblem::TooFewToHoldOut { rows: self.len() };
            return Err(DataError::file(path, problem));
        }
        let mut data = self;
        Ok((data.take(&training), data.take(&validation)))
    }

    /// Takes rows out; empty texts stay in their places.
    fn take(&mut self, rows: &[usize]) -> Self {
        let mut take =
            |row: &usize| std::mem::replace(&mut self.texts[*row], Encoded::new(Vec::new()));
        let texts: Vec<Encoded> = rows.iter().map(&mut take).collect();
        Self {
            truncated: texts.iter().filter(|text| text.truncated).count(),
            targets: rows.iter().map(|row| self.targets[*row]).collect(),
            lines: rows.iter().map(|row| self.lines[*row]).collect(),
            texts,
            detected_delimiter: self.detected_delimiter,
        }
    }

    /// Returns the number of examples.
    pub fn len(&self) -> usize {
        self.texts.len()
    }

    /// Returns true if there is no example.
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// Returns the number of tokens of each example.
    pub fn lengths(&self) -> Vec<usize> {
        self.texts.iter().map(Encoded::len).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokenizer(max_length: usize) -> Tokenizer {
        let folder = rtune_testkit::fixtures().join("encoders/bert");
        Tokenizer::read(&folder, max_length).unwrap()
    }

    fn training(
        content: &str,
        task: Task,
        labels: &[&str],
    ) -> Result<(Dataset, Vec<String>), String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        std::fs::write(&path, content).unwrap();
        let labels: Vec<String> = labels.iter().map(|label| (*label).to_owned()).collect();
        let columns = Columns::default();
        let (read, interrupt) = (Dataset::read_training, Interrupt::new());
        let data = read(&path, &columns, task, &labels, &tokenizer(5), &interrupt);
        let place = format!("{}", path.display());
        data.map_err(|error| error.to_string().replace(&place, "a.csv"))
    }

    #[test]
    fn rows_are_tokenized_in_order() {
        let content = "text,label\nthe film,1\nthe film was good,0\n";
        let (data, names) = training(content, Task::Ordinal, &[]).unwrap();
        assert_eq!(names, ["0", "1"]);
        assert_eq!(data.targets, [Target::Class(1), Target::Class(0)]);
        assert_eq!((data.truncated, data.lengths()), (1, vec![4, 5]));
        let (data, names) = training(content, Task::Regression, &[]).unwrap();
        assert_eq!(data.targets, [Target::Number(1.0), Target::Number(0.0)]);
        assert!(names.is_empty());
    }

    #[test]
    fn rows_of_pairs_are_read_from_each_kind_of_file() {
        let folder = tempfile::tempdir().unwrap();
        let read = |name: &str, content: &str, pair: Option<&str>, pairs: bool| {
            let path = folder.path().join(name);
            std::fs::write(&path, content).unwrap();
            let columns = Columns {
                text: "premise".to_owned(),
                pair: pair.map(str::to_owned),
                ..Columns::default()
            };
            let tokenizer = tokenizer(12).with_pairs(pairs).unwrap();
            let (task, stop) = (Task::Regression, Interrupt::new());
            let data = Dataset::read(&path, &columns, task, &[], &tokenizer, &stop);
            let ids = |data: Dataset| data.texts.into_iter().map(|text| text.input_ids);
            let place = format!("{}", path.display());
            data.map(|data| ids(data).collect::<Vec<_>>())
                .map_err(|error| error.to_string().replace(&place, name))
        };
        let second = Some("hypothesis");
        for (name, content) in [
            ("a.csv", "hypothesis,label,premise\na film,1,the film\n"),
            ("a.tsv", "premise\tlabel\thypothesis\nthe film\t1\ta film\n"),
            (
                "a.jsonl",
                r#"{"premise": "the film", "hypothesis": "a film", "label": 1}"#,
            ),
        ] {
            let found = read(name, content, second, true).unwrap();
            assert_eq!(found, [[2, 5, 7, 3, 6, 7, 3]], "{name}");
        }
        let content = "premise,label,hypothesis\nthe film,1, \nthe film,1,a film\n";
        let cases = [
            (
                ("a.csv", content, second, true),
                "a.csv, line 2: the second text of the pair is empty; remove the pair or give it \
                 words",
            ),
            (
                ("a.csv", content, None, true),
                "a.csv: the model takes pairs of texts, but no column of second texts is named",
            ),
            (
                ("a.csv", content, second, false),
                "a.csv: the model takes single texts, but `hypothesis` is named as a column of \
                 second texts",
            ),
            (
                ("a.csv", content, Some("other"), true),
                "a.csv: no column `other`; the header has `premise`, `label`, `hypothesis`",
            ),
            (
                (
                    "a.jsonl",
                    r#"{"premise": "a film", "label": 1}"#,
                    second,
                    true,
                ),
                "a.jsonl, line 1: no field `hypothesis`",
            ),
        ];
        for ((name, content, pair, pairs), expected) in cases {
            assert_eq!(read(name, content, pair, pairs).unwrap_err(), expected);
        }
    }

    #[test]
    fn reading_stops_on_request() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        let read = |rows: usize, checks| {
            let content = format!("text,label\n{}", "the film,1\n".repeat(rows));
            std::fs::write(&path, content).unwrap();
            let (columns, interrupt) = (Columns::default(), Interrupt::after(checks));
            let data = Dataset::read(
                &path,
                &columns,
                Task::Regression,
                &[],
                &tokenizer(5),
                &interrupt,
            );
            data.map(|data| data.len()).map_err(|error| error.problem)
        };
        assert_eq!(read(ROWS_PER_CHECK - 1, 0).unwrap(), ROWS_PER_CHECK - 1);
        assert_eq!(read(ROWS_PER_CHECK, 1).unwrap(), ROWS_PER_CHECK);
        let stopped = read(ROWS_PER_CHECK, 0).unwrap_err();
        assert!(matches!(stopped, DataProblem::Interrupted(_)), "{stopped}");
    }

    #[test]
    fn all_bad_rows_are_listed() {
        let content = "text,label\nthe film,1\n ,0\n\"a\"b,1\nthe film,x\nthe film,0\n,\n";
        let message = "a.csv: 4 rows cannot be used\n  \
                       line 3: the text is empty; remove it or give it words\n  \
                       line 4: text follows a closing quote on line 4; write \"\" for a quote \
                       within quotes, and check where the quotes of this row begin\n  \
                       line 5: label `x` is not an integer from 0\n  \
                       line 7: the label is missing";
        assert_eq!(training(content, Task::Ordinal, &[]).unwrap_err(), message);
        let content = format!("text,label\n{}", "the film,x\n".repeat(25));
        let message = training(&content, Task::Regression, &[]).unwrap_err();
        assert!(message.starts_with("a.csv: 25 rows cannot be used\n  line 2: "));
        assert!(message.ends_with("\n  line 21: label `x` is not a finite number\n  and 5 more"));
    }

    #[test]
    fn one_class_is_not_enough() {
        let message = "a.csv: all labels are bad; at least two classes are needed";
        let content = "text,label\nthe film,bad\nthe film,0\n";
        let found = training(content, Task::Classification, &["bad", "good"]);
        assert_eq!(found.unwrap_err(), message);
    }

    #[test]
    fn rows_are_held_out() {
        let content = "text,label\nthe film,1\nthe film was good,0\nfilm,0\n";
        let (data, _) = training(content, Task::Ordinal, &[]).unwrap();
        let path = Path::new("a.csv");
        let (training, validation) = data.clone().hold_out(path, 1, 3).unwrap();
        assert_eq!(validation.targets, [Target::Class(0)]);
        assert_eq!((training.len(), validation.len()), (2, 1));
        assert_eq!(training.truncated + validation.truncated, data.truncated);
        let only = data.clone().take(&[0, 1]);
        let message = "a.csv: the file has too few rows, 2, to hold some out for validation; \
                       training needs one, and one of each class";
        let error = only.hold_out(path, 1, 3).unwrap_err();
        assert_eq!(error.to_string(), message);
    }
}

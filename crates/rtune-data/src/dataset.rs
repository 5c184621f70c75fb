use crate::{Columns, DataError, Example, LabelKind, check_classes, read_examples};
use rtune_task::{Target, Task};
use rtune_text::{Encoded, Tokenizer};
use std::path::Path;

/// Examples as token ids and labels.
#[derive(Debug, Clone)]
pub struct Dataset {
    /// Token ids of each example.
    pub texts: Vec<Encoded>,
    /// Label of each example.
    pub targets: Vec<Target>,
    /// Number of texts that were longer than the limit.
    pub truncated: usize,
}

impl Dataset {
    /// Tokenizes examples of the file `path`.
    ///
    /// # Errors
    /// If a text is empty or has only unknown tokens; the error names file and line.
    pub fn new(
        path: &Path,
        examples: &[Example],
        tokenizer: &Tokenizer,
    ) -> Result<Self, DataError> {
        let texts = examples.iter().map(|example| {
            let encoded = tokenizer.encode(&example.text);
            encoded.map_err(|error| DataError::row(path, example.line, error))
        });
        let texts = texts.collect::<Result<Vec<_>, _>>()?;
        let truncated = texts.iter().filter(|t| t.truncated).count();
        Ok(Self {
            texts,
            targets: examples.iter().map(|e| e.target).collect(),
            truncated,
        })
    }

    /// Reads and tokenizes the labelled rows of a file for a model whose classes have the names
    /// `labels`.
    ///
    /// # Errors
    /// If the file cannot be read, or a label or text does not fit; the error names file and line.
    pub fn read(
        path: &Path,
        columns: &Columns,
        task: Task,
        labels: &[String],
        tokenizer: &Tokenizer,
    ) -> Result<Self, DataError> {
        let examples = read_examples(path, columns, &LabelKind::of_task(task, labels))?;
        if task != Task::Regression {
            check_classes(path, &examples, labels.len(), false)?;
        }
        Self::new(path, &examples, tokenizer)
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

    fn dataset(texts: &[&str], max_length: usize) -> Result<Dataset, DataError> {
        let folder = rtune_testkit::fixtures().join("encoders/bert");
        let tokenizer = Tokenizer::read(&folder, max_length).unwrap();
        let examples: Vec<Example> = texts
            .iter()
            .zip(2..)
            .map(|(text, line)| Example {
                line,
                text: (*text).to_owned(),
                target: Target::Number(line as f64),
            })
            .collect();
        Dataset::new(Path::new("a.csv"), &examples, &tokenizer)
    }

    #[test]
    fn texts_and_labels_stay_in_order() {
        let data = dataset(&["the film", "the film was good"], 24).unwrap();
        assert_eq!((data.len(), data.is_empty()), (2, false));
        assert_eq!(data.targets, [Target::Number(2.0), Target::Number(3.0)]);
        assert_eq!(data.lengths(), [4, 6]);
        assert_eq!(data.truncated, 0);
    }

    #[test]
    fn a_file_is_read_for_the_classes_of_a_model() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        std::fs::write(&path, "text,label\nthe film,1\nthe film was good,0\n").unwrap();
        let tokenizer = rtune_testkit::fixtures().join("encoders/bert");
        let tokenizer = Tokenizer::read(&tokenizer, 24).unwrap();
        let read = |labels: &[&str]| {
            let labels: Vec<String> = labels.iter().map(|label| (*label).to_owned()).collect();
            let columns = Columns::default();
            Dataset::read(&path, &columns, Task::Ordinal, &labels, &tokenizer)
        };
        let data = read(&["0", "1"]).unwrap();
        assert_eq!(data.targets, [Target::Class(1), Target::Class(0)]);
        let error = read(&["0"]).unwrap_err().to_string();
        assert!(error.contains("line 2: label 1 is out of range"), "{error}");
    }

    #[test]
    fn truncated_texts_are_counted() {
        let data = dataset(&["the film", "the film was good"], 5).unwrap();
        assert_eq!((data.truncated, data.lengths()), (1, vec![4, 5]));
    }

    #[test]
    fn a_text_that_cannot_be_tokenized_is_named_by_line() {
        let error = dataset(&["the film", " "], 24).unwrap_err();
        assert_eq!(error.line, Some(3));
        assert_eq!(
            error.to_string(),
            "a.csv, line 3: the text is empty; remove it or give it words"
        );
    }
}

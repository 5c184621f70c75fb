use crate::{DataError, Example};
use rtune_task::Target;
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

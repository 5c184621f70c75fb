use crate::{DataError, Example};
use rtune_task::Target;
use rtune_text::{Encoded, Tokenizer};
use std::path::Path;

/// Examples with their token ids.
#[derive(Debug, Clone)]
pub struct Dataset {
    /// Token ids of each example.
    pub texts: Vec<Encoded>,
    /// What each should give.
    pub targets: Vec<Target>,
    /// How many texts were longer than the limit.
    pub truncated: usize,
}

impl Dataset {
    /// Tokenizes examples of the file `path`.
    ///
    /// # Errors
    /// Where a text is empty or has only unknown tokens, by file and line.
    pub fn new(
        path: &Path,
        examples: &[Example],
        tokenizer: &Tokenizer,
    ) -> Result<Self, DataError> {
        let texts = examples.iter().map(|example| {
            let encoded = tokenizer.encode(&example.text);
            encoded.map_err(|source| DataError::Text {
                path: path.to_owned(),
                line: example.line,
                source,
            })
        });
        let texts = texts.collect::<Result<Vec<_>, _>>()?;
        let truncated = texts.iter().filter(|t| t.truncated).count();
        Ok(Self {
            texts,
            targets: examples.iter().map(|e| e.target).collect(),
            truncated,
        })
    }

    /// The number of examples.
    pub fn len(&self) -> usize {
        self.texts.len()
    }

    /// Whether there is no example.
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// The number of tokens of each example.
    pub fn lengths(&self) -> Vec<usize> {
        self.texts.iter().map(Encoded::len).collect()
    }
}

use crate::{DataError, DataProblem, Format};
use rtune_text::Tokenizer;
use std::path::Path;

/// The columns to read, and the signs between them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Columns {
    /// The column or field of texts.
    pub text: String,
    /// The column or field of the second texts, if each row is a pair of texts.
    pub pair: Option<String>,
    /// The column or field of labels.
    pub label: String,
    /// Other columns or fields, such as an id.
    pub others: Vec<String>,
    /// The signs of tables.
    pub dialect: Dialect,
}

impl Default for Columns {
    /// `text` and `label`.
    fn default() -> Self {
        Self {
            text: "text".to_owned(),
            pair: None,
            label: "label".to_owned(),
            others: Vec::new(),
            dialect: Dialect::default(),
        }
    }
}

impl Columns {
    /// Checks that rows of a file have the texts that a tokenizer takes: one, or a pair.
    ///
    /// # Errors
    /// If a tokenizer of pairs has no column of second texts, or one of single texts has one.
    pub fn check_texts(&self, path: &Path, tokenizer: &Tokenizer) -> Result<(), DataError> {
        let problem = match (&self.pair, tokenizer.takes_pairs()) {
            (None, true) if Format::of(path) == Some(Format::Lines) => DataProblem::NoOthers,
            (None, true) => DataProblem::PairsExpected,
            (Some(name), false) => DataProblem::PairsNotTaken(name.clone()),
            _ => return Ok(()),
        };
        Err(DataError::file(path, problem))
    }
}

/// The signs between and around the fields of a table. Other formats have none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dialect {
    /// The separator of fields. If it is not given, it follows from the file's name; if the header
    /// does not have the columns then, a comma, semicolon, tab or vertical bar is tried.
    pub delimiter: Option<char>,
    /// True if quotes enclose fields, as in CSV; if not, they are characters.
    pub quotes: bool,
}

impl Default for Dialect {
    fn default() -> Self {
        Self {
            delimiter: None,
            quotes: true,
        }
    }
}

/// The names of the columns to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Columns {
    /// The column of texts.
    pub text: String,
    /// The column of labels.
    pub label: String,
}

impl Default for Columns {
    /// `text` and `label`.
    fn default() -> Self {
        Self {
            text: "text".to_owned(),
            label: "label".to_owned(),
        }
    }
}

/// The names of the columns to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Columns {
    /// The text.
    pub text: String,
    /// The label.
    pub label: String,
}

impl Default for Columns {
    fn default() -> Self {
        Self {
            text: "text".to_owned(),
            label: "label".to_owned(),
        }
    }
}

/// The columns to read, and the signs between them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Columns {
    /// The column or field of texts.
    pub text: String,
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
            label: "label".to_owned(),
            others: Vec::new(),
            dialect: Dialect::default(),
        }
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

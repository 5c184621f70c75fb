use std::path::PathBuf;

/// Why text cannot become token ids.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TextError {
    /// There is no tokenizer.
    #[error("{}: no tokenizer.json in this folder; a model folder holds config.json, model weights and tokenizer.json", .0.display())]
    Missing(PathBuf),
    /// The tokenizer cannot be used.
    #[error("{}: {problem}", path.display())]
    Tokenizer {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A text has no characters but white space.
    #[error("the text is empty; remove it or give it words")]
    Empty,
    /// None of a text's tokens is in the vocabulary.
    #[error(
        "no token of the text is in the tokenizer's vocabulary; remove it, or check that model and language agree"
    )]
    Unknown,
    /// The tokenizer failed on a text.
    #[error("cannot be tokenized: {0}")]
    Encode(String),
}

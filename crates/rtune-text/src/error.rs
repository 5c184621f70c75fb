use std::path::{Path, PathBuf};

/// The reason why text cannot become token ids.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TextError {
    /// A folder holds no tokenizer.
    #[error(
        "{}: no tokenizer.json in this folder; \
         a model folder holds config.json, model weights and tokenizer.json",
        .0.display()
    )]
    Missing(PathBuf),
    /// A tokenizer file cannot be used.
    #[error("{}: {problem}", path.display())]
    Tokenizer {
        /// The file.
        path: PathBuf,
        /// The fault of the file, and a remedy.
        problem: String,
    },
    /// A tokenizer has ids for which a model has no embeddings.
    #[error(
        "{}: does not fit {problem}; they belong to different models, or tokens were added to one \
         of them",
        tokenizer.display()
    )]
    Embeddings {
        /// The file of the tokenizer.
        tokenizer: PathBuf,
        /// The file of the model, the token or type, and both numbers.
        problem: String,
    },
    /// A text is empty or only white space.
    #[error("the text is empty; remove it or give it words")]
    Empty,
    /// None of a text's tokens is in the vocabulary.
    #[error(
        "no token of the text is in the tokenizer's vocabulary; \
         remove it, or check that model and language agree"
    )]
    Unknown,
    /// The second text of a pair is empty or only white space.
    #[error("the second text of the pair is empty; remove the pair or give it words")]
    EmptySecond,
    /// None of the second text's tokens is in the vocabulary.
    #[error(
        "no token of the second text is in the tokenizer's vocabulary; \
         remove the pair, or check that model and language agree"
    )]
    UnknownSecond,
    /// A single text for a model of pairs.
    #[error("the model takes pairs of texts, and this is a single one")]
    PairExpected,
    /// A pair for a model of single texts.
    #[error("the model takes single texts, and this is a pair")]
    PairNotTaken,
    /// The tokenizer failed on a text.
    #[error("cannot be tokenized: {0}")]
    Encode(String),
    /// A batch has more tokens than a `u32` can count.
    #[error("a batch of {tokens} tokens is too large; use a smaller batch size")]
    BatchTooLarge {
        /// Number of tokens.
        tokens: usize,
    },
}

impl TextError {
    /// Returns true if the caller's input is the cause, which holds for all of these.
    pub fn is_input(&self) -> bool {
        true
    }

    /// A tokenizer that does not fit the model of a file.
    pub fn embeddings(tokenizer: &Path, model: &Path, problem: &str) -> Self {
        Self::Embeddings {
            tokenizer: tokenizer.to_owned(),
            problem: format!("{}: {problem}", model.display()),
        }
    }
}

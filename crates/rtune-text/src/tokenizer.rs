use crate::{Encoded, TextError};
use std::path::Path;
use tokenizers::{TruncationDirection, TruncationParams};

/// A model's own tokenizer, with a length limit of ours.
#[derive(Debug, Clone)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    unknown: Option<u32>,
    padding: u32,
    special: Vec<u32>,
    max_length: usize,
}

impl Tokenizer {
    /// Reads `tokenizer.json` of a model folder. Texts longer than `max_length` tokens, special
    /// tokens included, are cut at the end.
    ///
    /// # Errors
    /// Where the file is missing or broken, or no token fits within the limit.
    pub fn read(folder: &Path, max_length: usize) -> Result<Self, TextError> {
        let path = folder.join("tokenizer.json");
        if !path.is_file() {
            return Err(TextError::Missing(folder.to_owned()));
        }
        if max_length < 3 {
            let problem = format!(
                "max length {max_length} leaves no room for a token between the two special ones; give at least 3"
            );
            return Err(TextError::Tokenizer { path, problem });
        }
        let fail = |problem: String| TextError::Tokenizer {
            path: path.clone(),
            problem,
        };
        let mut inner = tokenizers::Tokenizer::from_file(&path).map_err(|e| {
            fail(format!(
                "not a tokenizer, or a truncated one ({e}); download it again"
            ))
        })?;
        let padding = Self::padding_id(&inner);
        inner.with_padding(None);
        let limit = TruncationParams {
            max_length,
            direction: TruncationDirection::Right,
            ..TruncationParams::default()
        };
        inner
            .with_truncation(Some(limit))
            .map_err(|e| fail(format!("max length {max_length}: {e}")))?;
        let special = inner
            .get_added_tokens_decoder()
            .iter()
            .filter(|(_, t)| t.special)
            .map(|(id, _)| *id)
            .collect();
        let unknown = Self::unknown_id(&inner);
        Ok(Self {
            inner,
            unknown,
            padding,
            special,
            max_length,
        })
    }

    fn padding_id(inner: &tokenizers::Tokenizer) -> u32 {
        let stated = inner.get_padding().map(|p| p.pad_id);
        stated
            .or_else(|| ["[PAD]", "<pad>"].iter().find_map(|t| inner.token_to_id(t)))
            .unwrap_or(0)
    }

    fn unknown_id(inner: &tokenizers::Tokenizer) -> Option<u32> {
        ["[UNK]", "<unk>"].iter().find_map(|t| inner.token_to_id(t))
    }

    /// The most tokens a text may have.
    pub fn max_length(&self) -> usize {
        self.max_length
    }

    /// The id that fills up short texts.
    pub fn padding(&self) -> u32 {
        self.padding
    }

    /// The number of ids, added tokens included.
    pub fn vocab_size(&self) -> usize {
        self.inner.get_vocab_size(true)
    }

    /// The ids of one text.
    ///
    /// # Errors
    /// Where the text is empty, or none of its tokens is known.
    pub fn encode(&self, text: &str) -> Result<Encoded, TextError> {
        if text.trim().is_empty() {
            return Err(TextError::Empty);
        }
        let encoding = self
            .inner
            .encode_fast(text, true)
            .map_err(|e| TextError::Encode(e.to_string()))?;
        let ids = encoding.get_ids();
        let mut words = ids
            .iter()
            .filter(|id| Some(**id) == self.unknown || !self.special.contains(id))
            .peekable();
        if words.peek().is_none() {
            return Err(TextError::Empty);
        }
        if words.all(|id| Some(*id) == self.unknown) {
            return Err(TextError::Unknown);
        }
        Ok(Encoded {
            input_ids: ids.to_vec(),
            token_type_ids: encoding.get_type_ids().to_vec(),
            truncated: !encoding.get_overflowing().is_empty(),
        })
    }
}

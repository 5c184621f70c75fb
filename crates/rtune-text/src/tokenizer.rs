use crate::{Encoded, TextError};
use std::path::Path;
use tokenizers::{TruncationDirection, TruncationParams};

/// A model's own tokenizer with rtune's length limit.
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
    /// If the file is missing or damaged, or `max_length` leaves no room for a token.
    pub fn read(folder: &Path, max_length: usize) -> Result<Self, TextError> {
        let path = folder.join("tokenizer.json");
        if !path.is_file() {
            return Err(TextError::Missing(folder.to_owned()));
        }
        if max_length < 3 {
            let problem = format!(
                "max length {max_length} leaves no room for a token \
                 between the two special ones; give at least 3"
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

    /// The id that the file states, or that of a common padding token.
    fn padding_id(inner: &tokenizers::Tokenizer) -> u32 {
        let stated = inner.get_padding().map(|p| p.pad_id);
        stated
            .or_else(|| ["[PAD]", "<pad>"].iter().find_map(|t| inner.token_to_id(t)))
            // Without a padding token, any id does: the mask excludes it.
            .unwrap_or(0)
    }

    fn unknown_id(inner: &tokenizers::Tokenizer) -> Option<u32> {
        ["[UNK]", "<unk>"].iter().find_map(|t| inner.token_to_id(t))
    }

    /// Returns the largest number of tokens of a text, special tokens included.
    pub fn max_length(&self) -> usize {
        self.max_length
    }

    /// Returns the id that short texts are padded with.
    pub fn padding(&self) -> u32 {
        self.padding
    }

    /// Returns the size of the vocabulary, added tokens included.
    pub fn vocab_size(&self) -> usize {
        self.inner.get_vocab_size(true)
    }

    /// Tokenizes one text.
    ///
    /// # Errors
    /// If the text is empty, or none of its tokens is in the vocabulary.
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// Words separated by white space, in lower case, between `[CLS]` and `[SEP]`.
    fn file() -> Value {
        let vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "film", "good"];
        let vocabulary = vocabulary.iter().zip(0..).map(|(word, id)| (*word, id));
        let special = [(0, "[PAD]"), (1, "[UNK]"), (2, "[CLS]"), (3, "[SEP]")];
        let added = special.map(|(id, content)| {
            json!({
                "id": id, "content": content, "special": true, "single_word": false,
                "lstrip": false, "rstrip": false, "normalized": false,
            })
        });
        json!({
            "version": "1.0",
            "truncation": null,
            "padding": null,
            "added_tokens": added,
            "normalizer": {"type": "Lowercase"},
            "pre_tokenizer": {"type": "WhitespaceSplit"},
            "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]},
            "decoder": null,
            "model": {
                "type": "WordLevel",
                "vocab": vocabulary.collect::<std::collections::BTreeMap<_, _>>(),
                "unk_token": "[UNK]",
            },
        })
    }

    fn read(file: &Value, max_length: usize) -> Result<Tokenizer, TextError> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("tokenizer.json"), file.to_string()).unwrap();
        Tokenizer::read(folder.path(), max_length)
    }

    #[test]
    fn text_becomes_ids_between_special_tokens() {
        let tokenizer = read(&file(), 8).unwrap();
        let encoded = tokenizer.encode("The  GOOD film").unwrap();
        assert_eq!(encoded, Encoded::new(vec![2, 4, 6, 5, 3]));
        assert_eq!((tokenizer.max_length(), tokenizer.vocab_size()), (8, 7));
    }

    #[test]
    fn long_texts_lose_their_end_and_say_so() {
        let tokenizer = read(&file(), 4).unwrap();
        let encoded = tokenizer.encode("the good film").unwrap();
        assert_eq!(encoded.input_ids, [2, 4, 6, 3]);
        assert!(encoded.truncated);
        assert!(!tokenizer.encode("good film").unwrap().truncated);
    }

    #[test]
    fn truncation_and_padding_of_the_file_are_switched_off() {
        let mut file = file();
        file["truncation"] = json!({
            "max_length": 3, "strategy": "LongestFirst", "stride": 0, "direction": "Left",
        });
        file["padding"] = json!({
            "strategy": {"Fixed": 16}, "direction": "Left", "pad_to_multiple_of": 8,
            "pad_id": 6, "pad_type_id": 1, "pad_token": "good",
        });
        let tokenizer = read(&file, 8).unwrap();
        let encoded = tokenizer.encode("the good film").unwrap();
        assert_eq!(encoded, Encoded::new(vec![2, 4, 6, 5, 3]));
        // The padding id of the file is the model's, and is kept.
        assert_eq!(tokenizer.padding(), 6);
    }

    #[test]
    fn the_padding_id_is_found_by_name() {
        assert_eq!(read(&file(), 8).unwrap().padding(), 0);
        let mut file = file();
        file["model"]["vocab"] = json!({"[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "<pad>": 5});
        file["added_tokens"] = json!([]);
        assert_eq!(read(&file, 8).unwrap().padding(), 5);
    }

    #[test]
    fn unknown_words_among_known_ones_are_kept() {
        let tokenizer = read(&file(), 8).unwrap();
        let encoded = tokenizer.encode("the dreadful film").unwrap();
        assert_eq!(encoded.input_ids, [2, 4, 1, 5, 3]);
    }

    #[test]
    fn texts_without_a_known_token_are_errors() {
        let tokenizer = read(&file(), 8).unwrap();
        for (text, unknown) in [
            ("", false),
            (" \t\n", false),
            ("[CLS]", false),
            ("dreadful", true),
            ("\u{1f600}", true),
        ] {
            let error = tokenizer.encode(text).unwrap_err();
            let expected = if unknown { "Unknown" } else { "Empty" };
            assert_eq!(format!("{error:?}"), expected, "{text:?}");
        }
    }

    #[test]
    fn a_missing_file_names_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let error = Tokenizer::read(folder.path(), 8).unwrap_err();
        assert!(matches!(error, TextError::Missing(path) if path == folder.path()));
    }

    #[test]
    fn a_damaged_file_is_named() {
        for content in ["", "{}", "[1, 2]", "{\"model\": {\"type\": \"Other\"}}"] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("tokenizer.json");
            std::fs::write(&path, content).unwrap();
            let error = Tokenizer::read(folder.path(), 8).unwrap_err().to_string();
            assert!(error.starts_with(&*path.to_string_lossy()), "{error}");
            assert!(error.contains("not a tokenizer"), "{error}");
        }
    }

    #[test]
    fn a_limit_without_room_for_a_token_is_an_error() {
        let error = read(&file(), 2).unwrap_err().to_string();
        assert!(error.contains("max length 2 leaves no room"), "{error}");
        assert!(
            read(&file(), 3)
                .unwrap()
                .encode("the film")
                .unwrap()
                .truncated
        );
    }
}

//! The settings beside a tokenizer, which Hugging Face's tokenizers follow:
//! `tokenizer_config.json`, `special_tokens_map.json`, and what `config.json` says of the model.

use crate::TextError;
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};
use tokenizers::TruncationDirection;

/// The settings beside a tokenizer; none if there is no file.
pub(crate) struct Settings {
    path: PathBuf,
    fields: Map<String, Value>,
    /// The special tokens in the form of older files.
    special: Map<String, Value>,
    /// The model's config, empty if it is no JSON object, which its own reader reports.
    model: Map<String, Value>,
}

/// A setting that `tokenizer.json` has under another name: the prefix of the tokenizer classes that
/// follow it, its name, and the type and the field of a part of `tokenizer.json`.
const TWINS: [(&str, &str, &str, &str); 4] = [
    ("Bert", "do_lower_case", "BertNormalizer", "lowercase"),
    ("Bert", "strip_accents", "BertNormalizer", "strip_accents"),
    (
        "Bert",
        "tokenize_chinese_chars",
        "BertNormalizer",
        "handle_chinese_chars",
    ),
    (
        "Roberta",
        "add_prefix_space",
        "ByteLevel",
        "add_prefix_space",
    ),
];

impl Settings {
    pub(crate) const FILE: &str = "tokenizer_config.json";

    /// Reads the settings of a model folder.
    ///
    /// # Errors
    /// If a file exists and is not a JSON object.
    pub(crate) fn read(folder: &Path) -> Result<Self, TextError> {
        let path = folder.join(Self::FILE);
        Ok(Self {
            fields: Self::object(&path)?,
            special: Self::object(&folder.join("special_tokens_map.json"))?,
            model: Self::object(&folder.join("config.json")).unwrap_or_default(),
            path,
        })
    }

    /// The fields of a file; none if it does not exist.
    ///
    /// # Errors
    /// If it exists and is not a JSON object.
    pub(crate) fn object(path: &Path) -> Result<Map<String, Value>, TextError> {
        if !path.is_file() {
            return Ok(Map::new());
        }
        let fail = |problem: String| TextError::Tokenizer {
            path: path.to_owned(),
            problem,
        };
        let text = std::fs::read(path).map_err(|e| fail(e.to_string()))?;
        serde_json::from_slice(&text)
            .map_err(|e| fail(format!("not a JSON object ({e}); download it again")))
    }

    /// An error about the file.
    pub(crate) fn error(&self, problem: String) -> TextError {
        TextError::Tokenizer {
            path: self.path.clone(),
            problem,
        }
    }

    /// A field, unless it is null.
    pub(crate) fn field(&self, name: &str) -> Option<&Value> {
        self.fields.get(name).filter(|value| !value.is_null())
    }

    /// A field that is true or false.
    pub(crate) fn flag(&self, name: &str) -> Result<Option<bool>, TextError> {
        let value = self.field(name).map(|value| match value {
            Value::Bool(flag) => Ok(*flag),
            other => Err(self.error(format!("{name} is {other}, expected true or false"))),
        });
        value.transpose()
    }

    /// The same, with a default.
    pub(crate) fn is(&self, name: &str, default: bool) -> Result<bool, TextError> {
        Ok(self.flag(name)?.unwrap_or(default))
    }

    /// A field that is a text.
    fn text(&self, name: &str) -> Option<&str> {
        self.field(name)?.as_str()
    }

    /// The tokens with ids that were added to a vocabulary, in the form of newer files.
    pub(crate) fn added_tokens(&self) -> Option<&Map<String, Value>> {
        self.field("added_tokens_decoder")?.as_object()
    }

    /// A setting of special tokens. Without the newer form of added tokens, the older file of
    /// special tokens has the last word.
    pub(crate) fn token(&self, name: &str) -> Option<&Value> {
        let older = self.special.get(name).filter(|value| !value.is_null());
        match self.added_tokens() {
            Some(_) => self.field(name).or(older),
            None => older.or_else(|| self.field(name)),
        }
    }

    /// The class of the tokenizer, without the suffix of its fast form. The class of all
    /// tokenizers that are read from `tokenizer.json` says nothing.
    pub(crate) fn class(&self) -> Option<&str> {
        let stated = self.text("tokenizer_class");
        let stated = stated.or_else(|| self.model.get("tokenizer_class")?.as_str());
        let class = stated.map(|class| class.strip_suffix("Fast").unwrap_or(class));
        class.filter(|class| !["PreTrainedTokenizer", "TokenizersBackend"].contains(class))
    }

    /// The family of the model's encoder.
    pub(crate) fn family(&self) -> Option<&str> {
        self.model.get("model_type")?.as_str()
    }

    /// True if the model was trained here, with the tokenizer beside it.
    pub(crate) fn is_trained_here(&self) -> bool {
        self.model.contains_key("rtune")
    }

    /// An error about a file from which a tokenizer of the named classes can be built, though the
    /// settings name another one or none.
    pub(crate) fn other_class(&self, path: &Path, expected: &str) -> TextError {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if let Some(class) = self.class() {
            return self.error(format!(
                "tokenizer_class is `{class}`, so tokenizer.json cannot be built from {name}; \
                 download it"
            ));
        }
        TextError::Tokenizer {
            path: path.to_owned(),
            problem: format!(
                "{} does not say which tokenizer it belongs to; state tokenizer_class there \
                 ({expected}), or download tokenizer.json",
                Self::FILE
            ),
        }
    }

    /// True if the tokenizer's class is one whose name begins so, or is not stated.
    fn has_class(&self, prefixes: &[&str]) -> bool {
        let class = self.text("tokenizer_class");
        class.is_none_or(|class| prefixes.iter().any(|prefix| class.starts_with(prefix)))
    }

    /// The end of long texts that is cut: that of the settings, or else that of the tokenizer.
    ///
    /// # Errors
    /// If the setting is none of both.
    pub(crate) fn truncation(
        &self,
        tokenizer: &tokenizers::Tokenizer,
    ) -> Result<TruncationDirection, TextError> {
        match self.text("truncation_side") {
            Some("right") => Ok(TruncationDirection::Right),
            Some("left") => Ok(TruncationDirection::Left),
            Some(other) => Err(self.error(format!(
                "truncation_side is `{other}`, expected `right` or `left`"
            ))),
            None => Ok(tokenizer
                .get_truncation()
                .map_or(TruncationDirection::Right, |stated| stated.direction)),
        }
    }

    /// Checks that the settings do not contradict the tokenizer: Hugging Face's tokenizers follow
    /// the settings, so the model was trained with them.
    ///
    /// # Errors
    /// If one does.
    pub(crate) fn check(&self, tokenizer: &tokenizers::Tokenizer) -> Result<(), TextError> {
        let part = |value: serde_json::Result<Value>| value.unwrap_or_default();
        let normalizer = part(serde_json::to_value(tokenizer.get_normalizer()));
        let splitter = part(serde_json::to_value(tokenizer.get_pre_tokenizer()));
        for (class, name, kind, twin) in TWINS {
            let Some(here) = self
                .field(name)
                .filter(|_| self.has_class(&[class, "Distil"]))
            else {
                continue;
            };
            let found = [&normalizer, &splitter];
            let there = found
                .into_iter()
                .find_map(|part| field_of(part, kind, twin));
            if let Some(there) = there.filter(|there| !there.is_null() && *there != here) {
                return Err(self.error(format!(
                    "{name} is {here}, but {twin} of tokenizer.json is {there}; correct one of \
                     the two files"
                )));
            }
        }
        Ok(())
    }
}

/// The field of the first part of the type, which may be in a sequence of parts.
fn field_of<'a>(part: &'a Value, kind: &str, field: &str) -> Option<&'a Value> {
    if part.get("type").and_then(Value::as_str) == Some(kind) {
        return part.get(field);
    }
    let lists = ["normalizers", "pretokenizers"].into_iter();
    let mut parts = lists
        .filter_map(|list| part.get(list)?.as_array())
        .flatten();
    parts.find_map(|part| field_of(part, kind, field))
}

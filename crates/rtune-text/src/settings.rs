//! `tokenizer_config.json`: settings beside a tokenizer, which Hugging Face's tokenizers follow.

use crate::TextError;
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};
use tokenizers::TruncationDirection;

/// The settings beside a tokenizer; none if there is no file.
pub(crate) struct Settings {
    path: PathBuf,
    fields: Map<String, Value>,
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
    /// If the file exists and is not a JSON object.
    pub(crate) fn read(folder: &Path) -> Result<Self, TextError> {
        let path = folder.join(Self::FILE);
        if !path.is_file() {
            let fields = Map::new();
            return Ok(Self { path, fields });
        }
        let fail = |problem: String| TextError::Tokenizer {
            path: path.clone(),
            problem,
        };
        let text = std::fs::read(&path).map_err(|e| fail(e.to_string()))?;
        let fields = serde_json::from_slice(&text)
            .map_err(|e| fail(format!("not a JSON object ({e}); download it again")))?;
        Ok(Self { path, fields })
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

    /// A field that is a text, or a token with its text as `content`.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        let value = self.field(name)?;
        value.as_str().or_else(|| value.get("content")?.as_str())
    }

    /// True if the tokenizer's class is one whose name begins so, or is not stated.
    pub(crate) fn has_class(&self, prefixes: &[&str]) -> bool {
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

//! Tokens that are recognized in a text before it is split: special ones, and those that were
//! added to a vocabulary.

use super::error;
use super::kind::Kind;
use crate::TextError;
use crate::settings::Settings;
use serde_json::{Value, json};
use std::path::Path;

const FILE: &str = "added_tokens.json";

/// A token with its properties, as `tokenizer.json` has them.
struct Token {
    id: u32,
    /// The id that a file states.
    stated: Option<u32>,
    content: String,
    single_word: bool,
    lstrip: bool,
    rstrip: bool,
    normalized: bool,
    special: bool,
}

/// The tokens of a tokenizer, in the order of their ids.
pub(super) struct Added {
    tokens: Vec<Token>,
    unknown: String,
    around: [(String, u32); 2],
    padding: Option<(String, u32)>,
}

/// The words of a vocabulary file.
pub(super) struct Words<'a> {
    pub(super) path: &'a Path,
    /// The id of the first token that is added.
    pub(super) size: u32,
    /// Finds the id of a word.
    pub(super) id: &'a dyn Fn(&str) -> Option<u32>,
}

impl Added {
    /// The tokens of the settings.
    ///
    /// # Errors
    /// If a needed token is missing, or a stated id is not the one that the token gets.
    pub(super) fn read(
        words: &Words<'_>,
        settings: &Settings,
        kind: Kind,
    ) -> Result<Self, TextError> {
        let names = kind.tokens().map(|(setting, default)| {
            let stated = settings.token(setting).and_then(content);
            stated.unwrap_or(default).to_owned()
        });
        let mut tokens = Vec::new();
        let mut next = words.size;
        for mut token in wanted(words.path, settings, kind, &names)? {
            let is_other = |known: &Token| known.content != token.content;
            // The vocabularies of DeBERTa lack the token for hidden words, but the models have it.
            let is_optional =
                kind != Kind::DebertaV2 && names.contains(&token.content) && token.stated.is_none();
            let known = (words.id)(&token.content);
            if token.content.is_empty()
                || !tokens.iter().all(is_other)
                || is_optional && known.is_none()
            {
                continue;
            }
            token.id = known.unwrap_or(next);
            if let Some(stated) = token.stated.filter(|stated| *stated != token.id) {
                let problem = format!(
                    "the id of the added token `{}` is stated as {stated}, but is {} here; \
                     download tokenizer.json",
                    token.content, token.id
                );
                return Err(error(words.path, problem));
            }
            next = next.saturating_add(u32::from(known.is_none()));
            tokens.push(token);
        }
        tokens.sort_by_key(|token| token.id);
        let find = |name: &String| tokens.iter().find(|token| token.content == *name);
        let needed = |name: &String| {
            let found = find(name).map(|token| (name.clone(), token.id));
            let problem = || format!("has no token `{name}`; download tokenizer.json");
            found.ok_or_else(|| error(words.path, problem()))
        };
        let [unknown, first, last, padding, _] = &names;
        Ok(Self {
            unknown: needed(unknown)?.0,
            around: [needed(first)?, needed(last)?],
            padding: find(padding).map(|token| (padding.clone(), token.id)),
            tokens,
        })
    }

    /// The token for unknown words.
    pub(super) fn unknown(&self) -> &str {
        &self.unknown
    }

    /// The first and the last token of every text, with their ids.
    pub(super) fn around(&self) -> [(String, u32); 2] {
        self.around.clone()
    }

    /// The token of padding and its id.
    pub(super) fn padding(&self) -> Option<&(String, u32)> {
        self.padding.as_ref()
    }

    /// True for a token of the settings or an added one.
    pub(super) fn contains(&self, name: &str) -> bool {
        self.tokens.iter().any(|token| token.content == name)
    }

    /// Adds a token of the vocabulary, unless the settings have it.
    pub(super) fn include(&mut self, id: u32, name: &str, is_special: bool) {
        if !self.contains(name) {
            let mut token = Token::new(name, None);
            (token.id, token.special) = (id, is_special);
            self.tokens.push(token);
            self.tokens.sort_by_key(|token| token.id);
        }
    }

    /// The tokens as `tokenizer.json` has them.
    pub(super) fn to_json(&self) -> Vec<Value> {
        let token = |token: &Token| {
            json!({
                "id": token.id, "content": token.content, "special": token.special,
                "single_word": token.single_word, "lstrip": token.lstrip, "rstrip": token.rstrip,
                "normalized": token.normalized,
            })
        };
        self.tokens.iter().map(token).collect()
    }
}

impl Token {
    /// A token whose properties are those of a JSON object, if it is one.
    fn new(content: &str, properties: Option<&Value>) -> Self {
        let flag = |name: &str| {
            let value = properties.and_then(|properties| properties.get(name));
            value.and_then(Value::as_bool).unwrap_or(false)
        };
        Self {
            id: 0,
            stated: None,
            content: content.to_owned(),
            single_word: flag("single_word"),
            lstrip: flag("lstrip"),
            rstrip: flag("rstrip"),
            normalized: flag("normalized"),
            special: flag("special"),
        }
    }
}

/// The text of a token, which is a text or an object that has it.
pub(super) fn content(value: &Value) -> Option<&str> {
    value.as_str().or_else(|| value.get("content")?.as_str())
}

/// All tokens that the settings name, those with ids first. A token may be there twice.
fn wanted(
    vocabulary: &Path,
    settings: &Settings,
    kind: Kind,
    names: &[String],
) -> Result<Vec<Token>, TextError> {
    let mut tokens = extra(vocabulary, settings, kind, names)?;
    for ((setting, _), name) in kind.tokens().iter().zip(names) {
        let stated = settings.token(setting);
        let mut token = Token::new(name, stated);
        token.special = true;
        let is_name = stated.is_none_or(Value::is_string);
        token.lstrip |= is_name && *setting == "mask_token" && kind.mask_includes_space();
        token.normalized |= is_name && *setting == "unk_token" && kind == Kind::DebertaV2;
        tokens.push(token);
    }
    let listed = settings.token("additional_special_tokens");
    for value in listed.and_then(Value::as_array).into_iter().flatten() {
        let mut token = Token::new(content(value).unwrap_or_default(), Some(value));
        token.special = true;
        tokens.push(token);
    }
    Ok(tokens)
}

/// The tokens with ids that settings state, or else those of `added_tokens.json`.
fn extra(
    vocabulary: &Path,
    settings: &Settings,
    kind: Kind,
    names: &[String],
) -> Result<Vec<Token>, TextError> {
    let mut tokens = Vec::new();
    let wrong = |id: &dyn std::fmt::Display, name: &str| {
        format!("gives the token `{name}` the id {id}, expected a number below 2^32")
    };
    if let Some(stated) = settings.added_tokens() {
        for (key, value) in stated {
            let mut token = Token::new(content(value).unwrap_or_default(), Some(value));
            let id = key.parse::<u32>();
            token.stated = Some(id.map_err(|_| settings.error(wrong(key, &token.content)))?);
            tokens.push(token);
        }
    } else {
        let path = vocabulary.with_file_name(FILE);
        let stated = kind.tokens().map(|(setting, _)| settings.token(setting));
        let stated: Vec<&str> = stated.into_iter().flatten().filter_map(content).collect();
        for (name, id) in Settings::object(&path)? {
            let number = id.as_u64().and_then(|id| u32::try_from(id).ok());
            let mut token = Token::new(&name, None);
            token.stated = Some(number.ok_or_else(|| error(&path, wrong(&id, &name)))?);
            // Tokens that are special by default alone are read as words, then become special.
            token.normalized = !stated.contains(&name.as_str());
            token.special = names.contains(&name);
            tokens.push(token);
        }
    }
    tokens.sort_by_key(|token| token.stated);
    Ok(tokens)
}

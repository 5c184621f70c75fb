//! The tokenizer of BERT, and that of MPNet, from its vocabulary.

use super::added::{Added, Words};
use super::kind::Kind;
use super::processor::Around;
use super::{Parts, document, error};
use crate::TextError;
use crate::settings::Settings;
use serde_json::{Map, Value, json};
use std::path::Path;

pub(super) const VOCABULARY: &str = "vocab.txt";

/// Builds a tokenizer.
///
/// # Errors
/// If a file cannot be read, a needed token is missing, or the settings ask for another tokenizer.
pub(super) fn build(path: &Path, settings: &Settings) -> Result<Value, TextError> {
    let kind = kind(path, settings)?;
    check(settings)?;
    let text = std::fs::read_to_string(path).map_err(|e| error(path, e.to_string()))?;
    let words = text.lines().map(str::to_owned);
    let vocabulary: Map<String, Value> = words.zip(0_u32..).map(|(w, id)| (w, json!(id))).collect();
    let id = |word: &str| {
        let id = vocabulary.get(word)?.as_u64()?;
        u32::try_from(id).ok()
    };
    let size = u32::try_from(text.lines().count()).unwrap_or(u32::MAX);
    let tokens = Added::read(
        &Words {
            path,
            size,
            id: &id,
        },
        settings,
        kind,
    )?;
    let lower_case = match settings.flag("do_lower_case")? {
        Some(stated) => stated,
        None => match word_in_upper_case(&vocabulary, &tokens) {
            None => true,
            Some(word) => {
                let problem = format!(
                    "has words in upper case, such as `{word}`, but {} does not state \
                     do_lower_case; set it to false if the model distinguishes upper case",
                    Settings::FILE
                );
                return Err(error(path, problem));
            }
        },
    };
    let parts = Parts {
        normalizer: json!({
            "type": "BertNormalizer",
            "clean_text": true,
            "handle_chinese_chars": settings.is("tokenize_chinese_chars", true)?,
            "strip_accents": settings.flag("strip_accents")?,
            "lowercase": lower_case,
        }),
        pre_tokenizer: json!({"type": "BertPreTokenizer"}),
        post_processor: Around::of(kind, &tokens).processor(),
        decoder: json!({"type": "WordPiece", "prefix": "##", "cleanup": true}),
        model: json!({
            "type": "WordPiece",
            "unk_token": tokens.unknown(),
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": vocabulary,
        }),
    };
    Ok(document(&tokens, parts))
}

/// The kind of the tokenizer. Models of many families have BERT's without saying so.
fn kind(path: &Path, settings: &Settings) -> Result<Kind, TextError> {
    match Kind::of(settings) {
        Some(kind @ (Kind::Bert | Kind::MpNet)) => Ok(kind),
        _ if settings.class().is_none() => Ok(Kind::Bert),
        _ => Err(settings.other_class(path, "BertTokenizer")),
    }
}

/// Checks that the settings do not ask for another way of splitting.
fn check(settings: &Settings) -> Result<(), TextError> {
    let other = "so tokenizer.json cannot be built from vocab.txt; download it";
    if settings.flag("do_basic_tokenize")? == Some(false) {
        return Err(settings.error(format!("do_basic_tokenize is false, {other}")));
    }
    let is_empty = |value: &Value| value.as_array().is_some_and(Vec::is_empty);
    match settings
        .field("never_split")
        .filter(|words| !is_empty(words))
    {
        None => Ok(()),
        Some(words) => Err(settings.error(format!("never_split is {words}, {other}"))),
    }
}

/// The first word of the vocabulary with an upper-case letter, without tokens in brackets.
fn word_in_upper_case<'a>(
    vocabulary: &'a Map<String, Value>,
    tokens: &Added,
) -> Option<&'a String> {
    let is_word = |word: &&String| !word.starts_with('[') && !tokens.contains(word);
    let mut words = vocabulary.keys().filter(is_word);
    words.find(|word| word.chars().any(char::is_uppercase))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Tokenizer;

    const WORDS: &str = "[PAD]\n[UNK]\n[CLS]\n[SEP]\nthe\nfilm\ngood\n##s\ncafe\n.\n\u{4e2d}\n";

    fn read(vocabulary: &str, settings: Option<Value>) -> Result<Tokenizer, TextError> {
        let folder = tempfile::tempdir().map_err(|e| TextError::Encode(e.to_string()))?;
        let write = |name: &str, text: String| std::fs::write(folder.path().join(name), text);
        let written = write(VOCABULARY, vocabulary.to_owned());
        let settings = settings.map_or(Ok(()), |s| write(Settings::FILE, s.to_string()));
        written
            .and(settings)
            .map_err(|e| TextError::Encode(e.to_string()))?;
        Tokenizer::read(folder.path(), 16)
    }

    #[test]
    fn texts_are_normalized_and_split_as_bert_does() -> Result<(), TextError> {
        let cases = [
            (json!({}), "The  films.", vec![2, 4, 5, 7, 9, 3]),
            (json!({"do_lower_case": true}), "CAF\u{c9}", vec![2, 8, 3]),
            (
                json!({"do_lower_case": false}),
                "The film",
                vec![2, 1, 5, 3],
            ),
            (
                json!({"strip_accents": false}),
                "film caf\u{e9}",
                vec![2, 5, 1, 3],
            ),
            (json!({}), "film\u{4e2d}\u{4e2d}", vec![2, 5, 10, 10, 3]),
            (
                json!({"tokenize_chinese_chars": false}),
                "film \u{4e2d}the",
                vec![2, 5, 1, 3],
            ),
            (
                json!({"cls_token": {"content": "good"}}),
                "film",
                vec![6, 5, 3],
            ),
        ];
        for (settings, text, expected) in cases {
            let tokenizer = read(WORDS, Some(settings.clone()))?;
            assert_eq!(tokenizer.encode(text)?.input_ids, expected, "{settings}");
            assert_eq!(tokenizer.padding(), 0);
        }
        // Lines may end in CRLF.
        let tokenizer = read(&WORDS.replace('\n', "\r\n"), None)?;
        assert_eq!(tokenizer.encode("good film")?.input_ids, [2, 6, 5, 3]);
        Ok(())
    }

    #[test]
    fn another_tokenizer_is_not_built() {
        let cases = [
            (
                WORDS,
                json!({"tokenizer_class": "RobertaTokenizer"}),
                "is `RobertaTokenizer`",
            ),
            (
                WORDS,
                json!({"do_basic_tokenize": false}),
                "do_basic_tokenize is false",
            ),
            (
                WORDS,
                json!({"never_split": ["a"]}),
                "never_split is [\"a\"]",
            ),
            (
                WORDS,
                json!({"do_lower_case": "no"}),
                "do_lower_case is \"no\", expected true",
            ),
            (
                WORDS,
                json!({"added_tokens_decoder": {"9": {"content": "<x>"}}}),
                "the added token `<x>` is stated as 9, but is 11 here",
            ),
            ("the\nfilm\n", json!({}), "has no token `[UNK]`"),
            (
                &format!("{WORDS}The\n"),
                json!({}),
                "such as `The`, but tokenizer_config.json",
            ),
        ];
        for (vocabulary, settings, expected) in cases {
            let error = read(vocabulary, Some(settings.clone())).map(|_| ());
            let error = error.map_err(|error| error.to_string());
            assert!(
                error.as_ref().is_err_and(|e| e.contains(expected)),
                "{settings}: {error:?}"
            );
        }
        assert!(
            read(
                &format!("{WORDS}The\n"),
                Some(json!({"do_lower_case": false}))
            )
            .is_ok()
        );
    }
}

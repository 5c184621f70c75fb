//! The tokenizer of BERT from its vocabulary, for models that were published without
//! `tokenizer.json`.

use crate::TextError;
use crate::settings::Settings;
use serde_json::{Map, Value, json};
use std::path::Path;

pub(crate) const VOCABULARY: &str = "vocab.txt";

/// The beginnings of the names of tokenizer classes that this is.
const CLASSES: [&str; 4] = ["BertTokenizer", "DistilBert", "Electra", "MobileBert"];

/// The tokens that a text does not have, by their settings; the first three are needed.
const TOKENS: [(&str, &str); 5] = [
    ("unk_token", "[UNK]"),
    ("cls_token", "[CLS]"),
    ("sep_token", "[SEP]"),
    ("pad_token", "[PAD]"),
    ("mask_token", "[MASK]"),
];

/// Builds the content of `tokenizer.json` from `vocab.txt` and the settings of a model folder.
///
/// # Errors
/// If a file cannot be read, a needed token is missing, or the settings ask for another tokenizer.
pub(crate) fn build(folder: &Path, settings: &Settings) -> Result<Value, TextError> {
    let path = folder.join(VOCABULARY);
    let fail = |problem: String| TextError::Tokenizer {
        path: path.clone(),
        problem,
    };
    check(folder, settings)?;
    let text = std::fs::read_to_string(&path).map_err(|e| fail(e.to_string()))?;
    let words = text.lines().map(str::to_owned);
    let vocabulary: Map<String, Value> = words.zip(0_u32..).map(|(w, id)| (w, json!(id))).collect();
    let name =
        |(setting, default): (&str, &str)| settings.text(setting).unwrap_or(default).to_owned();
    let tokens = TOKENS.map(name);
    let missing = tokens[..3]
        .iter()
        .find(|token| !vocabulary.contains_key(*token));
    if let Some(token) = missing {
        return Err(fail(format!(
            "has no line `{token}`, so it is no vocabulary of BERT's; download tokenizer.json"
        )));
    }
    check_added(settings, &vocabulary)?;
    let lower_case = match settings.flag("do_lower_case")? {
        Some(stated) => stated,
        None => match words_in_upper_case(&vocabulary, &tokens) {
            None => true,
            Some(word) => {
                return Err(fail(format!(
                    "has words in upper case, such as `{word}`, but {} does not state \
                     do_lower_case; set it to false if the model distinguishes upper case",
                    Settings::FILE
                )));
            }
        },
    };
    let normalizer = json!({
        "type": "BertNormalizer",
        "clean_text": true,
        "handle_chinese_chars": settings.flag("tokenize_chinese_chars")?.unwrap_or(true),
        "strip_accents": settings.flag("strip_accents")?,
        "lowercase": lower_case,
    });
    Ok(document(&vocabulary, &tokens, &normalizer))
}

/// The content of `tokenizer.json`. The tokens have the order of [`TOKENS`].
fn document(vocabulary: &Map<String, Value>, tokens: &[String; 5], normalizer: &Value) -> Value {
    let id = |token: &String| vocabulary.get(token).cloned().unwrap_or_default();
    let [unknown, first, last, padding, _] = tokens;
    let padding = vocabulary.contains_key(padding).then(|| {
        json!({
            "strategy": "BatchLongest", "direction": "Right", "pad_to_multiple_of": null,
            "pad_id": id(padding), "pad_type_id": 0, "pad_token": padding,
        })
    });
    let special = tokens.iter().filter_map(|token| {
        Some(json!({
            "id": vocabulary.get(token)?, "content": token, "special": true, "single_word": false,
            "lstrip": false, "rstrip": false, "normalized": false,
        }))
    });
    json!({
        "version": "1.0",
        "truncation": null,
        "padding": padding,
        "added_tokens": special.collect::<Vec<_>>(),
        "normalizer": normalizer,
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "BertProcessing", "sep": [last, id(last)], "cls": [first, id(first)],
        },
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
        "model": {
            "type": "WordPiece",
            "unk_token": unknown,
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": vocabulary,
        },
    })
}

/// Checks that the settings do not ask for another tokenizer.
fn check(folder: &Path, settings: &Settings) -> Result<(), TextError> {
    let other = "so tokenizer.json cannot be built from vocab.txt; download it";
    if !settings.has_class(&CLASSES) {
        let class = settings.text("tokenizer_class").unwrap_or_default();
        return Err(settings.error(format!("tokenizer_class is `{class}`, {other}")));
    }
    if settings.flag("do_basic_tokenize")? == Some(false) {
        return Err(settings.error(format!("do_basic_tokenize is false, {other}")));
    }
    let is_empty = |value: &Value| value.as_array().is_some_and(Vec::is_empty);
    if let Some(words) = settings
        .field("never_split")
        .filter(|words| !is_empty(words))
    {
        return Err(settings.error(format!("never_split is {words}, {other}")));
    }
    let added = folder.join("added_tokens.json");
    if added.is_file() {
        let problem = format!("adds tokens to vocab.txt, {other}");
        return Err(TextError::Tokenizer {
            path: added,
            problem,
        });
    }
    Ok(())
}

/// Checks that all tokens of the settings are in the vocabulary.
fn check_added(settings: &Settings, vocabulary: &Map<String, Value>) -> Result<(), TextError> {
    let added = settings
        .field("added_tokens_decoder")
        .and_then(Value::as_object);
    let tokens = added.into_iter().flatten();
    let mut names = tokens.filter_map(|(_, token)| token.get("content")?.as_str());
    match names.find(|name| !vocabulary.contains_key(*name)) {
        None => Ok(()),
        Some(name) => Err(settings.error(format!(
            "adds the token `{name}` to vocab.txt, so tokenizer.json cannot be built from it; \
             download it"
        ))),
    }
}

/// The first word of the vocabulary with an upper-case letter, without tokens in brackets.
fn words_in_upper_case<'a>(
    vocabulary: &'a Map<String, Value>,
    tokens: &[String],
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
                "adds the token `<x>`",
            ),
            ("the\nfilm\n", json!({}), "has no line `[UNK]`"),
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

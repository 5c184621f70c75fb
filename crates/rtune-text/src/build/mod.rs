//! The content of `tokenizer.json` from the files of older tokenizers, for models that were
//! published without it.

mod added;
mod byte_level;
mod kind;
mod processor;
mod protobuf;
mod unigram;
mod wordpiece;

pub(crate) use processor::tokens_around;

use crate::TextError;
use crate::settings::Settings;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// A tokenizer that was built.
pub(crate) struct Built {
    /// The file that it was built from.
    pub(crate) from: PathBuf,
    /// The content of `tokenizer.json`.
    pub(crate) content: Value,
}

type Builder = fn(&Path, &Settings) -> Result<Value, TextError>;

/// The files from which a tokenizer can be built, in the order in which they are looked for.
const BUILDERS: [(&str, Builder); 5] = [
    (wordpiece::VOCABULARY, wordpiece::build),
    (byte_level::VOCABULARY, byte_level::build),
    (unigram::XLM_ROBERTA, unigram::build),
    (unigram::ALBERT, unigram::build),
    (unigram::DEBERTA, unigram::build),
];

/// Builds a tokenizer from the files of a folder, if it has those of a tokenizer.
///
/// # Errors
/// If they cannot be used.
pub(crate) fn build(folder: &Path, settings: &Settings) -> Result<Option<Built>, TextError> {
    for (name, builder) in BUILDERS {
        let from = folder.join(name);
        if from.is_file() {
            let content = builder(&from, settings)?;
            return Ok(Some(Built { from, content }));
        }
    }
    Ok(None)
}

/// An error about a file.
fn error(path: &Path, problem: String) -> TextError {
    TextError::Tokenizer {
        path: path.to_owned(),
        problem,
    }
}

/// The parts of a tokenizer that differ between kinds.
struct Parts {
    normalizer: Value,
    pre_tokenizer: Value,
    post_processor: Value,
    decoder: Value,
    model: Value,
}

/// The content of `tokenizer.json`.
fn document(tokens: &added::Added, parts: Parts) -> Value {
    let padding = tokens.padding().map(|(token, id)| {
        json!({
            "strategy": "BatchLongest", "direction": "Right", "pad_to_multiple_of": null,
            "pad_id": id, "pad_type_id": 0, "pad_token": token,
        })
    });
    json!({
        "version": "1.0",
        "truncation": null,
        "padding": padding,
        "added_tokens": tokens.to_json(),
        "normalizer": parts.normalizer,
        "pre_tokenizer": parts.pre_tokenizer,
        "post_processor": parts.post_processor,
        "decoder": parts.decoder,
        "model": parts.model,
    })
}

#[cfg(test)]
mod tests {
    use crate::Tokenizer;

    const VOCABULARY: &str = r#"{"<s>":0,"<pad>":1,"</s>":2,"<unk>":3,"a":4,"b":5,"ab":6}"#;
    const MERGES: &str = "#version: 0.2\na b\n";
    const ROBERTA: &str = r#"{"tokenizer_class": "RobertaTokenizer"}"#;
    const XLM_ROBERTA: &str = r#"{"tokenizer_class": "XLMRobertaTokenizer"}"#;

    /// Reads a folder with the files.
    fn read(files: &[(&str, &[u8])]) -> Result<Tokenizer, String> {
        let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
        for (name, content) in files {
            std::fs::write(folder.path().join(name), content).map_err(|e| e.to_string())?;
        }
        Tokenizer::read(folder.path(), 16).map_err(|error| error.to_string())
    }

    #[test]
    fn byte_pairs_are_built_if_the_class_or_the_family_is_stated() {
        let files = [
            ("vocab.json", VOCABULARY.as_bytes()),
            ("merges.txt", MERGES.as_bytes()),
        ];
        for stated in [
            ("tokenizer_config.json", ROBERTA),
            ("config.json", r#"{"model_type": "roberta"}"#),
            (
                "config.json",
                r#"{"tokenizer_class": "RobertaTokenizerFast"}"#,
            ),
        ] {
            let stated = (stated.0, stated.1.as_bytes());
            let tokenizer = read(&[files[0], files[1], stated]);
            let ids = tokenizer.map(|t| t.encode("ab").map(|e| e.input_ids).unwrap_or_default());
            assert_eq!(ids, Ok(vec![0, 6, 2]), "{}", stated.0);
        }
    }

    #[test]
    fn other_files_are_named() {
        type Files<'a> = &'a [(&'a str, &'a [u8])];
        let cases: [(Files<'_>, &str); 12] = [
            (
                &[("vocab.json", VOCABULARY.as_bytes())],
                "vocab.json: tokenizer_config.json does not say which tokenizer it belongs to; \
                 state tokenizer_class there (RobertaTokenizer), or download tokenizer.json",
            ),
            (
                &[
                    ("vocab.json", VOCABULARY.as_bytes()),
                    (
                        "tokenizer_config.json",
                        br#"{"tokenizer_class": "GPT2Tokenizer"}"#,
                    ),
                ],
                "tokenizer_config.json: tokenizer_class is `GPT2Tokenizer`, so tokenizer.json \
                 cannot be built from vocab.json; download it",
            ),
            (
                &[
                    ("vocab.json", VOCABULARY.as_bytes()),
                    ("tokenizer_config.json", ROBERTA.as_bytes()),
                ],
                "merges.txt: is missing beside vocab.json; download it, or tokenizer.json",
            ),
            (
                &[
                    ("vocab.json", VOCABULARY.as_bytes()),
                    ("merges.txt", b"a b\n"),
                    ("tokenizer_config.json", ROBERTA.as_bytes()),
                ],
                "merges.txt: does not begin with `#version`; download it again",
            ),
            (
                &[
                    ("vocab.json", VOCABULARY.as_bytes()),
                    ("merges.txt", b"#version: 0.2\na b c\n"),
                    ("tokenizer_config.json", ROBERTA.as_bytes()),
                ],
                "merges.txt: line 2 is `a b c`, expected two words",
            ),
            (
                &[
                    ("vocab.json", VOCABULARY.as_bytes()),
                    ("merges.txt", b"#version: 0.2\na c\n"),
                    ("tokenizer_config.json", ROBERTA.as_bytes()),
                ],
                "vocab.json: not a tokenizer",
            ),
            (
                &[
                    ("vocab.json", br#"{"<s>": -1}"#),
                    ("merges.txt", MERGES.as_bytes()),
                    ("tokenizer_config.json", ROBERTA.as_bytes()),
                ],
                "vocab.json: the id of `<s>` is -1, expected a number below 2^32",
            ),
            (
                &[
                    ("vocab.json", br#"{"<s>": 0, "<unk>": 1}"#),
                    ("merges.txt", MERGES.as_bytes()),
                    ("tokenizer_config.json", ROBERTA.as_bytes()),
                ],
                "vocab.json: has no token `</s>`; download tokenizer.json",
            ),
            (
                &[
                    ("vocab.json", VOCABULARY.as_bytes()),
                    ("merges.txt", MERGES.as_bytes()),
                    ("tokenizer_config.json", ROBERTA.as_bytes()),
                    ("added_tokens.json", br#"{"<new>": 9}"#),
                ],
                "vocab.json: the id of the added token `<new>` is stated as 9, but is 7 here",
            ),
            (
                &[("sentencepiece.bpe.model", b"\x0a")],
                "state tokenizer_class there (XLMRobertaTokenizer or CamembertTokenizer)",
            ),
            (
                &[
                    ("sentencepiece.bpe.model", b"\x0a\x09"),
                    ("tokenizer_config.json", XLM_ROBERTA.as_bytes()),
                ],
                "not a model of SentencePiece, or a truncated one (it ends within a field)",
            ),
            (
                // Byte pairs.
                &[
                    ("sentencepiece.bpe.model", b"\x12\x02\x18\x02"),
                    ("tokenizer_config.json", XLM_ROBERTA.as_bytes()),
                ],
                "is a model of another kind than unigram, or has pieces for single bytes",
            ),
        ];
        for (files, expected) in cases {
            let error = read(files).map(|_| ()).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
        let damaged = [
            (
                "sentencepiece.bpe.model",
                b"\x1a\x03\x12\x01\x07".as_slice(),
            ),
            ("tokenizer_config.json", XLM_ROBERTA.as_bytes()),
        ];
        let error = read(&damaged).map(|_| ()).unwrap_err();
        assert!(
            error.contains("the rules of its normalizer are damaged"),
            "{error}"
        );
    }
}

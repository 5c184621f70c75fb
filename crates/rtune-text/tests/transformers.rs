//! Tokenizers built from older files, and one without tokens around a text, give the ids that
//! transformers gives for texts of many scripts.

#![expect(
    clippy::unwrap_used,
    reason = "a failure of a helper is the test's failure"
)]

use rtune_text::{TextError, Tokenizer, TokenizerChange};
use serde_json::Value;
use std::path::{Path, PathBuf};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/tokenizers")
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// The folders of the fixtures, each with the file that its tokenizer is built from.
const BUILT: [(&str, &str); 11] = [
    ("albert", "spiece.model"),
    ("bert_accents", "vocab.txt"),
    ("bert_cased", "vocab.txt"),
    ("bert_uncased", "vocab.txt"),
    ("camembert", "sentencepiece.bpe.model"),
    ("deberta-v2", "spm.model"),
    ("deberta-v2_split", "spm.model"),
    ("mpnet", "vocab.txt"),
    ("roberta", "vocab.json"),
    ("roberta_prefix", "vocab.json"),
    ("xlm-roberta", "sentencepiece.bpe.model"),
];

/// Compares the ids of all texts, and returns the change of the tokenizer.
fn compare(name: &str) -> Option<TokenizerChange> {
    let folder = fixtures().join(name);
    let tokenizer = Tokenizer::read(&folder, 4096).unwrap();
    let texts = json(&fixtures().join("texts.json"));
    let golden = json(&folder.join("golden.json"));
    let ids = |value: &Value| -> Vec<u32> { serde_json::from_value(value.clone()).unwrap() };
    let special = ids(&golden["special"]);
    let (texts, expected) = (texts.as_array().unwrap(), golden["ids"].as_array().unwrap());
    assert_eq!(texts.len(), expected.len(), "{name}");
    let mut compared = 0;
    let mut differences = Vec::new();
    for (text, expected) in texts.iter().zip(expected) {
        let expected = ids(expected);
        let text = text.as_str().unwrap();
        match tokenizer.encode(text) {
            Ok(encoded) => {
                compared += 1;
                if encoded.input_ids != expected {
                    differences.push(format!("{text:?}\n {:?}\n {expected:?}", encoded.input_ids));
                }
            }
            Err(TextError::Empty | TextError::Unknown) => {
                assert!(expected.iter().all(|id| special.contains(id)), "{text:?}");
            }
            Err(other) => panic!("{name}: {text:?}: {other}"),
        }
    }
    assert!(
        differences.is_empty(),
        "{name}: {} of {compared} texts differ:\n{}",
        differences.len(),
        differences.join("\n")
    );
    assert!(compared > 240, "{name}: {compared} texts");
    // The tokenizer that is written is the same one.
    let copy = tempfile::tempdir().unwrap();
    tokenizer.write_changed(copy.path()).unwrap();
    let again = Tokenizer::read(copy.path(), 4096).unwrap();
    assert_eq!(again.change(), None);
    let text = texts[0].as_str().unwrap();
    assert_eq!(again.encode(text).unwrap(), tokenizer.encode(text).unwrap());
    tokenizer.change().cloned()
}

#[test]
fn built_tokenizers_agree_with_transformers() {
    for (name, file) in BUILT {
        let from = fixtures().join(name).join(file);
        assert_eq!(compare(name), Some(TokenizerChange::Built { from }));
    }
}

#[test]
fn a_tokenizer_without_special_tokens_gets_those_of_the_family() {
    let name = "bert_without_processor";
    let path = fixtures().join(name).join("tokenizer.json");
    let (first, last) = ("[CLS]".to_owned(), "[SEP]".to_owned());
    let expected = TokenizerChange::SpecialTokens { path, first, last };
    assert_eq!(compare(name), Some(expected));
}

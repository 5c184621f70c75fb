//! The tokenizer of RoBERTa, byte pairs, from its vocabulary and merges.

use super::added::{Added, Words};
use super::kind::Kind;
use super::processor::Around;
use super::{Parts, document, error};
use crate::TextError;
use crate::settings::Settings;
use serde_json::{Value, json};
use std::path::Path;

pub(super) const VOCABULARY: &str = "vocab.json";
const MERGES: &str = "merges.txt";
/// The start of the first line of the merges.
const VERSION: &str = "#version";

/// Builds a tokenizer.
///
/// # Errors
/// If a file cannot be read or the settings ask for another tokenizer.
pub(super) fn build(path: &Path, settings: &Settings) -> Result<Value, TextError> {
    if Kind::of(settings) != Some(Kind::Roberta) {
        return Err(settings.other_class(path, "RobertaTokenizer"));
    }
    let vocabulary = Settings::object(path)?;
    let id = |word: &str| {
        let id = vocabulary.get(word)?.as_u64()?;
        u32::try_from(id).ok()
    };
    if let Some((word, wrong)) = vocabulary.iter().find(|(word, _)| id(word).is_none()) {
        let problem = format!("the id of `{word}` is {wrong}, expected a number below 2^32");
        return Err(error(path, problem));
    }
    let size = vocabulary.keys().filter_map(|word| id(word)).max();
    let size = size.map_or(0, |largest| largest.saturating_add(1));
    let tokens = Added::read(
        &Words {
            path,
            size,
            id: &id,
        },
        settings,
        Kind::Roberta,
    )?;
    let merges = merges(&path.with_file_name(MERGES))?;
    let prefix_space = settings.is("add_prefix_space", false)?;
    let level = json!({
        "type": "ByteLevel", "add_prefix_space": prefix_space, "trim_offsets": true,
        "use_regex": true,
    });
    let parts = Parts {
        normalizer: Value::Null,
        pre_tokenizer: level.clone(),
        post_processor: Around::of(Kind::Roberta, &tokens).processor(),
        decoder: level,
        model: json!({
            "type": "BPE",
            "dropout": null,
            "unk_token": null,
            "continuing_subword_prefix": "",
            "end_of_word_suffix": "",
            "fuse_unk": false,
            "byte_fallback": false,
            "vocab": vocabulary,
            "merges": merges,
        }),
    };
    Ok(document(&tokens, parts))
}

/// The pairs to merge, the most frequent first.
///
/// # Errors
/// If the file cannot be read, or a line is no pair.
fn merges(path: &Path) -> Result<Vec<Value>, TextError> {
    let text = std::fs::read_to_string(path).map_err(|e| {
        let reason = match e.kind() {
            std::io::ErrorKind::NotFound => {
                format!("is missing beside {VOCABULARY}; download it, or tokenizer.json")
            }
            _ => e.to_string(),
        };
        error(path, reason)
    })?;
    let mut lines = text.split('\n').map(|line| line.trim_end_matches('\r'));
    // Readers differ in whether a first line without it is a pair.
    if !lines.next().is_some_and(|line| line.starts_with(VERSION)) {
        let problem = format!("does not begin with `{VERSION}`; download it again");
        return Err(error(path, problem));
    }
    let pairs = lines.zip(2_usize..).filter(|(line, _)| !line.is_empty());
    let pair = |(line, number): (&str, usize)| {
        let mut words = line.split_ascii_whitespace();
        match (words.next(), words.next(), words.next()) {
            (Some(first), Some(second), None) => Ok(json!([first, second])),
            _ => {
                let problem = format!("line {number} is `{line}`, expected two words");
                Err(error(path, problem))
            }
        }
    };
    pairs.map(pair).collect()
}

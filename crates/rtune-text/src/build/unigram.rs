//! Unigram tokenizers from models of SentencePiece, as Hugging Face's tokenizers convert them.

use super::added::{Added, Words};
use super::kind::Kind;
use super::processor::Around;
use super::protobuf::{Piece, SentencePieces};
use super::{Parts, document, error};
use crate::settings::Settings;
use crate::{TextError, guarded, rules};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::path::Path;
use tokenizers::normalizers::Precompiled;

/// The file of XLM-RoBERTa's and CamemBERT's tokenizers.
pub(super) const XLM_ROBERTA: &str = "sentencepiece.bpe.model";
/// The file of ALBERT's tokenizers.
pub(super) const ALBERT: &str = "spiece.model";
/// The file of DeBERTa's tokenizers.
pub(super) const DEBERTA: &str = "spm.model";

/// The kind of model that is read.
const UNIGRAM: u64 = 1;
/// The kind of a token that no text gives, and of one that was added by the author.
const CONTROL: u64 = 3;
const USER_DEFINED: u64 = 4;

/// Builds a tokenizer.
///
/// # Errors
/// If the file cannot be read, is no unigram model, or the settings ask for another tokenizer.
pub(super) fn build(path: &Path, settings: &Settings) -> Result<Value, TextError> {
    let kind = kind(path, settings)?;
    let bytes = std::fs::read(path).map_err(|e| error(path, e.to_string()))?;
    let model = SentencePieces::parse(&bytes).map_err(|fault| {
        let problem = "not a model of SentencePiece, or a truncated one";
        error(path, format!("{problem} ({fault}); download it again"))
    })?;
    if model.model_type != UNIGRAM || model.byte_fallback {
        let problem = "is a model of another kind than unigram, or has pieces for single bytes, so \
                       tokenizer.json cannot be built from it; download it";
        return Err(error(path, problem.to_owned()));
    }
    let (vocabulary, unknown) = vocabulary(kind, &model);
    let ids: HashMap<&str, u32> = vocabulary
        .iter()
        .map(|(t, _)| t.as_str())
        .zip(0..)
        .collect();
    let size = u32::try_from(vocabulary.len()).unwrap_or(u32::MAX);
    let id = |word: &str| ids.get(word).copied();
    let words = Words {
        path,
        size,
        id: &id,
    };
    let mut tokens = Added::read(&words, settings, kind)?;
    for piece in &model.pieces {
        if let (CONTROL | USER_DEFINED, Some(id)) = (piece.kind, ids.get(piece.text.as_str())) {
            tokens.include(*id, &piece.text, piece.kind == CONTROL);
        }
    }
    let metaspace = json!({
        "type": "Metaspace", "replacement": "\u{2581}", "prepend_scheme": "always", "split": true,
    });
    let parts = Parts {
        normalizer: normalizer(path, kind, &model.rules, settings)?,
        pre_tokenizer: match kind == Kind::DebertaV2 && settings.is("split_by_punct", false)? {
            true => json!({"type": "Sequence", "pretokenizers": [
                {"type": "Punctuation", "behavior": "Isolated"}, metaspace,
            ]}),
            false => metaspace.clone(),
        },
        post_processor: Around::of(kind, &tokens).processor(),
        decoder: metaspace,
        model: json!({
            "type": "Unigram", "unk_id": unknown, "vocab": vocabulary, "byte_fallback": false,
        }),
    };
    Ok(document(&tokens, parts))
}

/// The kind of the tokenizer that the file belongs to.
fn kind(path: &Path, settings: &Settings) -> Result<Kind, TextError> {
    let name = path.file_name().unwrap_or_default();
    let (kinds, classes): (&[Kind], &str) = match name.to_str() {
        Some(ALBERT) => (&[Kind::Albert], "AlbertTokenizer"),
        Some(DEBERTA) => (&[Kind::DebertaV2], "DebertaV2Tokenizer"),
        _ => (
            &[Kind::XlmRoberta, Kind::Camembert],
            "XLMRobertaTokenizer or CamembertTokenizer",
        ),
    };
    let kind = Kind::of(settings).filter(|kind| kinds.contains(kind));
    kind.ok_or_else(|| settings.other_class(path, classes))
}

/// The words with their scores, and the id of the unknown one. The ids of fairseq's models are not
/// those of the file: they begin with its own special tokens.
fn vocabulary(kind: Kind, model: &SentencePieces) -> (Vec<(String, f64)>, u64) {
    let score = |piece: &Piece| {
        // Commas between digits are no words of ALBERT's.
        let is_demoted = kind == Kind::Albert && ends_in_comma_after_digit(&piece.text);
        f64::from(piece.score) - if is_demoted { 100.0 } else { 0.0 }
    };
    let pieces = model.pieces.iter().map(|p| (p.text.clone(), score(p)));
    let own = |names: &[(&str, f64)]| {
        let owned = |(name, score): &(&str, f64)| ((*name).to_owned(), *score);
        names.iter().map(owned).collect::<Vec<_>>()
    };
    let (start, skipped) = match kind {
        Kind::XlmRoberta => {
            let start = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)];
            (own(&start), 3)
        }
        Kind::Camembert => {
            let start = [
                ("<s>NOTUSED", 0.0),
                ("<pad>", 0.0),
                ("</s>NOTUSED", 0.0),
                ("<unk>", 0.0),
                ("<unk>NOTUSED", -100.0),
            ];
            (own(&start), 1)
        }
        _ => return (pieces.collect(), model.unknown),
    };
    let all = start.into_iter().chain(pieces.skip(skipped));
    (all.chain(own(&[("<mask>", 0.0)])).collect(), 3)
}

/// True for words such as `5,`, which ALBERT's own tokenizer splits.
fn ends_in_comma_after_digit(word: &str) -> bool {
    let mut end = word.chars().rev();
    end.next() == Some(',') && end.next().is_some_and(char::is_numeric)
}

/// The changes of a text before it is split.
///
/// # Errors
/// If the rules of the file are damaged or a setting is wrong.
fn normalizer(
    path: &Path,
    kind: Kind,
    rules: &[u8],
    settings: &Settings,
) -> Result<Value, TextError> {
    let replace =
        |pattern: Value, to: &str| json!({"type": "Replace", "pattern": pattern, "content": to});
    let quotes = |from: &str| replace(json!({"String": from}), "\"");
    let spaces = |to: &str| replace(json!({"Regex": " {2,}"}), to);
    let strip = |left: bool| json!({"type": "Strip", "strip_left": left, "strip_right": true});
    let lower = |default: bool| {
        let lower_case = settings.is("do_lower_case", default)?;
        Ok::<_, TextError>(lower_case.then(|| json!({"type": "Lowercase"})))
    };
    let precompiled = match rules {
        [] => None,
        rules => Some(compiled(path, rules)?),
    };
    let all: Vec<Value> = match kind {
        Kind::Albert => {
            let keeps_accents = settings.is("keep_accents", false)?;
            let accents = [json!({"type": "NFKD"}), json!({"type": "StripAccents"})];
            let accents = accents.into_iter().filter(|_| !keeps_accents);
            let start = [quotes("``"), quotes("''")].into_iter();
            let start = start.chain(accents).chain(lower(true)?);
            start.chain(precompiled).chain([spaces(" ")]).collect()
        }
        Kind::DebertaV2 => {
            let start = lower(false)?.into_iter().chain([strip(true)]);
            start.chain(precompiled).chain([spaces(" ")]).collect()
        }
        _ => {
            let end = [strip(false), spaces("\u{2581}")];
            precompiled.into_iter().chain(end).collect()
        }
    };
    Ok(json!({"type": "Sequence", "normalizers": all}))
}

/// The compiled rules of SentencePiece as `tokenizer.json` has them.
fn compiled(path: &Path, rules: &[u8]) -> Result<Value, TextError> {
    let read = || guarded(|| Precompiled::from(rules).map(|rules| serde_json::to_value(&rules)));
    match rules::are_whole(rules).then(read).flatten() {
        Some(Ok(Ok(value))) => Ok(value),
        _ => Err(error(
            path,
            "the rules of its normalizer are damaged; download it again".to_owned(),
        )),
    }
}

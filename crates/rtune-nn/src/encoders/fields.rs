//! The fields of `config.json` that no family reads: those without influence on an encoder, and
//! those that ask for another computation.

use crate::{ModelConfig, NnError, Result};
use serde::Deserialize;
use serde_json::Value;

/// Fields with an influence on other things only: the text that a decoder generates, the heads of
/// Hugging Face, the start of pretraining, the way of computing, and the origin of the files.
const HARMLESS: &[&str] = &[
    "_attn_implementation",
    "_attn_implementation_autoset",
    "_commit_hash",
    "_name_or_path",
    "architectures",
    "attn_implementation",
    "bad_words_ids",
    "begin_suppress_tokens",
    "bos_token_id",
    "chunk_size_feed_forward",
    "cls_token_id",
    "decoder_bias",
    "decoder_start_token_id",
    "deterministic_flash_attn",
    "directionality",
    "diversity_penalty",
    "do_sample",
    "down_scale_factor",
    "dtype",
    "early_stopping",
    "encoder_no_repeat_ngram_size",
    "eos_token_id",
    "exponential_decay_length_penalty",
    "finetuning_task",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "gap_size",
    "gradient_checkpointing",
    "id2label",
    "initializer_cutoff_factor",
    "initializer_factor",
    "initializer_range",
    "label2id",
    "length_penalty",
    "mask_token_id",
    "max_length",
    "min_length",
    "model_type",
    "name_or_path",
    "net_structure_type",
    "no_repeat_ngram_size",
    "num_beam_groups",
    "num_beams",
    "num_labels",
    "num_memory_blocks",
    "num_return_sequences",
    "output_attentions",
    "output_hidden_states",
    "output_past",
    "output_scores",
    "pad_token_id",
    "pooler_fc_size",
    "pooler_num_attention_heads",
    "pooler_num_fc_layers",
    "pooler_size_per_head",
    "pooler_type",
    "prefix",
    "problem_type",
    "qa_dropout",
    "reference_compile",
    "remove_invalid_values",
    "repad_logits_with_grad",
    "repetition_penalty",
    "return_dict",
    "return_dict_in_generate",
    "rtune",
    "sbert_ce_default_activation_function",
    "sentence_transformers",
    "sep_token_id",
    // The table of positions is in the weights; this field only says how it was started.
    "sinusoidal_pos_embds",
    "sparse_pred_ignore_index",
    "sparse_prediction",
    "summary_activation",
    "summary_first_dropout",
    "summary_last_dropout",
    "summary_type",
    "summary_use_proj",
    "suppress_tokens",
    "task_specific_params",
    "temperature",
    "tf_legacy_loss",
    "tie_encoder_decoder",
    "tie_weights_",
    "tie_word_embeddings",
    "tokenizer_class",
    "top_k",
    "top_p",
    "torch_dtype",
    "torchscript",
    "transformers_version",
    "typical_p",
    "unk_token_id",
    "use_bfloat16",
    "use_cache",
];

const ENCODERS: &str = "rtune computes encoders, in which every token sees all others";
const QUANTIZED: &str = "the weights are quantized; take the model from before its quantization";
const ADAPTERS: &str = "rtune reads no adapters; merge them into the weights";

/// Fields that ask for another computation unless they are null, false or empty, with the reason
/// why rtune refuses them.
const REFUSED: &[(&str, &str)] = &[
    ("adapter_fusion", ADAPTERS),
    ("adapters", ADAPTERS),
    ("add_cross_attention", ENCODERS),
    (AutoMap::KEY, AutoMap::REFUSED),
    ("compression_config", QUANTIZED),
    ("cross_attention_hidden_size", ENCODERS),
    ("is_decoder", ENCODERS),
    ("is_encoder_decoder", ENCODERS),
    (
        "pruned_heads",
        "rtune computes the same number of heads in every layer; take the model from before its \
         pruning",
    ),
    ("quantization_config", QUANTIZED),
];

/// Checks that no field asks for a computation that rtune does not have, apart from the `known`
/// ones, which the family checks itself.
///
/// # Errors
/// If one does.
pub(super) fn check(config: &ModelConfig, known: &[&str]) -> Result<()> {
    let set = |name: &str| config.field(name).filter(|value| !is_unset(value));
    let mut refused = REFUSED.iter().filter(|(name, _)| !known.contains(name));
    match refused.find_map(|(name, reason)| Some((name, set(name)?, reason))) {
        None => Ok(()),
        Some((name, value, reason)) => Err(NnError::config(
            format!("{name} in config.json"),
            format!("is {}; {reason}", shortened(value)),
        )),
    }
}

/// The family of a checkpoint: its `model_type`, apart from Jina v2, whose files have that of BERT.
pub(super) fn family(config: &ModelConfig) -> &str {
    let positions = config.field("position_embedding_type");
    match (config.model_type(), positions.and_then(Value::as_str)) {
        ("bert", Some("alibi")) => "jina_bert",
        (family, _) => family,
    }
}

/// The code that a model brings along, class by class: `auto_map`. A family whose code is not part
/// of transformers expects it.
#[derive(Debug, Clone, Deserialize)]
#[serde(transparent)]
pub struct AutoMap(Value);

impl AutoMap {
    const KEY: &str = "auto_map";
    const REFUSED: &str = "the model comes with code of its own, which rtune does not run; if the \
                           code of its model_type computes the same, remove the field";

    /// Checks that the names of all classes begin with `family`.
    ///
    /// # Errors
    /// If one does not.
    pub(super) fn check(map: Option<&Self>, family: &str) -> Result<()> {
        let of_family = |value: &Value| match value {
            // `owner/repository--module.Class`
            Value::String(name) => name
                .rsplit_once('.')
                .is_some_and(|(_, class)| class.starts_with(family)),
            other => is_unset(other),
        };
        let Some(Self(map)) = map.filter(|map| !is_unset(&map.0)) else {
            return Ok(());
        };
        match map
            .as_object()
            .is_some_and(|map| map.values().all(of_family))
        {
            true => Ok(()),
            false => Err(NnError::config(
                format!("{} in config.json", Self::KEY),
                format!("is {}; {}", shortened(map), Self::REFUSED),
            )),
        }
    }

    /// True if the name of a class or of its place contains `part`.
    pub(super) fn names(&self, part: &str) -> bool {
        let values = self.0.as_object().into_iter().flat_map(|map| map.values());
        values
            .filter_map(Value::as_str)
            .any(|name| name.contains(part))
    }
}

/// The fields that neither a family with the given fields nor this list knows, without those that
/// are null, false or empty.
pub(super) fn unknown(config: &ModelConfig, known: &[&str]) -> Vec<String> {
    let is_known = |name: &str| {
        known.contains(&name)
            || HARMLESS.contains(&name)
            || REFUSED.iter().any(|(refused, _)| *refused == name)
    };
    let fields = config
        .fields()
        .filter(|(name, value)| !is_known(name) && !is_unset(value));
    fields.map(|(name, _)| name.to_owned()).collect()
}

/// True for a value that states nothing, and for lists and objects of such values.
fn is_unset(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Bool(true) | Value::Number(_) => false,
        Value::String(text) => text.is_empty(),
        Value::Array(values) => values.iter().all(is_unset),
        Value::Object(fields) => fields.values().all(is_unset),
    }
}

/// A value as JSON, without the end of a long one.
fn shortened(value: &Value) -> String {
    const LONGEST: usize = 60;
    let text = value.to_string();
    match text.char_indices().nth(LONGEST) {
        None => text,
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

/// Checks that the number of layers is one that a model can have: each layer takes memory before
/// its parameters are found missing.
pub(super) fn check_layers(name: &str, layers: usize) -> Result<()> {
    const MOST: usize = 1000;
    match layers <= MOST {
        true => Ok(()),
        false => Err(NnError::config(
            format!("{name} in config.json"),
            format!("is {layers}, expected at most {MOST}"),
        )),
    }
}

/// Checks that a setting is not 0.
pub(super) fn check_width(name: &str, width: usize) -> Result<()> {
    match width {
        0 => Err(NnError::config(
            format!("{name} in config.json"),
            "is 0, expected 1 or more",
        )),
        _ => Ok(()),
    }
}

/// The fields of one list, then those of another; `N` is the number of both.
pub(super) const fn joined<const N: usize>(
    first: &[&'static str],
    second: &[&'static str],
) -> [&'static str; N] {
    let mut fields = [""; N];
    let mut index = 0;
    while index < N {
        fields[index] = match index < first.len() {
            true => first[index],
            false => second[index - first.len()],
        };
        index += 1;
    }
    fields
}

/// Checks that a setting is a rate: at least 0 and below 1.
pub(super) fn check_rate(name: &str, rate: f64) -> Result<()> {
    match (0.0..1.0).contains(&rate) {
        true => Ok(()),
        false => Err(NnError::config(
            format!("{name} in config.json"),
            format!("is {rate}, expected at least 0 and less than 1"),
        )),
    }
}

/// Checks that the number added to a variance is positive.
pub(super) fn check_epsilon(name: &str, epsilon: f64) -> Result<()> {
    match epsilon > 0.0 && epsilon.is_finite() {
        true => Ok(()),
        false => Err(NnError::config(
            format!("{name} in config.json"),
            format!("is {epsilon}, expected more than 0"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn lists_are_sorted_and_disjoint() {
        let refused: Vec<&str> = REFUSED.iter().map(|(name, _)| *name).collect();
        assert!(HARMLESS.is_sorted() && refused.is_sorted());
        assert!(refused.iter().all(|name| !HARMLESS.contains(name)));
    }

    #[test]
    fn unset_fields_state_nothing() {
        for value in [
            json!(null),
            json!(false),
            json!({}),
            json!([]),
            json!(""),
            json!({"adapters": {}, "fusion": [null]}),
        ] {
            assert!(is_unset(&value), "{value}");
        }
        for value in [json!(true), json!(0), json!({"2": [1]}), json!("x")] {
            assert!(!is_unset(&value), "{value}");
        }
    }

    #[test]
    fn long_values_are_shortened() {
        assert_eq!(shortened(&json!({"a": [1]})), "{\"a\":[1]}");
        let long = shortened(&json!("é".repeat(100)));
        assert_eq!(long.chars().count(), 61);
    }
}

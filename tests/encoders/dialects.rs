//! Settings by other names, and settings that are refused, in `config.json`.

use crate::golden::Golden;
use crate::{families_and_variants, family, hidden_states, load};
use rtune_nn::{EncoderConfig, ModelConfig};
use rtune_task::{Pooling, Task};
use rtune_testkit::assert_close;
use serde_json::{Value, json};
use std::path::Path;

/// Writes the config of a family with changes: fields that become null are removed.
fn config(source: &Path, folder: &Path, changes: &Value) {
    let text = std::fs::read_to_string(source.join("config.json")).unwrap();
    let mut config: Value = serde_json::from_str(&text).unwrap();
    let fields = config.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        fields.remove(name);
        if !value.is_null() {
            fields.insert(name.clone(), value.clone());
        }
    }
    std::fs::write(folder.join("config.json"), config.to_string()).unwrap();
}

/// The fields that rtune does not know.
fn unknown_fields(folder: &Path) -> Vec<String> {
    let config = ModelConfig::read(folder).unwrap();
    let encoder = EncoderConfig::parse(&config).unwrap();
    encoder.unknown_fields(&config)
}

#[test]
fn all_fields_of_the_reference_are_known() {
    for folder in families_and_variants() {
        assert_eq!(unknown_fields(&folder), [""; 0], "{}", folder.display());
    }
}

#[test]
fn older_names_of_settings_mean_the_same() {
    let cases = [
        (
            "modernbert",
            json!({
                "layer_types": null, "rope_parameters": null, "norm_bias": null,
                "global_attn_every_n_layers": 3, "global_rope_theta": 160000.0,
                "local_rope_theta": 10000.0, "layer_norm_eps": 0.5,
                "position_embedding_type": "sans_pos",
            }),
        ),
        (
            "modernbert",
            json!({
                "layer_types": null, "rope_parameters": null, "rope_scaling": {"type": "default"},
            }),
        ),
        (
            "deberta-v2",
            json!({"pos_att_type": ["c2p", "p2c"], "max_relative_positions": 280}),
        ),
        (
            "nomic_bert",
            json!({
                "hidden_size": null, "num_hidden_layers": null, "num_attention_heads": null,
                "intermediate_size": null, "hidden_act": null, "layer_norm_eps": null,
                "max_position_embeddings": null, "rope_parameters": null, "head_dim": null,
                "n_embd": 32, "n_layer": 2, "n_head": 4, "n_inner": 48, "n_positions": 8192,
                "max_trained_positions": 280, "activation_function": "swiglu",
                "layer_norm_epsilon": 1e-12, "rotary_emb_base": 1000, "rotary_emb_fraction": 1.0,
                "rotary_emb_interleaved": false, "rotary_scaling_factor": 2.0, "prenorm": false,
                "auto_map": {
                    "AutoModel": "nomic-ai/nomic-bert-2048--modeling_hf_nomic_bert.NomicBertModel"
                },
            }),
        ),
        (
            "nomic_bert",
            json!({
                "rope_parameters": {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1000.0},
                "n_embd": 77,
            }),
        ),
        (
            "new",
            json!({"logn_attention_scale": false, "pack_qkv": true, "unpad_inputs": true}),
        ),
        (
            "eurobert",
            json!({
                "rope_parameters": null, "rope_theta": 250000, "clf_pooling": "late",
                "auto_map": {"AutoModel": "modeling_eurobert.EuroBertModel"},
            }),
        ),
        (
            "neobert",
            json!({"rope": true, "rms_norm": true, "hidden_act": "SwiGLU"}),
        ),
        (
            "xlm-roberta",
            json!({"position_embedding_type": "absolute", "output_past": true, "use_cache": true}),
        ),
        (
            "data2vec-text",
            json!({"position_embedding_type": "absolute"}),
        ),
        (
            "electra",
            json!({
                "position_embedding_type": "absolute", "summary_activation": "gelu",
                "summary_last_dropout": 0.1, "summary_type": "first", "summary_use_proj": true,
            }),
        ),
        ("mpnet", json!({"relative_attention_num_buckets": null})),
        (
            "albert",
            json!({
                "down_scale_factor": 1, "gap_size": 0, "net_structure_type": 0,
                "num_memory_blocks": 0, "position_embedding_type": "absolute",
                "num_hidden_groups": null, "inner_group_num": null, "hidden_act": null,
                "classifier_dropout_prob": null, "type_vocab_size": null, "layer_norm_eps": null,
            }),
        ),
        (
            "megatron-bert",
            json!({"position_embedding_type": "absolute"}),
        ),
        (
            "ernie",
            json!({"position_embedding_type": "absolute", "task_type_vocab_size": null}),
        ),
    ];
    for (name, changes) in cases {
        let source = family(name);
        let folder = tempfile::tempdir().unwrap();
        let weights = "model.safetensors";
        std::fs::copy(source.join(weights), folder.path().join(weights)).unwrap();
        config(&source, folder.path(), &changes);
        let model = load(folder.path(), Task::Ordinal, Pooling::Mean).unwrap();
        assert_eq!(unknown_fields(folder.path()), [""; 0], "{name}");
        let golden = Golden::read(&source).pop().unwrap();
        assert_eq!(model.max_length(), golden.shape.1, "{name}");
        let [expected, found] = golden.compared(&hidden_states(&model, &golden.padded()), false);
        assert_close(&format!("{name} {changes}"), &expected, &found, 1e-5);
    }
}

/// The folder has no weights, so what is refused is refused before they are read.
#[test]
fn variants_without_an_implementation_are_refused_by_name() {
    let code = json!({"AutoModel": "modeling.OtherModel"});
    let cases = [
        (
            "modernbert",
            json!({"hidden_activation": "mish"}),
            "hidden_activation",
        ),
        (
            "modernbert",
            json!({"layer_types": ["full_attention"]}),
            "layer_types",
        ),
        (
            "modernbert",
            json!({"layer_types": ["linear", "linear"]}),
            "`linear`",
        ),
        (
            "modernbert",
            json!({"layer_types": null, "global_attn_every_n_layers": 0}),
            "global_attn_every_n_layers",
        ),
        (
            "modernbert",
            json!({"rope_parameters": {"full_attention": {"rope_type": "yarn"}}}),
            "`yarn`",
        ),
        (
            "modernbert",
            json!({"rope_scaling": {"type": "linear"}}),
            "`linear`",
        ),
        ("modernbert", json!({"num_attention_heads": 32}), "width 1"),
        ("modernbert", json!({"auto_map": code}), "auto_map"),
        (
            "deberta-v2",
            json!({"conv_kernel_size": 3}),
            "conv_kernel_size",
        ),
        ("deberta-v2", json!({"pos_att_type": "p2p"}), "`p2p`"),
        ("deberta-v2", json!({"pos_att_type": null}), "pos_att_type"),
        (
            "deberta-v2",
            json!({"position_buckets": 2}),
            "position_buckets",
        ),
        (
            "deberta-v2",
            json!({"position_buckets": 1024}),
            "position_buckets",
        ),
        (
            "deberta-v2",
            json!({"max_relative_positions": 1_000_000_000}),
            "max_relative_positions",
        ),
        (
            "jina_bert",
            json!({"num_attention_heads": u64::MAX, "hidden_size": u64::MAX}),
            "num_attention_heads",
        ),
        (
            "deberta-v2",
            json!({"attention_head_size": 16}),
            "attention_head_size",
        ),
        (
            "nomic_bert",
            json!({"moe_every_n_layers": 2}),
            "moe_every_n_layers",
        ),
        ("nomic_bert", json!({"prenorm": true}), "prenorm"),
        ("nomic_bert", json!({"use_rms_norm": true}), "use_rms_norm"),
        (
            "nomic_bert",
            json!({"rotary_emb_fraction": 0.5}),
            "rotary_emb_fraction",
        ),
        (
            "nomic_bert",
            json!({"rotary_emb_interleaved": true}),
            "rotary_emb_interleaved",
        ),
        ("nomic_bert", json!({"causal": true}), "causal"),
        (
            "nomic_bert",
            json!({"parallel_block": true}),
            "parallel_block",
        ),
        (
            "nomic_bert",
            json!({"scale_attn_by_inverse_layer_idx": true}),
            "scale_attn_by_inverse_layer_idx",
        ),
        (
            "nomic_bert",
            json!({"rotary_emb_scale_base": 512}),
            "rotary_emb_scale_base",
        ),
        (
            "nomic_bert",
            json!({"hidden_size": null}),
            "neither `hidden_size` nor `n_embd`",
        ),
        (
            "nomic_bert",
            json!({"hidden_act": null, "activation_function": "gelu"}),
            "activation_function",
        ),
        ("nomic_bert", json!({"auto_map": code}), "auto_map"),
        (
            "new",
            json!({"logn_attention_scale": true}),
            "logn_attention_scale",
        ),
        (
            "new",
            json!({"layer_norm_type": "rms_norm"}),
            "layer_norm_type",
        ),
        (
            "new",
            json!({"position_embedding_type": "absolute"}),
            "position_embedding_type",
        ),
        ("new", json!({"rope_scaling": {"type": "yarn"}}), "`yarn`"),
        (
            "new",
            json!({"rope_scaling": {"type": "ntk"}}),
            "has no factor",
        ),
        (
            "new",
            json!({"rope_scaling": {"type": "ntk", "factor": 0.5}}),
            "factor is 0.5",
        ),
        ("new", json!({"pack_qkv": false}), "pack_qkv"),
        ("new", json!({"auto_map": code}), "auto_map"),
        (
            "eurobert",
            json!({"num_key_value_heads": 3}),
            "num_key_value_heads",
        ),
        ("eurobert", json!({"head_dim": 0}), "head_dim"),
        (
            "eurobert",
            json!({"rope_parameters": {"rope_type": "default", "partial_rotary_factor": 0.5}}),
            "partial_rotary_factor",
        ),
        (
            "eurobert",
            json!({"rope_parameters": {"rope_theta": 0.0}}),
            "rope_theta",
        ),
        (
            "jina_bert",
            json!({"feed_forward_type": "original"}),
            "feed_forward_type",
        ),
        (
            "jina_bert",
            json!({"auto_map": {
                "AutoModel": "jinaai/jina-bert-v2-qk-post-norm--modeling_bert.JinaBertModel"
            }}),
            "normalizes queries and keys",
        ),
        ("jina_bert", json!({"auto_map": code}), "auto_map"),
        ("neobert", json!({"rope": false}), "rope"),
        ("neobert", json!({"rms_norm": false}), "rms_norm"),
        ("neobert", json!({"ngpt": true}), "ngpt"),
        ("neobert", json!({"dropout": 1.0}), "dropout"),
        ("neobert", json!({"hidden_act": "gelu"}), "`gelu`"),
        ("neobert", json!({"dim_head": 64}), "dim_head"),
        (
            "xlm-roberta",
            json!({"position_embedding_type": "relative_key_query"}),
            "`relative_key_query`",
        ),
        (
            "data2vec-text",
            json!({"max_position_embeddings": 2}),
            "no position after pad_token_id 1",
        ),
        ("electra", json!({"embedding_size": 0}), "embedding_size"),
        ("electra", json!({"hidden_act": "mish"}), "`mish`"),
        (
            "electra",
            json!({"position_embedding_type": "relative_key"}),
            "`relative_key`",
        ),
        (
            "mpnet",
            json!({"relative_attention_num_buckets": 64}),
            "relative_attention_num_buckets",
        ),
        (
            "mpnet",
            json!({"max_position_embeddings": 2}),
            "no position",
        ),
        (
            "albert",
            json!({"num_hidden_groups": 0}),
            "num_hidden_groups",
        ),
        (
            "albert",
            json!({"num_hidden_groups": 4}),
            "1 to num_hidden_layers 3",
        ),
        ("albert", json!({"inner_group_num": 0}), "inner_group_num"),
        (
            "albert",
            json!({"inner_group_num": 500}),
            "num_hidden_layers times inner_group_num",
        ),
        ("albert", json!({"hidden_act": "mish"}), "`mish`"),
        (
            "albert",
            json!({"position_embedding_type": "relative_key"}),
            "`relative_key`",
        ),
        (
            "megatron-bert",
            json!({"hidden_dropout_prob": 1.0}),
            "hidden_dropout_prob",
        ),
        ("ernie", json!({"is_decoder": true}), "is_decoder"),
    ];
    for (name, changes, expected) in cases {
        let folder = tempfile::tempdir().unwrap();
        config(&family(name), folder.path(), &changes);
        let error = load(folder.path(), Task::Ordinal, Pooling::Mean).unwrap_err();
        let error = error.to_string();
        assert!(error.contains("config.json"), "{name} {changes}: {error}");
        assert!(error.contains(expected), "{name} {changes}: {error}");
    }
}

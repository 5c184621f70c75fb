use crate::golden::{self, Golden};
use crate::{families, family, flat, hidden_states, load, spec};
use candle_core::{Device, Tensor};
use rtune_nn::{ModelConfig, ParamGroup, ParamRole, TensorRef, TextModel, save_tensors};
use rtune_task::{Pooling, Task};
use std::collections::BTreeMap;
use std::path::Path;

/// Writes the tensors of a fixture under other names, without those that become `None`.
fn rewrite(source: &Path, folder: &Path, file: &str, rename: impl Fn(&str) -> Option<String>) {
    let path = source.join("model.safetensors");
    let tensors = candle_core::safetensors::load(path, &Device::Cpu).unwrap();
    let renamed = tensors
        .into_iter()
        .filter_map(|(name, t)| Some((rename(&name)?, t)));
    let tensors: BTreeMap<String, Tensor> = renamed.collect();
    let tensors = tensors
        .iter()
        .map(|(name, tensor)| (name, TensorRef::Tensor(tensor)));
    save_tensors(&folder.join(file), tensors).unwrap();
    std::fs::copy(source.join("config.json"), folder.join("config.json")).unwrap();
}

fn states(folder: &Path, goldens: &[Golden]) -> Vec<f32> {
    let model = load(folder, Task::Ordinal, Pooling::Mean).unwrap();
    hidden_states(&model, &goldens[1].padded())
}

#[test]
fn names_with_and_without_prefix_load_alike() {
    for folder in &families() {
        let goldens = Golden::read(folder);
        let prefix = format!("{}.", golden::prefix(folder));
        let expected = states(folder, &goldens);
        let target = tempfile::tempdir().unwrap();
        rewrite(folder, target.path(), "model.safetensors", |name| {
            let other = name.strip_prefix(&prefix).map(str::to_owned);
            Some(other.unwrap_or_else(|| format!("{prefix}{name}")))
        });
        assert_eq!(expected, states(target.path(), &goldens), "{prefix}");
    }
}

#[test]
fn old_names_and_shards_load_alike() {
    let bert = family("bert");
    let goldens = Golden::read(&bert);
    let expected = states(&bert, &goldens);
    let old = tempfile::tempdir().unwrap();
    rewrite(&bert, old.path(), "model.safetensors", |name| {
        let name = name.replace("LayerNorm.weight", "LayerNorm.gamma");
        Some(format!(
            "bert.{}",
            name.replace("LayerNorm.bias", "LayerNorm.beta")
        ))
    });
    assert_eq!(expected, states(old.path(), &goldens));

    let sharded = tempfile::tempdir().unwrap();
    let is_first = |name: &str| name.starts_with("embeddings");
    rewrite(&bert, sharded.path(), "a.safetensors", |name| {
        is_first(name).then(|| name.to_owned())
    });
    rewrite(&bert, sharded.path(), "b.safetensors", |name| {
        (!is_first(name)).then(|| name.to_owned())
    });
    let index = r#"{"metadata": {}, "weight_map": {
        "embeddings.LayerNorm.weight": "a.safetensors", "pooler.dense.bias": "b.safetensors"}}"#;
    std::fs::write(sharded.path().join("model.safetensors.index.json"), index).unwrap();
    assert_eq!(expected, states(sharded.path(), &goldens));
}

#[test]
fn tensors_that_do_not_fit_are_named() {
    let folder = tempfile::tempdir().unwrap();
    rewrite(
        &family("bert"),
        folder.path(),
        "model.safetensors",
        |name| (!name.contains("layer.1.output.dense.bias")).then(|| name.to_owned()),
    );
    let error = load(folder.path(), Task::Ordinal, Pooling::Mean)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("`encoder.layer.1.output.dense.bias`"),
        "{error}"
    );

    rewrite(
        &family("bert"),
        folder.path(),
        "model.safetensors",
        |name| Some(name.to_owned()),
    );
    let config = folder.path().join("config.json");
    let text = std::fs::read_to_string(&config).unwrap();
    let text = text.replace("\"vocab_size\": 29", "\"vocab_size\": 30");
    std::fs::write(&config, text).unwrap();
    let error = load(folder.path(), Task::Ordinal, Pooling::Mean)
        .unwrap_err()
        .to_string();
    let expected = "`embeddings.word_embeddings.weight` has shape [29, 32], config.json asks for \
                    [30, 32]";
    assert!(error.contains(expected), "{error}");
}

#[test]
fn reports_say_what_was_initialized_and_left_out() {
    let head = ["head.weight", "head.bias", "head.cutpoints"];
    let cases: [(&str, &[&str]); 3] = [
        ("bert", &["pooler.dense.bias", "pooler.dense.weight"]),
        ("distilbert", &[]),
        (
            "roberta",
            &[
                "classifier.dense.bias",
                "classifier.dense.weight",
                "classifier.out_proj.bias",
                "classifier.out_proj.weight",
            ],
        ),
    ];
    for (name, unexpected) in cases {
        let spec = spec(Task::Ordinal, Pooling::Mean);
        let (model, report) = TextModel::load(&family(name), &spec, 1, &Device::Cpu).unwrap();
        assert_eq!(report.initialized, head);
        assert_eq!(report.unexpected, unexpected);
        assert_eq!(report.loaded.len() + head.len(), model.params().len());
    }
}

#[test]
fn saved_models_load_with_the_same_parameters() {
    for source in families() {
        let model = load(&source, Task::Ordinal, Pooling::Mean).unwrap();
        let folder = tempfile::tempdir().unwrap();
        model.save(folder.path()).unwrap();
        let again = TextModel::load_finetuned(folder.path(), &Device::Cpu).unwrap();
        assert_eq!(again.spec(), model.spec());
        for (a, b) in model.params().iter().zip(again.params()) {
            assert_eq!((a.name(), flat(a.value())), (b.name(), flat(b.value())));
        }
        assert!(
            ModelConfig::read(&source)
                .unwrap()
                .task()
                .unwrap()
                .is_none()
        );
        let error = TextModel::load_finetuned(&source, &Device::Cpu).unwrap_err();
        assert!(
            error.to_string().contains("no fine-tuned head yet"),
            "{error}"
        );
    }
}

/// The role and the group of every parameter, by name, as optimizers use them.
#[test]
fn every_parameter_has_its_role_and_group() {
    for folder in &families() {
        let is_deberta = folder.ends_with("deberta-v2");
        for model in crate::models(folder) {
            for param in model.params() {
                let name = param.name();
                let parts = ["norm", "_ln.", ".ln."];
                let is_norm = parts.iter().any(|part| name.to_lowercase().contains(part));
                let role = match name {
                    "head.cutpoints" => ParamRole::Cutpoints,
                    _ if is_norm => ParamRole::Norm,
                    // NeoBERT's table of words, MPNet's of distances.
                    "embed_tokens.weight"
                    | "encoder.weight"
                    | "encoder.relative_attention_bias.weight" => ParamRole::Embedding,
                    _ if name.contains("_embeddings.") => ParamRole::Embedding,
                    _ if name.ends_with(".bias") => ParamRole::Bias,
                    _ => ParamRole::Weight,
                };
                // The fixtures have two layers, whose number is part of the name; ALBERT's are one.
                let layer = name.split('.').find_map(|part| part.parse().ok());
                let layers = if folder.ends_with("albert") { 1 } else { 2 };
                let group = match (name.split('.').next(), layer) {
                    (_, Some(layer)) => ParamGroup::Layer(layer),
                    // Megatron's last normalization.
                    (Some("encoder"), None) if name.contains(".ln.") => ParamGroup::Layer(layers),
                    // What no layer owns are the tables of DeBERTa, MPNet and NeoBERT, and the
                    // layers between embeddings and blocks.
                    (
                        Some(
                            "embeddings" | "embed_tokens" | "emb_ln" | "encoder"
                            | "embeddings_project",
                        ),
                        None,
                    ) => ParamGroup::Embeddings,
                    (Some("head" | "classifier" | "pre_classifier" | "dense"), None) => {
                        ParamGroup::Head
                    }
                    // DeBERTa's pooler is a part of its head.
                    (Some("pooler"), None) if is_deberta => ParamGroup::Head,
                    _ => ParamGroup::Layer(layers),
                };
                assert_eq!((param.role(), param.group()), (role, group), "{name}");
            }
        }
    }
}

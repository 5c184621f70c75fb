//! Checkpoints in and out, on tiny tensors made here: reports, prefixes, shards, element types,
//! configs, and the errors that a model folder can cause.

#![expect(clippy::unwrap_used, reason = "a failure here is the test's failure")]

use candle_core::{DType, Device, Tensor};
use rtune_nn::{
    self as nn, EncoderConfig, ModelConfig, NnError, ParamGroup, ParamRole, Parameters as _,
    Pooler, StateDict, TensorRef, TextEncoder as _, TextModel, WeightLoader, load_tensors,
    save_tensors,
};
use rtune_task::{Cutpoints, Decision, Link, OutputForm, Pooling, Task, TaskSpec};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::Path;

fn bert() -> Value {
    json!({
        "model_type": "bert", "vocab_size": 7, "hidden_size": 4, "num_hidden_layers": 2,
        "num_attention_heads": 2, "intermediate_size": 6, "max_position_embeddings": 8,
        "type_vocab_size": 2,
    })
}

fn roberta() -> Value {
    let mut config = bert();
    merge(
        &mut config,
        &json!({"model_type": "roberta", "type_vocab_size": 1, "pad_token_id": 1}),
    );
    config
}

fn distilbert() -> Value {
    json!({
        "model_type": "distilbert", "vocab_size": 7, "dim": 4, "n_layers": 2, "n_heads": 2,
        "hidden_dim": 6, "max_position_embeddings": 8,
    })
}

fn merge(config: &mut Value, changes: &Value) {
    for (key, value) in changes.as_object().unwrap() {
        config[key] = value.clone();
    }
}

fn write_config(folder: &Path, config: &Value) -> ModelConfig {
    std::fs::write(folder.join("config.json"), config.to_string()).unwrap();
    ModelConfig::read(folder).unwrap()
}

fn spec(task: Task, pooling: Pooling) -> TaskSpec {
    TaskSpec {
        task,
        labels: ["bad", "fair", "good"].map(str::to_owned).to_vec(),
        pooling,
        link: Link::Logit,
        cutpoints: Cutpoints::Ordered,
        decision: Decision::default(),
        targets: None,
        text_pairs: false,
        max_length: 5,
    }
}

/// Random parameters of an encoder, with the pooler if it is a part of it, by name.
fn random_tensors(config: &Value) -> BTreeMap<String, Tensor> {
    let folder = tempfile::tempdir().unwrap();
    let config = EncoderConfig::parse(&write_config(folder.path(), config)).unwrap();
    let loader = WeightLoader::new(StateDict::default(), 3, &Device::Cpu);
    let builder = loader.initialized();
    let encoder = config.load(&builder).unwrap();
    let head = config.head().unwrap();
    let pooler = Pooler::load(&head, encoder.width(), &loader, true).unwrap();
    let mut params = encoder.params();
    params.extend(pooler.params());
    let params = params
        .into_iter()
        .filter(|param| param.group() != ParamGroup::Head);
    params
        .map(|p| (p.name().to_owned(), p.value().clone()))
        .collect()
}

fn save(path: &Path, tensors: &BTreeMap<String, Tensor>) {
    save_tensors(
        path,
        tensors.iter().map(|(name, t)| (name, TensorRef::Tensor(t))),
    )
    .unwrap();
}

/// A folder with a config and random weights, whose names go through `rename`.
fn model_folder(config: &Value, rename: impl Fn(&str) -> Option<String>) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    write_config(folder.path(), config);
    let tensors = random_tensors(config).into_iter();
    let renamed = tensors.filter_map(|(name, tensor)| Some((rename(&name)?, tensor)));
    save(&folder.path().join("model.safetensors"), &renamed.collect());
    folder
}

fn same(name: &str) -> Option<String> {
    Some(name.to_owned())
}

fn load(folder: &Path) -> Result<(TextModel, nn::LoadReport), NnError> {
    TextModel::load(folder, &spec(Task::Ordinal, Pooling::Mean), 1, &Device::Cpu)
}

/// The message of a failed load, without the folder.
fn load_error(folder: &Path) -> String {
    let message = load(folder).unwrap_err().to_string();
    message.replace(&folder.display().to_string(), "FOLDER")
}

fn values(model: &TextModel) -> Vec<(String, Vec<f32>)> {
    let flat = |t: &Tensor| t.flatten_all().unwrap().to_vec1().unwrap();
    model
        .params()
        .iter()
        .map(|p| (p.name().to_owned(), flat(p.value())))
        .collect()
}

#[test]
fn reports_list_loaded_initialized_and_unexpected_tensors() {
    let folder = model_folder(&bert(), same);
    let (model, report) = load(folder.path()).unwrap();
    assert_eq!(
        report.initialized,
        ["head.weight", "head.bias", "head.cutpoints"]
    );
    assert_eq!(
        report.unexpected,
        ["pooler.dense.bias", "pooler.dense.weight"]
    );
    assert_eq!(report.loaded.len(), model.params().len() - 3);
    assert_eq!(report.loaded[0], "embeddings.word_embeddings.weight");
}

#[test]
fn prefixes_are_removed_and_saved_models_have_none() {
    for (config, prefix) in [
        (bert(), "bert"),
        (roberta(), "roberta"),
        (distilbert(), "distilbert"),
    ] {
        let plain = model_folder(&config, same);
        let prefixed = model_folder(&config, |name| Some(format!("{prefix}.{name}")));
        let (expected, _) = load(plain.path()).unwrap();
        let (found, _) = load(prefixed.path()).unwrap();
        assert_eq!(values(&expected), values(&found), "{prefix}");
        let saved = tempfile::tempdir().unwrap();
        found.save(saved.path()).unwrap();
        let names = load_tensors(&saved.path().join("model.safetensors"), &Device::Cpu).unwrap();
        assert!(
            names.contains_key("embeddings.word_embeddings.weight"),
            "{prefix}"
        );
    }
}

#[test]
fn missing_tensors_are_listed_together_in_the_order_of_the_model() {
    let folder = model_folder(&bert(), |name| {
        (!name.contains("layer.1") && !name.contains("LayerNorm.bias")).then(|| name.to_owned())
    });
    assert_eq!(
        load_error(folder.path()),
        "FOLDER: tensors of the encoder are missing: `embeddings.LayerNorm.bias`, \
         `encoder.layer.0.attention.output.LayerNorm.bias`, \
         `encoder.layer.0.output.LayerNorm.bias` and 16 more; the weights are incomplete, or \
         config.json belongs to others"
    );
}

#[test]
fn wrong_shapes_are_listed_together() {
    let folder = model_folder(&bert(), same);
    let mut config = bert();
    merge(
        &mut config,
        &json!({"intermediate_size": 5, "vocab_size": 9}),
    );
    write_config(folder.path(), &config);
    let expected = "FOLDER: \
        tensor `embeddings.word_embeddings.weight` has shape [7, 4], config.json asks for [9, 4]; \
        tensor `encoder.layer.0.intermediate.dense.weight` has shape [6, 4], config.json asks for \
        [5, 4]; tensor `encoder.layer.0.intermediate.dense.bias` has shape [6], config.json asks \
        for [5]; 4 more tensors differ in shape";
    assert_eq!(load_error(folder.path()), expected);
}

#[test]
fn an_absurd_size_in_the_config_is_a_mismatch_and_not_allocated() {
    let folder = model_folder(&bert(), same);
    let mut config = bert();
    merge(&mut config, &json!({"vocab_size": 1_000_000_000_000_u64}));
    write_config(folder.path(), &config);
    assert!(load_error(folder.path()).contains("config.json asks for [1000000000000, 4]"));
}

#[test]
fn shards_load_like_one_file() {
    let single = model_folder(&bert(), same);
    let sharded = tempfile::tempdir().unwrap();
    write_config(sharded.path(), &bert());
    let (first, second): (BTreeMap<_, _>, BTreeMap<_, _>) = random_tensors(&bert())
        .into_iter()
        .partition(|(name, _)| name.contains("layer.0"));
    save(&sharded.path().join("a.safetensors"), &first);
    save(&sharded.path().join("b.safetensors"), &second);
    let index = sharded.path().join("model.safetensors.index.json");
    std::fs::write(
        &index,
        r#"{"weight_map": {"x": "a.safetensors", "y": "b.safetensors"}}"#,
    )
    .unwrap();
    let (expected, found) = (load(single.path()).unwrap(), load(sharded.path()).unwrap());
    assert_eq!(values(&expected.0), values(&found.0));

    let cases = [
        (
            r#"{"weight_map": {"x": "../a.safetensors"}}"#,
            "shard `../a.safetensors` is not a file",
        ),
        (
            r#"{"weight_map": {"x": "/etc/passwd"}}"#,
            "shard `/etc/passwd` is not a file name",
        ),
        (r#"{"weight_map": {"x": 3}}"#, "weight_map"),
        (r#"{"metadata": {}}"#, "has no weight_map"),
        ("{", "not JSON"),
        (
            r#"{"weight_map": {"x": "missing.safetensors"}}"#,
            "names 1 of 1 files that are not in this folder: missing.safetensors; download them",
        ),
    ];
    for (text, expected) in cases {
        std::fs::write(&index, text).unwrap();
        let error = load_error(sharded.path());
        assert!(error.contains(expected), "{text}: {error}");
    }
}

#[test]
fn half_and_double_precision_become_single_and_buffers_are_skipped() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let numbers = Tensor::new(&[0.5_f32, -2.0], &Device::Cpu).unwrap();
    let types = [DType::F16, DType::BF16, DType::F64, DType::F32];
    let mut tensors: std::collections::HashMap<String, Tensor> = types
        .iter()
        .map(|dtype| (format!("{dtype:?}"), numbers.to_dtype(*dtype).unwrap()))
        .collect();
    tensors.insert(
        "position_ids".to_owned(),
        Tensor::new(&[1_i64], &Device::Cpu).unwrap(),
    );
    candle_core::safetensors::save(&tensors, &path).unwrap();
    let read = load_tensors(&path, &Device::Cpu).unwrap();
    assert_eq!(read.len(), types.len());
    for (name, tensor) in read {
        assert_eq!(tensor.dtype(), DType::F32, "{name}");
        assert_eq!(tensor.to_vec1::<f32>().unwrap(), [0.5, -2.0], "{name}");
    }
}

#[test]
fn damaged_weights_are_named() {
    let folder = model_folder(&bert(), same);
    let path = folder.path().join("model.safetensors");
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    let error = load_error(folder.path());
    assert!(
        error.contains("model.safetensors: not a safetensors file, or a truncated"),
        "{error}"
    );

    let mut tensors = random_tensors(&bert());
    let bias = Tensor::new(&[0_f32, f32::NAN, 0.0, 0.0], &Device::Cpu).unwrap();
    tensors.insert("encoder.layer.0.output.dense.bias".to_owned(), bias);
    save(&path, &tensors);
    let expected = "tensor `encoder.layer.0.output.dense.bias` holds NaN at element 1";
    assert!(load_error(folder.path()).ends_with(expected));

    std::fs::remove_file(&path).unwrap();
    assert!(load_error(folder.path()).starts_with("FOLDER: no model.safetensors in this folder"));
}

#[test]
fn saved_models_load_with_the_same_task_and_parameters() {
    for (config, pooling) in [
        (bert(), Pooling::Pooler),
        (roberta(), Pooling::Pooler),
        (distilbert(), Pooling::First),
    ] {
        let folder = model_folder(&config, same);
        for task in [Task::Ordinal, Task::Classification, Task::Regression] {
            let (model, _) =
                TextModel::load(folder.path(), &spec(task, pooling), 4, &Device::Cpu).unwrap();
            let saved = tempfile::tempdir().unwrap();
            model.save(saved.path()).unwrap();
            let again = TextModel::load_finetuned(saved.path(), &Device::Cpu).unwrap();
            assert_eq!(again.spec(), model.spec());
            assert_eq!(values(&again), values(&model));
            assert_eq!(again.config().to_json()["model_type"], config["model_type"]);
        }
    }
}

#[test]
fn a_checkpoint_without_the_head_is_not_fine_tuned() {
    let folder = model_folder(&bert(), same);
    let error = TextModel::load_finetuned(folder.path(), &Device::Cpu)
        .unwrap_err()
        .to_string();
    assert!(error.contains("has no section `rtune`"), "{error}");

    let (model, _) = load(folder.path()).unwrap();
    model
        .config()
        .with_task(model.spec(), OutputForm::Logits)
        .unwrap()
        .write(folder.path())
        .unwrap();
    let error = TextModel::load_finetuned(folder.path(), &Device::Cpu)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("the weights lack the head (head.weight, head.bias, head.cutpoints)"),
        "{error}"
    );
}

#[test]
fn configs_that_are_not_supported_say_the_setting() {
    let cases = [
        (
            bert(),
            json!({"num_attention_heads": 3}),
            "num_attention_heads in config.json: is 3, which does not divide hidden_size 4",
        ),
        (
            bert(),
            json!({"num_attention_heads": 0}),
            "num_attention_heads in config.json: is 0",
        ),
        (
            distilbert(),
            json!({"n_heads": 3}),
            "n_heads in config.json: is 3, which does not divide dim 4",
        ),
        (
            bert(),
            json!({"hidden_act": "mish"}),
            "hidden_act in config.json: `mish` is not supported",
        ),
        (
            distilbert(),
            json!({"activation": "mish"}),
            "activation in config.json: `mish` is not",
        ),
        (
            bert(),
            json!({"position_embedding_type": "relative_key"}),
            "position_embedding_type in config.json: `relative_key` is not supported; supported is absolute",
        ),
        (
            bert(),
            json!({"max_position_embeddings": 4}),
            "max_length: is 5, but the model has only 4 positions",
        ),
        (
            roberta(),
            json!({"max_position_embeddings": 6}),
            "max_length: is 5, but the model has only 4 positions",
        ),
        (
            roberta(),
            json!({"pad_token_id": 7}),
            "max_position_embeddings in config.json: is 8, which leaves no position after pad_token_id 7",
        ),
        (
            bert(),
            json!({"is_decoder": true}),
            "is_decoder in config.json: is true; rtune computes encoders, in which every token",
        ),
        (
            roberta(),
            json!({"pruned_heads": {"1": [0, 2]}}),
            "pruned_heads in config.json: is {\"1\":[0,2]}; rtune computes the same number of heads",
        ),
        (
            distilbert(),
            json!({"quantization_config": {"quant_method": "bitsandbytes"}}),
            "quantization_config in config.json: is {\"quant_method\":\"bitsandbytes\"}; the weights",
        ),
        (
            bert(),
            json!({"layer_norm_eps": 0}),
            "layer_norm_eps in config.json: is 0, expected more than 0",
        ),
        (
            bert(),
            json!({"classifier_dropout": 1.0}),
            "classifier_dropout in config.json: is 1, expected at least 0 and less than 1",
        ),
        (
            distilbert(),
            json!({"attention_dropout": -0.1}),
            "attention_dropout in config.json: is -0.1, expected at least 0 and less than 1",
        ),
        (
            bert(),
            json!({"hidden_size": "wide"}),
            "hidden_size in config.json: invalid type: string \"wide\", expected a whole number",
        ),
        (
            roberta(),
            json!({"pad_token_id": -1}),
            "pad_token_id in config.json: invalid value: integer `-1`, expected a whole number, 0",
        ),
        (
            distilbert(),
            json!({"dropout": [0.1]}),
            "dropout in config.json: invalid type: sequence, expected a number",
        ),
        (
            bert(),
            json!({"num_hidden_layers": 1_000_000_000_000_u64}),
            "num_hidden_layers in config.json: is 1000000000000, expected at most 1000",
        ),
        (
            bert(),
            json!({"model_type": "gpt2"}),
            "model_type in config.json: `gpt2` is not supported; supported are bert, ",
        ),
    ];
    for (mut config, change, expected) in cases {
        let folder = model_folder(&config, same);
        merge(&mut config, &change);
        write_config(folder.path(), &config);
        let error = load_error(folder.path());
        assert!(error.starts_with(&format!("FOLDER: {expected}")), "{error}");
    }
}

#[test]
fn fields_are_read_harmless_refused_or_reported() {
    for family in ["bert", "roberta", "distilbert"] {
        let file = rtune_testkit::fixtures().join("encoders").join(family);
        let text = std::fs::read_to_string(file.join("config.json")).unwrap();
        let config: Value = serde_json::from_str(&text).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let unknown = |config: &Value| {
            let read = write_config(folder.path(), config);
            let encoder = EncoderConfig::parse(&read).map_err(|error| error.to_string())?;
            Ok::<_, String>(encoder.unknown_fields(&read))
        };
        // All fields of the reference implementation are known.
        assert_eq!(unknown(&config), Ok(Vec::new()), "{family}");
        let mut other = config.clone();
        merge(
            &mut other,
            &json!({"rope_theta": 1e4, "use_alibi": true, "use_conv": false, "more": null}),
        );
        assert_eq!(unknown(&other).unwrap(), ["rope_theta", "use_alibi"]);
        // A field that is said to be read is read: another type is an error.
        let fields = match family {
            "distilbert" => <nn::DistilBertConfig as nn::FamilyConfig>::FIELDS,
            "roberta" => <nn::RobertaConfig as nn::FamilyConfig>::FIELDS,
            _ => <nn::BertConfig as nn::FamilyConfig>::FIELDS,
        };
        for field in fields {
            let mut other = config.clone();
            merge(&mut other, &json!({*field: [[]]}));
            let error = unknown(&other).unwrap_err();
            assert!(error.contains("invalid type"), "{family}: {field}: {error}");
        }
    }
}

#[test]
fn a_unique_prefix_of_any_kind_is_removed() {
    let expected = load(model_folder(&bert(), same).path()).unwrap().0;
    for prefix in [
        "module._orig_mod.bert.",
        "0.auto_model.",
        "question_encoder.bert_model.",
    ] {
        let folder = model_folder(&bert(), |name| Some(format!("{prefix}{name}")));
        let (model, report) = load(folder.path()).unwrap();
        assert_eq!(values(&model), values(&expected), "{prefix}");
        assert_eq!(report.prefix.as_deref(), Some(prefix));
    }
    let folder = model_folder(&bert(), |name| Some(format!("query.{name}")));
    let path = folder.path().join("model.safetensors");
    let tensors = load_tensors(&path, &Device::Cpu).unwrap();
    let both = tensors.into_iter().flat_map(|(name, tensor)| {
        let other = name.replacen("query", "document", 1);
        [(name, tensor.clone()), (other, tensor)]
    });
    save(&path, &both.collect());
    let expected = "several encoders, with the prefixes `document.`, `query.`; write the tensors";
    assert!(load_error(folder.path()).contains(expected));
}

#[test]
fn weights_of_integers_are_named() {
    let folder = model_folder(&bert(), same);
    let path = folder.path().join("model.safetensors");
    let mut tensors = candle_core::safetensors::load(&path, &Device::Cpu).unwrap();
    for name in ["output", "intermediate"] {
        let name = format!("encoder.layer.1.{name}.dense.weight");
        let weight = tensors[&name].to_dtype(DType::U8).unwrap();
        tensors.insert(name, weight);
    }
    candle_core::safetensors::save(&tensors, &path).unwrap();
    assert_eq!(
        load_error(folder.path()),
        "FOLDER: tensor `encoder.layer.1.intermediate.dense.weight` and 1 more: elements of type \
         U8 are not supported, only F64, F32, F16 and BF16; take the model from before its \
         quantization"
    );
}

#[test]
fn tensors_of_another_family_are_shown() {
    let folder = model_folder(&bert(), |name| Some(name.replace("word_embeddings", "wte")));
    let error = load_error(folder.path());
    let expected = "missing: `embeddings.word_embeddings.weight`; found are `embeddings.wte.weight`, \
                    `pooler.dense.bias`, `pooler.dense.weight`; is this the right model_type";
    assert!(error.contains(expected), "{error}");
}

/// The names of parameters with initial values, for a classification with the family's head.
fn initialized(folder: &Path) -> Vec<String> {
    let spec = spec(Task::Classification, Pooling::Pooler);
    let (_, report) = TextModel::load(folder, &spec, 1, &Device::Cpu).unwrap();
    report.initialized
}

#[test]
fn a_pooler_that_the_checkpoint_lacks_is_new() {
    let head = ["classifier.weight", "classifier.bias"];
    let folder = model_folder(&bert(), same);
    assert_eq!(initialized(folder.path()), head);
    let bare = model_folder(&bert(), |name| {
        (!name.starts_with("pooler")).then(|| name.to_owned())
    });
    let pooler = ["pooler.dense.weight", "pooler.dense.bias"];
    assert_eq!(initialized(bare.path()), [pooler, head].concat());
    let distilbert = model_folder(&distilbert(), same);
    let pooler = ["pre_classifier.weight", "pre_classifier.bias"];
    assert_eq!(initialized(distilbert.path()), [pooler, head].concat());
}

/// A classifier that transformers wrote: its task is that of `config.json`, and other tasks get a
/// new head, whose pooler is the encoder's.
#[test]
fn a_classifier_of_transformers_loads_with_its_own_head() {
    let mut config = bert();
    merge(
        &mut config,
        &json!({
            "architectures": ["BertForSequenceClassification"],
            "id2label": {"0": "bad", "1": "fair", "2": "good"},
        }),
    );
    let folder = tempfile::tempdir().unwrap();
    write_config(folder.path(), &config);
    let mut tensors: BTreeMap<String, Tensor> = random_tensors(&config)
        .into_iter()
        .map(|(name, tensor)| (format!("module.bert.{name}"), tensor))
        .collect();
    let weight = Tensor::ones((3, 4), DType::F32, &Device::Cpu).unwrap();
    tensors.insert("module.classifier.weight".to_owned(), weight);
    let bias = Tensor::ones(3, DType::F32, &Device::Cpu).unwrap();
    tensors.insert("module.classifier.bias".to_owned(), bias);
    save(&folder.path().join("model.safetensors"), &tensors);

    let model = TextModel::load_finetuned(folder.path(), &Device::Cpu).unwrap();
    let expected = TaskSpec {
        max_length: 8,
        ..spec(Task::Classification, Pooling::Pooler)
    };
    assert_eq!(model.spec(), &expected);
    assert_eq!(model.head().params()[0].name(), "classifier.weight");

    let numbered = |labels: &[&str]| TaskSpec {
        labels: labels.iter().map(|label| (*label).to_owned()).collect(),
        ..expected.clone()
    };
    let differs = |text: &str| nn::HeadOrigin::Replaced {
        differences: vec![text.to_owned()],
    };
    let labels = "labels [\"bad\",\"fair\",\"good\"] (now [\"0\",\"1\"])";
    let ordinal = "task classification (now ordinal)";
    let mean = "pooling pooler (now mean)";
    for (spec, origin, initialized) in [
        (expected.clone(), nn::HeadOrigin::Checkpoint, 0),
        (numbered(&["0", "1"]), differs(labels), 2),
        (spec(Task::Ordinal, Pooling::Pooler), differs(ordinal), 3),
        (spec(Task::Classification, Pooling::Mean), differs(mean), 2),
    ] {
        let (model, report) = TextModel::load(folder.path(), &spec, 1, &Device::Cpu).unwrap();
        assert_eq!(
            (report.head, report.initialized.len()),
            (origin, initialized)
        );
        let kept = model.head().params()[0].value().sum_all().unwrap();
        let kept = kept.to_scalar::<f32>().unwrap() == 12.0;
        assert_eq!(kept, initialized == 0);
    }

    // Classes without names are numbered; a task that rtune does not have is another one.
    let cases = [
        (json!({"id2label": null, "num_labels": 3}), true),
        (json!({"problem_type": "multi_label_classification"}), false),
    ];
    for (change, is_kept) in cases {
        merge(&mut config, &change);
        write_config(folder.path(), &config);
        let spec = numbered(&["0", "1", "2"]);
        let (_, report) = TextModel::load(folder.path(), &spec, 1, &Device::Cpu).unwrap();
        assert_eq!(
            report.head == nn::HeadOrigin::Checkpoint,
            is_kept,
            "{change}"
        );
    }
    let error = TextModel::load_finetuned(folder.path(), &Device::Cpu).unwrap_err();
    assert!(
        error.to_string().contains("problem_type in config.json"),
        "{error}"
    );
}

#[test]
fn a_head_of_another_task_is_not_taken() {
    let folder = model_folder(&bert(), same);
    let task = spec(Task::Ordinal, Pooling::Mean);
    let tuned = tempfile::tempdir().unwrap();
    load(folder.path()).unwrap().0.save(tuned.path()).unwrap();
    let head = |spec: &TaskSpec, seed, fresh: bool| {
        let load = match fresh {
            true => TextModel::load_with_new_head,
            false => TextModel::load,
        };
        let (model, report) = load(tuned.path(), spec, seed, &Device::Cpu).unwrap();
        let head = model.head().params();
        let values = head[0]
            .value()
            .flatten_all()
            .unwrap()
            .to_vec1::<f32>()
            .unwrap();
        (values, report.head, report.initialized.len())
    };
    let (stored, origin, initialized) = head(&task, 2, false);
    assert_eq!((origin, initialized), (nn::HeadOrigin::Checkpoint, 0));
    let mut reversed = task.clone();
    reversed.labels.reverse();
    let (new, origin, initialized) = head(&reversed, 2, false);
    assert!(
        matches!(origin, nn::HeadOrigin::Replaced { .. }),
        "{origin:?}"
    );
    assert_eq!(initialized, 3);
    assert_ne!(new, stored);
    let (new, origin, initialized) = head(&task, 2, true);
    assert_eq!((origin, initialized), (nn::HeadOrigin::Requested, 3));
    assert_ne!(new, stored);
    // Another tool's tensors of the same names are no head of ours.
    write_config(tuned.path(), &bert());
    let (new, origin, initialized) = head(&task, 2, false);
    assert_eq!((origin, initialized), (nn::HeadOrigin::New, 3));
    assert_ne!(new, stored);
}

#[test]
fn config_files_that_cannot_be_read_say_why() {
    let folder = tempfile::tempdir().unwrap();
    let error = |text: Option<&str>| {
        if let Some(text) = text {
            std::fs::write(folder.path().join("config.json"), text).unwrap();
        }
        ModelConfig::read(folder.path()).unwrap_err().to_string()
    };
    assert!(error(None).contains("no config.json in this folder"));
    assert!(error(Some("[1]")).contains("config.json: not a JSON object"));
    assert!(error(Some("{")).contains("config.json: not a JSON object"));
    let error_without_weights = error(Some("{}"));
    assert!(error_without_weights.contains("names no model_type, and the weights do not tell it"));
    assert!(error(Some(r#"{"model_type": 3}"#)).contains("model_type is 3, expected a text"));
}

#[test]
fn the_task_section_is_checked_and_other_fields_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = bert();
    merge(&mut config, &json!({"of_another_tool": {"kept": [1, 2]}}));
    let read = write_config(folder.path(), &config);
    assert!(read.task().unwrap().is_none());
    read.with_task(&spec(Task::Ordinal, Pooling::First), OutputForm::Logits)
        .unwrap()
        .write(folder.path())
        .unwrap();
    let read = ModelConfig::read(folder.path()).unwrap();
    assert_eq!(
        read.task().unwrap().unwrap(),
        spec(Task::Ordinal, Pooling::First)
    );
    let json = read.to_json();
    assert_eq!(json["of_another_tool"], json!({"kept": [1, 2]}));
    assert_eq!(json["label2id"], json!({"score": 0}));

    for (section, expected) in [
        (json!({"task": "ordinal"}), "missing field"),
        (
            json!({"task": "ordinal", "labels": ["a"], "pooling": "mean", "max_length": 8}),
            "labels",
        ),
        (
            json!({"task": "ordinal", "labels": ["a", "b"], "pooling": "mean", "max_length": 8, "x": 1}),
            "unknown field `x`",
        ),
    ] {
        merge(&mut config, &json!({"rtune": section}));
        let error = write_config(folder.path(), &config)
            .task()
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("section `rtune` of config.json: "),
            "{error}"
        );
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn encoders_state_their_inputs_and_their_length() {
    let cases = [
        (
            bert(),
            json!({}),
            8,
            "input_ids, attention_mask, token_type_ids",
        ),
        (
            bert(),
            json!({"type_vocab_size": 1}),
            8,
            "input_ids, attention_mask",
        ),
        (
            bert(),
            json!({"type_vocab_size": 0}),
            8,
            "input_ids, attention_mask",
        ),
        (roberta(), json!({}), 6, "input_ids, attention_mask"),
        (
            roberta(),
            json!({"type_vocab_size": 2}),
            6,
            "input_ids, attention_mask, token_type_ids",
        ),
        (
            roberta(),
            json!({"pad_token_id": 0}),
            7,
            "input_ids, attention_mask",
        ),
        (distilbert(), json!({}), 8, "input_ids, attention_mask"),
    ];
    for (mut config, change, length, inputs) in cases {
        merge(&mut config, &change);
        let folder = model_folder(&config, same);
        let (model, _) = load(folder.path()).unwrap();
        assert_eq!(
            (model.max_length(), model.signature().to_string()),
            (length, inputs.to_owned()),
            "{change}"
        );
    }
}

/// Weight decay and learning rates follow from these.
#[test]
fn every_parameter_of_bert_has_its_role_and_group() {
    use ParamGroup::{Embeddings, Head, Layer};
    use ParamRole::{Bias, Cutpoints, Embedding, Norm, Weight};
    let folder = model_folder(&bert(), same);
    let spec = spec(Task::Ordinal, Pooling::Pooler);
    let (model, _) = TextModel::load(folder.path(), &spec, 1, &Device::Cpu).unwrap();
    let table = |name: &str| {
        (
            format!("embeddings.{name}_embeddings.weight"),
            Embedding,
            Embeddings,
        )
    };
    let mut expected = vec![table("word"), table("position"), table("token_type")];
    let mut module = |path: String, [weight, bias]: [ParamRole; 2], group| {
        expected.push((format!("{path}.weight"), weight, group));
        expected.push((format!("{path}.bias"), bias, group));
    };
    let (linear, norm) = ([Weight, Bias], [Norm, Norm]);
    module("embeddings.LayerNorm".to_owned(), norm, Embeddings);
    for n in [0, 1] {
        let modules = [
            ("attention.self.query", linear),
            ("attention.self.key", linear),
            ("attention.self.value", linear),
            ("attention.output.dense", linear),
            ("attention.output.LayerNorm", norm),
            ("intermediate.dense", linear),
            ("output.dense", linear),
            ("output.LayerNorm", norm),
        ];
        for (name, roles) in modules {
            module(format!("encoder.layer.{n}.{name}"), roles, Layer(n));
        }
    }
    module("pooler.dense".to_owned(), linear, Layer(2));
    module("head".to_owned(), linear, Head);
    expected.push(("head.cutpoints".to_owned(), Cutpoints, Head));
    let params = model.params();
    let found: Vec<_> = params
        .iter()
        .map(|p| (p.name().to_owned(), p.role(), p.group()))
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn tensors_that_cannot_be_written_leave_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("missing/model.safetensors");
    assert!(save_tensors(&path, [("a", TensorRef::Slice(&[1.0]))]).is_err());
    let path = folder.path().join("model.safetensors");
    save_tensors(
        &path,
        [
            ("b", TensorRef::Slice(&[1.0, 2.0])),
            ("a", TensorRef::Slice(&[3.0])),
        ],
    )
    .unwrap();
    let read = load_tensors(&path, &Device::Cpu).unwrap();
    assert_eq!(read["a"].to_vec1::<f32>().unwrap(), [3.0]);
    assert_eq!(read["b"].to_vec1::<f32>().unwrap(), [1.0, 2.0]);
}

#[test]
fn a_loader_shares_tensors_and_collects_problems() {
    let tensor = |n: usize| Tensor::ones(n, DType::F32, &Device::Cpu).unwrap();
    let named = [("a.weight", 2), ("b.weight", 3), ("spare", 1)];
    let tensors = || -> BTreeMap<String, Tensor> {
        named
            .iter()
            .map(|(name, n)| ((*name).to_owned(), tensor(*n)))
            .collect()
    };
    let loader = WeightLoader::new(StateDict::from(tensors()), 1, &Device::Cpu);
    let vb = loader.pretrained();
    assert!(vb.contains_tensor("spare") && !vb.pp("a").contains_tensor("bias"));
    let (first, second) = (vb.pp("a").get(2, "weight"), vb.pp("a").get(2, "weight"));
    assert_eq!(
        first.unwrap().id(),
        second.unwrap().id(),
        "a shared parameter is one tensor"
    );
    assert_eq!(vb.get_unchecked("b.weight").unwrap().dims(), [3]);
    let report = loader.finish("folder".as_ref()).unwrap();
    assert_eq!(
        (report.loaded, report.unexpected),
        (
            vec!["a.weight".to_owned(), "b.weight".to_owned()],
            vec!["spare".to_owned()],
        )
    );

    let loader = WeightLoader::new(StateDict::from(tensors()), 1, &Device::Cpu);
    let vb = loader.pretrained();
    for (name, n) in [("a.weight", 4), ("c.weight", 1), ("c.bias", 1)] {
        vb.get(n, name).unwrap();
    }
    assert_eq!(
        loader.finish("folder".as_ref()).unwrap_err().to_string(),
        "folder: tensor `a.weight` has shape [2], config.json asks for [4]; tensors of the encoder \
         are missing: `c.weight`, `c.bias`; the weights are incomplete, or \
         config.json belongs to others"
    );
}

#[test]
fn a_family_that_config_json_does_not_name_is_inferred() {
    // The fixtures of these families have names that several families have.
    let shared = [
        "bert",
        "data2vec-text",
        "eurobert",
        "new",
        "xlm-roberta",
        "camembert",
    ];
    let classes = [
        "BertModel",
        "Data2VecTextModel",
        "EuroBertModel",
        "NewModel",
    ];
    let classes = [classes.as_slice(), &["XLMRobertaModel", "CamembertModel"]].concat();
    let fixtures = rtune_testkit::root().join("fixtures/encoders");
    let mut families = 0;
    for entry in std::fs::read_dir(fixtures).unwrap() {
        let source = entry.unwrap().path();
        let family = source.file_name().unwrap().to_string_lossy().into_owned();
        let folder = tempfile::tempdir().unwrap();
        let weights = "model.safetensors";
        std::fs::copy(source.join(weights), folder.path().join(weights)).unwrap();
        let text = std::fs::read(source.join("config.json")).unwrap();
        let read = |class: Option<&str>| {
            let mut config: Map<String, Value> = serde_json::from_slice(&text).unwrap();
            config.remove("model_type");
            config.insert("architectures".to_owned(), json!(class));
            if let Some(class) = class {
                config.insert("architectures".to_owned(), json!([class]));
            }
            let config = Value::Object(config).to_string();
            std::fs::write(folder.path().join("config.json"), config).unwrap();
            ModelConfig::read(folder.path())
        };
        let class = shared.iter().position(|name| *name == family);
        if class.is_some() {
            let error = read(None).unwrap_err().to_string();
            assert!(error.contains(&family), "{error}");
            let end = "; name the family of the model there";
            assert!(error.ends_with(end), "{error}");
        }
        let config = read(class.map(|class| classes[class])).unwrap();
        assert_eq!(config.inferred_model_type(), Some(family.as_str()));
        EncoderConfig::parse(&config).unwrap();
        families += 1;
    }
    assert!(families >= 17, "{families} families");
}

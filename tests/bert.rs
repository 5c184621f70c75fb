//! BERT against the reference implementation, and checkpoints in their many forms, on
//! `fixtures/bert-tiny`.

#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)] // Tests.

use candle_core::{Device, Tensor};
use rtune_nn::{
    Eager, Inputs, ModelConfig, NnError, Ops as _, TensorRef, TextModel, TokenSequences,
    save_tensors,
};
use rtune_task::Target;
use rtune_task::{Cutpoints, Link, Pooling, Task, TaskSpec};
use rtune_train::{LossSpec, Tape, TapeValue, check_coverage};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

fn spec(task: Task, pooling: Pooling) -> TaskSpec {
    let labels = if task == Task::Regression {
        vec![]
    } else {
        ["bad", "fair", "good"].map(str::to_owned).to_vec()
    };
    TaskSpec {
        task,
        labels,
        pooling,
        link: Link::Logit,
        cutpoints: Cutpoints::Ordered,
        max_length: 24,
    }
}

fn load(folder: &Path, task: Task, pooling: Pooling) -> Result<TextModel, NnError> {
    TextModel::load(folder, &spec(task, pooling), 1, &Device::Cpu).map(|(model, _)| model)
}

fn fixture() -> std::path::PathBuf {
    rtune_testkit::fixtures().join("bert-tiny")
}

struct Golden {
    shape: (usize, usize),
    ids: Vec<u32>,
    types: Vec<u32>,
    mask: Vec<u8>,
    hidden: Vec<f32>,
    pooled: Vec<f32>,
}

impl Golden {
    fn read() -> Self {
        let json: Value =
            serde_json::from_str(&std::fs::read_to_string(fixture().join("golden.json")).unwrap())
                .unwrap();
        let ints = |key: &str| {
            json[key]
                .as_array()
                .unwrap()
                .iter()
                .map(|v| v.as_u64().unwrap() as u32)
                .collect::<Vec<_>>()
        };
        let floats = |key: &str| {
            json[key]
                .as_array()
                .unwrap()
                .iter()
                .map(|v| v.as_f64().unwrap() as f32)
                .collect()
        };
        let shape = ints("shape");
        Self {
            shape: (shape[0] as usize, shape[1] as usize),
            ids: ints("input_ids"),
            types: ints("token_type_ids"),
            mask: ints("attention_mask")
                .into_iter()
                .map(|m| m as u8)
                .collect(),
            hidden: floats("last_hidden_state"),
            pooled: floats("pooler_output"),
        }
    }

    fn padded(&self) -> (Tensor, Tensor, TokenSequences) {
        let tensor = |values: &[u32]| Tensor::from_slice(values, self.shape, &Device::Cpu).unwrap();
        let sequences =
            TokenSequences::padded(&self.mask, self.shape.0, self.shape.1, &Device::Cpu).unwrap();
        (tensor(&self.ids), tensor(&self.types), sequences)
    }

    fn packed(&self) -> (Tensor, Tensor, TokenSequences) {
        let kept = |values: &[u32]| {
            let values: Vec<u32> = values
                .iter()
                .zip(&self.mask)
                .filter(|(_, m)| **m == 1)
                .map(|(v, _)| *v)
                .collect();
            Tensor::new(values, &Device::Cpu).unwrap()
        };
        let lengths = self
            .mask
            .chunks(self.shape.1)
            .map(|row| row.iter().map(|m| u32::from(*m)).sum::<u32>());
        let mut offsets = vec![0];
        lengths.for_each(|length| offsets.push(offsets.last().unwrap() + length));
        (
            kept(&self.ids),
            kept(&self.types),
            TokenSequences::packed(&offsets, &Device::Cpu).unwrap(),
        )
    }
}

fn assert_close(expected: impl IntoIterator<Item = f32>, found: impl IntoIterator<Item = f32>) {
    let (mut expected, mut found, mut count) = (expected.into_iter(), found.into_iter(), 0);
    loop {
        match (expected.next(), found.next()) {
            (Some(a), Some(b)) => {
                assert!(
                    (a - b).abs() <= 2e-5 * (1.0 + a.abs()),
                    "element {count}: expected {a}, found {b}"
                )
            }
            (None, None) => break,
            _ => panic!("lengths differ at {count}"),
        }
        count += 1;
    }
    assert!(count > 0);
}

fn flat(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// Rows of the golden hidden states that are no padding.
fn golden_tokens(golden: &Golden) -> Vec<f32> {
    let width = golden.hidden.len() / golden.mask.len();
    golden
        .hidden
        .chunks(width)
        .zip(&golden.mask)
        .filter(|(_, m)| **m == 1)
        .flat_map(|(row, _)| row.to_vec())
        .collect()
}

#[test]
fn hidden_states_match_the_reference_padded_and_packed() {
    let golden = Golden::read();
    let model = load(&fixture(), Task::Ordinal, Pooling::Mean).unwrap();
    let (ids, types, sequences) = golden.padded();
    let ops = Eager::new();
    let inputs = Inputs::new(&ops, ids, types, &sequences);
    let hidden = flat(model.hidden_states(&inputs).unwrap().value());
    let width = hidden.len() / golden.mask.len();
    let tokens = hidden
        .chunks(width)
        .zip(&golden.mask)
        .filter(|(_, m)| **m == 1)
        .flat_map(|(row, _)| row.to_vec());
    assert_close(golden_tokens(&golden), tokens);

    let (ids, types, sequences) = golden.packed();
    let ops = Eager::new();
    let inputs = Inputs::new(&ops, ids, types, &sequences);
    assert_close(
        golden_tokens(&golden),
        flat(model.hidden_states(&inputs).unwrap().value()),
    );
}

#[test]
fn pooler_matches_the_reference() {
    let golden = Golden::read();
    let (ids, types, sequences) = golden.padded();
    let model = load(&fixture(), Task::Ordinal, Pooling::Pooler).unwrap();
    let ops = Eager::traced();
    let inputs = Inputs::new(&ops, ids, types, &sequences);
    model.forward(&inputs).unwrap();
    let trace = ops.into_trace();
    let pooled = &trace
        .iter()
        .find(|(name, _)| name == "pooling/tanh")
        .unwrap()
        .1;
    assert_close(golden.pooled, flat(pooled));
}

#[test]
fn every_parameter_of_every_head_and_pooling_receives_a_gradient() {
    let golden = Golden::read();
    for task in [Task::Ordinal, Task::Classification, Task::Regression] {
        for pooling in [Pooling::Mean, Pooling::First, Pooling::Pooler] {
            for (ids, types, sequences) in [golden.padded(), golden.packed()] {
                let model = load(&fixture(), task, pooling).unwrap();
                let tape = Tape::with_dropout(1, 1);
                let (ids, types) = (TapeValue::constant(ids), TapeValue::constant(types));
                let inputs = Inputs::new(&tape, ids, types, &sequences);
                let logits = model.forward(&inputs).unwrap().into_value();
                let target = |class| {
                    if task == Task::Regression {
                        Target::Number(0.5)
                    } else {
                        Target::Class(class)
                    }
                };
                let loss = LossSpec::new(model.spec(), None).unwrap();
                let targets = [0, 1, 2].map(target);
                let (loss, value) = loss.on_tape(&tape, &model, &logits, &targets).unwrap();
                assert!(value.is_finite());
                let gradients = tape.backward(&loss).unwrap();
                check_coverage(&model.params(), &gradients, 1).unwrap();
                assert_eq!(
                    gradients.len(),
                    model.params().len(),
                    "{task:?} {pooling:?}"
                );
            }
        }
    }
}

#[test]
fn coverage_names_what_received_nothing() {
    let model = load(&fixture(), Task::Ordinal, Pooling::Mean).unwrap();
    let error = check_coverage(&model.params(), &BTreeMap::new(), 1)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("embeddings.word_embeddings.weight"),
        "{error}"
    );
}

/// The fixture's tensors under other names.
fn rewrite(folder: &Path, rename: impl Fn(&str) -> Option<String>) {
    let tensors =
        candle_core::safetensors::load(fixture().join("model.safetensors"), &Device::Cpu).unwrap();
    let tensors: BTreeMap<String, Tensor> = tensors
        .into_iter()
        .filter_map(|(name, t)| Some((rename(&name)?, t)))
        .collect();
    save_tensors(
        &folder.join("model.safetensors"),
        tensors
            .iter()
            .map(|(n, t)| (n.as_str(), TensorRef::Tensor(t))),
    )
    .unwrap();
    std::fs::copy(fixture().join("config.json"), folder.join("config.json")).unwrap();
}

fn score(model: &TextModel) -> Vec<f32> {
    let (ids, types, sequences) = Golden::read().padded();
    let ops = Eager::new();
    let inputs = Inputs::new(&ops, ids, types, &sequences);
    flat(model.hidden_states(&inputs).unwrap().value())
}

#[test]
fn old_names_prefixes_and_shards_load_alike() {
    let expected = score(&load(&fixture(), Task::Ordinal, Pooling::Mean).unwrap());
    let old = |name: &str| {
        let name = name
            .replace("LayerNorm.weight", "LayerNorm.gamma")
            .replace("LayerNorm.bias", "LayerNorm.beta");
        Some(format!("bert.{name}"))
    };
    let folder = tempfile::tempdir().unwrap();
    rewrite(folder.path(), old);
    assert_eq!(
        expected,
        score(&load(folder.path(), Task::Ordinal, Pooling::Mean).unwrap())
    );

    let sharded = tempfile::tempdir().unwrap();
    rewrite(sharded.path(), |name| {
        name.starts_with("embeddings").then(|| name.to_owned())
    });
    std::fs::rename(
        sharded.path().join("model.safetensors"),
        sharded.path().join("a.safetensors"),
    )
    .unwrap();
    rewrite(sharded.path(), |name| {
        (!name.starts_with("embeddings")).then(|| name.to_owned())
    });
    std::fs::rename(
        sharded.path().join("model.safetensors"),
        sharded.path().join("b.safetensors"),
    )
    .unwrap();
    let index = r#"{"metadata": {}, "weight_map": {"embeddings.LayerNorm.weight": "a.safetensors", "pooler.dense.bias": "b.safetensors"}}"#;
    std::fs::write(sharded.path().join("model.safetensors.index.json"), index).unwrap();
    assert_eq!(
        expected,
        score(&load(sharded.path(), Task::Ordinal, Pooling::Mean).unwrap())
    );
}

#[test]
fn what_does_not_fit_is_named() {
    let folder = tempfile::tempdir().unwrap();
    rewrite(folder.path(), |name| {
        (!name.contains("layer.1.output.dense.bias")).then(|| name.to_owned())
    });
    let error = load(folder.path(), Task::Ordinal, Pooling::Mean)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("`encoder.layer.1.output.dense.bias`"),
        "{error}"
    );

    let config = std::fs::read_to_string(fixture().join("config.json")).unwrap();
    std::fs::write(
        folder.path().join("config.json"),
        config.replace("\"vocab_size\": 29", "\"vocab_size\": 30"),
    )
    .unwrap();
    rewrite_keeping_config(folder.path());
    let error = load(folder.path(), Task::Ordinal, Pooling::Mean)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains(
            "`embeddings.word_embeddings.weight` has shape [29, 32], config.json asks for [30, 32]"
        ),
        "{error}"
    );
}

fn rewrite_keeping_config(folder: &Path) {
    std::fs::copy(
        fixture().join("model.safetensors"),
        folder.join("model.safetensors"),
    )
    .unwrap();
}

#[test]
fn a_missing_head_is_initialized_and_said_and_a_saved_model_comes_back() {
    let (model, report) = TextModel::load(
        &fixture(),
        &spec(Task::Ordinal, Pooling::Mean),
        1,
        &Device::Cpu,
    )
    .unwrap();
    assert_eq!(
        report.initialized,
        ["head.weight", "head.bias", "head.cutpoints"]
    );
    assert_eq!(
        report.unexpected,
        ["pooler.dense.bias", "pooler.dense.weight"]
    );
    let folder = tempfile::tempdir().unwrap();
    model.save(folder.path()).unwrap();
    let again = TextModel::load_finetuned(folder.path(), &Device::Cpu).unwrap();
    assert_eq!(again.spec(), model.spec());
    for (a, b) in model.params().iter().zip(again.params()) {
        assert_eq!((a.name(), flat(a.value())), (b.name(), flat(b.value())));
    }
    assert!(
        ModelConfig::read(&fixture())
            .unwrap()
            .task()
            .unwrap()
            .is_none()
    );
    assert!(
        TextModel::load_finetuned(&fixture(), &Device::Cpu)
            .unwrap_err()
            .to_string()
            .contains("rtune finetune")
    );
}

#[test]
fn a_row_of_padding_alone_is_finite() {
    let model = load(&fixture(), Task::Ordinal, Pooling::Mean).unwrap();
    let ids = Tensor::zeros((1, 4), candle_core::DType::U32, &Device::Cpu).unwrap();
    let sequences = TokenSequences::padded(&[0; 4], 1, 4, &Device::Cpu).unwrap();
    let ops = Eager::new();
    let inputs = Inputs::new(&ops, ids.clone(), ids.clone(), &sequences);
    let logits = model.forward(&inputs).unwrap();
    assert!(flat(logits.value()).iter().all(|v| v.is_finite()));
    let softmax = Eager::new()
        .softmax(&Tensor::new(&[[-1e4_f32, -1e4]], &Device::Cpu).unwrap())
        .unwrap();
    assert_eq!(flat(&softmax), [0.5, 0.5]);
}

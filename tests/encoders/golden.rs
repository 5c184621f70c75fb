use crate::{families, family, flat, hidden_states, load};
use candle_core::{Device, Tensor};
use rtune_nn::{Eager, Inputs, TokenSequences};
use rtune_task::{Pooling, Task};
use rtune_testkit::assert_close;
use rtune_train::{Tape, TapeValue};
use serde_json::Value;
use std::path::Path;

/// A batch and the results of the reference implementation on it.
pub(crate) struct Golden {
    pub(crate) shape: (usize, usize),
    pub(crate) ids: Vec<u32>,
    pub(crate) types: Option<Vec<u32>>,
    pub(crate) mask: Vec<u8>,
    pub(crate) hidden: Vec<f32>,
    pub(crate) pooled: Option<Vec<f32>>,
}

/// A batch as candle tensors.
pub(crate) struct Batch {
    ids: Tensor,
    types: Option<Tensor>,
    sequences: TokenSequences,
}

impl Batch {
    pub(crate) fn inputs<'a>(&'a self, ops: &'a Eager) -> Inputs<'a, Eager> {
        Inputs::new(ops, self.ids.clone(), self.types.clone(), &self.sequences)
    }

    pub(crate) fn inputs_on_tape<'a>(&'a self, tape: &'a Tape) -> Inputs<'a, Tape> {
        let [ids, types] = [Some(&self.ids), self.types.as_ref()]
            .map(|ids| ids.map(|ids| TapeValue::constant(ids.clone())));
        Inputs::new(tape, ids.unwrap(), types, &self.sequences)
    }
}

fn integers(json: &Value) -> Vec<u32> {
    let values = json.as_array().unwrap().iter();
    values
        .map(|value| u32::try_from(value.as_u64().unwrap()).unwrap())
        .collect()
}

fn floats(json: &Value) -> Vec<f32> {
    json.as_array()
        .unwrap()
        .iter()
        .map(|value| value.as_f64().unwrap() as f32)
        .collect()
}

fn read_json(folder: &Path) -> Value {
    let text = std::fs::read_to_string(folder.join("golden.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// The prefix of names in checkpoints of the family's task classes.
pub(crate) fn prefix(folder: &Path) -> String {
    read_json(folder)["prefix"].as_str().unwrap().to_owned()
}

impl Golden {
    /// The cases of a family: one token, texts of different lengths, and the greatest length.
    pub(crate) fn read(folder: &Path) -> Vec<Self> {
        let json = read_json(folder);
        let cases = json["cases"].as_array().unwrap().iter();
        let cases: Vec<Self> = cases.map(Self::of_case).collect();
        assert_eq!(cases[0].shape, (1, 1));
        assert!(cases[1].shape.0 > 1 && cases[1].mask.contains(&0));
        cases
    }

    fn of_case(case: &Value) -> Self {
        let shape: Vec<usize> = integers(&case["shape"])
            .iter()
            .map(|n| *n as usize)
            .collect();
        Self {
            shape: (shape[0], shape[1]),
            ids: integers(&case["input_ids"]),
            types: case.get("token_type_ids").map(integers),
            mask: integers(&case["attention_mask"])
                .iter()
                .map(|m| u8::from(*m == 1))
                .collect(),
            hidden: floats(&case["last_hidden_state"]),
            pooled: case.get("pooler_output").map(floats),
        }
    }

    pub(crate) fn padded(&self) -> Batch {
        let (rows, columns) = self.shape;
        let tensor = |ids: &Vec<u32>| Tensor::from_slice(ids, self.shape, &Device::Cpu).unwrap();
        Batch {
            ids: tensor(&self.ids),
            types: self.types.as_ref().map(tensor),
            sequences: TokenSequences::padded(&self.mask, rows, columns, &Device::Cpu).unwrap(),
        }
    }

    pub(crate) fn packed(&self) -> Batch {
        let kept = |ids: &Vec<u32>| {
            let ids: Vec<u32> = self.unpadded(ids).copied().collect();
            Tensor::new(ids, &Device::Cpu).unwrap()
        };
        let rows = self.mask.chunks(self.shape.1);
        let mut offsets = vec![0];
        for length in rows.map(|row| row.iter().map(|m| u32::from(*m)).sum::<u32>()) {
            offsets.push(offsets.last().unwrap() + length);
        }
        Batch {
            ids: kept(&self.ids),
            types: self.types.as_ref().map(kept),
            sequences: TokenSequences::packed(&offsets, &Device::Cpu).unwrap(),
        }
    }

    /// The elements of a value that has one for each slot of the grid, without those of padding.
    fn unpadded<'a, T>(&'a self, values: &'a [T]) -> impl Iterator<Item = &'a T> {
        let width = values.len() / self.mask.len();
        let slots = values.chunks(width).zip(&self.mask);
        slots.filter(|(_, m)| **m == 1).flat_map(|(slot, _)| slot)
    }
}

#[test]
fn hidden_states_match_the_reference_padded_and_packed() {
    for folder in families() {
        let model = load(&folder, Task::Ordinal, Pooling::Mean).unwrap();
        for golden in Golden::read(&folder) {
            let what = |layout| format!("{}, {:?}, {layout}", folder.display(), golden.shape);
            let expected: Vec<f32> = golden.unpadded(&golden.hidden).copied().collect();
            let padded = hidden_states(&model, &golden.padded());
            let padded: Vec<f32> = golden.unpadded(&padded).copied().collect();
            assert_close(&what("padded"), &expected, &padded, 2e-5);
            let packed = hidden_states(&model, &golden.packed());
            assert_close(&what("packed"), &expected, &packed, 2e-5);
        }
    }
}

/// The goldens can fail: with another padding id, RoBERTa's positions begin one later.
#[test]
fn positions_that_begin_one_later_do_not_match_the_reference() {
    let source = family("roberta");
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("model");
    rtune_testkit::tiny_model_of(&source, &copy);
    let text = std::fs::read_to_string(copy.join("config.json")).unwrap();
    let other = text.replace("\"pad_token_id\": 1", "\"pad_token_id\": 2");
    assert_ne!(text, other);
    std::fs::write(copy.join("config.json"), other).unwrap();
    let golden = &Golden::read(&source)[1];
    let model = load(&copy, Task::Ordinal, Pooling::Mean).unwrap();
    let found = hidden_states(&model, &golden.padded());
    assert!(
        golden
            .hidden
            .iter()
            .zip(found)
            .any(|(a, b)| (a - b).abs() > 0.1)
    );
}

#[test]
fn pooler_matches_the_reference() {
    let model = load(&family("bert"), Task::Ordinal, Pooling::Pooler).unwrap();
    for golden in Golden::read(&family("bert")) {
        let ops = Eager::traced();
        model.forward(&golden.padded().inputs(&ops)).unwrap();
        let trace = ops.into_trace();
        let pooled = &trace
            .iter()
            .find(|(name, _)| name == "pooling/tanh")
            .unwrap()
            .1;
        let what = format!("pooler, {:?}", golden.shape);
        assert_close(&what, golden.pooled.as_ref().unwrap(), &flat(pooled), 2e-5);
    }
}

use crate::{families, families_and_variants, family, flat, hidden_states, load};
use candle_core::{Device, Tensor};
use rtune_nn::{Eager, EncoderConfig, Inputs, ModelConfig, TokenSequences};
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
    /// The places of the grid that `hidden` has rows for.
    slots: Vec<usize>,
    pub(crate) hidden: Vec<f32>,
    pub(crate) pooled: Option<Vec<f32>>,
    /// The logits of a classifier.
    pub(crate) logits: Vec<f32>,
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
        let places = 0..u32::try_from(shape[0] * shape[1]).unwrap();
        let slots = case.get("slots").map_or_else(|| places.collect(), integers);
        Self {
            shape: (shape[0], shape[1]),
            slots: slots.into_iter().map(|slot| slot as usize).collect(),
            ids: integers(&case["input_ids"]),
            types: case.get("token_type_ids").map(integers),
            mask: integers(&case["attention_mask"])
                .iter()
                .map(|m| u8::from(*m == 1))
                .collect(),
            hidden: case.get("last_hidden_state").map_or(vec![], floats),
            pooled: case.get("pooler_output").map(floats),
            logits: case.get("logits").map_or(vec![], floats),
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
            let ids: Vec<u32> = self.tokens(ids).copied().collect();
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

    /// Batches of other shapes with the same ids, without results: with one text, with texts of
    /// different lengths, and with texts of two tokens.
    pub(crate) fn others(goldens: &[Self]) -> Vec<Self> {
        let ids: Vec<u32> = goldens
            .iter()
            .flat_map(|golden| golden.ids.clone())
            .collect();
        let has_types = goldens.iter().all(|golden| golden.types.is_some());
        let batch = |(rows, columns): (usize, usize)| {
            let places = || (0..rows * columns).map(|place| (place / columns, place % columns));
            Self {
                shape: (rows, columns),
                ids: ids.iter().copied().cycle().take(rows * columns).collect(),
                types: has_types.then(|| places().map(|(_, c)| u32::from(c > 2)).collect()),
                mask: places()
                    .map(|(row, column)| u8::from(column == 0 || column + 3 * row < columns))
                    .collect(),
                slots: vec![],
                hidden: vec![],
                pooled: None,
                logits: vec![],
            }
        };
        [(1, 2), (1, 13), (3, 2), (5, 17)].map(batch).into()
    }

    /// The hidden states of the places that the reference has some for, without those of padding:
    /// the expected ones, and those of `found` for the whole grid or for its tokens.
    pub(crate) fn compared(&self, found: &[f32], is_packed: bool) -> [Vec<f32>; 2] {
        let width = self.hidden.len() / self.slots.len();
        let before = |slot: usize| self.mask[..slot].iter().filter(|m| **m == 1).count();
        let stored = self.slots.iter().zip(self.hidden.chunks(width));
        let kept = stored.filter(|(slot, _)| self.mask[**slot] == 1);
        let mut both = [vec![], vec![]];
        for (slot, expected) in kept {
            let row = match is_packed {
                true => before(*slot),
                false => *slot,
            };
            both[0].extend_from_slice(expected);
            both[1].extend_from_slice(&found[row * width..][..width]);
        }
        both
    }

    /// The elements of a value that has one for each slot of the grid, without those of padding.
    pub(crate) fn tokens<'a, T>(&'a self, values: &'a [T]) -> impl Iterator<Item = &'a T> {
        let width = values.len() / self.mask.len();
        let slots = values.chunks(width).zip(&self.mask);
        slots.filter(|(_, m)| **m == 1).flat_map(|(slot, _)| slot)
    }
}

#[test]
fn hidden_states_match_the_reference_padded_and_packed() {
    for folder in families_and_variants() {
        let model = load(&folder, Task::Ordinal, Pooling::Mean).unwrap();
        for golden in Golden::read(&folder) {
            let what = |layout| format!("{}, {:?}, {layout}", folder.display(), golden.shape);
            let padded = hidden_states(&model, &golden.padded());
            let [expected, padded] = golden.compared(&padded, false);
            assert_close(&what("padded"), &expected, &padded, 1e-5);
            let packed = hidden_states(&model, &golden.packed());
            let [expected, packed] = golden.compared(&packed, true);
            assert_close(&what("packed"), &expected, &packed, 1e-5);
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
    let mut poolers = 0;
    for folder in families() {
        let goldens = Golden::read(&folder);
        let config = EncoderConfig::parse(&ModelConfig::read(&folder).unwrap()).unwrap();
        // The pooler of other encoders is no part of a classifier.
        if config.head().unwrap().layer.is_none() {
            continue;
        }
        poolers += 1;
        let model = load(&folder, Task::Ordinal, Pooling::Pooler).unwrap();
        for golden in goldens {
            let ops = Eager::traced();
            model.forward(&golden.padded().inputs(&ops)).unwrap();
            let trace = ops.into_trace();
            let mut results = trace.iter();
            let pooled = results.find(|(name, _)| name == "pooling/tanh").unwrap();
            let what = format!("{}, pooler, {:?}", folder.display(), golden.shape);
            let expected = golden.pooled.as_ref().unwrap();
            assert_close(&what, expected, &flat(&pooled.1), 1e-5);
        }
    }
    assert!(poolers > 5);
}

use crate::golden::{Batch, Golden};
use crate::{RUNTIME, families, families_and_variants, family, flat, load, models};
use candle_core::{DType, Device, Tensor};
use rtune_nn::{Eager, Inputs, Ops as _, TextModel, TokenSequences};
use rtune_runtime::{Feed, Optimization, Session, SessionOptions};
use rtune_task::{Outputs, Pooling, Target, Task, TextInput};
use rtune_testkit::assert_close;
use rtune_train::{LossSpec, Tape, check_coverage};
use std::collections::BTreeMap;

/// Checks that the loss of three texts has a gradient for each parameter.
pub(crate) fn covers(model: &TextModel, batch: &Batch, what: &str) {
    let tape = Tape::with_dropout(1, 1);
    let logits = model.forward(&batch.inputs_on_tape(&tape)).unwrap();
    let loss = LossSpec::new(model.spec(), None).unwrap();
    let targets = [0, 1, 2].map(|class| match model.spec().task {
        Task::Regression | Task::Embedding => Target::Number(0.5),
        Task::Ordinal | Task::Classification => Target::Class(class),
    });
    let loss = loss
        .on_tape(&tape, model, logits.value(), &targets, 3.0)
        .unwrap();
    assert!(loss.array().number().unwrap().is_finite(), "{what}");
    let gradients = tape.backward(&loss).unwrap();
    check_coverage(&model.params(), &gradients, 1).unwrap();
    assert_eq!(gradients.len(), model.params().len(), "{what}");
}

#[test]
fn every_parameter_of_every_head_and_pooling_receives_a_gradient() {
    for folder in families_and_variants() {
        // With one token per sequence, attention has no gradient.
        let goldens = Golden::read(&folder);
        let golden = &goldens[1];
        for model in models(&folder) {
            for batch in [golden.padded(), golden.packed()] {
                let (task, pooling) = (model.spec().task, model.spec().pooling);
                let what = format!("{} {task:?} {pooling:?}", folder.display());
                covers(&model, &batch, &what);
            }
        }
    }
}

#[test]
fn coverage_names_parameters_without_a_gradient() {
    let model = load(&family("bert"), Task::Ordinal, Pooling::Mean).unwrap();
    let error = check_coverage(&model.params(), &BTreeMap::new(), 1)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("embeddings.word_embeddings.weight"),
        "{error}"
    );
}

fn eager_logits(model: &TextModel, golden: &Golden) -> Vec<f32> {
    let (ops, batch) = (Eager::new(), golden.padded());
    flat(model.forward(&batch.inputs(&ops)).unwrap().value())
}

/// The shape and the values of an exported model's logits.
pub(crate) fn run(
    session: &mut Session,
    model: &TextModel,
    golden: &Golden,
) -> (Vec<usize>, Vec<f32>) {
    let wide = |ids: &[u32]| ids.iter().map(|id| i64::from(*id)).collect();
    let ids: Vec<i64> = wide(&golden.ids);
    let mask: Vec<i64> = golden.mask.iter().map(|m| i64::from(*m)).collect();
    let types: Vec<i64> = golden.types.as_deref().map(wide).unwrap_or_default();
    let dims = [golden.shape.0, golden.shape.1];
    let feed = |input: &TextInput| {
        let values = match input {
            TextInput::InputIds => &ids,
            TextInput::AttentionMask => &mask,
            TextInput::TokenTypeIds => &types,
        };
        Feed::i64(input.name(), &dims, values)
    };
    let signature = model.signature();
    let feeds: Vec<_> = signature.inputs().iter().map(feed).collect();
    let outputs = session.run(&feeds).unwrap();
    let (dims, found) = outputs.f32("logits").unwrap();
    (dims.to_vec(), found.to_vec())
}

#[test]
fn weights_that_are_moved_into_a_graph_are_those_that_are_copied() {
    for folder in families_and_variants() {
        let model = load(&folder, Task::Ordinal, Pooling::Mean).unwrap();
        let metadata = BTreeMap::new;
        let copied = rtune_export::export(&model, 17, &Outputs::default(), metadata()).unwrap();
        let moved = rtune_export::export_owned(model, 17, &Outputs::default(), metadata()).unwrap();
        let [copied, moved] = [copied, moved].map(|graph| rtune_onnx::encode(&graph).unwrap());
        assert!(copied == moved, "{}", folder.display());
    }
}

#[test]
fn exported_graphs_compute_the_logits_of_the_reference() {
    for folder in families_and_variants() {
        let mut goldens = Golden::read(&folder);
        goldens.extend(Golden::others(&goldens));
        for (index, model) in models(&folder).into_iter().enumerate() {
            let graph =
                rtune_export::export(&model, 17, &Outputs::default(), BTreeMap::new()).unwrap();
            let bytes = rtune_onnx::encode(&graph).unwrap();
            for optimization in [Optimization::Disabled, Optimization::All] {
                let options = SessionOptions {
                    optimization,
                    ..SessionOptions::default()
                };
                let mut session = RUNTIME.open_bytes(&bytes, &options).unwrap();
                let signature = model.signature();
                let names: Vec<String> = session
                    .inputs()
                    .iter()
                    .map(|input| input.name.clone())
                    .collect();
                assert_eq!(names.join(", "), signature.to_string());
                // Heads do not depend on the length of texts.
                for golden in goldens.iter().filter(|g| index == 0 || g.shape.1 < 30) {
                    let (dims, found) = run(&mut session, &model, golden);
                    assert_eq!(dims, [golden.shape.0, model.spec().outputs()]);
                    let (task, pooling) = (model.spec().task, model.spec().pooling);
                    let family = folder.display();
                    let what = format!("{family} {task:?} {pooling:?} {:?}", golden.shape);
                    assert_close(&what, &eager_logits(&model, golden), &found, 1e-5);
                }
            }
        }
    }
}

#[test]
fn a_row_of_padding_alone_is_finite() {
    for folder in families() {
        let model = load(&folder, Task::Ordinal, Pooling::Mean).unwrap();
        let ids = Tensor::zeros((1, 4), DType::U32, &Device::Cpu).unwrap();
        let sequences = TokenSequences::padded(&[0; 4], 1, 4, &Device::Cpu).unwrap();
        let ops = Eager::new();
        let inputs = Inputs::new(&ops, ids.clone(), Some(ids), &sequences);
        let logits = model.forward(&inputs).unwrap();
        assert!(flat(logits.value()).iter().all(|v| v.is_finite()));
    }
    let scores = Tensor::new(&[[-1e4_f32, -1e4]], &Device::Cpu).unwrap();
    assert_eq!(flat(&Eager::new().softmax(&scores).unwrap()), [0.5, 0.5]);
}

#[test]
fn absent_token_types_are_type_zero() {
    let model = load(&family("bert"), Task::Ordinal, Pooling::Mean).unwrap();
    let ids = Tensor::new(&[[2_u32, 5, 3]], &Device::Cpu).unwrap();
    let sequences = TokenSequences::padded(&[1; 3], 1, 3, &Device::Cpu).unwrap();
    let ops = Eager::new();
    let logits = |types| {
        let inputs = Inputs::new(&ops, ids.clone(), types, &sequences);
        flat(model.forward(&inputs).unwrap().value())
    };
    let zeros = ids.zeros_like().unwrap();
    assert_eq!(logits(None), logits(Some(zeros)));
    assert_ne!(logits(None), logits(Some(ids.ones_like().unwrap())));
}

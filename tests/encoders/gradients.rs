//! Gradients of whole models against finite differences.

use crate::golden::{Batch, Golden};
use crate::{families_and_variants, flat, load};
use candle_core::{Device, Tensor};
use rtune_nn::{Activation, EncoderConfig, ModelConfig, Param, TextModel};
use rtune_task::{Pooling, Target, Task};
use rtune_train::{LossSpec, Tape, TapeValue};

/// The longest step along a gradient, and the change of the loss that it should make.
const LONGEST: f64 = 0.02;
const CHANGE: f64 = 0.01;

fn loss(model: &TextModel, batch: &Batch, tape: &Tape) -> TapeValue {
    let logits = model.forward(&batch.inputs_on_tape(tape)).unwrap();
    let targets = [0, 1, 2].map(Target::Class);
    let spec = LossSpec::new(model.spec(), None).unwrap();
    let loss = spec.on_tape(tape, model, logits.value(), &targets, 3.0);
    loss.unwrap()
}

fn value(model: &TextModel, batch: &Batch) -> f64 {
    let loss = loss(model, batch, &Tape::new());
    loss.array().number().unwrap()
}

/// The slope of the loss along a unit vector.
fn slope(model: &TextModel, batch: &Batch, param: &Param, unit: &[f64], step: f64) -> f64 {
    let start = flat(param.value());
    let at = |step: f64| {
        let moved = start.iter().zip(unit);
        let moved: Vec<f32> = moved
            .map(|(x, u)| (f64::from(*x) + step * u) as f32)
            .collect();
        set(param, &moved);
        value(model, batch)
    };
    let slope = |step: f64| (at(step) - at(-step)) / (2.0 * step);
    // Two steps, so that the cubic part of the loss cancels.
    let slope = (4.0 * slope(step / 2.0) - slope(step)) / 3.0;
    set(param, &start);
    slope
}

/// Changes a parameter in place, as the optimizer does.
fn set(param: &Param, values: &[f32]) {
    let value = param.value();
    let new = Tensor::from_slice(values, value.dims(), &Device::Cpu).unwrap();
    value.slice_set(&new, 0, 0).unwrap();
}

/// Of parameters that layers share, the gradient is the sum over the layers.
#[test]
fn gradients_are_the_slopes_of_the_loss() {
    for folder in families_and_variants() {
        let golden = &Golden::read(&folder)[1];
        let config = EncoderConfig::parse(&ModelConfig::read(&folder).unwrap()).unwrap();
        let pooling = match config.head().unwrap().activation {
            // A step across its corner has another slope.
            Activation::Relu => Pooling::Mean,
            _ => Pooling::Pooler,
        };
        let model = load(&folder, Task::Ordinal, pooling).unwrap();
        let batch = golden.packed();
        let tape = Tape::new();
        let loss = loss(&model, &batch, &tape);
        let gradients = tape.backward(&loss).unwrap();
        for param in model.params() {
            let what = format!("{}: {}", folder.display(), param.name());
            let gradient = flat(gradients[param.name()].tensor().unwrap());
            let norm = gradient.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>();
            let norm = norm.sqrt();
            assert!(norm > 0.0, "{what}");
            let unit: Vec<f64> = gradient.iter().map(|g| f64::from(*g) / norm).collect();
            let step = (CHANGE / norm).min(LONGEST);
            let slope = slope(&model, &batch, param, &unit, step);
            let tolerance = 0.02 * norm + 1e-4;
            assert!(
                (slope - norm).abs() < tolerance,
                "{what}: slope {slope}, gradient {norm}"
            );
        }
    }
}

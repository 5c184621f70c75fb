//! The comparisons that every case must pass.

use crate::case::{Case, Shapes};
use candle_core::{Device, Tensor};
use rand::seq::SliceRandom as _;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use rtune_export::Recorder;
use rtune_graph::{Dim, ElementType, Fact, Model};
use rtune_nn::{Eager, Ops, Param, Plain, SequenceOps, TokenSequences, Var};
use rtune_runtime::{Feed, Optimization, Runtime, SessionOptions};
use rtune_testkit::assert_close;
use rtune_train::{Products, Tape, TapeValue};
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// Gradients by the name of the parameter.
type Gradients = BTreeMap<String, Tensor>;

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Runtime::load(&rtune_testkit::runtime_library()).unwrap());

/// The token layout of one random case.
#[derive(Clone)]
pub(crate) struct Layout {
    lengths: Vec<usize>,
    sequence: usize,
    device: Device,
}

impl Layout {
    fn random(random: &mut ChaCha8Rng) -> Self {
        let lengths: Vec<usize> = (0..random.random_range(1..4))
            .map(|_| random.random_range(1..6))
            .collect();
        Self {
            sequence: lengths.iter().copied().max().unwrap(),
            lengths,
            device: Device::Cpu,
        }
    }

    fn slots(&self) -> usize {
        self.lengths.len() * self.sequence
    }

    fn mask(&self) -> Vec<u8> {
        self.lengths
            .iter()
            .flat_map(|n| (0..self.sequence).map(move |i| u8::from(i < *n)))
            .collect()
    }

    fn padded(&self) -> TokenSequences {
        let (batch, sequence) = (self.lengths.len(), self.sequence);
        TokenSequences::padded(&self.mask(), batch, sequence, &self.device).unwrap()
    }

    fn packed(&self) -> TokenSequences {
        let ends = self.lengths.iter().scan(0, |sum, n| {
            *sum += *n as u32;
            Some(*sum)
        });
        let offsets: Vec<u32> = [0].into_iter().chain(ends).collect();
        TokenSequences::packed(&offsets, &self.device).unwrap()
    }

    /// The slots that hold tokens.
    fn tokens(&self) -> Tensor {
        let slots: Vec<u32> = (0..)
            .zip(self.mask())
            .filter(|(_, m)| *m == 1)
            .map(|(slot, _)| slot)
            .collect();
        Tensor::new(slots, &self.device).unwrap()
    }
}

/// Inputs and parameters of one random case.
struct Drawn {
    layout: Layout,
    tokens: bool,
    /// Token inputs are flat, `[slots, width]`.
    inputs: Vec<Tensor>,
    params: Vec<Param>,
}

/// Random numbers that are apart from each other and from 1, so that no step of a finite difference
/// meets a kink.
fn numbers(random: &mut ChaCha8Rng, count: usize, (low, high): (f32, f32)) -> Vec<f32> {
    let step = ((high - low) / count as f32).max(0.024);
    let mut values: Vec<f32> = (0..count)
        .map(|i| low + step * (i as f32 + 0.5) % (high - low))
        .map(|v| if (v - 1.0).abs() < 0.012 { 1.012 } else { v })
        .collect();
    values.shuffle(random);
    values
}

fn draw(random: &mut ChaCha8Rng, shapes: Shapes) -> Drawn {
    let layout = Layout::random(random);
    let mut dims = shapes.inputs;
    if shapes.tokens {
        dims.iter_mut()
            .for_each(|dims| dims.insert(0, layout.slots()));
    }
    let count = |dims: &Vec<usize>| dims.iter().product::<usize>();
    let total = dims.iter().chain(&shapes.params).map(count).sum();
    let mut values = numbers(random, total, shapes.range).into_iter();
    let mut tensor = |dims: &Vec<usize>| {
        let values: Vec<f32> = values.by_ref().take(count(dims)).collect();
        Tensor::from_vec(values, dims.as_slice(), &Device::Cpu).unwrap()
    };
    Drawn {
        inputs: dims.iter().map(&mut tensor).collect(),
        params: (0..)
            .zip(&shapes.params)
            .map(|(i, dims)| Param::new(format!("module{i}.weight"), tensor(dims)))
            .collect(),
        tokens: shapes.tokens,
        layout,
    }
}

impl Drawn {
    /// The same case on a device.
    fn on(&self, device: &Device) -> Self {
        let param = |p: &Param| Param::new(p.name(), p.value().to_device(device).unwrap());
        Self {
            layout: Layout {
                device: device.clone(),
                ..self.layout.clone()
            },
            inputs: self
                .inputs
                .iter()
                .map(|x| x.to_device(device).unwrap())
                .collect(),
            params: self.params.iter().map(param).collect(),
            tokens: self.tokens,
        }
    }

    /// Flat rows as the padded grid that eager interpreters take.
    fn grid(&self, x: &Tensor) -> Tensor {
        if !self.tokens {
            return x.clone();
        }
        let grid = (self.layout.lengths.len(), self.layout.sequence, x.dims()[1]);
        x.reshape(grid).unwrap()
    }

    /// The rows of an output that stand for tokens; other outputs as they are.
    fn without_padding(&self, output: &Tensor) -> Tensor {
        match output.dims() {
            [batch, sequence, width] if self.tokens => {
                let flat = output.reshape((batch * sequence, *width)).unwrap();
                flat.index_select(&self.layout.tokens(), 0).unwrap()
            }
            _ => output.clone(),
        }
    }

    fn run<C: Case, O: SequenceOps<Sequences = TokenSequences>>(
        &self,
        ops: &O,
        inputs: Vec<O::Value>,
        sequences: &TokenSequences,
    ) -> O::Value {
        let inputs: Vec<Var<'_, O>> = inputs.into_iter().map(|x| Var::new(ops, x)).collect();
        C::run(ops, &inputs, &self.params, sequences)
            .unwrap()
            .into_value()
    }

    /// The result of an eager interpreter on padded tokens, without padding.
    fn padded<C: Case, O>(&self, ops: &O) -> Tensor
    where
        O: SequenceOps<Value = Tensor, Sequences = TokenSequences>,
    {
        let inputs = self.inputs.iter().map(|x| self.grid(x)).collect();
        let output = self.run::<C, O>(ops, inputs, &self.layout.padded());
        self.without_padding(&output)
    }

    /// The gradients of Σ w · y on a tape, and y; inputs are named x0, x1, …
    fn gradients<C: Case>(&self, plain: bool, packed: bool, weights: &Tensor) -> Gradients {
        let tape = Tape::new();
        let (sequences, tokens) = match packed {
            true => (self.layout.packed(), Some(self.layout.tokens())),
            false => (self.layout.padded(), None),
        };
        let leaves = (0..).zip(&self.inputs).map(|(i, x)| {
            let x = match &tokens {
                Some(tokens) => x.index_select(tokens, 0).unwrap(),
                None => self.grid(x),
            };
            tape.param(&Param::new(format!("x{i}"), x)).unwrap()
        });
        let leaves: Vec<TapeValue> = leaves.collect();
        let run = |tape| match plain {
            true => {
                let plain = Plain(tape);
                let output = self.run::<C, _>(&plain, leaves, &sequences);
                (plain.0, output)
            }
            false => {
                let output = self.run::<C, _>(&tape, leaves, &sequences);
                (tape, output)
            }
        };
        let (tape, output) = run(tape);
        // The weights of padding are zero: its values are not part of the result.
        let dims = output.array().dims().to_vec();
        let weights = if dims == weights.dims() {
            weights.clone()
        } else {
            let (slots, width) = (self.layout.slots(), weights.dims()[1]);
            let zeros = Tensor::zeros((slots, width), weights.dtype(), weights.device()).unwrap();
            zeros
                .index_add(&self.layout.tokens(), weights, 0)
                .and_then(|weights| weights.reshape(dims))
                .unwrap()
        };
        let product = Var::new(&tape, output)
            .broadcast_mul(&Var::new(&tape, TapeValue::constant(weights)))
            .unwrap()
            .into_value();
        let gradients = tape.backward(&product).unwrap().into_iter();
        gradients
            .map(|(name, gradient)| (name, gradient.tensor().unwrap().clone()))
            .collect()
    }
}

fn flat(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// Records the case with its text and tensor inputs.
fn record<C: Case>(drawn: &Drawn, plain: bool) -> Model {
    let recorder = Recorder::new("case", 17).unwrap();
    let text = recorder
        .text_inputs(&rtune_task::TextSignature::default(), 16)
        .unwrap();
    let values: Vec<_> = (0..)
        .zip(&drawn.inputs)
        .map(|(i, x)| {
            let mut dims: Vec<Dim> = x.dims().iter().map(|d| Dim::Fixed(*d as u64)).collect();
            if drawn.tokens {
                dims[0] = Dim::symbol("batch*sequence");
            }
            let fact = Fact::new(ElementType::Float32, dims);
            recorder.input(&format!("x{i}"), fact).unwrap()
        })
        .collect();
    let (recorder, output) = if plain {
        let plain = Plain(recorder);
        let x: Vec<_> = values.iter().map(|x| Var::new(&plain, *x)).collect();
        let output = C::run(&plain, &x, &drawn.params, &text.sequences);
        let output = output.unwrap().into_value();
        (plain.0, output)
    } else {
        let x: Vec<_> = values.iter().map(|x| Var::new(&recorder, *x)).collect();
        let output = C::run(&recorder, &x, &drawn.params, &text.sequences);
        let output = output.unwrap().into_value();
        (recorder, output)
    };
    recorder.finish([("y", output)]).unwrap()
}

/// The result of a recorded case in the runtime, without padding.
fn in_runtime(drawn: &Drawn, model: &Model, optimization: Optimization) -> Vec<f32> {
    let bytes = rtune_onnx::encode(model).unwrap();
    let grid = [drawn.layout.lengths.len(), drawn.layout.sequence];
    let ids = vec![0; drawn.layout.slots()];
    let mask: Vec<i64> = drawn.layout.mask().into_iter().map(i64::from).collect();
    let tensors: Vec<Vec<f32>> = drawn.inputs.iter().map(flat).collect();
    let names: Vec<String> = (0..tensors.len()).map(|i| format!("x{i}")).collect();
    let mut feeds = vec![
        Feed::i64("input_ids", &grid, &ids),
        Feed::i64("attention_mask", &grid, &mask),
        Feed::i64("token_type_ids", &grid, &ids),
    ];
    for ((name, x), values) in names.iter().zip(&drawn.inputs).zip(&tensors) {
        feeds.push(Feed::f32(name, x.dims(), values));
    }
    let options = SessionOptions {
        optimization,
        ..SessionOptions::default()
    };
    let mut session = RUNTIME.open_bytes(&bytes, &options).unwrap();
    let outputs = session.run(&feeds).unwrap();
    let (dims, values) = outputs.f32("y").unwrap();
    if drawn.tokens && dims.len() == 2 && dims[0] == drawn.layout.slots() {
        let all = Tensor::from_slice(values, dims, &Device::Cpu).unwrap();
        return flat(&all.index_select(&drawn.layout.tokens(), 0).unwrap());
    }
    values.to_vec()
}

/// The tape's gradients against central differences of the eager result.
fn check_slopes<C: Case>(drawn: &Drawn, gradients: &Gradients, weights: &Tensor) {
    let weights = flat(weights);
    let at = |drawn: &Drawn| -> f64 {
        flat(&drawn.padded::<C, _>(&Eager::new()))
            .iter()
            .zip(&weights)
            .map(|(y, w)| f64::from(*y) * f64::from(*w))
            .sum()
    };
    let step = 1e-2_f32;
    let moved = |x: &Tensor, index: usize, by: f32| {
        let mut values = flat(x);
        values[index] += by;
        Tensor::from_vec(values, x.shape(), &Device::Cpu).unwrap()
    };
    let changed = |input: Option<usize>, param: Option<usize>, index: usize, by: f32| {
        let mut changed = Drawn {
            layout: drawn.layout.clone(),
            tokens: drawn.tokens,
            inputs: drawn.inputs.clone(),
            params: drawn.params.clone(),
        };
        if let Some(i) = input {
            changed.inputs[i] = moved(&drawn.inputs[i], index, by);
        }
        if let Some(i) = param {
            let old = &drawn.params[i];
            changed.params[i] = Param::new(old.name(), moved(old.value(), index, by));
        }
        at(&changed)
    };
    let check = |name: &str, count: usize, input: Option<usize>, param: Option<usize>| {
        let Some(found) = gradients.get(name) else {
            panic!("{}: {name} received no gradient", C::NAME)
        };
        let found = flat(found);
        assert_eq!(found.len(), count);
        for (index, found) in found.iter().enumerate() {
            let change = |by| changed(input, param, index, by);
            let expected = ((change(step) - change(-step)) / f64::from(2.0 * step)) as f32;
            assert!(
                (found - expected).abs() <= 4e-3 * (1.0 + expected.abs()),
                "{}, gradient of {name}[{index}]: expected {expected}, found {found}",
                C::NAME
            );
        }
    };
    for (i, x) in drawn.inputs.iter().enumerate() {
        check(&format!("x{i}"), x.elem_count(), Some(i), None);
    }
    for (i, param) in drawn.params.iter().enumerate() {
        check(param.name(), param.value().elem_count(), None, Some(i));
    }
}

fn check_gradients<C: Case>(drawn: &Drawn, expected: &Tensor, random: &mut ChaCha8Rng) {
    let weights = numbers(random, expected.elem_count(), (-1.0, 1.0));
    let weights = Tensor::from_vec(weights, expected.shape(), &Device::Cpu).unwrap();
    let gradients = drawn.gradients::<C>(false, false, &weights);
    check_slopes::<C>(drawn, &gradients, &weights);
    let same = |what: &str, other: &Gradients, without_padding: bool| {
        assert_eq!(gradients.len(), other.len(), "{}, {what}", C::NAME);
        for (name, gradient) in &gradients {
            let gradient = match without_padding && name.starts_with('x') {
                true => drawn.without_padding(gradient),
                false => gradient.clone(),
            };
            let what = format!("{}, {what} of {name}", C::NAME);
            assert_close(&what, &flat(&gradient), &flat(&other[name]), 1e-4);
        }
    };
    let plain = drawn.gradients::<C>(true, false, &weights);
    same("gradient of the default body", &plain, false);
    if drawn.tokens {
        let packed = drawn.gradients::<C>(false, true, &weights);
        same("packed gradient", &packed, true);
    }
}

/// The device that `RTUNE_TEST_DEVICE` names, which is compared with the processor in place of all
/// other comparisons.
static DEVICE: LazyLock<Option<Device>> = LazyLock::new(|| {
    let name = std::env::var("RTUNE_TEST_DEVICE").ok()?;
    let number = name.strip_prefix("cuda:").and_then(|n| n.parse().ok());
    Some(rtune_train::cuda_device(number.unwrap(), Products::default()).unwrap())
});

/// Holds the interpreters on a device to those on the processor.
fn check_on<C: Case>(device: &Device, drawn: &Drawn, random: &mut ChaCha8Rng) {
    let (host, drawn) = (drawn, drawn.on(device));
    let result = host.padded::<C, _>(&Eager::new());
    let expected = flat(&result);
    let close = |what: &str, found: &Tensor| {
        let what = format!("{}, {what}", C::NAME);
        assert_close(&what, &expected, &flat(found), 1e-4);
    };
    close("eager", &drawn.padded::<C, _>(&Eager::new()));
    close("default body", &drawn.padded::<C, _>(&Plain(Eager::new())));
    let inputs = drawn.inputs.iter().map(|x| drawn.grid(x));
    let inputs = inputs.map(TapeValue::constant).collect();
    let output = drawn.run::<C, _>(&Tape::new(), inputs, &drawn.layout.padded());
    close("tape", &drawn.without_padding(output.tensor().unwrap()));

    let weights = numbers(random, expected.len(), (-1.0, 1.0));
    let weights = Tensor::from_vec(weights, result.shape(), &Device::Cpu).unwrap();
    let packings: &[bool] = if drawn.tokens {
        &[false, true]
    } else {
        &[false]
    };
    for (plain, packed) in packings
        .iter()
        .flat_map(|packed| [(false, *packed), (true, *packed)])
    {
        let expected = host.gradients::<C>(plain, packed, &weights);
        let weights = weights.to_device(device).unwrap();
        let found = drawn.gradients::<C>(plain, packed, &weights);
        assert_eq!(expected.len(), found.len(), "{}", C::NAME);
        for (name, gradient) in &expected {
            let what = format!("{}, gradient of {name}, {plain} {packed}", C::NAME);
            assert_close(&what, &flat(gradient), &flat(&found[name]), 1e-4);
        }
    }
}

/// Holds a case to all interpreters, on random shapes.
pub(crate) fn check<C: Case>() {
    for seed in 0..6 {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let shapes = C::shapes(&mut random);
        let drawn = draw(&mut random, shapes);
        if let Some(device) = DEVICE.as_ref() {
            check_on::<C>(device, &drawn, &mut random);
            continue;
        }
        let result = drawn.padded::<C, _>(&Eager::new());
        let expected = flat(&result);
        let close = |what: &str, found: &[f32]| {
            let what = format!("{}, seed {seed}, {what}", C::NAME);
            assert_close(&what, &expected, found, 1e-5);
        };
        close(
            "default body",
            &flat(&drawn.padded::<C, _>(&Plain(Eager::new()))),
        );
        let tape = Tape::new();
        let inputs = drawn.inputs.iter().map(|x| drawn.grid(x));
        let inputs = inputs.map(TapeValue::constant).collect();
        let output = drawn.run::<C, _>(&tape, inputs, &drawn.layout.padded());
        close(
            "tape",
            &flat(&drawn.without_padding(output.tensor().unwrap())),
        );

        let model = record::<C>(&drawn, false);
        close(
            "runtime",
            &in_runtime(&drawn, &model, Optimization::Disabled),
        );
        close(
            "optimized runtime",
            &in_runtime(&drawn, &model, Optimization::All),
        );
        let model = record::<C>(&drawn, true);
        close(
            "recorded default body",
            &in_runtime(&drawn, &model, Optimization::Disabled),
        );

        if drawn.tokens {
            let tokens = drawn.layout.tokens();
            let inputs = drawn
                .inputs
                .iter()
                .map(|x| x.index_select(&tokens, 0).unwrap());
            let packed = drawn.layout.packed();
            let output = drawn.run::<C, _>(&Eager::new(), inputs.collect(), &packed);
            close("packed", &flat(&output));
        }
        check_gradients::<C>(&drawn, &result, &mut random);
    }
}

//! The operation suite: each `Ops` method on random shapes. Eager agrees with Recorder → runtime,
//! with the tape's forward, and over packed tokens; the tape's gradients agree with finite
//! differences.

#![allow(
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation
)] // Tests.

use candle_core::{Device, Tensor};
use rand::seq::SliceRandom as _;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rtune_export::Recorder;
use rtune_graph::{Dim, ElementType, Fact, Model};
use rtune_nn::{AttentionSpec, Eager, Extent, Ops, Param, Result, TokenSequences};
use rtune_runtime::{Feed, Optimization, Runtime, SessionOptions};
use rtune_train::{Tape, TapeValue};
use std::sync::LazyLock;

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Runtime::load(&rtune_testkit::runtime_library()).unwrap());

/// How tokens lie in one random case.
struct Layout {
    lengths: Vec<usize>,
    sequence: usize,
}

impl Layout {
    fn random(random: &mut ChaCha8Rng) -> Self {
        let lengths: Vec<usize> = (0..random.random_range(1..4))
            .map(|_| random.random_range(1..6))
            .collect();
        Self {
            sequence: *lengths.iter().max().unwrap(),
            lengths,
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
        TokenSequences::padded(
            &self.mask(),
            self.lengths.len(),
            self.sequence,
            &Device::Cpu,
        )
        .unwrap()
    }

    fn packed(&self) -> TokenSequences {
        let ends = self.lengths.iter().scan(0, |sum, n| {
            *sum += *n as u32;
            Some(*sum)
        });
        TokenSequences::packed(
            &[0].into_iter().chain(ends).collect::<Vec<_>>(),
            &Device::Cpu,
        )
        .unwrap()
    }

    /// The slots that hold tokens.
    fn tokens(&self) -> Vec<u32> {
        self.mask()
            .iter()
            .zip(0..)
            .filter(|(m, _)| **m == 1)
            .map(|(_, slot)| slot)
            .collect()
    }
}

/// What a case's first input is.
#[derive(Clone, Copy, PartialEq)]
enum Over {
    /// Any tensor.
    Values,
    /// One row per token.
    Tokens,
}

trait Case {
    const NAME: &'static str;
    const OVER: Over;
    /// Values are drawn from here.
    const RANGE: (f32, f32) = (-2.0, 2.0);
    /// Shapes of inputs and parameters; `None` stands for one row per token.
    fn shapes(random: &mut ChaCha8Rng) -> (Vec<Vec<Option<usize>>>, Vec<Vec<usize>>);
    fn run<O: Ops>(
        ops: &O,
        x: &[O::Value],
        params: &[Param],
        sequences: &O::Sequences,
    ) -> Result<O::Value>;
}

macro_rules! case {
    ($type:ident, $over:expr, $range:expr, |$random:ident| $shapes:expr, |$ops:ident, $x:ident, $p:ident, $s:ident| $body:expr) => {
        struct $type;
        impl Case for $type {
            const NAME: &'static str = stringify!($type);
            const OVER: Over = $over;
            const RANGE: (f32, f32) = $range;
            #[allow(unused_variables)]
            fn shapes($random: &mut ChaCha8Rng) -> (Vec<Vec<Option<usize>>>, Vec<Vec<usize>>) {
                $shapes
            }
            #[allow(unused_variables)]
            fn run<O: Ops>(
                $ops: &O,
                $x: &[O::Value],
                $p: &[Param],
                $s: &O::Sequences,
            ) -> Result<O::Value> {
                $body
            }
        }
    };
}

fn size(random: &mut ChaCha8Rng) -> usize {
    random.random_range(1..5)
}

fn fixed(dims: &[usize]) -> Vec<Option<usize>> {
    dims.iter().copied().map(Some).collect()
}

/// Two tensors that broadcast.
fn pair(random: &mut ChaCha8Rng) -> (Vec<Vec<Option<usize>>>, Vec<Vec<usize>>) {
    let (a, b) = (size(random), size(random));
    let second = [vec![a, b], vec![b], vec![a, 1]][random.random_range(0..3)].clone();
    (vec![fixed(&[a, b]), fixed(&second)], vec![])
}

fn one(random: &mut ChaCha8Rng) -> (Vec<Vec<Option<usize>>>, Vec<Vec<usize>>) {
    (
        vec![fixed(&[size(random), size(random), size(random)])],
        vec![],
    )
}

const SPEC: AttentionSpec = AttentionSpec {
    heads: 2,
    head_dim: 3,
    dropout: 0.0,
};
const ANY: (f32, f32) = (-2.0, 2.0);
const POSITIVE: (f32, f32) = (0.5, 2.0);

case!(Add, Over::Values, ANY, |r| pair(r), |ops, x, p, s| ops
    .add(&x[0], &x[1]));
case!(Sub, Over::Values, ANY, |r| pair(r), |ops, x, p, s| ops
    .sub(&x[0], &x[1]));
case!(Mul, Over::Values, ANY, |r| pair(r), |ops, x, p, s| ops
    .mul(&x[0], &x[1]));
case!(Div, Over::Values, POSITIVE, |r| pair(r), |ops, x, p, s| ops
    .div(&x[0], &x[1]));
case!(Affine, Over::Values, ANY, |r| one(r), |ops, x, p, s| ops
    .affine(&x[0], 1.5, -0.25));
case!(
    MatMul,
    Over::Values,
    ANY,
    |r| {
        let (b, m, k, n) = (size(r), size(r), size(r), size(r));
        (vec![fixed(&[b, m, k]), fixed(&[b, k, n])], vec![])
    },
    |ops, x, p, s| ops.matmul(&x[0], &x[1])
);
case!(Transpose, Over::Values, ANY, |r| one(r), |ops, x, p, s| ops
    .transpose(&x[0], &[2, 0, 1]));
case!(
    Reshape,
    Over::Values,
    ANY,
    |r| (vec![fixed(&[size(r), 2 * size(r), size(r)])], vec![]),
    |ops, x, p, s| ops.reshape(&x[0], &[Extent::Keep, Extent::Exact(2), Extent::Infer])
);
case!(Exp, Over::Values, ANY, |r| one(r), |ops, x, p, s| ops
    .exp(&x[0]));
case!(Sqrt, Over::Values, POSITIVE, |r| one(r), |ops, x, p, s| ops
    .sqrt(&x[0]));
case!(Erf, Over::Values, ANY, |r| one(r), |ops, x, p, s| ops
    .erf(&x[0]));
case!(Tanh, Over::Values, ANY, |r| one(r), |ops, x, p, s| ops
    .tanh(&x[0]));
case!(Relu, Over::Values, POSITIVE, |r| one(r), |ops, x, p, s| ops
    .relu(&ops.affine(&x[0], 1.0, -1.0)?));
case!(SumLast, Over::Values, ANY, |r| one(r), |ops, x, p, s| ops
    .sum_last(&x[0]));
case!(MeanLast, Over::Values, ANY, |r| one(r), |ops, x, p, s| ops
    .mean_last(&x[0]));
case!(MaxLast, Over::Values, ANY, |r| one(r), |ops, x, p, s| ops
    .max_last(&x[0]));
case!(Gelu, Over::Values, ANY, |r| one(r), |ops, x, p, s| ops
    .gelu(&x[0]));
case!(Softmax, Over::Values, ANY, |r| one(r), |ops, x, p, s| ops
    .softmax(&x[0]));
case!(
    LayerNorm,
    Over::Values,
    ANY,
    |r| {
        let width = size(r) + 3;
        (
            vec![fixed(&[size(r), width])],
            vec![vec![width], vec![width]],
        )
    },
    |ops, x, p, s| ops.layer_norm(&x[0], &p[0], &p[1], 1e-5)
);
case!(
    Linear,
    Over::Values,
    ANY,
    |r| {
        let (rows, inputs, outputs) = (size(r), size(r), size(r));
        (
            vec![fixed(&[rows, inputs])],
            vec![vec![outputs, inputs], vec![outputs]],
        )
    },
    |ops, x, p, s| ops.linear(&x[0], &p[0], Some(&p[1]))
);
case!(
    Linear3d,
    Over::Values,
    ANY,
    |r| {
        let (inputs, outputs) = (size(r), size(r));
        (
            vec![fixed(&[size(r), size(r), inputs])],
            vec![vec![outputs, inputs], vec![outputs]],
        )
    },
    |ops, x, p, s| ops.linear(&x[0], &p[0], Some(&p[1]))
);
case!(
    Embedding,
    Over::Tokens,
    ANY,
    |r| (vec![], vec![vec![8, size(r)]]),
    |ops, x, p, s| ops.embedding(&ops.position_ids(s)?, &p[0])
);
case!(
    Gather,
    Over::Tokens,
    ANY,
    |r| (vec![], vec![vec![8, size(r)]]),
    |ops, x, p, s| ops.gather(&ops.param(&p[0])?, &ops.position_ids(s)?)
);
case!(
    SplitHeads,
    Over::Tokens,
    ANY,
    |r| (vec![vec![None, Some(6)]], vec![]),
    |ops, x, p, s| {
        let split = ops.split_heads(&x[0], &SPEC, s)?;
        ops.merge_heads(&ops.mul(&split, &split)?, &SPEC, s)
    }
);
case!(
    MaskBias,
    Over::Tokens,
    ANY,
    |r| (vec![vec![None, Some(6)]], vec![]),
    |ops, x, p, s| {
        // Scaled down, so that finite differences can see what is added to it.
        let bias = ops.affine(&ops.mask_bias(s)?, 1e-4, 0.0)?;
        let split = ops.split_heads(&x[0], &SPEC, s)?;
        let scores = ops.matmul(&split, &ops.transpose(&split, &[0, 1, 3, 2])?)?;
        ops.merge_heads(
            &ops.matmul(
                &ops.softmax(&ops.add(
                    &ops.affine(&scores, 1.0, 0.0)?,
                    &ops.affine(&bias, 1e4, 0.0)?,
                )?)?,
                &split,
            )?,
            &SPEC,
            s,
        )
    }
);
case!(
    MeanPool,
    Over::Tokens,
    ANY,
    |r| (vec![vec![None, Some(size(r))]], vec![]),
    |ops, x, p, s| ops.mean_pool(&x[0], s)
);
case!(
    FirstPool,
    Over::Tokens,
    ANY,
    |r| (vec![vec![None, Some(size(r))]], vec![]),
    |ops, x, p, s| ops.first_pool(&x[0], s)
);
case!(
    Attention,
    Over::Tokens,
    ANY,
    |r| (vec![vec![None, Some(6)]; 3], vec![]),
    |ops, x, p, s| ops.attention(&x[0], &x[1], &x[2], &SPEC, s)
);

/// Inputs and parameters of one random case.
struct Drawn {
    layout: Layout,
    inputs: Vec<Tensor>,
    params: Vec<Param>,
}

/// Random numbers that are well apart from each other and from 1, so that no step of a finite
/// difference meets a kink.
fn tensor(random: &mut ChaCha8Rng, dims: &[usize], range: (f32, f32)) -> Tensor {
    let count = dims.iter().product::<usize>();
    let step = ((range.1 - range.0) / count as f32).max(0.024);
    let mut values: Vec<f32> = (0..count)
        .map(|i| range.0 + step * (i as f32 + 0.5) % (range.1 - range.0))
        .collect();
    values
        .iter_mut()
        .filter(|v| (**v - 1.0).abs() < 0.012)
        .for_each(|v| *v = 1.012);
    values.shuffle(random);
    Tensor::from_vec(values, dims, &Device::Cpu).unwrap()
}

fn draw<C: Case>(random: &mut ChaCha8Rng) -> Drawn {
    let layout = Layout::random(random);
    let (shapes, params) = C::shapes(random);
    let dims = |shape: &Vec<Option<usize>>| {
        shape
            .iter()
            .map(|d| d.unwrap_or(layout.slots()))
            .collect::<Vec<_>>()
    };
    let inputs = shapes
        .iter()
        .map(|shape| tensor(random, &dims(shape), C::RANGE))
        .collect();
    let params = (0..)
        .zip(params)
        .map(|(i, dims)| Param::new(format!("module{i}.weight"), tensor(random, &dims, C::RANGE)))
        .collect();
    Drawn {
        layout,
        inputs,
        params,
    }
}

/// Flat rows as the padded grid that eager interpreters take.
fn to_grid(layout: &Layout, over: Over, x: &Tensor) -> Tensor {
    match over {
        Over::Values => x.clone(),
        Over::Tokens => x
            .reshape((layout.lengths.len(), layout.sequence, x.dim(1).unwrap()))
            .unwrap(),
    }
}

fn eager<C: Case>(drawn: &Drawn, inputs: &[Tensor]) -> Tensor {
    let inputs: Vec<Tensor> = inputs
        .iter()
        .map(|x| to_grid(&drawn.layout, C::OVER, x))
        .collect();
    C::run(
        &Eager::new(),
        &inputs,
        &drawn.params,
        &drawn.layout.padded(),
    )
    .unwrap()
}

fn flat(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

fn assert_close(name: &str, what: &str, expected: &[f32], found: &[f32], tolerance: f32) {
    assert_eq!(expected.len(), found.len(), "{name}, {what}");
    for (index, (a, b)) in expected.iter().zip(found).enumerate() {
        assert!(
            (a - b).abs() <= tolerance * (1.0 + a.abs()),
            "{name}, {what}, element {index}: expected {a}, found {b}"
        );
    }
}

fn through_runtime<C: Case>(drawn: &Drawn) -> Vec<f32> {
    let recorder = Recorder::new("case");
    let text = recorder.text_inputs(16).unwrap();
    let names: Vec<String> = (0..drawn.inputs.len()).map(|i| format!("x{i}")).collect();
    let tokens = Dim::symbol("batch*sequence");
    let facts = drawn.inputs.iter().map(|x| {
        let dim = |(i, d): (usize, &usize)| {
            if C::OVER == Over::Tokens && i == 0 {
                tokens.clone()
            } else {
                Dim::Fixed(*d as u64)
            }
        };
        Fact::new(ElementType::Float32, x.dims().iter().enumerate().map(dim))
    });
    let values: Vec<_> = names
        .iter()
        .zip(facts)
        .map(|(name, fact)| recorder.input(name, fact).unwrap())
        .collect();
    let output = C::run(&recorder, &values, &drawn.params, &text.sequences).unwrap();
    let model = Model::new(recorder.finish([("y", output)]).unwrap(), 17);
    let bytes = rtune_onnx::encode(&model).unwrap();

    let grid = [drawn.layout.lengths.len(), drawn.layout.sequence];
    let ids = vec![0; drawn.layout.slots()];
    let mask: Vec<i64> = drawn.layout.mask().into_iter().map(i64::from).collect();
    let tensors: Vec<Vec<f32>> = drawn.inputs.iter().map(flat).collect();
    let mut feeds = vec![
        Feed::i64("input_ids", &grid, &ids),
        Feed::i64("attention_mask", &grid, &mask),
        Feed::i64("token_type_ids", &grid, &ids),
    ];
    for ((name, x), values) in names.iter().zip(&drawn.inputs).zip(&tensors) {
        feeds.push(Feed::f32(name, x.dims(), values));
    }
    let mut results = [Optimization::Disabled, Optimization::All].map(|optimization| {
        let options = SessionOptions {
            optimization,
            ..SessionOptions::default()
        };
        let mut session = RUNTIME.open_bytes(&bytes, &options).unwrap();
        session.run(&feeds).unwrap().f32("y").unwrap().1.to_vec()
    });
    assert_close(C::NAME, "optimized runtime", &results[0], &results[1], 1e-5);
    std::mem::take(&mut results[0])
}

/// The gradient of Σ w · y for fixed weights w, by the tape and by central differences.
fn check_gradients<C: Case>(drawn: &Drawn, random: &mut ChaCha8Rng) {
    let leaves: Vec<Param> = (0..)
        .zip(&drawn.inputs)
        .map(|(i, x)| Param::new(format!("x{i}"), to_grid(&drawn.layout, C::OVER, x)))
        .collect();
    let tape = Tape::new();
    let values: Vec<TapeValue> = leaves
        .iter()
        .map(|leaf| tape.param(leaf).unwrap())
        .collect();
    let output = C::run(&tape, &values, &drawn.params, &drawn.layout.padded()).unwrap();
    let expected = eager::<C>(drawn, &drawn.inputs);
    assert_close(
        C::NAME,
        "tape",
        &flat(&expected),
        &flat(output.tensor()),
        1e-5,
    );

    let mut weights = tensor(random, expected.dims(), (-1.0, 1.0));
    if C::OVER == Over::Tokens && expected.dims().len() == 3 {
        // What stands in place of padding is nobody's to read.
        let mask: Vec<f32> = drawn.layout.mask().into_iter().map(f32::from).collect();
        let mask = Tensor::from_vec(
            mask,
            (drawn.layout.lengths.len(), drawn.layout.sequence, 1),
            &Device::Cpu,
        )
        .unwrap();
        weights = weights.broadcast_mul(&mask).unwrap();
    }
    let loss = tape
        .mul(&output, &TapeValue::constant(weights.clone()))
        .unwrap();
    let gradients = tape.backward(&loss).unwrap();
    let weights = flat(&weights);
    let at = |drawn: &Drawn, inputs: &[Tensor]| -> f64 {
        flat(&eager::<C>(drawn, inputs))
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
    let check = |name: &str, count: usize, slope: &dyn Fn(usize) -> f64| {
        let found = flat(
            gradients
                .get(name)
                .unwrap_or_else(|| panic!("{}: {name} received no gradient", C::NAME)),
        );
        assert_eq!(found.len(), count);
        for (index, found) in found.iter().enumerate() {
            let expected = slope(index) as f32;
            assert!(
                (found - expected).abs() <= 4e-3 * (1.0 + expected.abs()),
                "{}, gradient of {name}[{index}]: expected {expected}, found {found}",
                C::NAME
            );
        }
    };
    for (i, x) in drawn.inputs.iter().enumerate() {
        check(&format!("x{i}"), x.elem_count(), &|index| {
            let change = |by| {
                let mut inputs = drawn.inputs.clone();
                inputs[i] = moved(x, index, by);
                at(drawn, &inputs)
            };
            (change(step) - change(-step)) / f64::from(2.0 * step)
        });
    }
    for (i, param) in drawn.params.iter().enumerate() {
        check(param.name(), param.value().elem_count(), &|index| {
            let change = |by| {
                let mut params = drawn.params.clone();
                params[i] = Param::new(param.name(), moved(param.value(), index, by));
                let drawn = Drawn {
                    layout: Layout {
                        lengths: drawn.layout.lengths.clone(),
                        ..drawn.layout
                    },
                    inputs: drawn.inputs.clone(),
                    params,
                };
                at(&drawn, &drawn.inputs)
            };
            (change(step) - change(-step)) / f64::from(2.0 * step)
        });
    }
}

/// Tokens one after the other give what the padded grid gives for them.
fn check_packed<C: Case>(drawn: &Drawn) {
    let layout = &drawn.layout;
    let tokens = Tensor::new(layout.tokens(), &Device::Cpu).unwrap();
    let inputs: Vec<Tensor> = drawn
        .inputs
        .iter()
        .map(|x| x.index_select(&tokens, 0).unwrap())
        .collect();
    let found = C::run(&Eager::new(), &inputs, &drawn.params, &layout.packed()).unwrap();
    let expected = eager::<C>(drawn, &drawn.inputs);
    let expected = match expected.dims() {
        [batch, sequence, width] => expected
            .reshape((batch * sequence, *width))
            .unwrap()
            .index_select(&tokens, 0)
            .unwrap(),
        _ => expected,
    };
    assert_close(C::NAME, "packed", &flat(&expected), &flat(&found), 1e-5);

    let leaves: Vec<Param> = (0..)
        .zip(&inputs)
        .map(|(i, x)| Param::new(format!("x{i}"), x.clone()))
        .collect();
    let run = |sequences: &TokenSequences, leaves: &[Param]| {
        let tape = Tape::new();
        let values: Vec<TapeValue> = leaves
            .iter()
            .map(|leaf| tape.param(leaf).unwrap())
            .collect();
        let output = C::run(&tape, &values, &drawn.params, sequences).unwrap();
        let pooled = if output.tensor().dims().len() == 2
            && output.tensor().dim(0).unwrap() == layout.lengths.len()
            && leaves.is_empty()
        {
            output
        } else {
            tape.mul(&output, &output).unwrap()
        };
        tape.backward(&pooled).unwrap()
    };
    let packed = run(&layout.packed(), &leaves);
    for (name, gradient) in &packed {
        assert!(
            flat(gradient).iter().all(|g| g.is_finite()),
            "{}: packed gradient of {name}",
            C::NAME
        );
    }
}

fn check<C: Case>() {
    for seed in 0..6 {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let drawn = draw::<C>(&mut random);
        let expected = flat(&eager::<C>(&drawn, &drawn.inputs));
        let found = through_runtime::<C>(&drawn);
        assert_close(C::NAME, "runtime", &expected, &found, 1e-5);
        check_gradients::<C>(&drawn, &mut random);
        if C::OVER == Over::Tokens {
            check_packed::<C>(&drawn);
        }
    }
}

macro_rules! tests {
    ($($test:ident: $case:ident),+ $(,)?) => { $(#[test] fn $test() { check::<$case>(); })+ };
}

tests!(
    add: Add, sub: Sub, mul: Mul, div: Div, affine: Affine, matmul: MatMul, transpose: Transpose, reshape: Reshape,
    exp: Exp, sqrt: Sqrt, erf: Erf, tanh: Tanh, relu: Relu, sum_last: SumLast, mean_last: MeanLast, max_last: MaxLast,
    gelu: Gelu, softmax: Softmax, layer_norm: LayerNorm, linear: Linear, linear_3d: Linear3d, embedding: Embedding,
    gather: Gather, split_and_merge_heads: SplitHeads, mask_bias: MaskBias, mean_pool: MeanPool, first_pool: FirstPool,
    attention: Attention,
);

#[test]
fn dropout_is_seeded_and_unbiased() {
    let x = Tensor::ones((100, 100), candle_core::DType::F32, &Device::Cpu).unwrap();
    // By reference: optimized, rustc 1.95 takes two equal tapes that are moved into one closure for
    // a single one.
    let run = |tape: &Tape| {
        flat(
            tape.dropout(&TapeValue::constant(x.clone()), 0.1)
                .unwrap()
                .tensor(),
        )
    };
    let first = run(&Tape::with_dropout(1, 1));
    let second = run(&Tape::with_dropout(1, 1));
    let differing = first.iter().zip(&second).filter(|(a, b)| a != b).count();
    assert_eq!(differing, 0);
    assert!(first != run(&Tape::with_dropout(1, 2)));
    assert!(first != run(&Tape::with_dropout(2, 1)));
    assert!(flat(&x) == run(&Tape::new()));
    let mean = first.iter().sum::<f32>() / 1e4;
    assert!((mean - 1.0).abs() < 0.02, "{mean}");
    let zeros = first.iter().filter(|v| **v == 0.0).count();
    assert!((800..1200).contains(&zeros), "{zeros}");
    // Where an element is dropped, so is its gradient.
    let leaf = Param::new("x", x.clone());
    let tape = Tape::with_dropout(1, 1);
    let output = tape.dropout(&tape.param(&leaf).unwrap(), 0.1).unwrap();
    let expected = flat(output.tensor());
    assert!(flat(&tape.backward(&output).unwrap()["x"]) == expected);
}

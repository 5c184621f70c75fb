//! Quantized graphs against their float ones in the runtime, in each form that models come in.

#![expect(clippy::unwrap_used, reason = "tests")]

#[path = "../crates/rtune-quant/tests/token_model/mod.rs"]
#[expect(dead_code, reason = "the padding id is for the runner's tests")]
mod token_model;

use rtune_graph::{Dim, ElementType, Fact, GraphBuilder, Model, NodeDraft, Tensor, ValueId};
use rtune_quant::{
    Batch, Calibrator, Census, IntType, Plan, Quantizable, RangeMethod, Scheme, Settings, Values,
    WeightRange, census,
};
use rtune_runtime::{Feed, Optimization, Runtime, SessionOptions};
use rtune_testkit::noise;
use std::sync::LazyLock;

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Runtime::load(&rtune_testkit::runtime_library()).unwrap());

const INPUTS: usize = 32;
const OUTPUTS: usize = 16;

fn matrix(rows: usize, columns: usize, seed: usize) -> Tensor {
    Tensor::from_f32(&[rows as u64, columns as u64], &noise(rows * columns, seed)).unwrap()
}

/// A graph over `x`, with `dims` in front of its width.
fn model(dims: &[Dim], build: impl FnOnce(&mut GraphBuilder, ValueId) -> ValueId) -> Model {
    let mut graph = GraphBuilder::new("test", 17);
    let shape = dims.iter().cloned().chain([Dim::Fixed(INPUTS as u64)]);
    let x = graph
        .input("x", Fact::new(ElementType::Float32, shape))
        .unwrap();
    let y = build(&mut graph, x);
    let y = graph
        .add(NodeDraft::new("Identity", "y").inputs([y]))
        .unwrap();
    graph.output(y).unwrap();
    graph.finish()
}

fn run(model: &Model, dims: &[usize], values: &[f32], optimization: Optimization) -> Vec<f32> {
    let bytes = rtune_onnx::encode(model).unwrap();
    let options = SessionOptions {
        optimization,
        ..SessionOptions::default()
    };
    let mut session = RUNTIME.open_bytes(&bytes, &options).unwrap();
    let outputs = session.run(&[Feed::f32("x", dims, values)]).unwrap();
    outputs.f32("y").unwrap().1.to_vec()
}

fn quantized(model: &Model, dims: &[usize], values: &[f32], scheme: Scheme) -> Model {
    let source = Quantizable::new(model).unwrap();
    let settings = Settings {
        scheme,
        embeddings: true,
    };
    let plan = Plan::new(&source, settings).unwrap();
    let tapped = rtune_onnx::encode(&plan.tapped().unwrap()).unwrap();
    let mut session = RUNTIME
        .open_bytes(&tapped, &SessionOptions::default())
        .unwrap();
    let mut calibrator = Calibrator::new(&plan);
    let batch = Batch::new(1).tensor("x", dims, Values::F32(values.to_vec()));
    calibrator.observe(&mut session, &batch).unwrap();
    plan.apply(&calibrator.ranges(RangeMethod::MinMax).unwrap())
        .unwrap()
        .0
}

fn runtime_census(model: &Model) -> Census {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("optimized.onnx");
    let options = SessionOptions {
        optimized_model: Some(path.clone()),
        ..SessionOptions::default()
    };
    RUNTIME
        .open_bytes(&rtune_onnx::encode(model).unwrap(), &options)
        .unwrap();
    census(&rtune_onnx::read(&path).unwrap().graph)
}

/// Quantizes, compares, and checks that each product runs as integers, in `kernel`.
fn check(model: &Model, dims: &[usize], kernel: &str, products: usize) {
    let values = noise(dims.iter().product(), 3);
    let float = run(model, dims, &values, Optimization::All);
    for weight_range in [WeightRange::SaturationFree, WeightRange::Full] {
        let scheme = Scheme {
            weight_range,
            ..Scheme::default()
        };
        let int8 = quantized(model, dims, &values, scheme);
        // Without optimizations, the runtime computes the QDQ graph as written, in float: the
        // arithmetic itself.
        let found = run(&int8, dims, &values, Optimization::Disabled);
        let spread = float.iter().fold(0.0_f32, |m, v| m.max(v.abs()));
        for (a, b) in float.iter().zip(&found) {
            let close = (a - b).abs() < 0.03 * spread * products as f32;
            assert!(close, "{kernel}: expected {a}, found {b}");
        }
        let census = runtime_census(&int8);
        let counts = (census.integer.len(), census.float.len());
        assert_eq!(counts, (products, 0), "{kernel}: {census:?}");
        assert!(
            census.integer.iter().all(|name| name == "weight"),
            "{census:?}"
        );
        let operators = &census.operators;
        assert!(operators.contains_key(kernel), "{kernel}: {operators:?}");
        if weight_range == WeightRange::SaturationFree {
            // The integer kernels give the same on every processor.
            let fast = run(&int8, dims, &values, Optimization::All);
            for (a, b) in found.iter().zip(&fast) {
                let close = (a - b).abs() < 1e-4 * (1.0 + spread);
                assert!(close, "{kernel}: as written {a}, as integers {b}");
            }
        }
    }
}

#[test]
fn gemm_with_bias() {
    for transposed in [0_i64, 1] {
        let model = model(&[Dim::symbol("rows")], |graph, x| {
            let weight = if transposed == 1 {
                matrix(OUTPUTS, INPUTS, 1)
            } else {
                matrix(INPUTS, OUTPUTS, 1)
            };
            let weight = graph.constant("weight", weight).unwrap();
            let bias = Tensor::from_f32(&[OUTPUTS as u64], &noise(OUTPUTS, 2)).unwrap();
            let bias = graph.constant("bias", bias).unwrap();
            let gemm = NodeDraft::new("Gemm", "gemm").inputs([x, weight, bias]);
            graph.add(gemm.attribute("transB", transposed)).unwrap()
        });
        check(&model, &[7, INPUTS], "QGemm", 1);
    }
}

/// `MatMul`, and `Add` of a constant vector behind it.
fn biased_matmul(graph: &mut GraphBuilder, x: ValueId) -> ValueId {
    let weight = graph
        .constant("weight", matrix(INPUTS, OUTPUTS, 1))
        .unwrap();
    let bias = Tensor::from_f32(&[OUTPUTS as u64], &noise(OUTPUTS, 2)).unwrap();
    let bias = graph.constant("bias", bias).unwrap();
    let product = graph
        .add(NodeDraft::new("MatMul", "product").inputs([x, weight]))
        .unwrap();
    graph
        .add(NodeDraft::new("Add", "sum").inputs([bias, product]))
        .unwrap()
}

#[test]
fn rank_3_matmul_with_bias() {
    let dims = [Dim::symbol("batch"), Dim::symbol("sequence")];
    check(
        &model(&dims, biased_matmul),
        &[2, 5, INPUTS],
        "MatMulIntegerToFloat",
        1,
    );
}

#[test]
fn rank_2_matmul_with_bias_becomes_a_gemm() {
    check(
        &model(&[Dim::symbol("rows")], biased_matmul),
        &[7, INPUTS],
        "QGemm",
        1,
    );
}

#[test]
fn layers_that_share_a_weight_all_run_as_integers() {
    let model = model(&[Dim::symbol("rows")], |graph, x| {
        let weight = graph.constant("weight", matrix(INPUTS, INPUTS, 1)).unwrap();
        let bias = Tensor::from_f32(&[INPUTS as u64], &noise(INPUTS, 2)).unwrap();
        let bias = graph.constant("bias", bias).unwrap();
        let mut hidden = x;
        for layer in 0..3 {
            let product = NodeDraft::new("Gemm", format!("layer.{layer}"));
            let product = graph.add(product.inputs([hidden, weight, bias])).unwrap();
            let tanh = NodeDraft::new("Tanh", format!("layer.{layer}/tanh"));
            hidden = graph.add(tanh.inputs([product])).unwrap();
        }
        hidden
    });
    check(&model, &[7, INPUTS], "QGemm", 3);
    let values = noise(7 * INPUTS, 3);
    let int8 = quantized(&model, &[7, INPUTS], &values, Scheme::default());
    let count = |wanted: &str| {
        let names = int8
            .graph
            .initializers()
            .map(|(id, _)| int8.graph.name_of(id));
        names.filter(|name| name.starts_with(wanted)).count()
    };
    // Each layer has another activation, and so another scale of the bias, but the same weights.
    assert_eq!((count("weight_quantized"), count("bias_quantized")), (1, 3));
}

#[test]
fn activations_of_every_integer_type_run_as_integers() {
    let model = model(&[Dim::symbol("rows")], biased_matmul);
    let (dims, values) = ([7, INPUTS], noise(7 * INPUTS, 3));
    let float = run(&model, &dims, &values, Optimization::All);
    let spread = float.iter().fold(0.0_f32, |m, v| m.max(v.abs()));
    for (signed, symmetric) in [(false, false), (false, true), (true, false), (true, true)] {
        let scheme = Scheme {
            activation: IntType { signed, symmetric },
            ..Scheme::default()
        };
        let int8 = quantized(&model, &dims, &values, scheme);
        let found = run(&int8, &dims, &values, Optimization::All);
        for (a, b) in float.iter().zip(&found) {
            assert!(
                (a - b).abs() < 0.03 * spread,
                "{scheme:?}: expected {a}, found {b}"
            );
        }
        assert_eq!(runtime_census(&int8).integer, ["weight"], "{scheme:?}");
    }
}

#[test]
fn ranges_without_precision_are_refused() {
    let model = model(&[Dim::symbol("rows")], biased_matmul);
    let source = Quantizable::new(&model).unwrap();
    let plan = Plan::new(&source, Settings::default()).unwrap();
    let tapped = rtune_onnx::encode(&plan.tapped().unwrap()).unwrap();
    for value in [f32::MIN, f32::NAN, f32::INFINITY] {
        let mut session = RUNTIME
            .open_bytes(&tapped, &SessionOptions::default())
            .unwrap();
        let mut calibrator = Calibrator::new(&plan);
        let batch = Batch::new(1).tensor("x", [1, INPUTS], Values::F32(vec![value; INPUTS]));
        calibrator.observe(&mut session, &batch).unwrap();
        let error = calibrator
            .ranges(RangeMethod::MinMax)
            .unwrap_err()
            .to_string();
        assert!(error.starts_with("tensor `x`"), "{error}");
    }
}

/// The file that the tests of `rtune-quant`, which cannot encode, run. `RTUNE_BLESS=1` writes it.
#[test]
fn the_token_model_of_the_runner_tests_is_current() {
    let path = rtune_testkit::root().join("crates/rtune-quant/tests/token_model/token_model.onnx");
    let source = Quantizable::new(&token_model::token_model()).unwrap();
    let plan = Plan::new(&source, Settings::default()).unwrap();
    let bytes = rtune_onnx::encode(&plan.tapped().unwrap()).unwrap();
    if rtune_testkit::blessing() {
        std::fs::write(&path, &bytes).unwrap();
    }
    assert!(
        std::fs::read(&path).unwrap() == bytes,
        "{} is not current",
        path.display()
    );
}

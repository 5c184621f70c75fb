//! Quantized graphs against their float ones in the runtime, in each form that models come in.

#![allow(clippy::unwrap_used, clippy::cast_precision_loss)] // Tests.

use rtune_graph::{
    Dim, ElementType, Fact, GraphBuilder, Model, NodeDraft, Tensor, ValueId, passes::tap_outputs,
};
use rtune_quant::{
    Calibration, Census, QuantError, QuantizeOptions, RangeMethod, WeightRange, census, quantize,
    targets,
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
    session
        .run(&[Feed::f32("x", dims, values)])
        .unwrap()
        .f32("y")
        .unwrap()
        .1
        .to_vec()
}

fn quantized(model: &Model, dims: &[usize], values: &[f32], options: QuantizeOptions) -> Model {
    let found = targets(&model.graph);
    let names = found.inputs(&model.graph);
    let tapped = rtune_onnx::encode(&tap_outputs(model, names.iter().copied()).unwrap().0).unwrap();
    let mut session = RUNTIME
        .open_bytes(&tapped, &SessionOptions::default())
        .unwrap();
    let mut calibration = Calibration::new(names.iter().copied());
    calibration
        .observe(&mut session, &[Feed::f32("x", dims, values)], &[], 1)
        .unwrap();
    quantize(
        model,
        &calibration.ranges(RangeMethod::MinMax).unwrap(),
        options,
    )
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

/// Quantizes, compares, and checks that the product runs as integers.
fn check(model: &Model, dims: &[usize], kernel: &str) {
    let values = noise(dims.iter().product(), 3);
    let float = run(model, dims, &values, Optimization::All);
    for weight_range in [WeightRange::SaturationFree, WeightRange::Full] {
        let int8 = quantized(
            model,
            dims,
            &values,
            QuantizeOptions {
                weight_range,
                embeddings: true,
            },
        );
        // Without optimizations, the runtime computes the QDQ graph as written, in float: the
        // arithmetic itself.
        let found = run(&int8, dims, &values, Optimization::Disabled);
        let spread = float.iter().fold(0.0_f32, |m, v| m.max(v.abs()));
        for (a, b) in float.iter().zip(&found) {
            assert!(
                (a - b).abs() < 0.03 * spread,
                "{kernel}: expected {a}, found {b}"
            );
        }
        let census = runtime_census(&int8);
        assert_eq!(
            (census.integer.len(), census.float.len()),
            (1, 0),
            "{kernel}: {census:?}"
        );
        assert!(
            census.operators.contains_key(kernel),
            "{kernel}: {:?}",
            census.operators
        );
        if weight_range == WeightRange::SaturationFree {
            // The integer kernels give the same on every processor.
            let fast = run(&int8, dims, &values, Optimization::All);
            for (a, b) in found.iter().zip(&fast) {
                assert!(
                    (a - b).abs() < 1e-4 * (1.0 + spread),
                    "{kernel}: as written {a}, as integers {b}"
                );
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
            graph
                .add(
                    NodeDraft::new("Gemm", "gemm")
                        .inputs([x, weight, bias])
                        .attribute("transB", transposed),
                )
                .unwrap()
        });
        check(&model, &[7, INPUTS], "QGemm");
    }
}

/// `MatMul`, and `Add` of a constant vector behind it.
fn biased_matmul(graph: &mut GraphBuilder, x: ValueId) -> ValueId {
    let weight = graph
        .constant("weight", matrix(INPUTS, OUTPUTS, 1))
        .unwrap();
    let bias = graph
        .constant(
            "bias",
            Tensor::from_f32(&[OUTPUTS as u64], &noise(OUTPUTS, 2)).unwrap(),
        )
        .unwrap();
    let product = graph
        .add(NodeDraft::new("MatMul", "product").inputs([x, weight]))
        .unwrap();
    graph
        .add(NodeDraft::new("Add", "sum").inputs([bias, product]))
        .unwrap()
}

#[test]
fn rank_3_matmul_with_bias() {
    check(
        &model(
            &[Dim::symbol("batch"), Dim::symbol("sequence")],
            biased_matmul,
        ),
        &[2, 5, INPUTS],
        "MatMulIntegerToFloat",
    );
}

#[test]
fn rank_2_matmul_with_bias_becomes_a_gemm() {
    check(
        &model(&[Dim::symbol("rows")], biased_matmul),
        &[7, INPUTS],
        "QGemm",
    );
}

#[test]
fn what_else_reads_the_activation_reads_it_in_float() {
    let model = model(&[Dim::symbol("rows")], |graph, x| {
        let weight = graph.constant("weight", matrix(INPUTS, INPUTS, 1)).unwrap();
        let hidden = graph
            .add(NodeDraft::new("Tanh", "hidden").inputs([x]))
            .unwrap();
        let product = graph
            .add(NodeDraft::new("Gemm", "product").inputs([hidden, weight]))
            .unwrap();
        graph
            .add(NodeDraft::new("Add", "residual").inputs([product, hidden]))
            .unwrap()
    });
    let int8 = quantized(
        &model,
        &[7, INPUTS],
        &noise(7 * INPUTS, 3),
        QuantizeOptions::default(),
    );
    let residual = int8
        .graph
        .nodes()
        .map(|(_, node)| node)
        .find(|node| node.name == "residual")
        .unwrap();
    assert_eq!(residual.input(1), int8.graph.find("hidden"));
    assert!(
        int8.graph
            .initializers()
            .all(|(id, _)| int8.graph.value(id).name != "weight"),
        "the float weight is still there"
    );
}

#[test]
fn nothing_to_quantize_is_an_error() {
    let model = model(&[Dim::symbol("rows")], |graph, x| {
        graph.add(NodeDraft::new("Tanh", "t").inputs([x])).unwrap()
    });
    let error = quantize(
        &model,
        &std::collections::BTreeMap::new(),
        QuantizeOptions::default(),
    )
    .unwrap_err();
    assert!(matches!(error, QuantError::NothingToQuantize));
}

#[test]
fn ranges_without_precision_are_refused() {
    let model = model(&[Dim::symbol("rows")], biased_matmul);
    let names = ["x"];
    let tapped = rtune_onnx::encode(&tap_outputs(&model, ["x"]).unwrap().0).unwrap();
    for value in [f32::MIN, f32::NAN, f32::INFINITY] {
        let mut session = RUNTIME
            .open_bytes(&tapped, &SessionOptions::default())
            .unwrap();
        let mut calibration = Calibration::new(names);
        let values = vec![value; INPUTS];
        calibration
            .observe(
                &mut session,
                &[Feed::f32("x", &[1, INPUTS], &values)],
                &[],
                1,
            )
            .unwrap();
        let error = calibration
            .ranges(RangeMethod::MinMax)
            .unwrap_err()
            .to_string();
        assert!(error.starts_with("tensor `x`"), "{error}");
    }
}

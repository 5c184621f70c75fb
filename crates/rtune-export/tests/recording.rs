//! Recording of small modules: printed graphs, names, shared weights, custom operators, refusals.

#![expect(
    clippy::unwrap_used,
    reason = "a failure of a helper is the test's failure"
)]

use candle_core::{DType, Device, Tensor};
use rtune_export::{Export, ExportError, Recorder};
use rtune_graph::Dim;
use rtune_nn::{
    Attention, CustomAttribute, CustomOp, Extent, Kind, Linear, NnError, Ops as _, OutputFact,
    OutputSize, Param, Positions, Result, SequenceOps as _, Var,
};
use rtune_task::TextSignature;

fn param(name: &str, dims: &[usize]) -> Param {
    Param::new(name, Tensor::ones(dims, DType::F32, &Device::Cpu).unwrap())
}

/// A forward over one input.
type Forward = dyn for<'a> Fn(&Var<'a, Recorder>) -> Result<Var<'a, Recorder>>;

/// The nodes of the graph of a forward over `x: f32[batch, 4]`.
fn nodes(forward: &Forward) -> Vec<String> {
    let export = Export::new("test", 17).unwrap();
    let dims = [Dim::symbol("batch"), Dim::Fixed(4)];
    let x = export.input("x", Kind::Float, dims).unwrap();
    let y = forward(&x).unwrap().into_value();
    let text = export.finish([("y", y)]).unwrap().graph.to_string();
    let is_node = |line: &&str| line.contains(" = ") && line.contains('(');
    let lines = text.lines().filter(is_node).map(str::to_owned);
    lines.filter(|line| !line.starts_with("y: ")).collect()
}

macro_rules! recorded {
    ($($name:ident: |$x:ident| $forward:expr => [$($line:expr),+ $(,)?];)+) => {$(
        #[test]
        fn $name() {
            assert_eq!(nodes(&|$x| $forward), [$($line),+]);
        }
    )+};
}

recorded! {
    linear_is_one_gemm: |x| {
        Linear::new(param("fc.weight", &[2, 4]), Some(param("fc.bias", &[2]))).forward(x)
    } => ["fc: f32[batch, 2] = Gemm(x, fc.weight, fc.bias) transB=1"];

    linear_without_bias: |x| Linear::new(param("fc.weight", &[2, 4]), None).forward(x)
        => ["fc: f32[batch, 2] = Gemm(x, fc.weight) transB=1"];

    linear_of_rank_3_has_the_transposed_weight: |x| {
        Linear::new(param("fc.weight", &[2, 4]), None).forward(&x.unsqueeze(0)?)
    } => [
        "unsqueeze: f32[1, batch, 4] = Unsqueeze(x, shape/0)",
        "fc: f32[1, batch, 2] = MatMul(unsqueeze, fc.weight.transposed)",
    ];

    layer_norm_is_one_node: |x| {
        let (weight, bias) = (param("n.weight", &[4]), param("n.bias", &[4]));
        Ok(x.with(x.ops().layer_norm(x.value(), &weight, Some(&bias), 0.5)?))
    } => [
        "n: f32[batch, 4] = LayerNormalization(x, n.weight, n.bias) axis=-1 epsilon=5e-1",
    ];

    affine_leaves_out_neutral_parts: |x| ((x * 2.0)? + 1.0)?.affine(3.0, 1.0) => [
        "affine: f32[batch, 4] = Mul(x, constant/2)",
        "affine_1: f32[batch, 4] = Add(affine, constant/1)",
        "affine_2/Mul: f32[batch, 4] = Mul(affine_1, constant/3)",
        "affine_2: f32[batch, 4] = Add(affine_2/Mul, constant/1)",
    ];

    not_equal_is_two_nodes: |x| x.ne(&x.relu()?)?.cast(Kind::Float) => [
        "relu: f32[batch, 4] = Relu(x)",
        "ne/Equal: bool[batch, 4] = Equal(x, relu)",
        "ne: bool[batch, 4] = Not(ne/Equal)",
        "cast: f32[batch, 4] = Cast(ne) to=1",
    ];

    scopes_name_results: |x| {
        let inner = {
            let _scope = x.ops().scope("a.b");
            (x + x)?
        };
        let _scope = x.ops().scope("c");
        inner + x
    } => [
        "a.b/add: f32[batch, 4] = Add(x, x)",
        "c/add: f32[batch, 4] = Add(a.b/add, x)",
    ];

    softmax_and_reductions: |x| x.softmax()?.max_keepdim(-1)?.sum(0) => [
        "softmax: f32[batch, 4] = Softmax(x) axis=-1",
        "max: f32[batch, 1] = ReduceMax(softmax) axes=[-1]",
        "sum: f32[1, 1] = ReduceSum(max, shape/0)",
        "squeeze: f32[1] = Squeeze(sum, shape/0)",
    ];

    transposes_have_all_axes: |x| x.t() => [
        "transpose: f32[4, batch] = Transpose(x) perm=[1, 0]",
    ];

    reshape_keeps_the_batch: |x| x.reshape([Extent::Keep, Extent::Exact(2), Extent::Infer]) => [
        "reshape: f32[batch, 2, 2] = Reshape(x, reshape/shape)",
    ];

    standard_operator_as_custom: |x| {
        let op = CustomOp::new("", "LeakyRelu", 16, [OutputFact::Like(0)], |x| Ok(x.to_vec()));
        let op = op.attribute("alpha", CustomAttribute::Float(0.5));
        Ok(Var::custom(&op, &[x])?.remove(0))
    } => ["LeakyRelu: f32[batch, 4] = LeakyRelu(x) alpha=5e-1"];
}

#[test]
fn a_weight_used_twice_is_stored_once() {
    let export = Export::new("test", 17).unwrap();
    let dims = [Dim::symbol("batch"), Dim::Fixed(4)];
    let x = export.input("x", Kind::Float, dims).unwrap();
    let layer = Linear::new(param("tied.weight", &[4, 4]), None);
    let y = layer
        .forward(&layer.forward(&x).unwrap())
        .unwrap()
        .into_value();
    let model = export.finish([("y", y)]).unwrap();
    assert_eq!(model.graph.initializers().count(), 1);
    let names: Vec<&str> = model.graph.nodes().map(|(_, node)| &*node.name).collect();
    assert_eq!(names, ["tied", "tied_1", "y"]);
}

#[test]
fn weights_keep_their_elements_also_of_views() {
    let values = Tensor::arange(0_f32, 6.0, &Device::Cpu).unwrap();
    let view = values.reshape((2, 3)).unwrap().t().unwrap();
    let export = Export::new("test", 17).unwrap();
    let weight = export.ops().param(&Param::new("w", view)).unwrap();
    let model = export.finish([("y", weight)]).unwrap();
    let (_, tensor) = model.graph.initializers().next().unwrap();
    let expected: Vec<u8> = [0_f32, 3.0, 1.0, 4.0, 2.0, 5.0]
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    assert_eq!(
        (tensor.dims(), tensor.bytes()),
        (&[3_u64, 2][..], &*expected)
    );
}

#[test]
fn other_operator_sets_are_refused_first() {
    for opset in [13, 16, 18] {
        let error = Export::new("test", opset).unwrap_err();
        assert!(matches!(error, ExportError::Opset(found) if found == opset));
        let expected = format!("opset {opset} is not supported; supported is 17");
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn a_graph_error_stays_the_source() {
    let export = Export::new("test", 17).unwrap();
    let input = |name, size| export.input(name, Kind::Float, [Dim::Fixed(size)]).unwrap();
    let error = (input("a", 2) + input("b", 3)).unwrap_err();
    let NnError::Interpreter { source, .. } = &error else {
        panic!("{error:?}")
    };
    let graph = source.downcast_ref::<rtune_graph::GraphError>().unwrap();
    assert_eq!(
        graph.to_string(),
        "node `add` (Add): shapes f32[2] and f32[3] cannot be broadcast"
    );
    assert!(ExportError::from(error).is_input());
}

#[test]
fn pooling_of_an_unknown_width_is_refused() {
    let export = Export::new("test", 17).unwrap();
    let text = export.text_inputs(&TextSignature::default(), 8).unwrap();
    let dims = [Dim::symbol("batch*sequence"), Dim::symbol("width")];
    let hidden = export.input("hidden", Kind::Float, dims).unwrap();
    for result in [
        hidden.mean_pool(&text.sequences),
        hidden.first_pool(&text.sequences),
    ] {
        let message = result.unwrap_err().to_string();
        assert!(
            message.ends_with("the width of the hidden states is not known"),
            "{message}"
        );
    }
}

#[test]
fn custom_operators_of_other_domains_import_them() {
    let export = Export::new("test", 17).unwrap();
    let x = export.input("x", Kind::Float, [Dim::symbol("n")]).unwrap();
    let shape = vec![OutputSize::Of { input: 0, axis: 0 }, OutputSize::Exact(2)];
    let fact = OutputFact::Is {
        kind: Kind::Float,
        shape,
    };
    let op = CustomOp::new("com.example", "Pair", 3, [fact, OutputFact::Like(0)], |x| {
        Ok(x.to_vec())
    });
    let outputs = Var::custom(&op, &[&x]).unwrap();
    let newer = CustomOp::new("com.example", "Other", 4, [OutputFact::Like(0)], |x| {
        Ok(x.to_vec())
    });
    assert_eq!(
        Var::custom(&newer, &[&x]).unwrap_err().to_string(),
        "custom operator Other of domain `com.example` needs operator set 4, another one of the \
         graph 3"
    );
    let [pair, same] = [0, 1].map(|i: usize| *outputs[i].value());
    let model = export.finish([("a", pair), ("b", same)]).unwrap();
    assert_eq!(model.opsets.get("com.example"), Some(3));
    let text = model.graph.to_string();
    let line = text.lines().find(|line| line.contains("Pair(")).unwrap();
    assert!(
        line.contains("Pair: f32[n, 2]") && line.contains("Pair:1: f32[n]"),
        "{line}"
    );
}

#[test]
fn custom_operators_of_newer_operator_sets_are_refused() {
    let export = Export::new("test", 17).unwrap();
    let x = export.input("x", Kind::Float, [Dim::Fixed(1)]).unwrap();
    let op = CustomOp::new("", "Mish", 18, [OutputFact::Like(0)], |x| Ok(x.to_vec()));
    assert_eq!(
        Var::custom(&op, &[&x]).unwrap_err().to_string(),
        "custom operator Mish of domain `` needs operator set 18, the graph is written in 17"
    );
}

#[test]
fn a_taken_name_is_refused() {
    let export = Export::new("test", 17).unwrap();
    export.input("x", Kind::Float, []).unwrap();
    let error = export.input("x", Kind::Float, []).unwrap_err();
    assert_eq!(error.to_string(), "value `x`: defined twice");
}

#[test]
fn text_inputs_follow_the_signature() {
    let export = Export::new("test", 17).unwrap();
    let text = export.text_inputs(&TextSignature::default(), 8).unwrap();
    assert!(text.token_type_ids.is_some());
    let ids = export
        .ops()
        .position_ids(Positions::FromZero, &text.sequences)
        .unwrap();
    let model = export.finish([("positions", ids)]).unwrap();
    let inputs: Vec<&str> = model
        .graph
        .inputs()
        .iter()
        .map(|id| model.graph.name_of(*id))
        .collect();
    assert_eq!(inputs, ["input_ids", "attention_mask", "token_type_ids"]);
}

#[test]
fn parts_of_the_token_layout_that_nothing_reads_are_left_out() {
    let export = Export::new("test", 17).unwrap();
    let text = export.text_inputs(&TextSignature::default(), 8).unwrap();
    let ids = export
        .ops()
        .position_ids(Positions::AfterPadding(1), &text.sequences)
        .unwrap();
    let model = export.finish([("positions", ids)]).unwrap();
    let graph = model.graph.to_string();
    assert!(!graph.contains("inputs/positions/Slice"), "{graph}");
    assert!(!graph.contains("embeddings.position_ids"), "{graph}");
    assert!(graph.contains("CumSum"), "{graph}");
    assert_eq!(model.graph.inputs().len(), 3);
}

#[test]
fn attention_returns_to_flat_tokens() {
    let export = Export::new("test", 17).unwrap();
    let text = export.text_inputs(&TextSignature::default(), 8).unwrap();
    let dims = [Dim::symbol("batch*sequence"), Dim::Fixed(8)];
    let x = export.input("x", Kind::Float, dims).unwrap();
    let window = Attention {
        window: Some(1),
        ..Attention::new(2, 4)
    };
    let y = x
        .attention(&x, &x, &window, &text.sequences)
        .unwrap()
        .into_value();
    let model = export.finish([("y", y)]).unwrap();
    let text = model.graph.to_string();
    assert!(
        text.contains("y: f32[batch*sequence, 8] = Identity(merge_heads)"),
        "{text}"
    );
    let is_far = "gt: bool[min(8, sequence), min(8, sequence)] = Greater(abs, constant/1)";
    assert!(text.contains(is_far), "{text}");
}

//! Each recipe on a small graph: the printed result, and the reasons for what stays in float.

#![expect(clippy::unwrap_used, reason = "tests")]

use rtune_graph::{
    Attribute, Dim, ElementType, Fact, GraphBuilder, Model, NodeDraft, Tensor, ValueId,
};
use rtune_quant::{
    IntType, Plan, QuantError, Quantizable, Quantized, Ranges, Scheme, Settings, WeightRange,
};

fn float(dims: &[u64], values: &[f32]) -> Tensor {
    Tensor::from_f32(dims, values).unwrap()
}

/// A graph from `x` `[n, 2]` of float32 to one output.
fn model(build: impl FnOnce(&mut GraphBuilder, ValueId) -> ValueId) -> Model {
    model_over(&[Dim::symbol("n"), Dim::Fixed(2)], build)
}

fn model_over(shape: &[Dim], build: impl FnOnce(&mut GraphBuilder, ValueId) -> ValueId) -> Model {
    let mut builder = GraphBuilder::new("test", 17);
    let x = builder.input("x", Fact::new(ElementType::Float32, shape.to_vec()));
    let y = build(&mut builder, x.unwrap());
    builder.output(y).unwrap();
    builder.finish()
}

/// −1..1 for every tensor that the graphs here have.
fn ranges() -> Ranges {
    let range = |name: &str| (name.to_owned(), (-1.0, 1.0));
    ["x", "h", "ids"].map(range).into()
}

fn quantize(model: &Model, settings: Settings) -> (String, Quantized) {
    let source = Quantizable::new(model).unwrap();
    let plan = Plan::new(&source, settings).unwrap();
    let (int8, quantized) = plan.apply(&ranges()).unwrap();
    rtune_graph::check(&int8).unwrap();
    assert_eq!(plan.quantized(), &quantized);
    (int8.graph.to_string(), quantized)
}

fn full_range() -> Settings {
    Settings {
        scheme: Scheme {
            weight_range: WeightRange::Full,
            ..Scheme::default()
        },
        ..Settings::default()
    }
}

#[test]
fn gemm_with_a_transposed_weight_and_bias() {
    let model = model(|graph, x| {
        let weight = graph.constant("w", float(&[1, 2], &[1.27, -0.64])).unwrap();
        let bias = graph.constant("b", float(&[1], &[0.5])).unwrap();
        let gemm = NodeDraft::new("Gemm", "y").inputs([x, weight, bias]);
        graph.add(gemm.attribute("transB", 1_i64)).unwrap()
    });
    let (text, quantized) = quantize(&model, full_range());
    assert_eq!(quantized.products, ["y"]);
    assert_eq!(
        text,
        "\
input x: f32[n, 2]
constant x/scale: f32[] = 0.007843138
constant x/zero_point: u8[] = 128
constant w_scale: f32[1] = [0.01]
constant w_zero_point: i8[1] = [0]
constant w_quantized: i8[1, 2]
constant b_scale: f32[1] = [0.000078431374]
constant b_zero_point: i32[1] = [0]
constant b_quantized: i32[1] = [6375]
x/QuantizeLinear: u8[n, 2] = QuantizeLinear(x, x/scale, x/zero_point)
x/DequantizeLinear: f32[n, 2] = DequantizeLinear(x/QuantizeLinear, x/scale, x/zero_point)
w/DequantizeLinear: f32[1, 2] = DequantizeLinear(w_quantized, w_scale, w_zero_point) axis=0
b/DequantizeLinear: f32[1] = DequantizeLinear(b_quantized, b_scale, b_zero_point) axis=0
y: f32[n, 1] = Gemm(x/DequantizeLinear, w/DequantizeLinear, b/DequantizeLinear) transB=1
output y
"
    );
}

#[test]
fn matmul_of_rank_2_takes_the_bias_behind_it() {
    let model = model(biased_matmul);
    let (text, quantized) = quantize(&model, full_range());
    assert_eq!(quantized.products, ["y"]);
    assert_eq!(
        text,
        "\
input x: f32[n, 2]
constant x/scale: f32[] = 0.007843138
constant x/zero_point: u8[] = 128
constant w_scale: f32[1] = [0.01]
constant w_zero_point: i8[1] = [0]
constant w_quantized: i8[2, 1]
constant b_scale: f32[1] = [0.000078431374]
constant b_zero_point: i32[1] = [0]
constant b_quantized: i32[1] = [6375]
x/QuantizeLinear: u8[n, 2] = QuantizeLinear(x, x/scale, x/zero_point)
x/DequantizeLinear: f32[n, 2] = DequantizeLinear(x/QuantizeLinear, x/scale, x/zero_point)
w/DequantizeLinear: f32[2, 1] = DequantizeLinear(w_quantized, w_scale, w_zero_point) axis=1
b/DequantizeLinear: f32[1] = DequantizeLinear(b_quantized, b_scale, b_zero_point) axis=0
y: f32[n, 1] = Gemm(x/DequantizeLinear, w/DequantizeLinear, b/DequantizeLinear)
output y
"
    );
}

#[test]
fn matmul_of_rank_3_leaves_the_bias() {
    let shape = [Dim::symbol("b"), Dim::symbol("s"), Dim::Fixed(2)];
    let (text, quantized) = quantize(&model_over(&shape, biased_matmul), full_range());
    assert_eq!(quantized.products, ["product"]);
    assert_eq!(
        text,
        "\
input x: f32[b, s, 2]
constant x/scale: f32[] = 0.007843138
constant x/zero_point: u8[] = 128
constant w_scale: f32[1] = [0.01]
constant w_zero_point: i8[1] = [0]
constant w_quantized: i8[2, 1]
constant b: f32[1] = [0.5]
x/QuantizeLinear: u8[b, s, 2] = QuantizeLinear(x, x/scale, x/zero_point)
x/DequantizeLinear: f32[b, s, 2] = DequantizeLinear(x/QuantizeLinear, x/scale, x/zero_point)
w/DequantizeLinear: f32[2, 1] = DequantizeLinear(w_quantized, w_scale, w_zero_point) axis=1
product: f32[b, s, 1] = MatMul(x/DequantizeLinear, w/DequantizeLinear)
y: f32[b, s, 1] = Add(b, product)
output y
"
    );
}

fn biased_matmul(graph: &mut GraphBuilder, x: ValueId) -> ValueId {
    let weight = graph.constant("w", float(&[2, 1], &[1.27, -0.64])).unwrap();
    let bias = graph.constant("b", float(&[1], &[0.5])).unwrap();
    let product = NodeDraft::new("MatMul", "product").inputs([x, weight]);
    let product = graph.add(product).unwrap();
    let sum = NodeDraft::new("Add", "y").inputs([bias, product]);
    graph.add(sum).unwrap()
}

#[test]
fn gather_dequantizes_the_rows_that_it_reads() {
    let mut graph = GraphBuilder::new("test", 17);
    let ids = Fact::new(ElementType::Int64, [Dim::symbol("n"), Dim::symbol("s")]);
    let ids = graph.input("ids", ids).unwrap();
    let table = graph
        .constant("table", float(&[2, 2], &[1.27, 0.0, 0.02, -2.54]))
        .unwrap();
    let h = graph
        .add(NodeDraft::new("Gather", "h").inputs([table, ids]))
        .unwrap();
    let weight = graph.constant("w", float(&[2, 1], &[1.27, 0.02])).unwrap();
    let y = graph
        .add(NodeDraft::new("MatMul", "y").inputs([h, weight]))
        .unwrap();
    graph.output(y).unwrap();
    let model = graph.finish();
    let (text, quantized) = quantize(&model, full_range());
    assert_eq!(
        (quantized.products, quantized.lookups),
        (vec!["y".into()], vec!["h".into()])
    );
    assert_eq!(
        text,
        "\
input ids: i64[n, s]
constant table_scale: f32[2] = [0.01, 0.02]
constant table_zero_point: i8[2] = [0, 0]
constant table_quantized: i8[2, 2]
constant h/scale: f32[] = 0.007843138
constant h/zero_point: u8[] = 128
constant w_scale: f32[1] = [0.01]
constant w_zero_point: i8[1] = [0]
constant w_quantized: i8[2, 1]
h/Gather: i8[n, s, 2] = Gather(table_quantized, ids) axis=0
h: f32[n, s, 2] = DequantizeLinear(h/Gather, table_scale, table_zero_point) axis=2
h/QuantizeLinear: u8[n, s, 2] = QuantizeLinear(h, h/scale, h/zero_point)
h/DequantizeLinear: f32[n, s, 2] = DequantizeLinear(h/QuantizeLinear, h/scale, h/zero_point)
w/DequantizeLinear: f32[2, 1] = DequantizeLinear(w_quantized, w_scale, w_zero_point) axis=1
y: f32[n, s, 1] = MatMul(h/DequantizeLinear, w/DequantizeLinear)
output y
"
    );
    let settings = Settings {
        embeddings: false,
        ..Settings::default()
    };
    let (text, quantized) = quantize(&model, settings);
    assert!(
        text.contains("h: f32[n, s, 2] = Gather(table, ids)"),
        "{text}"
    );
    let left: Vec<_> = quantized
        .left_float
        .iter()
        .map(|l| l.reason.to_string())
        .collect();
    assert_eq!(left, ["the settings leave it in float"]);
}

#[test]
fn a_weight_that_nodes_share_is_stored_once() {
    // As in ALBERT: one layer, applied twice; the activations differ.
    let model = model(|graph, x| {
        let weight = graph
            .constant("w", float(&[2, 2], &[1.0, 0.5, -0.5, 1.0]))
            .unwrap();
        let gemm = |input| [input, weight];
        let h = graph
            .add(NodeDraft::new("Gemm", "first").inputs(gemm(x)))
            .unwrap();
        let h = graph.add(NodeDraft::new("Tanh", "h").inputs([h])).unwrap();
        graph
            .add(NodeDraft::new("Gemm", "second").inputs(gemm(h)))
            .unwrap()
    });
    let (text, quantized) = quantize(&model, Settings::default());
    assert_eq!(quantized.products, ["first", "second"]);
    let count = |part: &str| text.lines().filter(|line| line.contains(part)).count();
    assert_eq!(count("constant w_quantized"), 1, "{text}");
    assert_eq!(count("= DequantizeLinear(w_quantized"), 1, "{text}");
    assert_eq!(count("Gemm("), 2, "{text}");
}

#[test]
fn a_weight_with_two_scales_is_stored_twice() {
    // The second bias is so large that it needs a wider weight scale.
    let model = model(|graph, x| {
        let weight = graph.constant("w", float(&[2, 1], &[1.0, 0.5])).unwrap();
        let bias = graph.constant("b", float(&[1], &[1e9])).unwrap();
        let h = NodeDraft::new("Gemm", "first").inputs([x, weight]);
        let h = graph.add(h).unwrap();
        let y = NodeDraft::new("Gemm", "second").inputs([x, weight, bias]);
        let y = graph.add(y).unwrap();
        graph
            .add(NodeDraft::new("Add", "y").inputs([h, y]))
            .unwrap()
    });
    let (text, _) = quantize(&model, Settings::default());
    for name in ["constant w_quantized: i8", "constant w_quantized_: i8"] {
        assert!(text.contains(name), "{text}");
    }
}

#[test]
fn other_readers_of_an_activation_read_it_in_float() {
    let model = model(|graph, x| {
        let weight = graph
            .constant("w", float(&[2, 2], &[1.0, 0.5, -0.5, 1.0]))
            .unwrap();
        let h = graph.add(NodeDraft::new("Tanh", "h").inputs([x])).unwrap();
        let product = graph
            .add(NodeDraft::new("Gemm", "product").inputs([h, weight]))
            .unwrap();
        graph
            .add(NodeDraft::new("Add", "y").inputs([product, h]))
            .unwrap()
    });
    let (text, _) = quantize(&model, Settings::default());
    assert!(text.contains("y: f32[n, 2] = Add(product, h)"), "{text}");
    assert!(
        !text.contains("constant w:"),
        "the float weight is still there: {text}"
    );
}

#[test]
fn all_readers_of_a_product_that_a_product_reads_read_integers() {
    // As in ELECTRA: the layer behind the embeddings, a projection, and the residual connection.
    let model = model(|graph, x| {
        let weight = graph
            .constant("w", float(&[2, 2], &[1.0, 0.5, -0.5, 1.0]))
            .unwrap();
        let h = graph.add(NodeDraft::new("Gemm", "h").inputs([x, weight]));
        let h = h.unwrap();
        let product = graph
            .add(NodeDraft::new("Gemm", "product").inputs([h, weight]))
            .unwrap();
        graph
            .add(NodeDraft::new("Add", "y").inputs([product, h]))
            .unwrap()
    });
    let (text, _) = quantize(&model, Settings::default());
    let expected = "y: f32[n, 2] = Add(product, h/DequantizeLinear)";
    assert!(text.contains(expected), "{text}");
    // An output of the graph stays what it is.
    let mut model = model;
    let h = model.graph.find("h").unwrap();
    model.graph.add_output(h).unwrap();
    let (text, _) = quantize(&model, Settings::default());
    assert!(text.contains("y: f32[n, 2] = Add(product, h)"), "{text}");
}

#[test]
fn activations_of_every_integer_type_are_written() {
    for (signed, symmetric, expected) in [
        (false, false, "x/zero_point: u8[] = 128"),
        (false, true, "x/zero_point: u8[] = 128"),
        (true, false, "x/zero_point: i8[] = 0"),
        (true, true, "x/zero_point: i8[] = 0"),
    ] {
        let scheme = Scheme {
            activation: IntType { signed, symmetric },
            ..Scheme::default()
        };
        let settings = Settings {
            scheme,
            ..Settings::default()
        };
        let (text, _) = quantize(&model(biased_matmul), settings);
        assert!(text.contains(expected), "{signed} {symmetric}: {text}");
    }
}

/// Each product that stays in float beside one that does not, and the reason.
#[test]
fn refusals_say_why() {
    type Build = fn(&mut GraphBuilder, ValueId) -> NodeDraft;
    let cases: [(Build, &str); 8] = [
        (
            |_, x| NodeDraft::new("MatMul", "left").inputs([x, x]),
            "neither input is constant",
        ),
        (
            |graph, x| {
                let w = graph.constant("w", float(&[3, 2], &[1.0; 6])).unwrap();
                let turned = NodeDraft::new("Transpose", "t").inputs([x]);
                let turned = graph.add(turned).unwrap();
                NodeDraft::new("MatMul", "left").inputs([w, turned])
            },
            "the constant is the left input",
        ),
        (
            |graph, _| {
                let w = graph.constant("w", float(&[2, 2], &[1.0; 4])).unwrap();
                NodeDraft::new("MatMul", "left").inputs([w, w])
            },
            "both inputs are constant",
        ),
        (
            |graph, x| {
                let w = graph.constant("w", float(&[1, 2, 2], &[1.0; 4])).unwrap();
                NodeDraft::new("MatMul", "left").inputs([x, w])
            },
            "the weight has rank 3, not 2",
        ),
        (
            |graph, x| {
                let w = graph.constant("w", float(&[2, 2], &[1.0; 4])).unwrap();
                NodeDraft::new("Gemm", "left")
                    .inputs([x, w])
                    .attribute("alpha", 0.5_f32)
            },
            "the attribute alpha is not 1",
        ),
        (
            |graph, x| {
                let w = graph.constant("w", float(&[2, 2], &[1.0; 4])).unwrap();
                let turned = NodeDraft::new("Transpose", "t").inputs([x]);
                let turned = graph.add(turned).unwrap();
                NodeDraft::new("Gemm", "left")
                    .inputs([turned, w])
                    .attribute("transA", 1_i64)
            },
            "the attribute transA is not 0",
        ),
        (
            |graph, x| {
                let w = graph.constant("w", float(&[2, 2], &[1.0; 4])).unwrap();
                NodeDraft::new("Gemm", "left").inputs([x, w, x])
            },
            "the bias is not a constant with one f32 per channel",
        ),
        (
            |graph, _| {
                let indices = Fact::new(ElementType::Int64, [Dim::symbol("m")]);
                let indices = graph.input("i", indices).unwrap();
                let table = graph.constant("t", float(&[2, 2], &[1.0; 4])).unwrap();
                let gather = NodeDraft::new("Gather", "left").inputs([table, indices]);
                gather.attribute("axis", 1_i64)
            },
            "the attribute axis is not 0",
        ),
    ];
    for (build, expected) in cases {
        let model = model(|graph, x| {
            let draft = build(graph, x);
            let left = graph.add(draft).unwrap();
            graph.output(left).unwrap();
            biased_matmul_named(graph, x)
        });
        let (_, quantized) = quantize(&model, Settings::default());
        assert_eq!(quantized.products, ["y"], "{expected}");
        let found: Vec<_> = quantized.left_float.iter().collect();
        assert_eq!(found.len(), 1, "{expected}: {found:?}");
        assert_eq!(
            (
                found[0].output.as_str(),
                found[0].reason.to_string().as_str()
            ),
            ("left", expected)
        );
    }
}

/// A product that can be quantized, under names of its own.
fn biased_matmul_named(graph: &mut GraphBuilder, x: ValueId) -> ValueId {
    let weight = graph
        .constant("weight", float(&[2, 1], &[1.27, -0.64]))
        .unwrap();
    graph
        .add(NodeDraft::new("MatMul", "y").inputs([x, weight]))
        .unwrap()
}

#[test]
fn a_lookup_of_unknown_rank_stays_in_float() {
    // The indices come from an operator that rtune has no rule for.
    let mut model = model(|graph, x| {
        graph.constant("t", float(&[2, 2], &[1.0; 4])).unwrap();
        biased_matmul_named(graph, x)
    });
    let graph = &mut model.graph;
    let x = graph.find("x").unwrap();
    let table = graph.find("t").unwrap();
    let [indices, rows] = ["i", "left"].map(|name| graph.declare(name, None).unwrap());
    let node = |op_type: &str, inputs: Vec<ValueId>, output: ValueId| rtune_graph::Node {
        name: op_type.to_owned(),
        domain: if op_type == "Mystery" {
            "other".to_owned()
        } else {
            String::new()
        },
        op_type: op_type.to_owned(),
        inputs: inputs.into_iter().map(Some).collect(),
        outputs: vec![Some(output)],
        attributes: std::collections::BTreeMap::<String, Attribute>::new(),
    };
    graph.push(node("Mystery", vec![x], indices)).unwrap();
    graph
        .push(node("Gather", vec![table, indices], rows))
        .unwrap();
    graph.add_output(rows).unwrap();
    model.opsets.insert("other", 1);

    let source = Quantizable::new(&model).unwrap();
    let plan = Plan::new(&source, Settings::default()).unwrap();
    let left = &plan.quantized().left_float;
    assert_eq!(left.len(), 1, "{left:?}");
    assert_eq!(
        left[0].reason.to_string(),
        "the rank of its output is unknown"
    );
    let (int8, _) = plan.apply(&ranges()).unwrap();
    assert!(
        int8.to_string().contains("left: ? = Gather(t, i)"),
        "{int8}"
    );
}

#[test]
fn models_without_products_and_old_operator_sets_are_errors() {
    let tanh =
        |graph: &mut GraphBuilder, x| graph.add(NodeDraft::new("Tanh", "t").inputs([x])).unwrap();
    let source = Quantizable::new(&model(tanh)).unwrap();
    let error = Plan::new(&source, Settings::default()).unwrap_err();
    assert!(matches!(error, QuantError::NothingToQuantize), "{error}");
    let mut old = model(biased_matmul);
    old.opsets.insert("", 12);
    let error = Quantizable::new(&old).unwrap_err();
    assert!(matches!(error, QuantError::Opset(12)), "{error}");
}

#[test]
fn missing_ranges_and_damaged_weights_are_errors_that_name_the_tensor() {
    let source = Quantizable::new(&model(biased_matmul)).unwrap();
    let plan = Plan::new(&source, Settings::default()).unwrap();
    let error = plan.apply(&Ranges::new()).unwrap_err().to_string();
    assert_eq!(error, "tensor `x`: calibration saw no value of it");
    let model = model(|graph, x| {
        let weight = graph
            .constant("w", float(&[2, 1], &[1.0, f32::NAN]))
            .unwrap();
        graph
            .add(NodeDraft::new("MatMul", "y").inputs([x, weight]))
            .unwrap()
    });
    let source = Quantizable::new(&model).unwrap();
    let plan = Plan::new(&source, Settings::default()).unwrap();
    let error = plan.apply(&ranges()).unwrap_err().to_string();
    assert_eq!(
        error,
        "tensor `w`: the weight holds NaN at element 1; repair the float model first"
    );
}

#[test]
fn the_tapped_model_has_each_activation_once() {
    let model = model(|graph, x| {
        let weight = graph
            .constant("w", float(&[2, 2], &[1.0, 0.5, -0.5, 1.0]))
            .unwrap();
        let node = |op: &str, name: &str, input| NodeDraft::new(op, name).inputs([input, weight]);
        let a = graph.add(node("Gemm", "a", x)).unwrap();
        let b = graph.add(node("Gemm", "b", x)).unwrap();
        let h = graph
            .add(NodeDraft::new("Add", "h").inputs([a, b]))
            .unwrap();
        graph.add(node("Gemm", "y", h)).unwrap()
    });
    let source = Quantizable::new(&model).unwrap();
    let tapped = Plan::new(&source, Settings::default())
        .unwrap()
        .tapped()
        .unwrap();
    let outputs = tapped.graph.outputs().iter();
    let outputs: Vec<_> = outputs.map(|id| tapped.graph.name_of(*id)).collect();
    assert_eq!(outputs, ["y", "x", "h"]);
    rtune_graph::check(&tapped).unwrap();
}

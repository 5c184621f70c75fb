//! A model over token ids and a mask, small enough to follow by hand.

use rtune_graph::{Dim, ElementType, Fact, GraphBuilder, Model, NodeDraft, Tensor};

/// The id of padding, whose row in the table is the largest.
pub(crate) const PADDING: i64 = 9;

/// Looks up row i = (i, −i) of ten rows for each id, and has a product of `flat`, one row per
/// token, and one of `pooled`, one row per text: the mean over all its positions.
pub(crate) fn token_model() -> Model {
    let mut graph = GraphBuilder::new("tokens", 17);
    let shape = || [Dim::symbol("batch"), Dim::symbol("sequence")];
    let ids = Fact::new(ElementType::Int64, shape());
    let [ids, mask] =
        ["input_ids", "attention_mask"].map(|name| graph.input(name, ids.clone()).unwrap());
    let rows: Vec<f32> = (0..10_u8)
        .flat_map(|i| [f32::from(i), -f32::from(i)])
        .collect();
    let table = Tensor::from_f32(&[10, 2], &rows).unwrap();
    let table = graph.constant("table", table).unwrap();
    let weight = Tensor::from_f32(&[2, 1], &[0.5, -0.25]).unwrap();
    let weight = graph.constant("weight", weight).unwrap();
    let to_rows = graph
        .constant("rows", Tensor::from_i64(&[2], &[-1, 2]).unwrap())
        .unwrap();
    let mut add = |draft| graph.add(draft).unwrap();
    let node = NodeDraft::new;

    let grid = add(node("Gather", "grid").inputs([table, ids]));
    let flat = add(node("Reshape", "flat").inputs([grid, to_rows]));
    let pooled = node("ReduceMean", "pooled").inputs([grid]);
    let pooled = pooled
        .attribute("axes", vec![1_i64])
        .attribute("keepdims", 0_i64);
    let pooled = add(pooled);
    let outputs = [
        add(node("MatMul", "tokens").inputs([flat, weight])),
        add(node("MatMul", "texts").inputs([pooled, weight])),
        add(node("Identity", "mask").inputs([mask])),
    ];
    for output in outputs {
        graph.output(output).unwrap();
    }
    graph.finish()
}

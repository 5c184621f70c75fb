use crate::{Graph, Model, Node, ValueId};
use std::fmt;

impl fmt::Display for Model {
    /// Operator sets and metadata, then the graph.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (domain, version) in self.opsets.iter() {
            let domain = if domain.is_empty() { "ai.onnx" } else { domain };
            writeln!(f, "opset {domain} {version}")?;
        }
        for (key, value) in &self.metadata {
            writeln!(f, "metadata {key} = {value:?}")?;
        }
        self.graph.fmt(f)
    }
}

impl fmt::Display for Graph {
    /// One line for each input, constant, node and output, in that order. Short constants are shown
    /// with their elements.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for id in self.inputs() {
            writeln!(f, "input {}", Typed(self, *id))?;
        }
        for (id, tensor) in self.initializers() {
            writeln!(f, "constant {}: {tensor}", self.name_of(id))?;
        }
        for (_, node) in self.nodes() {
            write_node(f, self, node)?;
        }
        for id in self.outputs() {
            writeln!(f, "output {}", self.name_of(*id))?;
        }
        Ok(())
    }
}

fn write_node(f: &mut fmt::Formatter<'_>, graph: &Graph, node: &Node) -> fmt::Result {
    for (index, output) in node.outputs.iter().enumerate() {
        f.write_str(if index > 0 { ", " } else { "" })?;
        match output {
            Some(id) => write!(f, "{}", Typed(graph, *id))?,
            None => f.write_str("-")?,
        }
    }
    f.write_str(" = ")?;
    if !node.domain.is_empty() {
        write!(f, "{}.", node.domain)?;
    }
    write!(f, "{}(", node.op_type)?;
    for (index, input) in node.inputs.iter().enumerate() {
        let name = input.map_or("-", |id| graph.name_of(id));
        write!(f, "{}{name}", if index > 0 { ", " } else { "" })?;
    }
    f.write_str(")")?;
    for (name, attribute) in &node.attributes {
        write!(f, " {name}={attribute}")?;
    }
    f.write_str("\n")
}

struct Typed<'a>(&'a Graph, ValueId);

impl fmt::Display for Typed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.0.name_of(self.1);
        match self.0.fact(self.1) {
            Some(fact) => write!(f, "{name}: {fact}"),
            None => write!(f, "{name}: ?"),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{Dim, ElementType, Fact, GraphBuilder, NodeDraft, Tensor};

    #[test]
    fn graphs_are_displayed_line_by_line() {
        let mut builder = GraphBuilder::new("test", 17);
        builder.import("com.microsoft", 1);
        let float = Fact::new(ElementType::Float32, [Dim::symbol("n"), Dim::Fixed(4)]);
        let x = builder.input("x", float).unwrap();
        let limit = builder
            .constant("limit", Tensor::from_f32(&[], &[6.0]).unwrap())
            .unwrap();
        let table = builder.constant("table", Tensor::from_f32(&[4, 4], &[0.0; 16]).unwrap());
        let clip = NodeDraft::new("Clip", "clip").inputs([Some(x), None, Some(limit)]);
        let clip = builder.add(clip).unwrap();
        let gelu = NodeDraft::new("Gelu", "gelu")
            .domain("com.microsoft")
            .inputs([clip]);
        let gelu = builder.add(gelu).unwrap();
        let product = NodeDraft::new("MatMul", "product").inputs([gelu, table.unwrap()]);
        let product = builder.add(product).unwrap();
        let drop = NodeDraft::new("Dropout", "drop").inputs([product]);
        let drop = builder.add_all(drop.outputs([Some("y"), None])).unwrap();
        builder.output(drop[0]).unwrap();
        let mut model = builder.finish();
        model.metadata.insert("key".to_owned(), "value".to_owned());
        assert_eq!(
            model.to_string(),
            "opset ai.onnx 17\n\
             opset com.microsoft 1\n\
             metadata key = \"value\"\n\
             input x: f32[n, 4]\n\
             constant limit: f32[] = 6\n\
             constant table: f32[4, 4]\n\
             clip: f32[n, 4] = Clip(x, -, limit)\n\
             gelu: f32[n, 4] = com.microsoft.Gelu(clip)\n\
             product: f32[n, 4] = MatMul(gelu, table)\n\
             y: f32[n, 4], - = Dropout(product)\n\
             output y\n"
        );
    }
}

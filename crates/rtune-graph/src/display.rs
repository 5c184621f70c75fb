use crate::{Graph, Model, ValueId};
use std::fmt;

impl fmt::Display for Model {
    /// Operator sets and metadata, then the graph.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (domain, version) in &self.opsets {
            writeln!(
                f,
                "opset {} {version}",
                if domain.is_empty() { "ai.onnx" } else { domain }
            )?;
        }
        for (key, value) in &self.metadata {
            writeln!(f, "metadata {key} = {value:?}")?;
        }
        self.graph.fmt(f)
    }
}

impl fmt::Display for Graph {
    /// One line for each input, constant, node and output, in that order.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for id in self.inputs() {
            writeln!(f, "input {}", Typed(self, *id))?;
        }
        for (id, _) in self.initializers() {
            writeln!(f, "constant {}", Typed(self, id))?;
        }
        for node in self.nodes() {
            for (index, output) in node.outputs.iter().flatten().enumerate() {
                write!(
                    f,
                    "{}{}",
                    if index > 0 { ", " } else { "" },
                    Typed(self, *output)
                )?;
            }
            let domain = if node.domain.is_empty() {
                String::new()
            } else {
                format!("{}.", node.domain)
            };
            write!(f, " = {domain}{}(", node.op_type)?;
            for (index, input) in node.inputs.iter().enumerate() {
                let name = input.map_or("-", |id| self.value(id).name.as_str());
                write!(f, "{}{name}", if index > 0 { ", " } else { "" })?;
            }
            f.write_str(")")?;
            for (name, attribute) in &node.attributes {
                write!(f, " {name}={attribute}")?;
            }
            f.write_str("\n")?;
        }
        for id in self.outputs() {
            writeln!(f, "output {}", self.value(*id).name)?;
        }
        Ok(())
    }
}

struct Typed<'a>(&'a Graph, ValueId);

impl fmt::Display for Typed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.0.value(self.1);
        match &value.fact {
            Some(fact) => write!(f, "{}: {fact}", value.name),
            None => write!(f, "{}: ?", value.name),
        }
    }
}

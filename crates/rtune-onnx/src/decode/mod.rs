//! From bytes to a model.

mod attribute;
mod tensor;

use crate::generated::{GraphProto, ModelProto, NodeProto};
use crate::{OnnxError, types};
use attribute::decode_attribute;
use bytes::Bytes;
use prost::Message;
use rtune_graph::{Graph, GraphError, GraphErrorKind, Model, Node, Opsets, Place, ValueId};
use std::collections::BTreeMap;
use tensor::{Holder, decode_tensor};

/// Decodes a model.
///
/// # Errors
/// If the bytes are not an ONNX model, contradict themselves, or hold anything that a graph cannot
/// carry yet.
pub fn decode(bytes: Bytes) -> Result<Model, OnnxError> {
    let proto = ModelProto::decode(bytes).map_err(|e| OnnxError::Malformed(e.to_string()))?;
    let malformed = |problem: &str| OnnxError::Malformed(problem.to_owned());
    let graph = proto.graph.ok_or_else(|| malformed("it holds no graph"))?;
    if proto.opset_import.is_empty() {
        return Err(malformed("it imports no operator set"));
    }
    if !proto.functions.is_empty() {
        return Err(OnnxError::unsupported(
            "the model",
            "a model-local function",
        ));
    }
    let ir_version = proto.ir_version;
    let mut opsets = Opsets::default();
    for import in &proto.opset_import {
        let version = import.version.ok_or_else(|| {
            malformed(&format!(
                "it imports domain `{}` without a version",
                import.domain()
            ))
        })?;
        opsets.insert(import.domain(), version);
    }
    let metadata = proto.metadata_props.iter();
    Ok(Model {
        graph: decode_graph(graph)?,
        ir_version: ir_version.ok_or_else(|| malformed("it states no format version"))?,
        opsets,
        producer_name: proto.producer_name.unwrap_or_default(),
        producer_version: proto.producer_version.unwrap_or_default(),
        metadata: metadata
            .map(|entry| (entry.key().to_owned(), entry.value().to_owned()))
            .collect(),
    })
}

fn decode_graph(proto: GraphProto) -> Result<Graph, OnnxError> {
    if !proto.sparse_initializer.is_empty() {
        return Err(OnnxError::unsupported("the graph", "a sparse initializer"));
    }
    let mut graph = Graph::new(proto.name.clone().unwrap_or_default());
    for info in &proto.input {
        graph.add_input(info.name(), types::from_value_info(info)?)?;
    }
    for tensor in proto.initializer {
        let name = tensor.name().to_owned();
        let id = match graph.find(&name) {
            Some(id) if graph.initializer(id).is_some() => {
                return Err(GraphError::value(name, GraphErrorKind::DefinedTwice).into());
            }
            Some(id) => id,
            None => graph.declare(&name, None)?,
        };
        graph.set_initializer(id, decode_tensor(tensor, &Holder::Initializer(&name))?);
    }
    for node in &proto.node {
        let node = decode_node(&mut graph, node)?;
        graph.push(node)?;
    }
    for info in proto.value_info.iter().chain(&proto.output) {
        // Optimizers leave notes behind on values that they have removed.
        let Some(id) = graph.find(info.name()) else {
            continue;
        };
        if let (Some(fact), None) = (types::from_value_info(info)?, graph.initializer(id)) {
            graph.set_fact(id, fact);
        }
    }
    for info in &proto.output {
        let undefined = || GraphError::value(info.name(), GraphErrorKind::NeverDefined);
        let id = graph.find(info.name()).ok_or_else(undefined)?;
        graph.add_output(id)?;
    }
    Ok(graph)
}

fn decode_node(graph: &mut Graph, proto: &NodeProto) -> Result<Node, OnnxError> {
    let outputs = proto.output.iter().find(|output| !output.is_empty());
    let place = Place::node(proto.name(), proto.op_type(), outputs.map(String::as_str));
    // An empty name stands for an omitted input or output.
    let input = |name: &String| -> Result<Option<ValueId>, GraphError> {
        if name.is_empty() {
            return Ok(None);
        }
        let undefined = || {
            let value = name.clone();
            GraphError::new(place.clone(), GraphErrorKind::ReadsUndefined { value })
        };
        graph.find(name).map(Some).ok_or_else(undefined)
    };
    let inputs = proto.input.iter().map(input).collect::<Result<_, _>>()?;
    let output = |name: &String| match name.is_empty() {
        true => Ok(None),
        false => graph.declare(name, None).map(Some),
    };
    let outputs = proto.output.iter().map(output).collect::<Result<_, _>>()?;
    let mut attributes = BTreeMap::new();
    for attribute in &proto.attribute {
        let name = attribute.name().to_owned();
        let value = decode_attribute(attribute, &place)?;
        if attributes.insert(name, value).is_some() {
            let problem = format!("has attribute `{}` twice", attribute.name());
            return Err(GraphError::new(place, problem).into());
        }
    }
    Ok(Node {
        name: proto.name().to_owned(),
        // Two names for the standard domain.
        domain: match proto.domain() {
            "ai.onnx" => String::new(),
            domain => domain.to_owned(),
        },
        op_type: proto.op_type().to_owned(),
        inputs,
        outputs,
        attributes,
    })
}

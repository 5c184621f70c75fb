//! From a model to bytes.

use crate::generated::attribute_proto::AttributeType;
use crate::generated::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, StringStringEntryProto,
    TensorProto,
};
use crate::writer::{encoded_length, write_model};
use crate::{OnnxError, types};
use bytes::Bytes;
use rtune_graph::{Attribute, Graph, GraphError, Model, Node, Place, Tensor, ValueId, check};
use std::collections::BTreeSet;

/// Encodes a model after [`check`] has passed it. [`write`](fn@crate::write) needs less memory.
///
/// # Errors
/// If the model has a fault, an input or output without a known type, or more than 2 GiB.
pub fn encode(model: &Model) -> Result<Bytes, OnnxError> {
    let proto = model_proto(model)?;
    let mut bytes = Vec::with_capacity(encoded_length(&proto)?);
    write_model(proto, &mut bytes).map_err(OnnxError::Io)?;
    Ok(bytes.into())
}

/// Builds the protobuf message of a model. Its tensors share the bytes of the graph's.
pub(crate) fn model_proto(model: &Model) -> Result<ModelProto, OnnxError> {
    check(model)?;
    let graph = &model.graph;
    let mut outlets = graph.inputs().iter().chain(graph.outputs());
    if let Some(id) = outlets.find(|id| graph.fact(**id).is_none()) {
        let problem = "an input or output of the graph needs a known type";
        return Err(GraphError::value(graph.name_of(*id), problem).into());
    }
    let opset = |(domain, version): (&str, i64)| OperatorSetIdProto {
        domain: Some(domain.to_owned()),
        version: Some(version),
    };
    let entry = |(key, value): (&String, &String)| StringStringEntryProto {
        key: Some(key.clone()),
        value: Some(value.clone()),
    };
    Ok(ModelProto {
        ir_version: Some(model.ir_version),
        producer_name: Some(model.producer_name.clone()),
        producer_version: Some(model.producer_version.clone()),
        graph: Some(encode_graph(graph)?),
        opset_import: model.opsets.iter().map(opset).collect(),
        metadata_props: model.metadata.iter().map(entry).collect(),
        ..ModelProto::default()
    })
}

fn encode_graph(graph: &Graph) -> Result<GraphProto, OnnxError> {
    let info = |id: &ValueId| {
        let fact = graph.fact(*id)?;
        Some(types::to_value_info(graph.name_of(*id), fact))
    };
    let stated_elsewhere: BTreeSet<ValueId> = graph
        .inputs()
        .iter()
        .chain(graph.outputs())
        .copied()
        .chain(graph.initializers().map(|(id, _)| id))
        .collect();
    let inner: Vec<ValueId> = graph
        .values()
        .map(|(id, _)| id)
        .filter(|id| !stated_elsewhere.contains(id))
        .collect();
    let initializer = |(id, tensor)| {
        let name = graph.name_of(id);
        let place = || Place::Tensor(Some(name.to_owned()));
        Ok(TensorProto {
            name: Some(name.to_owned()),
            ..encode_tensor(tensor, place)?
        })
    };
    let infos = |ids: &[ValueId]| ids.iter().filter_map(info).collect::<Result<_, _>>();
    Ok(GraphProto {
        name: Some(graph.name.clone()),
        node: graph
            .nodes()
            .map(|(_, node)| encode_node(graph, node))
            .collect::<Result<_, _>>()?,
        initializer: graph
            .initializers()
            .map(initializer)
            .collect::<Result<_, OnnxError>>()?,
        input: infos(graph.inputs())?,
        output: infos(graph.outputs())?,
        value_info: infos(&inner)?,
        ..GraphProto::default()
    })
}

fn encode_node(graph: &Graph, node: &Node) -> Result<NodeProto, OnnxError> {
    // An empty name stands for an omitted input or output.
    let names = |ids: &[Option<ValueId>]| {
        let name =
            |id: &Option<ValueId>| id.map_or_else(String::new, |id| graph.name_of(id).into());
        ids.iter().map(name).collect()
    };
    let attribute = |(name, value): (&String, &Attribute)| encode_attribute(node, name, value);
    Ok(NodeProto {
        input: names(&node.inputs),
        output: names(&node.outputs),
        name: Some(node.name.clone()),
        op_type: Some(node.op_type.clone()),
        attribute: node
            .attributes
            .iter()
            .map(attribute)
            .collect::<Result<_, _>>()?,
        domain: (!node.domain.is_empty()).then(|| node.domain.clone()),
        doc_string: None,
    })
}

fn encode_attribute(
    node: &Node,
    name: &str,
    value: &Attribute,
) -> Result<AttributeProto, OnnxError> {
    let mut proto = AttributeProto {
        name: Some(name.to_owned()),
        ..AttributeProto::default()
    };
    let kind = match value {
        Attribute::Int(value) => {
            proto.i = Some(*value);
            AttributeType::Int
        }
        Attribute::Float(value) => {
            proto.f = Some(*value);
            AttributeType::Float
        }
        Attribute::String(value) => {
            proto.s = Some(value.clone().into());
            AttributeType::String
        }
        Attribute::Tensor(value) => {
            proto.t = Some(encode_tensor(value, || Place::of(node))?);
            AttributeType::Tensor
        }
        Attribute::Ints(values) => {
            proto.ints.clone_from(values);
            AttributeType::Ints
        }
        Attribute::Floats(values) => {
            proto.floats.clone_from(values);
            AttributeType::Floats
        }
        Attribute::Strings(values) => {
            proto.strings = values.iter().map(|v| v.clone().into()).collect();
            AttributeType::Strings
        }
    };
    proto.set_type(kind);
    Ok(proto)
}

/// Lets protobuf borrow a tensor's bytes.
struct Shared(std::sync::Arc<dyn AsRef<[u8]> + Send + Sync>);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        (*self.0).as_ref()
    }
}

fn encode_tensor(tensor: &Tensor, place: impl Fn() -> Place) -> Result<TensorProto, OnnxError> {
    let dim = |size: &u64| types::to_size(*size).map_err(|kind| GraphError::new(place(), kind));
    Ok(TensorProto {
        dims: tensor.dims().iter().map(dim).collect::<Result<_, _>>()?,
        data_type: Some(tensor.element_type().code()),
        raw_data: Some(Bytes::from_owner(Shared(tensor.shared_bytes()))),
        ..TensorProto::default()
    })
}

use crate::generated::attribute_proto::AttributeType;
use crate::generated::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, StringStringEntryProto,
    TensorProto,
};
use crate::{OnnxError, types};
use bytes::Bytes;
use prost::Message;
use rtune_graph::{Attribute, Graph, GraphError, Model, Node, Tensor, ValueId, validate};
use std::collections::BTreeSet;

const MAX_BYTES: usize = i32::MAX as usize;

/// Encodes a model, after [`validate`] has passed it.
///
/// # Errors
/// Where the graph is not valid, or the file would exceed 2 GiB.
pub fn encode(model: &Model) -> Result<Bytes, OnnxError> {
    validate(model)?;
    let graph = &model.graph;
    let untyped = graph
        .inputs()
        .iter()
        .chain(graph.outputs())
        .find(|id| graph.value(**id).fact.is_none());
    if let Some(id) = untyped {
        let problem = "an input or output of the graph needs a known type";
        return Err(GraphError::new(format!("value `{}`", graph.value(*id).name), problem).into());
    }
    let proto = ModelProto {
        ir_version: Some(model.ir_version),
        producer_name: Some(model.producer_name.clone()),
        producer_version: Some(model.producer_version.clone()),
        graph: Some(encode_graph(&model.graph)),
        opset_import: model
            .opsets
            .iter()
            .map(|(domain, version)| OperatorSetIdProto {
                domain: Some(domain.clone()),
                version: Some(*version),
            })
            .collect(),
        metadata_props: model
            .metadata
            .iter()
            .map(|(key, value)| StringStringEntryProto {
                key: Some(key.clone()),
                value: Some(value.clone()),
            })
            .collect(),
        ..ModelProto::default()
    };
    match proto.encoded_len() {
        length if length > MAX_BYTES => Err(OnnxError::TooLarge(length as u64)),
        _ => Ok(proto.encode_to_vec().into()),
    }
}

fn encode_graph(graph: &Graph) -> GraphProto {
    let name = |id: &ValueId| graph.value(*id).name.clone();
    let info = |id: &ValueId| {
        let value = graph.value(*id);
        value
            .fact
            .as_ref()
            .map(|fact| types::to_value_info(&value.name, fact))
    };
    let stated_elsewhere: BTreeSet<ValueId> = graph
        .inputs()
        .iter()
        .chain(graph.outputs())
        .copied()
        .chain(graph.initializers().map(|(id, _)| id))
        .collect();
    GraphProto {
        name: Some(graph.name.clone()),
        node: graph
            .nodes()
            .iter()
            .map(|node| encode_node(node, &name))
            .collect(),
        initializer: graph
            .initializers()
            .map(|(id, tensor)| encode_tensor(&name(&id), tensor))
            .collect(),
        input: graph.inputs().iter().filter_map(info).collect(),
        output: graph.outputs().iter().filter_map(info).collect(),
        value_info: graph
            .values()
            .map(|(id, _)| id)
            .filter(|id| !stated_elsewhere.contains(id))
            .filter_map(|id| info(&id))
            .collect(),
        ..GraphProto::default()
    }
}

fn encode_node(node: &Node, name: &impl Fn(&ValueId) -> String) -> NodeProto {
    let names = |ids: &[Option<ValueId>]| {
        ids.iter()
            .map(|id| id.as_ref().map(name).unwrap_or_default())
            .collect()
    };
    NodeProto {
        input: names(&node.inputs),
        output: names(&node.outputs),
        name: Some(node.name.clone()),
        op_type: Some(node.op_type.clone()),
        attribute: node
            .attributes
            .iter()
            .map(|(name, value)| encode_attribute(name, value))
            .collect(),
        domain: (!node.domain.is_empty()).then(|| node.domain.clone()),
        doc_string: None,
    }
}

fn encode_attribute(name: &str, value: &Attribute) -> AttributeProto {
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
            proto.t = Some(encode_tensor("", value));
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
    proto
}

/// Lets protobuf borrow a tensor's bytes.
struct Shared(std::sync::Arc<dyn AsRef<[u8]> + Send + Sync>);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        (*self.0).as_ref()
    }
}

fn encode_tensor(name: &str, tensor: &Tensor) -> TensorProto {
    TensorProto {
        dims: tensor.dims().iter().map(|d| d.cast_signed()).collect(),
        data_type: Some(types::to_code(tensor.element_type())),
        name: (!name.is_empty()).then(|| name.to_owned()),
        raw_data: Some(Bytes::from_owner(Shared(tensor.shared_bytes()))),
        ..TensorProto::default()
    }
}

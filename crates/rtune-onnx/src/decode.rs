use crate::generated::attribute_proto::AttributeType;
use crate::generated::tensor_proto::DataLocation;
use crate::generated::{AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto};
use crate::{OnnxError, types};
use bytes::Bytes;
use prost::Message;
use rtune_graph::{Attribute, ElementType, Graph, GraphError, Model, Node, Tensor, ValueId};
use std::collections::BTreeMap;

/// Decodes a model.
///
/// # Errors
/// Where the bytes are no ONNX model, contradict themselves, or hold what a graph cannot carry yet.
pub fn decode(bytes: Bytes) -> Result<Model, OnnxError> {
    let proto = ModelProto::decode(bytes).map_err(|e| OnnxError::Malformed(e.to_string()))?;
    let Some(graph) = proto.graph else {
        return Err(OnnxError::Malformed("it holds no graph".to_owned()));
    };
    if proto.opset_import.is_empty() {
        return Err(OnnxError::Malformed(
            "it imports no operator set".to_owned(),
        ));
    }
    if !proto.functions.is_empty() {
        return Err(OnnxError::unsupported(
            "the model",
            "a model-local function",
        ));
    }
    Ok(Model {
        graph: decode_graph(graph)?,
        ir_version: proto.ir_version.unwrap_or_default(),
        opsets: proto
            .opset_import
            .iter()
            .map(|o| (o.domain().to_owned(), o.version()))
            .collect(),
        producer_name: proto.producer_name.unwrap_or_default(),
        producer_version: proto.producer_version.unwrap_or_default(),
        metadata: proto
            .metadata_props
            .iter()
            .map(|e| (e.key().to_owned(), e.value().to_owned()))
            .collect(),
    })
}

fn decode_graph(proto: GraphProto) -> Result<Graph, OnnxError> {
    if !proto.sparse_initializer.is_empty() {
        return Err(OnnxError::unsupported("the graph", "a sparse initializer"));
    }
    let mut graph = Graph::new(proto.name.clone().unwrap_or_default());
    for info in &proto.input {
        let id = graph.declare(info.name(), types::from_value_info(info)?)?;
        graph.mark_input(id);
    }
    for tensor in proto.initializer {
        let name = tensor.name().to_owned();
        let id = find_or_declare(&mut graph, &name)?;
        graph.set_initializer(id, decode_tensor(tensor, &name)?);
    }
    for node in &proto.node {
        let node = decode_node(&mut graph, node)?;
        graph.push(node);
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
        let id = find(&graph, info.name())?;
        graph.add_output(id)?;
    }
    Ok(graph)
}

fn find(graph: &Graph, name: &str) -> Result<ValueId, GraphError> {
    graph
        .find(name)
        .ok_or_else(|| GraphError::new(format!("value `{name}`"), "is never defined"))
}

fn find_or_declare(graph: &mut Graph, name: &str) -> Result<ValueId, GraphError> {
    match graph.find(name) {
        Some(id) => Ok(id),
        None => graph.declare(name, None),
    }
}

fn decode_node(graph: &mut Graph, proto: &NodeProto) -> Result<Node, OnnxError> {
    let place = format!("node `{}` ({})", proto.name(), proto.op_type());
    let optional = |name: &String| (!name.is_empty()).then(|| name.clone());
    let inputs = proto.input.iter().map(|name| match optional(name) {
        None => Ok(None),
        Some(name) => match graph.find(&name) {
            Some(id) => Ok(Some(id)),
            None => Err(GraphError::new(
                place.clone(),
                format!("reads `{name}`, which no earlier node defines"),
            )),
        },
    });
    let inputs = inputs.collect::<Result<Vec<_>, _>>()?;
    let outputs = proto.output.iter().map(|name| match optional(name) {
        None => Ok(None),
        Some(name) => graph.declare(&name, None).map(Some),
    });
    let outputs = outputs.collect::<Result<Vec<_>, _>>()?;
    let attributes = proto
        .attribute
        .iter()
        .map(|attribute| {
            Ok((
                attribute.name().to_owned(),
                decode_attribute(attribute, &place)?,
            ))
        })
        .collect::<Result<BTreeMap<_, _>, OnnxError>>()?;
    Ok(Node {
        name: proto.name().to_owned(),
        // Two names for the standard domain.
        domain: if proto.domain() == "ai.onnx" {
            String::new()
        } else {
            proto.domain().to_owned()
        },
        op_type: proto.op_type().to_owned(),
        inputs,
        outputs,
        attributes,
    })
}

fn decode_attribute(proto: &AttributeProto, place: &str) -> Result<Attribute, OnnxError> {
    Ok(match proto.r#type() {
        AttributeType::Int => Attribute::Int(proto.i()),
        AttributeType::Float => Attribute::Float(proto.f()),
        AttributeType::String => Attribute::String(proto.s().to_vec()),
        AttributeType::Ints => Attribute::Ints(proto.ints.clone()),
        AttributeType::Floats => Attribute::Floats(proto.floats.clone()),
        AttributeType::Strings => {
            Attribute::Strings(proto.strings.iter().map(|s| s.to_vec()).collect())
        }
        AttributeType::Tensor => {
            let tensor = proto
                .t
                .clone()
                .ok_or_else(|| OnnxError::unsupported(place, "an empty tensor attribute"))?;
            Attribute::Tensor(decode_tensor(tensor, place)?)
        }
        other => {
            let what = format!(
                "attribute `{}` of type {}",
                proto.name(),
                other.as_str_name()
            );
            return Err(OnnxError::unsupported(place, what));
        }
    })
}

fn decode_tensor(proto: TensorProto, place: &str) -> Result<Tensor, OnnxError> {
    let place = format!("tensor `{place}`");
    if proto.data_location() == DataLocation::External || !proto.external_data.is_empty() {
        return Err(OnnxError::unsupported(
            place,
            "external data (write the model as one file)",
        ));
    }
    let element_type = types::from_code(proto.data_type(), &place)?;
    let dims = proto
        .dims
        .iter()
        .map(|d| u64::try_from(*d))
        .collect::<Result<Vec<_>, _>>();
    let dims =
        dims.map_err(|_| GraphError::new(&place, format!("{:?} are not dimensions", proto.dims)))?;
    let bytes = match &proto.raw_data {
        Some(raw) => raw.clone(),
        None => typed_bytes(&proto, element_type).into(),
    };
    let tensor = Tensor::new(element_type, &dims, bytes);
    tensor.map_err(|e| GraphError::new(place, e.problem()).into())
}

/// The bytes of a tensor that is written as numbers: small types share the 32-bit field, as the
/// standard has it.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // The field holds the narrow value, widened.
fn typed_bytes(proto: &TensorProto, element_type: ElementType) -> Vec<u8> {
    fn all<T: Copy, const N: usize>(values: &[T], bytes: impl Fn(T) -> [u8; N]) -> Vec<u8> {
        values.iter().flat_map(|v| bytes(*v)).collect()
    }
    match element_type {
        ElementType::Float32 => all(&proto.float_data, f32::to_le_bytes),
        ElementType::Float64 => all(&proto.double_data, f64::to_le_bytes),
        ElementType::Int64 => all(&proto.int64_data, i64::to_le_bytes),
        ElementType::Int32 => all(&proto.int32_data, i32::to_le_bytes),
        ElementType::Uint64 => all(&proto.uint64_data, u64::to_le_bytes),
        ElementType::Uint32 => all(&proto.uint64_data, |v| (v as u32).to_le_bytes()),
        ElementType::Int8 | ElementType::Uint8 | ElementType::Bool => {
            all(&proto.int32_data, |v| [v as u8])
        }
        _ => all(&proto.int32_data, |v| (v as u16).to_le_bytes()),
    }
}

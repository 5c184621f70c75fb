//! ONNX files of other tools, faulty ones among them, from a few words.
//!
//! | line | adds |
//! |---|---|
//! | `opset VERSION` | the standard operator set |
//! | `input NAME TYPE DIMS` | an input; `output` and `value` likewise |
//! | `weight NAME TYPE DIMS` | a constant of zeros; `cut` after it leaves the last byte out |
//! | `external NAME TYPE DIMS FILE` | a constant whose values are in another file |
//! | `node OP NAME INPUTS OUTPUTS` | a node; more words are its attributes, `name=INT` |
//!
//! Types are the names that rtune has for them, or numbers of the standard. Lists have commas; `-`
//! is an empty list or name.

use libtest_mimic::Failed;
use onnx_protobuf::attribute_proto::AttributeType;
use onnx_protobuf::tensor_proto::DataLocation;
use onnx_protobuf::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, StringStringEntryProto,
    TensorProto, ValueInfoProto,
};
use protobuf::Message as _;
use rtune_graph::ElementType;

/// Writes the bytes of the model that the lines describe.
pub(crate) fn encode(lines: &[&str]) -> Result<Vec<u8>, Failed> {
    let mut model = ModelProto::new();
    model.ir_version = 8;
    model.producer_name = "another tool".to_owned();
    let mut graph = GraphProto::new();
    graph.name = "odd".to_owned();
    for line in lines {
        let words: Vec<&str> = line.split_whitespace().collect();
        match *words.as_slice() {
            ["opset", version] => {
                let mut opset = OperatorSetIdProto::new();
                opset.version = version.parse()?;
                model.opset_import.push(opset);
            }
            ["input", name, kind, dims] => graph.input.push(info(name, kind, dims)?),
            ["output", name, kind, dims] => graph.output.push(info(name, kind, dims)?),
            ["value", name, kind, dims] => graph.value_info.push(info(name, kind, dims)?),
            ["weight", name, kind, dims] => graph.initializer.push(weight(name, kind, dims)?),
            ["weight", name, kind, dims, "cut"] => {
                let mut weight = weight(name, kind, dims)?;
                weight.raw_data.pop();
                graph.initializer.push(weight);
            }
            ["external", name, kind, dims, file] => {
                let mut weight = weight(name, kind, dims)?;
                weight.raw_data.clear();
                weight.data_location = DataLocation::EXTERNAL.into();
                let mut location = StringStringEntryProto::new();
                (location.key, location.value) = ("location".to_owned(), file.to_owned());
                weight.external_data.push(location);
                graph.initializer.push(weight);
            }
            ["node", op, name, inputs, outputs, ref attributes @ ..] => {
                let mut node = NodeProto::new();
                (node.op_type, node.name) = (op.to_owned(), list(name).concat());
                (node.input, node.output) = (list(inputs), list(outputs));
                for attribute in attributes {
                    let (name, value) = attribute.split_once('=').ok_or("no value")?;
                    let mut attribute = AttributeProto::new();
                    (attribute.name, attribute.i) = (name.to_owned(), value.parse()?);
                    attribute.type_ = AttributeType::INT.into();
                    node.attribute.push(attribute);
                }
                graph.node.push(node);
            }
            _ => return Err(format!("unknown line `{line}`").into()),
        }
    }
    model.graph = Some(graph).into();
    Ok(model.write_to_bytes()?)
}

fn list(text: &str) -> Vec<String> {
    let names = text.split(',').filter(|name| *name != "-");
    names.map(str::to_owned).collect()
}

/// The number of a type.
fn code(kind: &str) -> Result<i32, Failed> {
    let known = ElementType::all().find(|known| known.to_string() == kind);
    Ok(match known {
        Some(known) => known.code(),
        None => kind.parse()?,
    })
}

fn info(name: &str, kind: &str, dims: &str) -> Result<ValueInfoProto, Failed> {
    let mut info = ValueInfoProto::new();
    info.name = name.to_owned();
    let tensor = info.type_.mut_or_insert_default().mut_tensor_type();
    tensor.elem_type = code(kind)?;
    let shape = tensor.shape.mut_or_insert_default();
    for dim in list(dims) {
        shape.dim.push(Default::default());
        let last = shape.dim.last_mut().ok_or("no dimension")?;
        match dim.parse() {
            Ok(size) => last.set_dim_value(size),
            Err(_) => last.set_dim_param(dim),
        }
    }
    Ok(info)
}

fn weight(name: &str, kind: &str, dims: &str) -> Result<TensorProto, Failed> {
    let mut tensor = TensorProto::new();
    (tensor.name, tensor.data_type) = (name.to_owned(), code(kind)?);
    let dims: Result<_, _> = list(dims).iter().map(|dim| dim.parse()).collect();
    tensor.dims = dims?;
    let size = ElementType::from_code(tensor.data_type.into()).map_or(1, ElementType::size);
    let elements: i64 = tensor.dims.iter().product();
    tensor.raw_data = vec![0; size * usize::try_from(elements)?];
    Ok(tensor)
}

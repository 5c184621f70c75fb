//! Element types and facts, both ways.

use crate::OnnxError;
use crate::generated::tensor_proto::DataType;
use crate::generated::tensor_shape_proto::{Dimension, dimension};
use crate::generated::{TensorShapeProto, TypeProto, ValueInfoProto, type_proto};
use rtune_graph::{Dim, ElementType, Fact, GraphError};

const TYPES: [(ElementType, DataType); 13] = [
    (ElementType::Float32, DataType::Float),
    (ElementType::Float64, DataType::Double),
    (ElementType::Float16, DataType::Float16),
    (ElementType::BFloat16, DataType::Bfloat16),
    (ElementType::Int8, DataType::Int8),
    (ElementType::Int16, DataType::Int16),
    (ElementType::Int32, DataType::Int32),
    (ElementType::Int64, DataType::Int64),
    (ElementType::Uint8, DataType::Uint8),
    (ElementType::Uint16, DataType::Uint16),
    (ElementType::Uint32, DataType::Uint32),
    (ElementType::Uint64, DataType::Uint64),
    (ElementType::Bool, DataType::Bool),
];

pub(crate) fn to_code(element_type: ElementType) -> i32 {
    TYPES
        .iter()
        .find(|(e, _)| *e == element_type)
        .map_or(0, |(_, code)| *code as i32)
}

pub(crate) fn from_code(code: i32, place: &str) -> Result<ElementType, OnnxError> {
    let found = TYPES
        .iter()
        .find(|(_, c)| *c as i32 == code)
        .map(|(e, _)| *e);
    found.ok_or_else(|| OnnxError::unsupported(place, format!("element type {code}")))
}

pub(crate) fn to_value_info(name: &str, fact: &Fact) -> ValueInfoProto {
    let dimension = |dim: &Dim| Dimension {
        value: match dim {
            Dim::Fixed(size) => Some(dimension::Value::DimValue(size.cast_signed())),
            Dim::Symbol(name) => Some(dimension::Value::DimParam(name.clone())),
            Dim::Unknown => None,
        },
        denotation: None,
    };
    let shape = fact.shape.as_ref().map(|dims| TensorShapeProto {
        dim: dims.iter().map(dimension).collect(),
    });
    let tensor = type_proto::Tensor {
        elem_type: Some(to_code(fact.element_type)),
        shape,
    };
    let tensor = TypeProto {
        value: Some(type_proto::Value::TensorType(tensor)),
        denotation: None,
    };
    ValueInfoProto {
        name: Some(name.to_owned()),
        r#type: Some(tensor),
        doc_string: None,
    }
}

/// The fact that a value info states, or `None` where it states none.
pub(crate) fn from_value_info(info: &ValueInfoProto) -> Result<Option<Fact>, OnnxError> {
    let place = || format!("value `{}`", info.name());
    let tensor = match info.r#type.as_ref().and_then(|t| t.value.as_ref()) {
        None => return Ok(None),
        Some(type_proto::Value::TensorType(tensor)) => tensor,
        Some(_) => {
            return Err(OnnxError::unsupported(
                place(),
                "a value that is no dense tensor",
            ));
        }
    };
    if tensor.elem_type() == 0 {
        return Ok(None);
    }
    let element_type = from_code(tensor.elem_type(), &place())?;
    let Some(shape) = &tensor.shape else {
        return Ok(Some(Fact::unranked(element_type)));
    };
    let dim = |dimension: &Dimension| match &dimension.value {
        Some(dimension::Value::DimValue(size)) => u64::try_from(*size)
            .map(Dim::Fixed)
            .map_err(|_| GraphError::new(place(), format!("{size} is not a dimension"))),
        Some(dimension::Value::DimParam(name)) if !name.is_empty() => Ok(Dim::Symbol(name.clone())),
        _ => Ok(Dim::Unknown),
    };
    let dims = shape.dim.iter().map(dim).collect::<Result<Vec<_>, _>>()?;
    Ok(Some(Fact::new(element_type, dims)))
}

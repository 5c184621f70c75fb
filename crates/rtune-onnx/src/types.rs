//! Element types and facts, both ways.

use crate::OnnxError;
use crate::generated::tensor_shape_proto::{Dimension, dimension};
use crate::generated::{TensorShapeProto, TypeProto, ValueInfoProto, type_proto};
use rtune_graph::{Dim, ElementType, Fact, GraphError, GraphErrorKind};

pub(crate) fn from_code(code: i32) -> Option<ElementType> {
    ElementType::from_code(code.into())
}

/// The name of an element type that a graph cannot carry, for messages.
pub(crate) fn unsupported_type(code: i32) -> String {
    format!("element type {}", ElementType::name_of(code.into()))
}

/// A size as the file format's signed integer.
pub(crate) fn to_size(size: u64) -> Result<i64, GraphErrorKind> {
    i64::try_from(size).map_err(|_| format!("dimension {size} exceeds 63 bits").into())
}

pub(crate) fn to_value_info(name: &str, fact: &Fact) -> Result<ValueInfoProto, OnnxError> {
    let dimension = |dim: &Dim| -> Result<Dimension, GraphError> {
        let value = match dim {
            Dim::Fixed(size) => Some(dimension::Value::DimValue(
                to_size(*size).map_err(|kind| GraphError::value(name, kind))?,
            )),
            Dim::Symbolic(expr) => Some(dimension::Value::DimParam(expr.to_string())),
            Dim::Unknown => None,
        };
        Ok(Dimension {
            value,
            denotation: None,
        })
    };
    let shape = |dims: &Vec<Dim>| dims.iter().map(dimension).collect::<Result<_, _>>();
    let shape = fact.shape.as_ref().map(shape).transpose()?;
    let tensor = type_proto::Tensor {
        elem_type: Some(fact.element_type.code()),
        shape: shape.map(|dim| TensorShapeProto { dim }),
    };
    let tensor = TypeProto {
        value: Some(type_proto::Value::TensorType(tensor)),
        denotation: None,
    };
    Ok(ValueInfoProto {
        name: Some(name.to_owned()),
        r#type: Some(tensor),
        doc_string: None,
    })
}

/// The fact that a value info states, or `None` if it states none.
pub(crate) fn from_value_info(info: &ValueInfoProto) -> Result<Option<Fact>, OnnxError> {
    let unsupported =
        |content: String| OnnxError::unsupported(format!("value `{}`", info.name()), content);
    let tensor = match info.r#type.as_ref().and_then(|t| t.value.as_ref()) {
        None => return Ok(None),
        Some(type_proto::Value::TensorType(tensor)) => tensor,
        Some(_) => return Err(unsupported("a value that is no dense tensor".to_owned())),
    };
    let code = tensor.elem_type();
    if code == 0 {
        return Ok(None);
    }
    let element_type = from_code(code).ok_or_else(|| unsupported(unsupported_type(code)))?;
    let Some(shape) = &tensor.shape else {
        return Ok(Some(Fact::unranked(element_type)));
    };
    let dim = |dimension: &Dimension| match &dimension.value {
        Some(dimension::Value::DimValue(size)) => u64::try_from(*size)
            .map(Dim::Fixed)
            .map_err(|_| GraphError::value(info.name(), format!("{size} is not a dimension"))),
        Some(dimension::Value::DimParam(name)) if !name.is_empty() => Ok(Dim::symbol(name)),
        _ => Ok(Dim::Unknown),
    };
    let dims = shape.dim.iter().map(dim).collect::<Result<Vec<_>, _>>()?;
    Ok(Some(Fact::new(element_type, dims)))
}

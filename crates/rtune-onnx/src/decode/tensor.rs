use crate::generated::TensorProto;
use crate::generated::tensor_proto::DataLocation;
use crate::{OnnxError, types};
use bytes::Bytes;
use rtune_graph::{ElementType, GraphError, GraphErrorKind, Place, Tensor};

/// The part of a file that holds a tensor.
pub(super) enum Holder<'a> {
    /// An initializer, by name.
    Initializer(&'a str),
    /// An attribute of a node.
    Attribute {
        /// The node.
        place: &'a Place,
        /// The attribute's name.
        name: &'a str,
    },
}

impl Holder<'_> {
    fn error(&self, kind: GraphErrorKind) -> OnnxError {
        let error = match self {
            Self::Initializer(name) => {
                GraphError::new(Place::Tensor(Some((*name).to_owned())), kind)
            }
            Self::Attribute { place, name } => {
                GraphError::new((*place).clone(), format!("attribute `{name}`: {kind}"))
            }
        };
        error.into()
    }

    fn unsupported(&self, content: &str) -> OnnxError {
        match self {
            Self::Initializer(name) => OnnxError::unsupported(format!("tensor `{name}`"), content),
            Self::Attribute { place, name } => {
                let place = format!("{place}: attribute `{name}`");
                OnnxError::unsupported(place, content)
            }
        }
    }
}

pub(super) fn decode_tensor(proto: TensorProto, holder: &Holder<'_>) -> Result<Tensor, OnnxError> {
    if proto.data_location() == DataLocation::External || !proto.external_data.is_empty() {
        let mut entries = proto.external_data.iter();
        let location = entries.find(|entry| entry.key() == "location");
        let file = location.map_or_else(String::new, |entry| format!(" in `{}`", entry.value()));
        let content = format!("external data{file} (write the model as one file)");
        return Err(holder.unsupported(&content));
    }
    let code = proto.data_type();
    let element_type =
        types::from_code(code).ok_or_else(|| holder.unsupported(&types::unsupported_type(code)))?;
    let dims = proto.dims.iter().map(|d| u64::try_from(*d));
    let dims = dims
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| holder.error(format!("{:?} are not dimensions", proto.dims).into()))?;
    let bytes = match &proto.raw_data {
        Some(raw) => raw.clone(),
        None => typed_bytes(&proto, element_type).map_err(|value| {
            holder.error(format!("{value} is not a value of {element_type}").into())
        })?,
    };
    Tensor::new(element_type, &dims, bytes).map_err(|e| holder.error(e.kind().clone()))
}

/// The bytes of a tensor that is written as numbers. By the standard, types of 8 and 16 bits share
/// the field of 32 bits, half precision as its bits, and u32 has the field of u64. A number that
/// the type does not have is the error.
fn typed_bytes(proto: &TensorProto, element_type: ElementType) -> Result<Bytes, i128> {
    fn all<T: Copy, const N: usize>(values: &[T], bytes: impl Fn(T) -> [u8; N]) -> Vec<u8> {
        values.iter().flat_map(|v| bytes(*v)).collect()
    }
    fn narrow<T, U, const N: usize>(
        values: &[T],
        bytes: impl Fn(U) -> [u8; N],
    ) -> Result<Vec<u8>, i128>
    where
        T: Copy + Into<i128>,
        U: TryFrom<T>,
    {
        let mut all = Vec::with_capacity(values.len() * N);
        for value in values {
            let narrow = U::try_from(*value).map_err(|_| (*value).into())?;
            all.extend(bytes(narrow));
        }
        Ok(all)
    }
    let ints = &proto.int32_data;
    let bytes = match element_type {
        ElementType::Float32 => all(&proto.float_data, f32::to_le_bytes),
        ElementType::Float64 => all(&proto.double_data, f64::to_le_bytes),
        ElementType::Int64 => all(&proto.int64_data, i64::to_le_bytes),
        ElementType::Int32 => all(ints, i32::to_le_bytes),
        ElementType::Uint64 => all(&proto.uint64_data, u64::to_le_bytes),
        ElementType::Uint32 => narrow(&proto.uint64_data, u32::to_le_bytes)?,
        ElementType::Int16 => narrow(ints, i16::to_le_bytes)?,
        ElementType::Int8 => narrow(ints, i8::to_le_bytes)?,
        ElementType::Uint8 => narrow(ints, u8::to_le_bytes)?,
        ElementType::Uint16 | ElementType::Float16 | ElementType::BFloat16 => {
            narrow(ints, u16::to_le_bytes)?
        }
        ElementType::Bool => match ints.iter().find(|v| !matches!(v, 0 | 1)) {
            Some(value) => return Err((*value).into()),
            None => narrow(ints, u8::to_le_bytes)?,
        },
    };
    Ok(bytes.into())
}

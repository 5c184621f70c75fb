use super::tensor::{Holder, decode_tensor};
use crate::OnnxError;
use crate::generated::AttributeProto;
use crate::generated::attribute_proto::AttributeType;
use rtune_graph::{Attribute, Place};

/// Decodes an attribute of the node at `place`. A number that is left out is 0, by the rules of
/// protobuf.
pub(super) fn decode_attribute(
    proto: &AttributeProto,
    place: &Place,
) -> Result<Attribute, OnnxError> {
    let unsupported = |content: &str| {
        let content = format!("attribute `{}` {content}", proto.name());
        Err(OnnxError::unsupported(place.to_string(), content))
    };
    Ok(
        match AttributeType::try_from(proto.r#type.unwrap_or_default()) {
            Ok(AttributeType::Int) => Attribute::Int(proto.i()),
            Ok(AttributeType::Float) => Attribute::Float(proto.f()),
            Ok(AttributeType::String) => Attribute::String(proto.s().to_vec()),
            Ok(AttributeType::Ints) => Attribute::Ints(proto.ints.clone()),
            Ok(AttributeType::Floats) => Attribute::Floats(proto.floats.clone()),
            Ok(AttributeType::Strings) => {
                Attribute::Strings(proto.strings.iter().map(|s| s.to_vec()).collect())
            }
            Ok(AttributeType::Tensor) => {
                let Some(tensor) = proto.t.clone() else {
                    return unsupported("of type TENSOR without a tensor");
                };
                let holder = Holder::Attribute {
                    place,
                    name: proto.name(),
                };
                Attribute::Tensor(decode_tensor(tensor, &holder)?)
            }
            Ok(other) => return unsupported(&format!("of type {}", other.as_str_name())),
            Err(_) => return unsupported("of a type that is not in the standard"),
        },
    )
}

//! Reasons why an operation stays in float.

use rtune_graph::{ElementType, GraphError};
use serde::{Serialize, Serializer};
use std::fmt;

/// Reason why a product or a lookup stays in float. Shown and serialized as text.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Refusal {
    /// Neither input is constant: a product of two activations.
    NoConstant,
    /// Both inputs are constant.
    NoActivation,
    /// The constant is the left input.
    ConstantLeft,
    /// A required input is missing.
    MissingInput,
    /// The weight has a type other than float32.
    WeightType(ElementType),
    /// The weight has another rank than 2.
    WeightRank(usize),
    /// The weight has no elements.
    EmptyWeight,
    /// An attribute has a value that integer kernels do not support.
    Attribute {
        /// Name of the attribute.
        name: &'static str,
        /// The value that they support.
        supported: &'static str,
    },
    /// An attribute cannot be read.
    Invalid(GraphError),
    /// The bias is computed, or is not one float32 per channel.
    Bias,
    /// The rank of the output does not follow from the graph.
    UnknownRank,
    /// The settings leave it in float.
    Settings,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoConstant => f.write_str("neither input is constant"),
            Self::NoActivation => f.write_str("both inputs are constant"),
            Self::ConstantLeft => f.write_str("the constant is the left input"),
            Self::MissingInput => f.write_str("an input is missing"),
            Self::WeightType(found) => write!(f, "the weight is {found}, not f32"),
            Self::WeightRank(rank) => write!(f, "the weight has rank {rank}, not 2"),
            Self::EmptyWeight => f.write_str("the weight has no elements"),
            Self::Attribute { name, supported } => {
                write!(f, "the attribute {name} is not {supported}")
            }
            Self::Invalid(error) => error.fmt(f),
            Self::Bias => f.write_str("the bias is not a constant with one f32 per channel"),
            Self::UnknownRank => f.write_str("the rank of its output is unknown"),
            Self::Settings => f.write_str("the settings leave it in float"),
        }
    }
}

impl Serialize for Refusal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

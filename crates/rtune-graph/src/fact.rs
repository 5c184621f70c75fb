use crate::{Dim, ElementType};
use std::fmt;

/// What is known of a value before the graph runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// The type of the elements.
    pub element_type: ElementType,
    /// The dimensions, or `None` where not even their number is known.
    pub shape: Option<Vec<Dim>>,
}

impl Fact {
    /// A tensor of a known rank.
    pub fn new(element_type: ElementType, shape: impl IntoIterator<Item = Dim>) -> Self {
        Self {
            element_type,
            shape: Some(shape.into_iter().collect()),
        }
    }

    /// A tensor of which only the type is known.
    pub fn unranked(element_type: ElementType) -> Self {
        Self {
            element_type,
            shape: None,
        }
    }

    /// The number of dimensions, where it is known.
    pub fn rank(&self) -> Option<usize> {
        self.shape.as_ref().map(Vec::len)
    }
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(shape) = &self.shape else {
            return write!(f, "{}[..]", self.element_type);
        };
        write!(f, "{}[", self.element_type)?;
        for (index, dim) in shape.iter().enumerate() {
            write!(f, "{}{dim}", if index > 0 { ", " } else { "" })?;
        }
        f.write_str("]")
    }
}

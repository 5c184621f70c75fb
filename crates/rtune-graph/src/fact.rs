use crate::{Dim, ElementType};
use std::fmt;

/// Type and shape of a value, as known before the graph runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// The type of the elements.
    pub element_type: ElementType,
    /// The dimensions, or `None` if not even their number is known.
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

    /// A tensor of unknown rank.
    pub fn unranked(element_type: ElementType) -> Self {
        Self {
            element_type,
            shape: None,
        }
    }

    /// The number of dimensions, if it is known.
    pub fn rank(&self) -> Option<usize> {
        self.shape.as_ref().map(Vec::len)
    }

    /// True if one value can have both facts: the same type, the same rank as far as both know it,
    /// and no two fixed dimensions that differ.
    pub fn agrees_with(&self, other: &Self) -> bool {
        let dims = |(a, b): (&Dim, &Dim)| a.fixed().zip(b.fixed()).is_none_or(|(a, b)| a == b);
        let shapes = self.shape.as_ref().zip(other.shape.as_ref());
        self.element_type == other.element_type
            && shapes.is_none_or(|(a, b)| a.len() == b.len() && a.iter().zip(b).all(dims))
    }

    /// Both facts in one, as far as they agree: of each dimension the fixed form, else the form of
    /// `self`, else that of `other`. `other` if they do not agree.
    pub(crate) fn merge(self, other: &Self) -> Self {
        if !self.agrees_with(other) {
            return other.clone();
        }
        let dim = |(a, b): (Dim, &Dim)| match (a, b) {
            (Dim::Symbolic(_), Dim::Fixed(size)) => Dim::Fixed(*size),
            (Dim::Unknown, b) => b.clone(),
            (a, _) => a,
        };
        let shape = match (self.shape, &other.shape) {
            (Some(a), Some(b)) => Some(a.into_iter().zip(b).map(dim).collect()),
            (a, b) => a.or(b.clone()),
        };
        Self {
            element_type: self.element_type,
            shape,
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merging_keeps_the_most_that_is_known() {
        let float = |dims: &[Dim]| Fact::new(ElementType::Float32, dims.to_vec());
        let (n, m) = (Dim::symbol("n"), Dim::symbol("m"));
        let ours = float(&[n.clone(), Dim::Unknown, Dim::Fixed(2)]);
        let theirs = float(&[Dim::Fixed(4), m.clone(), Dim::Unknown]);
        assert_eq!(ours.clone().merge(&theirs).to_string(), "f32[4, m, 2]");
        let unranked = Fact::unranked(ElementType::Float32);
        assert_eq!(unranked.clone().merge(&ours), ours);
        assert_eq!(ours.clone().merge(&unranked), ours);
        let other_type = Fact::unranked(ElementType::Int64);
        assert_eq!(ours.merge(&other_type), other_type);
    }
}

use crate::{Dim, ElementType, Expr, Fact, ValueId};

/// The elements of a small integer tensor of rank 0 or 1 as expressions; `None` for an element that
/// is not known.
pub type Contents = Vec<Option<Expr>>;

/// Everything known about one value.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Known {
    pub(crate) fact: Option<Fact>,
    pub(crate) contents: Option<Contents>,
}

impl From<Fact> for Known {
    fn from(fact: Fact) -> Self {
        Self {
            fact: Some(fact),
            contents: None,
        }
    }
}

/// Types, shapes and small contents of a graph's values: a table beside the graph, as
/// [`infer`](crate::infer) computes it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Facts {
    known: Vec<Known>,
}

impl Facts {
    /// Type and shape of a value, if its type is known.
    pub fn fact(&self, id: ValueId) -> Option<&Fact> {
        self.known(id)?.fact.as_ref()
    }

    /// The dimensions of a value, if its rank is known.
    pub fn shape(&self, id: ValueId) -> Option<&[Dim]> {
        self.fact(id)?.shape.as_deref()
    }

    /// The number of dimensions of a value, if it is known.
    pub fn rank(&self, id: ValueId) -> Option<usize> {
        self.fact(id)?.rank()
    }

    /// The type of a value's elements, if it is known.
    pub fn element_type(&self, id: ValueId) -> Option<ElementType> {
        Some(self.fact(id)?.element_type)
    }

    /// The elements of a small integer vector or scalar, as far as they follow from constants and
    /// from the shapes of other values.
    pub fn contents(&self, id: ValueId) -> Option<&[Option<Expr>]> {
        self.known(id)?.contents.as_deref()
    }

    pub(crate) fn known(&self, id: ValueId) -> Option<&Known> {
        self.known.get(id.index())
    }

    pub(crate) fn set(&mut self, id: ValueId, known: Known) {
        if self.known.len() <= id.index() {
            self.known.resize_with(id.index() + 1, Known::default);
        }
        self.known[id.index()] = known;
    }
}

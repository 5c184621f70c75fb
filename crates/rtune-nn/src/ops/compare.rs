/// A comparison of two tensors, element by element and broadcast; the result is of
/// [`Kind::Bool`](crate::Kind::Bool).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CompareOp {
    /// a = b.
    Eq,
    /// a ≠ b.
    Ne,
    /// a < b.
    Lt,
    /// a ≤ b.
    Le,
    /// a > b.
    Gt,
    /// a ≥ b.
    Ge,
}

impl CompareOp {
    /// All operations of this group.
    pub const ALL: [Self; 6] = [Self::Eq, Self::Ne, Self::Lt, Self::Le, Self::Gt, Self::Ge];

    const fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Eq => ("eq", "Equal"),
            Self::Ne => ("ne", "Equal"),
            Self::Lt => ("lt", "Less"),
            Self::Le => ("le", "LessOrEqual"),
            Self::Gt => ("gt", "Greater"),
            Self::Ge => ("ge", "GreaterOrEqual"),
        }
    }

    /// The label that names results of this operation.
    pub const fn label(self) -> &'static str {
        self.names().0
    }

    /// The operator of the ONNX standard; [`CompareOp::Ne`] is `Equal` followed by `Not`.
    pub const fn onnx(self) -> &'static str {
        self.names().1
    }
}

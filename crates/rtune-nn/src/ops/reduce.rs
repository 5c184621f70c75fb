/// A reduction over one axis, which keeps size 1 in the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReduceOp {
    /// The sum.
    Sum,
    /// The mean.
    Mean,
    /// The largest element. Elements that share the maximum share its gradient.
    Max,
    /// The smallest element. Elements that share the minimum share its gradient.
    Min,
}

impl ReduceOp {
    /// All operations of this group.
    pub const ALL: [Self; 4] = [Self::Sum, Self::Mean, Self::Max, Self::Min];

    const fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Sum => ("sum", "ReduceSum"),
            Self::Mean => ("mean", "ReduceMean"),
            Self::Max => ("max", "ReduceMax"),
            Self::Min => ("min", "ReduceMin"),
        }
    }

    /// The label that names results of this operation.
    pub const fn label(self) -> &'static str {
        self.names().0
    }

    /// The operator of the ONNX standard.
    pub const fn onnx(self) -> &'static str {
        self.names().1
    }
}

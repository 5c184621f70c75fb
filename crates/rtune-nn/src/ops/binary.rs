/// An operation on two tensors, element by element. Dimensions of size 1 and missing leading
/// dimensions are broadcast, as in NumPy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BinaryOp {
    /// a + b.
    Add,
    /// a − b.
    Sub,
    /// a · b.
    Mul,
    /// a / b.
    Div,
    /// The larger one.
    Maximum,
    /// The smaller one.
    Minimum,
}

impl BinaryOp {
    /// All operations of this group.
    pub const ALL: [Self; 6] = [
        Self::Add,
        Self::Sub,
        Self::Mul,
        Self::Div,
        Self::Maximum,
        Self::Minimum,
    ];

    const fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Add => ("add", "Add"),
            Self::Sub => ("sub", "Sub"),
            Self::Mul => ("mul", "Mul"),
            Self::Div => ("div", "Div"),
            Self::Maximum => ("maximum", "Max"),
            Self::Minimum => ("minimum", "Min"),
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

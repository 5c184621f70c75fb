/// An operation on each element.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum UnaryOp {
    /// |x|.
    Abs,
    /// The smallest integer that is not below x.
    Ceil,
    /// cos x, in radians.
    Cos,
    /// The error function, 2/√π · ∫₀ˣ e^(−t²) dt.
    Erf,
    /// e^x.
    Exp,
    /// The largest integer that is not above x.
    Floor,
    /// The natural logarithm.
    Log,
    /// −x.
    Neg,
    /// 1 / x.
    Recip,
    /// max(x, 0).
    Relu,
    /// 1 / (1 + e^−x).
    Sigmoid,
    /// −1, 0 or 1.
    Sign,
    /// sin x, in radians.
    Sin,
    /// √x.
    Sqrt,
    /// The hyperbolic tangent.
    Tanh,
}

impl UnaryOp {
    /// All operations of this group.
    pub const ALL: [Self; 15] = [
        Self::Abs,
        Self::Ceil,
        Self::Cos,
        Self::Erf,
        Self::Exp,
        Self::Floor,
        Self::Log,
        Self::Neg,
        Self::Recip,
        Self::Relu,
        Self::Sigmoid,
        Self::Sign,
        Self::Sin,
        Self::Sqrt,
        Self::Tanh,
    ];

    /// The label that names results, and the operator of the ONNX standard.
    const fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Abs => ("abs", "Abs"),
            Self::Ceil => ("ceil", "Ceil"),
            Self::Cos => ("cos", "Cos"),
            Self::Erf => ("erf", "Erf"),
            Self::Exp => ("exp", "Exp"),
            Self::Floor => ("floor", "Floor"),
            Self::Log => ("log", "Log"),
            Self::Neg => ("neg", "Neg"),
            Self::Recip => ("recip", "Reciprocal"),
            Self::Relu => ("relu", "Relu"),
            Self::Sigmoid => ("sigmoid", "Sigmoid"),
            Self::Sign => ("sign", "Sign"),
            Self::Sin => ("sin", "Sin"),
            Self::Sqrt => ("sqrt", "Sqrt"),
            Self::Tanh => ("tanh", "Tanh"),
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

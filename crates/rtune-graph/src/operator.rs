//! The operators of the standard domain that rtune writes or rewrites.

/// What the standard says of one operator.
#[derive(Debug, Clone, Copy)]
pub struct OperatorRule {
    /// The operator set that the operator came with.
    pub first: i64,
    /// The first operator set whose form differs from the one used here, where there is one within
    /// the supported range.
    pub changed: Option<i64>,
    /// The fewest inputs.
    pub min_inputs: usize,
    /// The most inputs.
    pub max_inputs: usize,
}

const ANY: usize = usize::MAX;

/// Operator, operator set that it came with, fewest and most inputs over all of its forms, in
/// alphabetical order. Source: the operator changelog of the ONNX standard.
const RULES: &[(&str, i64, usize, usize)] = &[
    ("Add", 1, 2, 2),
    ("Cast", 1, 1, 1),
    ("Concat", 1, 1, ANY),
    ("DequantizeLinear", 10, 2, 3),
    ("Div", 1, 2, 2),
    ("Erf", 9, 1, 1),
    ("Exp", 1, 1, 1),
    ("Expand", 8, 2, 2),
    ("Gather", 1, 2, 2),
    ("Gemm", 1, 2, 3),
    ("Identity", 1, 1, 1),
    ("LayerNormalization", 17, 2, 3),
    ("MatMul", 1, 2, 2),
    ("Max", 1, 1, ANY),
    ("Min", 1, 1, ANY),
    ("Mul", 1, 2, 2),
    ("Neg", 1, 1, 1),
    ("Pow", 1, 2, 2),
    ("QuantizeLinear", 10, 2, 3),
    ("ReduceMax", 1, 1, 2),
    ("ReduceMean", 1, 1, 2),
    ("ReduceSum", 1, 1, 2),
    ("Relu", 1, 1, 1),
    ("Reshape", 1, 2, 2),
    ("Shape", 1, 1, 1),
    ("Sigmoid", 1, 1, 1),
    ("Slice", 1, 1, 5),
    ("Softmax", 1, 1, 1),
    ("Sqrt", 1, 1, 1),
    ("Squeeze", 1, 1, 2),
    ("Sub", 1, 2, 2),
    ("Tanh", 1, 1, 1),
    ("Transpose", 1, 1, 1),
    ("Unsqueeze", 1, 1, 2),
];

/// The rule for an operator of the standard domain, or `None` where rtune does not know the
/// operator.
pub fn operator_rule(op_type: &str) -> Option<OperatorRule> {
    let index = RULES.binary_search_by(|rule| rule.0.cmp(op_type)).ok()?;
    let (_, first, min_inputs, max_inputs) = RULES[index];
    // ReduceMean and ReduceMax take their axes as an input from 18 on.
    let changed = matches!(op_type, "ReduceMean" | "ReduceMax").then_some(18);
    Some(OperatorRule {
        first,
        changed,
        min_inputs,
        max_inputs,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_sorted() {
        assert!(RULES.is_sorted_by_key(|rule| rule.0));
    }
}

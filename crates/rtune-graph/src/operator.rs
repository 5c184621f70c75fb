//! The operators of the standard domain that rtune writes or rewrites.

/// What the standard says of one operator.
#[derive(Debug, Clone, Copy)]
pub struct OperatorRule {
    /// The operator set that the form used here came with.
    pub since: i64,
    /// The first operator set whose form differs from the one used here, where there is one within the supported range.
    pub changed: Option<i64>,
    /// The fewest inputs.
    pub min_inputs: usize,
    /// The most inputs.
    pub max_inputs: usize,
}

const ANY: usize = usize::MAX;

/// Operator, operator set of its form, fewest and most inputs, in alphabetical order.
/// Source: the operator changelog of the ONNX standard.
const RULES: &[(&str, i64, usize, usize)] = &[
    ("Add", 14, 2, 2),
    ("Cast", 13, 1, 1),
    ("Concat", 13, 1, ANY),
    ("DequantizeLinear", 13, 2, 3),
    ("Div", 14, 2, 2),
    ("Erf", 13, 1, 1),
    ("Exp", 13, 1, 1),
    ("Expand", 13, 2, 2),
    ("Gather", 13, 2, 2),
    ("Gemm", 13, 2, 3),
    ("Identity", 16, 1, 1),
    ("LayerNormalization", 17, 2, 3),
    ("MatMul", 13, 2, 2),
    ("Max", 13, 1, ANY),
    ("Min", 13, 1, ANY),
    ("Mul", 14, 2, 2),
    ("Neg", 13, 1, 1),
    ("Pow", 15, 2, 2),
    ("QuantizeLinear", 13, 2, 3),
    ("ReduceMax", 13, 1, 1),
    ("ReduceMean", 13, 1, 1),
    ("ReduceSum", 13, 1, 2),
    ("Relu", 14, 1, 1),
    ("Reshape", 14, 2, 2),
    ("Shape", 15, 1, 1),
    ("Sigmoid", 13, 1, 1),
    ("Slice", 13, 3, 5),
    ("Softmax", 13, 1, 1),
    ("Sqrt", 13, 1, 1),
    ("Squeeze", 13, 1, 2),
    ("Sub", 14, 2, 2),
    ("Tanh", 13, 1, 1),
    ("Transpose", 13, 1, 1),
    ("Unsqueeze", 13, 2, 2),
];

/// The rule for an operator of the standard domain, or `None` where rtune does not know the operator.
pub fn operator_rule(op_type: &str) -> Option<OperatorRule> {
    let index = RULES.binary_search_by(|rule| rule.0.cmp(op_type)).ok()?;
    let (_, since, min_inputs, max_inputs) = RULES[index];
    // ReduceMean and ReduceMax take their axes as an input from 18 on.
    let changed = matches!(op_type, "ReduceMean" | "ReduceMax").then_some(18);
    Some(OperatorRule { since, changed, min_inputs, max_inputs })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_sorted() {
        assert!(RULES.is_sorted_by_key(|rule| rule.0));
    }
}

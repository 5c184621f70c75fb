//! Names of quantized constants.
//!
//! The runtime rewrites a model before it runs it, and of a weight only its name is left. So the
//! name carries the float weight's name by a rule that can be read backwards; it is the rule of
//! ONNX Runtime's own quantizer. [`Rewrite`](rtune_graph::Rewrite) makes names unique with `_`.

use rtune_graph::ElementType;

/// Suffix of the name of an integer constant, after the name of the float constant.
const QUANTIZED_SUFFIX: &str = "_quantized";

/// Name of the integers of the float constant `name`, unless it is taken.
pub(crate) fn quantized_name(name: &str) -> String {
    format!("{name}{QUANTIZED_SUFFIX}")
}

/// Name of the float constant behind a constant of type `element_type`: only integers can be
/// quantized, so the suffix means nothing in a float constant's name.
pub(crate) fn float_name(name: &str, element_type: ElementType) -> &str {
    let is_quantized = matches!(element_type, ElementType::Int8 | ElementType::Uint8);
    let base = name.trim_end_matches('_').strip_suffix(QUANTIZED_SUFFIX);
    base.filter(|_| is_quantized).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_float_name_is_found_behind_any_unique_name() {
        for name in ["encoder.0.weight", "w", "w_", "w_quantized", "_quantized_"] {
            for unique in ["", "_", "___"] {
                let quantized = quantized_name(name) + unique;
                assert_eq!(float_name(&quantized, ElementType::Int8), name);
                assert_eq!(float_name(&quantized, ElementType::Float32), quantized);
            }
        }
        assert_eq!(float_name("other", ElementType::Uint8), "other");
    }
}

//! The operators that rtune knows: one file per family, one row per operator, with its forms and
//! its inference.
//!
//! Forms are those of the operator changelog of the ONNX standard from operator set 7 on, which is
//! the oldest that ONNX Runtime runs, and of ONNX Runtime's contributed operators. A form begins
//! with the operator set in which attributes or numbers of inputs or outputs change; changes of
//! the accepted types alone are not listed.

mod binary;
mod cast;
mod compare;
mod context;
mod contrib;
mod conv;
mod form;
mod index;
mod layout;
mod matmul;
mod norm;
mod pool;
mod quantize;
mod random;
mod recurrent;
mod reduce;
mod shape;
#[cfg(test)]
mod testing;
mod unary;
mod window;

pub(crate) use context::{Axes, Context, Inference, Input, Stop, one, one_with};
pub use form::{AttributeDefault, AttributeRule, Form, Operator};
pub(crate) use form::{MANY, OLDEST_OPSET, float, form, int, optional, required, text};

/// The rows of all families.
const FAMILIES: &[&[Operator]] = &[
    binary::OPERATORS,
    cast::OPERATORS,
    compare::OPERATORS,
    contrib::OPERATORS,
    conv::OPERATORS,
    index::OPERATORS,
    layout::JOIN,
    layout::RESHAPE,
    layout::RESIZE,
    layout::SLICE,
    matmul::OPERATORS,
    norm::OPERATORS,
    pool::OPERATORS,
    quantize::OPERATORS,
    random::OPERATORS,
    recurrent::OPERATORS,
    reduce::OPERATORS,
    shape::OPERATORS,
    unary::OPERATORS,
];

/// All rows.
pub fn operators() -> impl Iterator<Item = &'static Operator> {
    FAMILIES.iter().copied().flatten()
}

/// The row of an operator, or `None` if rtune has no rule for it. The standard domain is the empty
/// string.
pub fn operator(domain: &str, name: &str) -> Option<&'static Operator> {
    operators().find(|row| row.name == name && row.domain == domain)
}

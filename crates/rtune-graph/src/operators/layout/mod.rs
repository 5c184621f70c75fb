//! Operators that move elements without changing them.

mod join;
mod reshape;
mod resize;
mod slice;

pub(super) use join::OPERATORS as JOIN;
pub(super) use reshape::{OPERATORS as RESHAPE, given_shape};
pub(super) use resize::OPERATORS as RESIZE;
pub(super) use slice::OPERATORS as SLICE;

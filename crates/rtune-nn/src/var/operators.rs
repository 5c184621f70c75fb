//! Operators between values, and between a value and a number; clones and debugging.

use super::Var;
use crate::{BinaryOp, Ops, Result};
use std::fmt;

impl<O: Ops> Clone for Var<'_, O> {
    fn clone(&self) -> Self {
        self.with(self.value.clone())
    }
}

impl<O: Ops> fmt::Debug for Var<'_, O>
where
    O::Value: fmt::Debug,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Var").field(&self.value).finish()
    }
}

macro_rules! operator {
    ($trait:ident, $method:ident, $op:expr, |$x:ident, $number:ident| $scalar:expr) => {
        operator!(@pair $trait, $method, $op, Var<'a, O>, Var<'a, O>);
        operator!(@pair $trait, $method, $op, Var<'a, O>, &Var<'a, O>);
        operator!(@pair $trait, $method, $op, &Var<'a, O>, Var<'a, O>);
        operator!(@pair $trait, $method, $op, &Var<'a, O>, &Var<'a, O>);
        impl<'a, O: Ops> std::ops::$trait<f64> for &Var<'a, O> {
            type Output = Result<Var<'a, O>>;
            fn $method(self, $number: f64) -> Self::Output {
                let $x = self;
                $scalar
            }
        }
        impl<'a, O: Ops> std::ops::$trait<f64> for Var<'a, O> {
            type Output = Result<Var<'a, O>>;
            fn $method(self, number: f64) -> Self::Output {
                std::ops::$trait::$method(&self, number)
            }
        }
    };
    (@pair $trait:ident, $method:ident, $op:expr, $left:ty, $right:ty) => {
        impl<'a, O: Ops> std::ops::$trait<$right> for $left {
            type Output = Result<Var<'a, O>>;
            fn $method(self, other: $right) -> Self::Output {
                self.wrap(self.ops.binary($op, &self.value, &other.value))
            }
        }
    };
}

operator!(Add, add, BinaryOp::Add, |x, number| x.affine(1.0, number));
operator!(Sub, sub, BinaryOp::Sub, |x, number| x.affine(1.0, -number));
operator!(Mul, mul, BinaryOp::Mul, |x, number| x.affine(number, 0.0));
operator!(Div, div, BinaryOp::Div, |x, number| x
    .affine(1.0 / number, 0.0));

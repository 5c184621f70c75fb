use crate::{BinaryOp, CompareOp, ReduceOp, UnaryOp};

/// An operation that names its result. The labels of this list are the only ones: results have the
/// same names in every interpreter, so that they can be compared by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    /// One tensor, element by element.
    Unary(UnaryOp),
    /// Two tensors, element by element.
    Binary(BinaryOp),
    /// A comparison.
    Compare(CompareOp),
    /// A reduction.
    Reduce(ReduceOp),
    /// [`Ops::affine`](crate::Ops::affine).
    Affine,
    /// [`Ops::matmul`](crate::Ops::matmul).
    MatMul,
    /// [`Ops::where_cond`](crate::Ops::where_cond).
    Where,
    /// [`Ops::cast`](crate::Ops::cast).
    Cast,
    /// [`Ops::permute`](crate::Ops::permute) and [`Ops::transpose`](crate::Ops::transpose).
    Transpose,
    /// [`Ops::reshape`](crate::Ops::reshape).
    Reshape,
    /// [`Ops::unsqueeze`](crate::Ops::unsqueeze).
    Unsqueeze,
    /// [`Ops::squeeze`](crate::Ops::squeeze).
    Squeeze,
    /// [`Ops::narrow`](crate::Ops::narrow).
    Narrow,
    /// [`Ops::cat`](crate::Ops::cat).
    Cat,
    /// [`Ops::gather`](crate::Ops::gather).
    Gather,
    /// [`Ops::gather_last`](crate::Ops::gather_last).
    GatherLast,
    /// [`Ops::gelu_erf`](crate::Ops::gelu_erf).
    GeluErf,
    /// [`Ops::softmax`](crate::Ops::softmax).
    Softmax,
    /// [`SequenceOps::split_heads`](crate::SequenceOps::split_heads).
    SplitHeads,
    /// [`SequenceOps::merge_heads`](crate::SequenceOps::merge_heads).
    MergeHeads,
    /// [`SequenceOps::mean_pool`](crate::SequenceOps::mean_pool).
    MeanPool,
    /// [`SequenceOps::first_pool`](crate::SequenceOps::first_pool).
    FirstPool,
}

impl Operation {
    /// The part of a result's name behind the module path.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Unary(op) => op.label(),
            Self::Binary(op) => op.label(),
            Self::Compare(op) => op.label(),
            Self::Reduce(op) => op.label(),
            Self::Affine => "affine",
            Self::MatMul => "matmul",
            Self::Where => "where",
            Self::Cast => "cast",
            Self::Transpose => "transpose",
            Self::Reshape => "reshape",
            Self::Unsqueeze => "unsqueeze",
            Self::Squeeze => "squeeze",
            Self::Narrow => "narrow",
            Self::Cat => "cat",
            Self::Gather => "gather",
            Self::GatherLast => "gather_last",
            Self::GeluErf => "gelu",
            Self::Softmax => "softmax",
            Self::SplitHeads => "split_heads",
            Self::MergeHeads => "merge_heads",
            Self::MeanPool => "mean_pool",
            Self::FirstPool => "first_pool",
        }
    }
}

macro_rules! from_group {
    ($($group:ident => $variant:ident),+) => {$(
        impl From<$group> for Operation {
            fn from(op: $group) -> Self {
                Self::$variant(op)
            }
        }
    )+};
}

from_group!(UnaryOp => Unary, BinaryOp => Binary, CompareOp => Compare, ReduceOp => Reduce);

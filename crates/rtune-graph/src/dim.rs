use crate::Expr;
use std::fmt;

/// One dimension of a shape.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dim {
    /// Known when the graph is built.
    Fixed(u64),
    /// Known by a formula over named sizes, such as `sequence` or `batch*sequence`.
    Symbolic(Expr),
    /// Known only when the graph runs.
    Unknown,
}

impl Dim {
    /// A dimension known by name, or by the text of an expression such as `batch*sequence`; see
    /// [`Expr::read`].
    pub fn symbol(text: impl AsRef<str>) -> Self {
        Self::Symbolic(Expr::read(text.as_ref()))
    }

    /// The size, if it is known now.
    pub fn fixed(&self) -> Option<u64> {
        match self {
            Self::Fixed(size) => Some(*size),
            _ => None,
        }
    }

    /// The dimension as an expression, unless it is unknown or exceeds 63 bits.
    pub fn expr(&self) -> Option<Expr> {
        match self {
            Self::Fixed(size) => i64::try_from(*size).ok().map(Expr::constant),
            Self::Symbolic(expr) => Some(expr.clone()),
            Self::Unknown => None,
        }
    }

    /// The product of `dims`; unknown if one of them is.
    pub fn product<'a>(dims: impl IntoIterator<Item = &'a Self>) -> Self {
        let one = Some(Expr::constant(1));
        let product = dims
            .into_iter()
            .try_fold(one, |product, dim| Some(product?.mul(&dim.expr()?)));
        Self::known_or_unknown(product.flatten())
    }

    /// The dimension that results if `self` and `other` are broadcast together, or `None` if they
    /// cannot be.
    pub(crate) fn broadcast(&self, other: &Self) -> Option<Self> {
        match (self.expr(), other.expr()) {
            (Some(a), Some(b)) => a.broadcast(&b).map(|e| Self::known_or_unknown(Some(e))),
            (None, Some(_)) if other.fixed().is_some_and(|n| n != 1) => Some(other.clone()),
            (Some(_), None) if self.fixed().is_some_and(|n| n != 1) => Some(self.clone()),
            _ => Some(Self::Unknown),
        }
    }

    /// An expression as a dimension; a negative constant is no dimension.
    pub(crate) fn of(expr: Expr) -> Option<Self> {
        match expr.as_constant() {
            Some(size) => u64::try_from(size).ok().map(Self::Fixed),
            None => Some(Self::Symbolic(expr)),
        }
    }

    fn known_or_unknown(expr: Option<Expr>) -> Self {
        expr.and_then(Self::of).unwrap_or(Self::Unknown)
    }
}

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(size) => write!(f, "{size}"),
            Self::Symbolic(expr) => expr.fmt(f),
            Self::Unknown => f.write_str("?"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_broadcast_as_the_standard_says() {
        let n = || Dim::symbol("n");
        let cases = [
            (Dim::Fixed(3), Dim::Fixed(1), Some(Dim::Fixed(3))),
            (Dim::Fixed(3), Dim::Fixed(4), None),
            (n(), Dim::Fixed(1), Some(n())),
            (n(), Dim::Fixed(3), Some(Dim::Fixed(3))),
            (Dim::Unknown, Dim::Fixed(3), Some(Dim::Fixed(3))),
            (Dim::Unknown, Dim::Fixed(1), Some(Dim::Unknown)),
            (Dim::Unknown, n(), Some(Dim::Unknown)),
            (Dim::Unknown, Dim::Unknown, Some(Dim::Unknown)),
        ];
        for (a, b, expected) in cases {
            assert_eq!(a.broadcast(&b), expected, "{a} and {b}");
            assert_eq!(b.broadcast(&a), expected, "{b} and {a}");
        }
    }

    #[test]
    fn products_are_unknown_if_a_factor_is() {
        let dims = [Dim::symbol("batch"), Dim::Fixed(2), Dim::symbol("sequence")];
        assert_eq!(Dim::product(&dims).to_string(), "2*batch*sequence");
        assert_eq!(Dim::product([&Dim::Unknown, &Dim::Fixed(2)]), Dim::Unknown);
        assert_eq!(Dim::product([]), Dim::Fixed(1));
    }
}

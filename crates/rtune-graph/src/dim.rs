use std::fmt;

/// One dimension of a shape.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dim {
    /// Known when the graph is built.
    Fixed(u64),
    /// Known by name; a product is written `batch*sequence`, its factors in alphabetical order.
    Symbol(String),
    /// Known only when the graph runs.
    Unknown,
}

impl Dim {
    /// A dimension known by `name`.
    pub fn symbol(name: impl Into<String>) -> Self {
        Self::Symbol(name.into())
    }

    /// The size, where it is known now.
    pub fn fixed(&self) -> Option<u64> {
        match self {
            Self::Fixed(size) => Some(*size),
            _ => None,
        }
    }

    /// The dimension that results where `self` and `other` are broadcast together, or `None` where
    /// they cannot be.
    pub(crate) fn broadcast(&self, other: &Self) -> Option<Self> {
        match (self, other) {
            (a, b) if a == b => Some(a.clone()),
            (Self::Fixed(1), other) | (other, Self::Fixed(1)) => Some(other.clone()),
            (Self::Fixed(_), Self::Fixed(_)) => None,
            (Self::Fixed(n), _) | (_, Self::Fixed(n)) => Some(Self::Fixed(*n)),
            _ => Some(Self::Unknown),
        }
    }
}

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(size) => write!(f, "{size}"),
            Self::Symbol(name) => f.write_str(name),
            Self::Unknown => f.write_str("?"),
        }
    }
}

/// A product of dimensions: a known factor and named ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Product {
    factor: u64,
    symbols: Vec<String>,
}

impl Product {
    /// The product of `dims`, or `None` where one of them has no name.
    pub(crate) fn of<'a>(dims: impl IntoIterator<Item = &'a Dim>) -> Option<Self> {
        let mut product = Self {
            factor: 1,
            symbols: Vec::new(),
        };
        for dim in dims {
            match dim {
                Dim::Fixed(size) => product.factor *= size,
                Dim::Symbol(name) => product.symbols.extend(name.split('*').map(str::to_owned)),
                Dim::Unknown => return None,
            }
        }
        product.symbols.sort();
        Some(product)
    }

    /// `self / divisor` as one dimension, or `None` where that is not a whole one.
    pub(crate) fn divide(mut self, divisor: &Self) -> Option<Dim> {
        for symbol in &divisor.symbols {
            let index = self.symbols.iter().position(|s| s == symbol)?;
            self.symbols.remove(index);
        }
        if divisor.factor == 0 || !self.factor.is_multiple_of(divisor.factor) {
            return None;
        }
        match (self.factor / divisor.factor, self.symbols.as_slice()) {
            (factor, []) => Some(Dim::Fixed(factor)),
            (1, symbols) => Some(Dim::Symbol(symbols.join("*"))),
            _ => Some(Dim::Unknown),
        }
    }
}

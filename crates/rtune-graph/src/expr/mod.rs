//! Integer expressions over named sizes, in a normal form: equal expressions compare equal.

mod divide;
#[cfg(test)]
mod laws;
mod text;

use std::collections::BTreeMap;

/// Expressions with more terms than this are not followed.
const MAX_TERMS: usize = 64;

/// An integer that is known by a formula: constants, named sizes, sums, products, divisions,
/// minima, maxima and broadcasts.
///
/// An expression is a sum of products, so expressions that expand to the same polynomial are equal.
/// Named sizes are never negative. Operations return `None` if the result overflows 64 bits or has
/// more than 64 terms.
///
/// ```
/// use rtune_graph::Expr;
///
/// let (h, one) = (Expr::symbol("h"), Expr::constant(1));
/// let padded = h.add(&Expr::constant(2)).and_then(|h| h.sub(&Expr::constant(3)));
/// let half = padded.and_then(|h| h.floor_div(&Expr::constant(2))).and_then(|h| h.add(&one));
/// assert_eq!(half.map(|h| h.to_string()).as_deref(), Some("floor((h + 1)/2)"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Expr {
    /// Products with their coefficients, sorted; no coefficient is 0.
    terms: Vec<(Monomial, i64)>,
}

/// A product of factors, sorted; the empty product is 1.
type Monomial = Vec<Atom>;

/// A factor that cannot be taken apart further.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Atom {
    Symbol(String),
    Floor(Box<Expr>, Box<Expr>),
    Ceil(Box<Expr>, Box<Expr>),
    Min(Vec<Expr>),
    Max(Vec<Expr>),
    Broadcast(Vec<Expr>),
}

impl Expr {
    /// A constant.
    pub fn constant(value: i64) -> Self {
        let terms = (value != 0).then(|| (Vec::new(), value));
        Self {
            terms: terms.into_iter().collect(),
        }
    }

    /// A named size. The name is taken as it is; [`Expr::read`] reads the text of an expression.
    pub fn symbol(name: impl Into<String>) -> Self {
        Self::atom(Atom::Symbol(name.into()))
    }

    /// The value of a constant expression.
    pub fn as_constant(&self) -> Option<i64> {
        match self.terms.as_slice() {
            [] => Some(0),
            [(monomial, value)] if monomial.is_empty() => Some(*value),
            _ => None,
        }
    }

    /// The sum.
    pub fn add(&self, other: &Self) -> Option<Self> {
        let both = self.terms.iter().chain(&other.terms);
        Self::collect(both.map(|(monomial, n)| Some((monomial.clone(), *n))))
    }

    /// The difference.
    pub fn sub(&self, other: &Self) -> Option<Self> {
        self.add(&other.mul(&Self::constant(-1))?)
    }

    /// The product.
    pub fn mul(&self, other: &Self) -> Option<Self> {
        let pairs = self
            .terms
            .iter()
            .flat_map(|a| other.terms.iter().map(move |b| (a, b)));
        Self::collect(pairs.map(|((a, m), (b, n))| {
            let mut monomial = [a.as_slice(), b].concat();
            monomial.sort();
            Some((monomial, m.checked_mul(*n)?))
        }))
    }

    /// The smaller of two expressions.
    pub fn minimum(&self, other: &Self) -> Option<Self> {
        let all = self.parts_of_min().into_iter().chain(other.parts_of_min());
        let mut parts = Self::extremes(all.collect(), Self::at_most);
        // min(n, max(n, m)) is n.
        let smaller = parts.clone();
        parts.retain(|part| {
            !part
                .parts_of_max()
                .iter()
                .any(|p| p != part && smaller.contains(p))
        });
        Some(Self::one_or(parts, Atom::Min))
    }

    /// The larger of two expressions.
    pub fn maximum(&self, other: &Self) -> Option<Self> {
        let all = [self.parts_of_max(), other.parts_of_max()].concat();
        let mut parts = Self::extremes(all, |a, b| b.at_most(a));
        // max(n, min(n, m)) is n.
        let larger = parts.clone();
        parts.retain(|part| {
            !part
                .parts_of_min()
                .iter()
                .any(|p| p != part && larger.contains(p))
        });
        Some(Self::one_or(parts, Atom::Max))
    }

    /// The size that results if two sizes are broadcast together: equal sizes stay, and a 1 takes
    /// the other size. `None` if both are constants that do not fit.
    pub fn broadcast(&self, other: &Self) -> Option<Self> {
        let parts = |e: &Self| match e.as_atom() {
            Some(Atom::Broadcast(parts)) => parts.clone(),
            _ => vec![e.clone()],
        };
        let mut all = [parts(self), parts(other)].concat();
        all.sort();
        all.dedup();
        all.retain(|part| part.as_constant() != Some(1));
        let mut constants = all.iter().filter(|part| part.as_constant().is_some());
        match (constants.next(), constants.next()) {
            (Some(_), Some(_)) => return None,
            (Some(size), None) => return Some(size.clone()),
            _ => {}
        }
        // min(x, n) can only be broadcast with x if it is x or 1.
        let whole = all.clone();
        all.retain(|part| {
            !part
                .parts_of_min()
                .iter()
                .any(|p| p != part && whole.contains(p))
        });
        Some(match all.is_empty() {
            true => Self::constant(1),
            false => Self::one_or(all, Atom::Broadcast),
        })
    }

    /// True if the expression is at least 0, as far as its form shows.
    pub(crate) fn is_nonnegative(&self) -> bool {
        let positive =
            |(monomial, n): &(Monomial, i64)| *n >= 0 && monomial.iter().all(Atom::is_nonnegative);
        self.terms.iter().all(positive)
    }

    /// True if `self` ≤ `other`, as far as their forms show.
    pub(crate) fn at_most(&self, other: &Self) -> bool {
        other.sub(self).is_some_and(|rest| rest.is_nonnegative())
    }

    fn atom(atom: Atom) -> Self {
        Self {
            terms: vec![(vec![atom], 1)],
        }
    }

    fn as_atom(&self) -> Option<&Atom> {
        match self.terms.as_slice() {
            [(monomial, 1)] => match monomial.as_slice() {
                [atom] => Some(atom),
                _ => None,
            },
            _ => None,
        }
    }

    fn parts_of_min(&self) -> Vec<Self> {
        match self.as_atom() {
            Some(Atom::Min(parts)) => parts.clone(),
            _ => vec![self.clone()],
        }
    }

    fn parts_of_max(&self) -> Vec<Self> {
        match self.as_atom() {
            Some(Atom::Max(parts)) => parts.clone(),
            _ => vec![self.clone()],
        }
    }

    /// The parts that no other part makes superfluous, each once, sorted.
    fn extremes(mut parts: Vec<Self>, wins: impl Fn(&Self, &Self) -> bool) -> Vec<Self> {
        parts.sort();
        parts.dedup();
        let all = parts.clone();
        parts.retain(|part| !all.iter().any(|other| other != part && wins(other, part)));
        parts
    }

    fn one_or(mut parts: Vec<Self>, atom: impl FnOnce(Vec<Self>) -> Atom) -> Self {
        match (parts.pop(), parts.is_empty()) {
            (Some(only), true) => only,
            (last, _) => {
                parts.extend(last);
                Self::atom(atom(parts))
            }
        }
    }

    fn collect(terms: impl Iterator<Item = Option<(Monomial, i64)>>) -> Option<Self> {
        let mut sums: BTreeMap<Monomial, i64> = BTreeMap::new();
        for term in terms {
            let (monomial, n) = term?;
            let sum = sums.entry(monomial).or_default();
            *sum = sum.checked_add(n)?;
        }
        let terms: Vec<_> = sums.into_iter().filter(|(_, n)| *n != 0).collect();
        (terms.len() <= MAX_TERMS).then_some(Self { terms })
    }
}

impl Atom {
    fn is_nonnegative(&self) -> bool {
        match self {
            Self::Symbol(_) | Self::Broadcast(_) => true,
            Self::Floor(a, b) | Self::Ceil(a, b) => a.is_nonnegative() && b.is_nonnegative(),
            Self::Min(parts) => parts.iter().all(Expr::is_nonnegative),
            Self::Max(parts) => parts.iter().any(Expr::is_nonnegative),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(text: &str) -> Expr {
        Expr::read(text)
    }

    #[test]
    fn equal_expressions_have_one_form() {
        let (a, b, two) = (Expr::symbol("a"), Expr::symbol("b"), Expr::constant(2));
        let square = |e: &Expr| e.mul(e).unwrap();
        let expanded = square(&a.add(&b).unwrap());
        assert_eq!(expanded.to_string(), "a*a + 2*a*b + b*b");
        assert_eq!(b.mul(&a), a.mul(&b));
        assert_eq!(a.add(&a), a.mul(&two));
        assert_eq!(a.sub(&a), Some(Expr::constant(0)));
    }

    #[test]
    fn minima_and_maxima_drop_what_the_forms_decide() {
        let cases = [
            ("n", "n + 1", "n", "n + 1"),
            ("0", "n", "0", "n"),
            ("3", "7", "3", "7"),
            ("n", "24", "min(24, n)", "max(24, n)"),
            ("min(24, n)", "12", "min(12, n)", "max(12, min(24, n))"),
            ("max(4, n)", "n", "n", "max(4, n)"),
        ];
        for (a, b, min, max) in cases {
            let read = |text: &str| match text.parse() {
                Ok(value) => Expr::constant(value),
                Err(_) => sum(text),
            };
            let (a, b) = (read(a), read(b));
            assert_eq!(a.minimum(&b).unwrap().to_string(), min);
            assert_eq!(b.maximum(&a).unwrap().to_string(), max);
        }
    }

    #[test]
    fn broadcasts_keep_what_is_not_one() {
        let (n, m) = (Expr::symbol("n"), Expr::symbol("m"));
        let show = |a: &Expr, b: &Expr| a.broadcast(b).map(|e| e.to_string());
        let constant = Expr::constant;
        assert_eq!(show(&n, &n).as_deref(), Some("n"));
        assert_eq!(show(&n, &constant(1)).as_deref(), Some("n"));
        assert_eq!(show(&n, &constant(4)).as_deref(), Some("4"));
        assert_eq!(show(&n, &m).as_deref(), Some("broadcast(m, n)"));
        assert_eq!(show(&sum("min(24, n)"), &n).as_deref(), Some("n"));
        assert_eq!(show(&constant(1), &constant(1)).as_deref(), Some("1"));
        assert_eq!(show(&constant(3), &constant(4)), None);
        let three = n.broadcast(&m).unwrap().broadcast(&Expr::symbol("k"));
        assert_eq!(three.unwrap().to_string(), "broadcast(k, m, n)");
    }

    #[test]
    fn overflow_is_unknown() {
        let large = Expr::constant(i64::MAX);
        assert_eq!(large.add(&Expr::constant(1)), None);
        assert_eq!(large.mul(&Expr::symbol("n")).unwrap().mul(&large), None);
    }
}

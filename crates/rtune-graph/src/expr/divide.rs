//! Division of expressions.

use super::{Atom, Expr, Monomial};

/// Steps of long division before it is given up.
const MAX_STEPS: usize = 32;

impl Expr {
    /// `⌊self / divisor⌋`. `None` if the divisor is 0.
    ///
    /// A division without remainder is carried out, on the assumption that a symbolic divisor is
    /// not 0. With a constant divisor, whole multiples leave the fraction, so that
    /// `floor((2*n + 5)/2)` becomes `n + 2`.
    pub fn floor_div(&self, divisor: &Self) -> Option<Self> {
        if let Some(done) = self.simple_quotient(divisor) {
            return done;
        }
        match divisor.as_constant() {
            Some(n) if n < 0 => self.negated()?.floor_div(&divisor.negated()?),
            Some(n) => self.floor_by(n),
            None => Some(Self::atom(Atom::Floor(
                Box::new(self.clone()),
                Box::new(divisor.clone()),
            ))),
        }
    }

    /// `⌈self / divisor⌉`. `None` if the divisor is 0. With a constant divisor `n`, the form is
    /// that of `⌊(self + n - 1) / n⌋`.
    pub fn ceil_div(&self, divisor: &Self) -> Option<Self> {
        if let Some(done) = self.simple_quotient(divisor) {
            return done;
        }
        match divisor.as_constant() {
            Some(n) if n < 0 => self.negated()?.ceil_div(&divisor.negated()?),
            Some(n) => self.add(&Self::constant(n - 1))?.floor_by(n),
            None => Some(Self::atom(Atom::Ceil(
                Box::new(self.clone()),
                Box::new(divisor.clone()),
            ))),
        }
    }

    /// The quotient if it is a whole one: `Some(None)` if there is none at all.
    fn simple_quotient(&self, divisor: &Self) -> Option<Option<Self>> {
        match divisor.as_constant() {
            Some(0) => Some(None),
            Some(1) => Some(Some(self.clone())),
            _ => self.exact_div(divisor).map(Some),
        }
    }

    fn negated(&self) -> Option<Self> {
        self.mul(&Self::constant(-1))
    }

    /// Long division; `None` if it leaves a remainder.
    pub(crate) fn exact_div(&self, divisor: &Self) -> Option<Self> {
        let (lead, factor) = divisor.terms.last()?;
        let (mut rest, mut quotient) = (self.clone(), Self::constant(0));
        for _ in 0..MAX_STEPS {
            let Some((monomial, n)) = rest.terms.last() else {
                return Some(quotient);
            };
            if n.checked_rem(*factor)? != 0 {
                return None;
            }
            let term = Self {
                terms: vec![(divide_monomial(monomial, lead)?, n.checked_div(*factor)?)],
            };
            rest = rest.sub(&term.mul(divisor)?)?;
            quotient = quotient.add(&term)?;
        }
        None
    }

    /// The floor of a division by `n` ≥ 2.
    fn floor_by(&self, n: i64) -> Option<Self> {
        let part = |pick: fn(i64, i64) -> i64| {
            Self::collect(
                self.terms
                    .iter()
                    .map(|(m, c)| Some((m.clone(), pick(*c, n)))),
            )
        };
        let whole = part(i64::div_euclid)?;
        let rest = part(i64::rem_euclid)?;
        whole.add(&rest.proper_fraction(n)?)
    }

    /// The floor of a division by `n` ≥ 2, with all coefficients between 0 and `n`.
    fn proper_fraction(&self, n: i64) -> Option<Self> {
        if let Some(value) = self.as_constant() {
            return Some(Self::constant(value.div_euclid(n)));
        }
        // A common factor g of the coefficients and n: ⌊(g·e + k) / n⌋ = ⌊(e + ⌊k/g⌋) / (n/g)⌋.
        let symbolic = self.terms.iter().filter(|(m, _)| !m.is_empty());
        let common = symbolic.fold(n, |g, (_, c)| gcd(g, *c));
        if common > 1 {
            let reduced = self
                .terms
                .iter()
                .map(|(m, c)| Some((m.clone(), c / common)));
            return Self::collect(reduced)?.floor_div(&Self::constant(n / common));
        }
        // ⌊(⌊e/m⌋ + k) / n⌋ = ⌊(e + k·m) / (m·n)⌋.
        if let Some((inner, m, k)) = self.as_shifted_floor() {
            let shifted = inner.add(&Self::constant(k.checked_mul(m)?))?;
            return shifted.floor_div(&Self::constant(m.checked_mul(n)?));
        }
        Some(Self::atom(Atom::Floor(
            Box::new(self.clone()),
            Box::new(Self::constant(n)),
        )))
    }

    /// The parts of `⌊e/m⌋ + k` with constants `m` and `k`.
    fn as_shifted_floor(&self) -> Option<(&Self, i64, i64)> {
        let (atom, k) = match self.terms.as_slice() {
            [(atom, 1)] => (atom, 0),
            [(one, k), (atom, 1)] if one.is_empty() => (atom, *k),
            _ => return None,
        };
        match atom.as_slice() {
            [Atom::Floor(inner, divisor)] => Some((inner, divisor.as_constant()?, k)),
            _ => None,
        }
    }
}

/// `monomial / divisor`, or `None` if the divisor has a factor that `monomial` lacks.
fn divide_monomial(monomial: &Monomial, divisor: &Monomial) -> Option<Monomial> {
    let mut rest = monomial.clone();
    for atom in divisor {
        let index = rest.iter().position(|a| a == atom)?;
        rest.remove(index);
    }
    Some(rest)
}

fn gcd(a: i64, b: i64) -> i64 {
    match b {
        0 => a.abs(),
        _ => gcd(b, a % b),
    }
}

#[cfg(test)]
pub(super) fn floor(a: i64, b: i64) -> Option<i64> {
    let quotient = a.checked_div(b)?;
    Some(quotient - i64::from(a % b != 0 && (a < 0) != (b < 0)))
}

#[cfg(test)]
pub(super) fn ceil(a: i64, b: i64) -> Option<i64> {
    floor(a.checked_neg()?, b)?.checked_neg()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotients_have_one_form() {
        let read = Expr::read;
        let by = |text: &str, n: i64| read(text).floor_div(&Expr::constant(n)).unwrap();
        for (text, divisor, expected) in [
            ("2*n + 5", 2, "n + 2"),
            ("n + 2", 2, "floor(n/2) + 1"),
            ("2*n + 1", 4, "floor(n/2)"),
            ("3*n", 2, "n + floor(n/2)"),
            ("n - 3", 2, "floor((n + 1)/2) - 2"),
            ("floor(n/2)", 2, "floor(n/4)"),
            ("floor((n + 1)/2) + 1", 3, "floor((n + 3)/6)"),
            ("n", -2, "-n + floor(n/2)"),
        ] {
            assert_eq!(
                by(text, divisor).to_string(),
                expected,
                "{text} / {divisor}"
            );
        }
        let half = read("n").ceil_div(&Expr::constant(2)).unwrap();
        assert_eq!(half, by("n + 1", 2));
    }

    #[test]
    fn exact_divisions_are_carried_out() {
        let read = Expr::read;
        for (a, b, expected) in [
            ("6*batch*sequence", "3*batch", "2*sequence"),
            ("a*a + 2*a*b + b*b", "a + b", "a + b"),
            ("batch*sequence", "heads", "floor(batch*sequence/heads)"),
            ("n + 1", "n", "floor((n + 1)/n)"),
        ] {
            let found = read(a).floor_div(&read(b)).unwrap().to_string();
            assert_eq!(found, expected, "{a} / {b}");
        }
        let up = read("n").ceil_div(&read("m")).unwrap();
        assert_eq!(up.to_string(), "ceil(n/m)");
        assert_eq!(read("n").floor_div(&Expr::constant(0)), None);
    }
}

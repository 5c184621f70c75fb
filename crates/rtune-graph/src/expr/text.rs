//! The text of expressions, both ways.

use super::{Atom, Expr, Monomial};
use std::fmt;

/// Longer texts are names.
const MAX_LENGTH: usize = 512;
/// Deeper nesting makes a text a name.
const MAX_DEPTH: usize = 16;

impl Expr {
    /// Reads the text of a symbolic dimension.
    ///
    /// A text that is exactly what an expression prints, such as `batch*sequence`, is that
    /// expression. Any other text is one name, whatever its characters are, so that the text of
    /// the result is always `text`.
    pub fn read(text: &str) -> Self {
        if is_identifier(text) {
            return Self::symbol(text);
        }
        let parsed = (text.len() <= MAX_LENGTH)
            .then(|| Parser::new(text).whole())
            .flatten();
        match parsed {
            Some(expr) if expr.as_constant().is_none() && expr.to_string() == text => expr,
            _ => Self::symbol(text),
        }
    }
}

fn is_identifier(name: &str) -> bool {
    let starts = |c: char| c.is_alphabetic() || c == '_';
    name.starts_with(starts) && name.chars().all(is_identifier_char)
}

fn is_identifier_char(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '.')
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A name that stands alone is written as it is, unless it reads as an expression.
        if let Some(Atom::Symbol(name)) = self.as_atom()
            && (is_identifier(name)
                || matches!(Self::read(name).as_atom(), Some(Atom::Symbol(n)) if n == name))
        {
            return f.write_str(name);
        }
        let symbolic = self.terms.iter().filter(|(m, _)| !m.is_empty());
        let constant = self.terms.iter().filter(|(m, _)| m.is_empty());
        let mut first = true;
        for (monomial, n) in symbolic.chain(constant) {
            match (first, *n < 0) {
                (true, true) => f.write_str("-")?,
                (true, false) => {}
                (false, true) => f.write_str(" - ")?,
                (false, false) => f.write_str(" + ")?,
            }
            first = false;
            write_term(f, monomial, n.unsigned_abs())?;
        }
        if first {
            f.write_str("0")?;
        }
        Ok(())
    }
}

fn write_term(f: &mut fmt::Formatter<'_>, monomial: &Monomial, n: u64) -> fmt::Result {
    if n != 1 || monomial.is_empty() {
        write!(f, "{n}")?;
    }
    for (index, atom) in monomial.iter().enumerate() {
        if index > 0 || n != 1 {
            f.write_str("*")?;
        }
        write!(f, "{atom}")?;
    }
    Ok(())
}

impl fmt::Display for Atom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, parts) = match self {
            Self::Symbol(name) if is_identifier(name) => return f.write_str(name),
            Self::Symbol(name) => return write!(f, "`{}`", name.replace('`', "``")),
            Self::Floor(a, b) => return write!(f, "floor({}/{})", Operand(a), Operand(b)),
            Self::Ceil(a, b) => return write!(f, "ceil({}/{})", Operand(a), Operand(b)),
            Self::Min(parts) => ("min", parts),
            Self::Max(parts) => ("max", parts),
            Self::Broadcast(parts) => ("broadcast", parts),
        };
        write!(f, "{name}(")?;
        for (index, part) in parts.iter().enumerate() {
            write!(f, "{}{}", if index > 0 { ", " } else { "" }, Inner(part))?;
        }
        f.write_str(")")
    }
}

/// An expression inside another one: a name that is no identifier is quoted.
struct Inner<'a>(&'a Expr);

impl fmt::Display for Inner<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_atom() {
            Some(atom) => atom.fmt(f),
            None => self.0.fmt(f),
        }
    }
}

/// A side of a fraction: sums are in parentheses.
struct Operand<'a>(&'a Expr);

impl fmt::Display for Operand<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.terms.as_slice() {
            [(_, n)] if *n > 0 => Inner(self.0).fmt(f),
            _ => write!(f, "({})", self.0),
        }
    }
}

struct Parser<'a> {
    rest: &'a str,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn new(rest: &'a str) -> Self {
        Self { rest, depth: 0 }
    }

    fn whole(mut self) -> Option<Expr> {
        let expr = self.sum()?;
        self.rest.is_empty().then_some(expr)
    }

    fn eat(&mut self, token: &str) -> bool {
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, token: &str) -> Option<()> {
        self.eat(token).then_some(())
    }

    fn sum(&mut self) -> Option<Expr> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return None;
        }
        let mut sum = match self.eat("-") {
            true => Expr::constant(0).sub(&self.product()?)?,
            false => self.product()?,
        };
        loop {
            if self.eat(" + ") {
                sum = sum.add(&self.product()?)?;
            } else if self.eat(" - ") {
                sum = sum.sub(&self.product()?)?;
            } else {
                self.depth -= 1;
                return Some(sum);
            }
        }
    }

    fn product(&mut self) -> Option<Expr> {
        let mut product = self.factor()?;
        while self.eat("*") {
            product = product.mul(&self.factor()?)?;
        }
        Some(product)
    }

    fn factor(&mut self) -> Option<Expr> {
        if self.rest.starts_with('`') {
            return self.quoted();
        }
        let end = self.rest.find(|c| !is_identifier_char(c));
        let (word, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        if self.eat("(") {
            return self.call(word);
        }
        if is_identifier(word) {
            return Some(Expr::symbol(word));
        }
        word.parse().ok().map(Expr::constant)
    }

    fn quoted(&mut self) -> Option<Expr> {
        self.expect("`")?;
        let mut name = String::new();
        loop {
            let end = self.rest.find('`')?;
            name.push_str(&self.rest[..end]);
            self.rest = &self.rest[end + 1..];
            match self.eat("`") {
                true => name.push('`'),
                false => return Some(Expr::symbol(name)),
            }
        }
    }

    /// The rest of a function's call, behind its opening parenthesis.
    fn call(&mut self, function: &str) -> Option<Expr> {
        let divide = match function {
            "floor" => Expr::floor_div,
            "ceil" => Expr::ceil_div,
            _ => return self.list(function),
        };
        let numerator = self.operand()?;
        self.expect("/")?;
        let quotient = divide(&numerator, &self.operand()?);
        self.expect(")")?;
        quotient
    }

    fn list(&mut self, function: &str) -> Option<Expr> {
        let join = match function {
            "min" => Expr::minimum,
            "max" => Expr::maximum,
            "broadcast" => Expr::broadcast,
            _ => return None,
        };
        let mut all = self.sum()?;
        while self.eat(", ") {
            all = join(&all, &self.sum()?)?;
        }
        self.expect(")")?;
        Some(all)
    }

    fn operand(&mut self) -> Option<Expr> {
        if !self.eat("(") {
            return self.product();
        }
        let sum = self.sum()?;
        self.expect(")")?;
        Some(sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_read_only_in_their_own_words() {
        let product = Expr::symbol("batch").mul(&Expr::symbol("sequence"));
        assert_eq!(Some(Expr::read("batch*sequence")), product);
        for name in [
            "sequence*batch",
            "seq len",
            "12",
            "a +b",
            "floor(n/1)",
            "",
            "?",
            "`x`",
        ] {
            assert_eq!(Expr::read(name), Expr::symbol(name), "{name}");
        }
    }

    #[test]
    fn names_are_quoted_inside_expressions() {
        let odd = Expr::symbol("seq len");
        let text = |e: Option<Expr>| e.unwrap().to_string();
        assert_eq!(odd.to_string(), "seq len");
        assert_eq!(text(odd.mul(&Expr::constant(2))), "2*`seq len`");
        assert_eq!(text(odd.minimum(&Expr::constant(2))), "min(2, `seq len`)");
        assert_eq!(Expr::symbol("a*b").to_string(), "`a*b`");
        assert_eq!(Expr::read("`a*b`"), Expr::symbol("a*b"));
    }

    #[test]
    fn deep_nesting_is_a_name() {
        let text = format!("{}n{}", "floor(".repeat(100), "/2)".repeat(100));
        assert_eq!(Expr::read(&text), Expr::symbol(text.as_str()));
    }
}

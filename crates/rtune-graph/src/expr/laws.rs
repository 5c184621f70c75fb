//! Laws of the algebra, on random expressions.

use super::{Atom, Expr};
use proptest::prelude::*;

/// An expression over `x` and `y`, and the function that it stands for.
#[derive(Debug, Clone)]
enum Tree {
    Constant(i64),
    X,
    Y,
    Node(u8, Box<Tree>, Box<Tree>),
}

fn tree() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![
        (0_i64..9).prop_map(Tree::Constant),
        Just(Tree::X),
        Just(Tree::Y)
    ];
    leaf.prop_recursive(4, 24, 2, |inner| {
        (0_u8..7, inner.clone(), inner)
            .prop_map(|(op, a, b)| Tree::Node(op, Box::new(a), Box::new(b)))
    })
}

impl Tree {
    fn build(&self) -> Option<Expr> {
        match self {
            Self::Constant(n) => Some(Expr::constant(*n)),
            Self::X => Some(Expr::symbol("x")),
            Self::Y => Some(Expr::symbol("y")),
            Self::Node(op, a, b) => {
                let (a, b) = (a.build()?, b.build()?);
                match op {
                    0 => a.add(&b),
                    1 => a.sub(&b),
                    2 => a.mul(&b),
                    3 => a.minimum(&b),
                    4 => a.maximum(&b),
                    5 => a.floor_div(&b),
                    _ => a.ceil_div(&b),
                }
            }
        }
    }

    fn evaluate(&self, x: i64, y: i64) -> Option<i64> {
        Some(match self {
            Self::Constant(n) => *n,
            Self::X => x,
            Self::Y => y,
            Self::Node(op, a, b) => {
                let (a, b) = (a.evaluate(x, y)?, b.evaluate(x, y)?);
                match op {
                    0 => a.checked_add(b)?,
                    1 => a.checked_sub(b)?,
                    2 => a.checked_mul(b)?,
                    3 => a.min(b),
                    4 => a.max(b),
                    5 => super::divide::floor(a, b)?,
                    _ => super::divide::ceil(a, b)?,
                }
            }
        })
    }
}

impl Expr {
    fn evaluate(&self, x: i64, y: i64) -> Option<i64> {
        let mut sum = 0_i64;
        for (monomial, n) in &self.terms {
            let mut product = *n;
            for atom in monomial {
                let all = |parts: &[Expr]| -> Option<Vec<i64>> {
                    parts.iter().map(|p| p.evaluate(x, y)).collect()
                };
                let factor = match atom {
                    Atom::Symbol(name) => match name.as_str() {
                        "x" => x,
                        _ => y,
                    },
                    Atom::Floor(a, b) => {
                        super::divide::floor(a.evaluate(x, y)?, b.evaluate(x, y)?)?
                    }
                    Atom::Ceil(a, b) => super::divide::ceil(a.evaluate(x, y)?, b.evaluate(x, y)?)?,
                    Atom::Min(parts) => all(parts)?.into_iter().min()?,
                    Atom::Max(parts) => all(parts)?.into_iter().max()?,
                    Atom::Broadcast(_) => return None,
                };
                product = product.checked_mul(factor)?;
            }
            sum = sum.checked_add(product)?;
        }
        Some(sum)
    }
}

proptest! {
    /// The normal form has the value of the formula that it was built from.
    #[test]
    fn normal_forms_keep_the_value(tree in tree(), x in 0_i64..50, y in 0_i64..50) {
        if let (Some(expr), Some(expected)) = (tree.build(), tree.evaluate(x, y)) {
            prop_assert_eq!(expr.evaluate(x, y), Some(expected), "{}", expr);
        }
    }

    #[test]
    fn text_comes_back(tree in tree()) {
        if let Some(expr) = tree.build().filter(|e| e.as_constant().is_none()) {
            prop_assert_eq!(Expr::read(&expr.to_string()), expr);
        }
    }

    /// Any text is kept as it is: it is an expression in its own words, or one name.
    #[test]
    fn foreign_names_are_kept(text in "[a-c0-9 *+`()/,_.-]{1,12}") {
        prop_assert_eq!(Expr::read(&text).to_string(), text);
    }

    #[test]
    fn foreign_names_come_back_inside_expressions(text in ".{1,8}") {
        let name = Expr::read(&text);
        let product = name.mul(&Expr::symbol("n")).and_then(|e| e.add(&Expr::constant(1)));
        let product = product.unwrap();
        prop_assert_eq!(Expr::read(&product.to_string()), product);
    }
}

use crate::case::{Shapes, cases, size};
use rand_chacha::ChaCha8Rng;
use rtune_nn::{Constant, Positions, Var};

/// A table, one row for each position.
fn table(r: &mut ChaCha8Rng) -> Shapes {
    Shapes::tokens([]).params([&[8, size(r)]])
}

/// A tensor `[.., 3, 4]`.
fn rows(r: &mut ChaCha8Rng) -> Shapes {
    Shapes::values([&[size(r), size(r), 3, 4]])
}

cases! {
    embedding: table, |ops, x, p, s| {
        let ids = ops.position_ids(Positions::FromZero, s)?;
        Ok(Var::new(ops, ops.embedding(&ids, &p[0])?))
    };
    gather: table, |ops, x, p, s| {
        let ids = Var::new(ops, ops.position_ids(Positions::FromZero, s)?);
        ids.param(&p[0])?.gather(&ids)
    };
    gather_last: rows, |x, p, s| {
        let ids = Constant::int("ids", &[3, 2], vec![3, 0, 1, 1, 2, 0])?;
        x[0].gather_last(&x[0].constant(&ids)?)
    };
}

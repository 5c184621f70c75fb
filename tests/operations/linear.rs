use crate::case::{Shapes, cases, size};
use rand_chacha::ChaCha8Rng;

/// Rows, a weight and a bias.
fn rows(r: &mut ChaCha8Rng) -> Shapes {
    let (inputs, outputs) = (size(r), size(r));
    Shapes::values([&[size(r), inputs]]).params([&[outputs, inputs], &[outputs]])
}

/// Rows of two axes, a weight and a bias.
fn cube(r: &mut ChaCha8Rng) -> Shapes {
    let (inputs, outputs) = (size(r), size(r));
    Shapes::values([&[size(r), size(r), inputs]]).params([&[outputs, inputs], &[outputs]])
}

/// Rows and a weight.
fn no_bias(r: &mut ChaCha8Rng) -> Shapes {
    let (inputs, outputs) = (size(r), size(r));
    Shapes::values([&[size(r), inputs]]).params([&[outputs, inputs]])
}

fn matrices(r: &mut ChaCha8Rng) -> Shapes {
    let (b, m, k, n) = (size(r), size(r), size(r), size(r));
    Shapes::values([&[b, m, k], &[b, k, n]])
}

fn shared_right(r: &mut ChaCha8Rng) -> Shapes {
    let (b, m, k, n) = (size(r), size(r), size(r), size(r));
    Shapes::values([&[b, m, k], &[k, n]])
}

cases! {
    matmul: matrices, |x, p, s| x[0].matmul(&x[1]);
    matmul_broadcast: shared_right, |x, p, s| x[0].matmul(&x[1]);
    linear: rows, |ops, x, p, s| {
        Ok(x[0].with(ops.linear(x[0].value(), &p[0], Some(&p[1]))?))
    };
    linear_of_rank_3: cube, |ops, x, p, s| {
        Ok(x[0].with(ops.linear(x[0].value(), &p[0], Some(&p[1]))?))
    };
    linear_no_bias: no_bias, |ops, x, p, s| {
        Ok(x[0].with(ops.linear(x[0].value(), &p[0], None)?))
    };
}

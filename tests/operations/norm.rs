use crate::case::{Shapes, cases, size};
use rand_chacha::ChaCha8Rng;

fn rows(r: &mut ChaCha8Rng) -> Shapes {
    let width = size(r) + 3;
    Shapes::values([&[size(r), width]]).params([&[width], &[width]])
}

fn no_bias(r: &mut ChaCha8Rng) -> Shapes {
    let width = size(r) + 3;
    Shapes::values([&[size(r), size(r), width]]).params([&[width]])
}

cases! {
    layer_norm: rows, |ops, x, p, s| {
        Ok(x[0].with(ops.layer_norm(x[0].value(), &p[0], Some(&p[1]), 1e-5)?))
    };
    layer_norm_no_bias: no_bias, |ops, x, p, s| {
        Ok(x[0].with(ops.layer_norm(x[0].value(), &p[0], None, 1e-5)?))
    };
    rms_norm: no_bias, |ops, x, p, s| {
        Ok(x[0].with(ops.rms_norm(x[0].value(), &p[0], 1e-5)?))
    };
}

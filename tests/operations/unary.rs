use crate::case::{INNER, Shapes, cases, one};
use rand_chacha::ChaCha8Rng;

fn inner(random: &mut ChaCha8Rng) -> Shapes {
    one(random).within(INNER)
}

cases! {
    abs: inner, |x, p, s| (&x[0] - 1.0)?.abs();
    // With a factor, so that the gradient is not zero everywhere.
    ceil: inner, |x, p, s| x[0].ceil()? * &x[0];
    cos: one, |x, p, s| x[0].cos();
    erf: one, |x, p, s| x[0].erf();
    exp: one, |x, p, s| x[0].exp();
    floor: inner, |x, p, s| x[0].floor()? * &x[0];
    log: inner, |x, p, s| x[0].log();
    neg: one, |x, p, s| x[0].neg();
    recip: inner, |x, p, s| x[0].recip();
    relu: inner, |x, p, s| (&x[0] - 1.0)?.relu();
    sigmoid: one, |x, p, s| x[0].sigmoid();
    sign: inner, |x, p, s| (&x[0] - 1.0)?.sign()? * &x[0];
    sin: one, |x, p, s| x[0].sin();
    sqrt: inner, |x, p, s| x[0].sqrt();
    tanh: one, |x, p, s| x[0].tanh();
    sqr: one, |x, p, s| x[0].sqr();
    affine: one, |x, p, s| x[0].affine(1.5, -0.25);
    add_number: one, |x, p, s| &x[0] + 1.5;
    sub_number: one, |x, p, s| &x[0] - 1.5;
    div_number: one, |x, p, s| &x[0] / 4.0;
    clamp: inner, |x, p, s| x[0].clamp(1.0, 10.0);
}

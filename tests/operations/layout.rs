use crate::case::{Shapes, cases, one, size};
use rand_chacha::ChaCha8Rng;
use rtune_nn::Extent::{Exact, Infer, Keep};
use rtune_nn::Var;

/// A tensor whose axis 1 has an even number of elements.
fn even(r: &mut ChaCha8Rng) -> Shapes {
    Shapes::values([&[size(r), 2 * size(r), size(r)]])
}

/// Two tensors that differ in axis 1 only.
fn joined(r: &mut ChaCha8Rng) -> Shapes {
    let (first, last) = (size(r), size(r));
    Shapes::values([&[first, size(r), last], &[first, size(r), last]])
}

cases! {
    permute: one, |x, p, s| x[0].permute(&[2, 0, 1]);
    transpose: one, |x, p, s| x[0].transpose(0, -1);
    t: one, |x, p, s| x[0].t();
    reshape: even, |x, p, s| x[0].reshape([Keep, Exact(2), Infer]);
    flatten_from: one, |x, p, s| x[0].flatten_from(1);
    unsqueeze_first: one, |x, p, s| x[0].unsqueeze(0);
    unsqueeze_last: one, |x, p, s| x[0].unsqueeze(-1);
    squeeze: one, |x, p, s| x[0].unsqueeze(1)?.squeeze(1);
    narrow: even, |x, p, s| x[0].narrow(1, 1, 1);
    narrow_from_the_end: even, |x, p, s| x[0].narrow(-2, 0, 2);
    cat: joined, |x, p, s| Var::cat(&[&x[0], &x[1], &x[0]], 1);
    cat_last: one, |x, p, s| Var::cat(&[&x[0], &x[0].sqr()?], -1);
}

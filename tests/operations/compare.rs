use crate::case::{INNER, Shapes, cases, pair};
use rand_chacha::ChaCha8Rng;
use rtune_nn::Kind;

fn inner(random: &mut ChaCha8Rng) -> Shapes {
    pair(random).within(INNER)
}

cases! {
    eq: inner, |x, p, s| x[0].floor()?.eq(&x[1].floor()?)?.where_cond(&x[0], &(&x[1] * 3.0)?);
    ne: inner, |x, p, s| x[0].floor()?.ne(&x[1].floor()?)?.where_cond(&x[0], &(&x[1] * 3.0)?);
    lt: inner, |x, p, s| x[0].lt(&x[1])?.where_cond(&x[0], &(&x[1] * 3.0)?);
    le: inner, |x, p, s| x[0].floor()?.le(&x[1].floor()?)?.where_cond(&x[0], &(&x[1] * 3.0)?);
    gt: inner, |x, p, s| x[0].gt(&x[1])?.where_cond(&x[0], &(&x[1] * 3.0)?);
    ge: inner, |x, p, s| x[0].floor()?.ge(&x[1].floor()?)?.where_cond(&x[0], &(&x[1] * 3.0)?);
    cast: inner, |x, p, s| (&x[0] + &x[1])? * x[0].cast(Kind::Int)?.cast(Kind::Float)?;
    cast_bool: inner, |x, p, s| {
        x[0].floor()?.cast(Kind::Bool)?.cast(Kind::Float)? * (&x[0] + &x[1])?
    };
}

use crate::case::{INNER, cases, pair};
use rand_chacha::ChaCha8Rng;

cases! {
    add: pair, |x, p, s| &x[0] + &x[1];
    sub: pair, |x, p, s| &x[0] - &x[1];
    mul: pair, |x, p, s| &x[0] * &x[1];
    div: |r: &mut ChaCha8Rng| pair(r).within(INNER), |x, p, s| &x[0] / &x[1];
    maximum: pair, |x, p, s| x[0].maximum(&x[1]);
    minimum: pair, |x, p, s| x[0].minimum(&x[1]);
}

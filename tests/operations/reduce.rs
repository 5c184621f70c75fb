use crate::case::{cases, one};

cases! {
    sum_keepdim: one, |x, p, s| x[0].sum_keepdim(-1);
    sum: one, |x, p, s| x[0].sum(0);
    mean_keepdim: one, |x, p, s| x[0].mean_keepdim(-1);
    mean: one, |x, p, s| x[0].mean(1);
    max_keepdim: one, |x, p, s| x[0].max_keepdim(-1);
    max: one, |x, p, s| x[0].max(-2);
    min_keepdim: one, |x, p, s| x[0].min_keepdim(0);
    min: one, |x, p, s| x[0].min(2);
}

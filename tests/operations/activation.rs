use crate::case::{cases, one};

cases! {
    gelu_erf: one, |x, p, s| x[0].gelu_erf();
    gelu: one, |x, p, s| x[0].gelu();
    silu: one, |x, p, s| x[0].silu();
    softmax: one, |x, p, s| x[0].softmax();
    dropout_outside_training: one, |x, p, s| x[0].dropout(0.5);
}

use crate::case::{cases, one};
use rtune_nn::Activation;

cases! {
    gelu_erf: one, |x, p, s| x[0].gelu_erf();
    gelu: one, |x, p, s| x[0].gelu();
    silu: one, |x, p, s| x[0].silu();
    quick_gelu: one, |x, p, s| Activation::QuickGelu.forward(&x[0]);
    squared_relu: one, |x, p, s| Activation::SquaredRelu.forward(&x[0]);
    softmax: one, |x, p, s| x[0].softmax();
    dropout_outside_training: one, |x, p, s| x[0].dropout(0.5);
}

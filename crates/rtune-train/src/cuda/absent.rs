//! A build without CUDA: there is no device, and no tensor is on one.

use super::Products;
use crate::Array;
use crate::optimizer::Update;
use candle_core::{Device, Tensor};
use rtune_kernels::cpu;
use rtune_nn::Result;

pub(crate) fn open(_: usize, _: Products) -> std::result::Result<Device, String> {
    Err("this build has no CUDA".to_owned())
}

pub(crate) fn has_kernels(_: &Tensor) -> bool {
    false
}

macro_rules! absent {
    ($($name:ident($($argument:ty),+) -> $output:ty;)+) => {$(
        pub(crate) fn $name($(_: $argument),+) -> Result<Option<$output>> {
            Ok(None)
        }
    )+};
}

absent! {
    adamw(&[Update<'_>]) -> ();
    add_row(&Tensor, &Tensor) -> ();
    attention_weights(&Tensor, &Tensor, f64, Option<&cpu::Dropout>) -> [Tensor; 2];
    attention_weights_backward(&Tensor, &Tensor, f64, Option<&cpu::Dropout>) -> Tensor;
    column_sum(&Tensor) -> Tensor;
    dropout(&Tensor, &cpu::Dropout) -> Tensor;
    embedding_backward(usize, &Tensor, &Tensor) -> Tensor;
    gelu_backward(&Tensor, &Tensor) -> Tensor;
    layer_norm_backward(&Tensor, &Tensor, &Tensor, f64) -> [Tensor; 3];
    softmax_backward(&Tensor, &Tensor) -> Tensor;
    square_sums(&[&Array]) -> Vec<f64>;
    swap_axes(&Tensor) -> Tensor;
}

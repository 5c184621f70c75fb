//! Kernels for the CPU: slices in, slices out.

mod attention;
mod dropout;
mod elementwise;
mod embedding;
mod gemm;
mod norm;
mod optimizer;
mod pool;
mod pooling;
mod reduce;
mod simd;
mod softmax;

pub use attention::{Attention, attention, attention_backward};
pub use dropout::{Dropout, dropout, dropout_assign};
pub use elementwise::{
    add, add_assign, add_row, fill_rows, gelu, gelu_backward, gelu_backward_assign, mul, scale,
    sub, tanh, tanh_backward,
};
pub use embedding::{embedding, embedding_backward};
pub use gemm::{Matrix, MatrixMut, matmul, matmul_add};
pub use norm::{NormGradients, layer_norm, layer_norm_backward};
pub use optimizer::{AdamW, adamw, all_finite, square_sum};
pub use pool::in_pool;
pub use pooling::{first_pool, first_pool_backward, mean_pool, mean_pool_backward};
pub use reduce::{column_sum, column_sum_add};
pub use softmax::{softmax, softmax_backward};

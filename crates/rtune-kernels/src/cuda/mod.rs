//! Kernels for CUDA, as source that the owner of the device compiles.

/// The source of all kernels; each is a function of this name: `adamw`, `add_row`,
/// `attention_weights`, `attention_weights_backward`, `column_sum`, `dropout`,
/// `embedding_backward`, `gelu_backward`, `layer_norm_backward`, `softmax_backward`, `square_sum`,
/// `swap_axes`.
pub const SOURCE: &str = include_str!("kernels.cu");

/// The threads of a block.
pub const THREADS: usize = 256;

/// The columns that a block of `column_sum` covers.
pub const COLUMNS: usize = 32;

/// The threads that share a row in `attention_weights`, `layer_norm_backward`, `softmax_backward`
/// and `swap_axes`.
pub const LANES: usize = 32;

//! Layers that encoders and heads are built of.

mod activation;
mod embedding;
mod layer_norm;
mod linear;

pub use activation::Activation;
pub use embedding::Embedding;
pub use layer_norm::LayerNorm;
pub use linear::Linear;

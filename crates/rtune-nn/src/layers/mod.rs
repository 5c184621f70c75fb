//! Layers of which encoders and heads are built, with candle's constructors.

mod activation;
mod embedding;
mod layer_norm;
mod linear;

pub use activation::Activation;
pub use embedding::{Embedding, embedding};
pub use layer_norm::{LayerNorm, layer_norm};
pub use linear::{Linear, linear, linear_b, linear_no_bias};

//! Layers of which encoders and heads are built, with candle's constructors.

mod activation;
mod attention;
mod embedding;
mod feed_forward;
mod gated_feed_forward;
mod layer_norm;
mod linear;
mod norm;
mod rms_norm;

pub use activation::Activation;
pub use attention::{Projections, SelfAttention};
pub use embedding::{Embedding, embedding};
pub use feed_forward::FeedForward;
pub use gated_feed_forward::{GateOrder, GatedFeedForward};
pub use layer_norm::{LayerNorm, layer_norm, layer_norm_no_bias};
pub use linear::{Linear, linear, linear_b, linear_no_bias};
pub use norm::{Norm, NormKind};
pub use rms_norm::{RmsNorm, rms_norm};

#[cfg(test)]
mod test_support {
    use crate::{Eager, Result, Var};
    use candle_core::{Device, Tensor};
    use candle_nn::VarBuilder;
    use std::collections::HashMap;

    /// A builder over the given tensors.
    pub(crate) fn weights(tensors: &[(&str, Tensor)]) -> VarBuilder<'static> {
        let named = tensors
            .iter()
            .map(|(name, tensor)| ((*name).to_owned(), tensor.clone()));
        let tensors: HashMap<String, Tensor> = named.collect();
        VarBuilder::from_tensors(tensors, candle_core::DType::F32, &Device::Cpu)
    }

    pub(crate) fn rows<const N: usize, const M: usize>(values: &[[f32; N]; M]) -> Result<Tensor> {
        Ok(Tensor::new(values, &Device::Cpu)?)
    }

    pub(crate) fn vector(values: &[f32]) -> Result<Tensor> {
        Ok(Tensor::new(values, &Device::Cpu)?)
    }

    /// The elements of a result, and an assertion that they are close to the expected ones.
    pub(crate) fn assert_close(found: &Var<'_, Eager>, expected: &[f32]) -> Result<()> {
        let found = found.value().flatten_all()?.to_vec1::<f32>()?;
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            let difference = (found - expected).abs();
            assert!(difference < 1e-5, "expected {expected}, found {found}");
        }
        Ok(())
    }
}

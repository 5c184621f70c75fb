use crate::heads::linear_head;
use crate::{
    Activation, Linear, NnError, Norm, NormKind, Ops, ParamGroup, Parameters as _, Result,
    SequenceOps, Var, WeightLoader, parameters,
};

/// The head of a family's sequence classification in Hugging Face's transformers: a pooler, and one
/// linear layer over its vectors.
#[derive(Debug, Clone, PartialEq)]
pub struct FamilyHead {
    /// The reduction of token vectors.
    pub reduction: Reduction,
    /// The rate of dropout before the dense layer.
    pub dropout: f64,
    /// The name of the dense layer.
    pub dense: &'static str,
    /// True if the dense layer has a bias.
    pub has_bias: bool,
    /// The activation after the dense layer.
    pub activation: Activation,
    /// The normalization after the activation, if there is one.
    pub norm: Option<HeadNorm>,
    /// The name of the last layer.
    pub output: &'static str,
    /// The number that the dense layer has among the encoder's layers, if it is a part of the
    /// encoder: its names then have the encoder's prefix.
    pub layer: Option<usize>,
}

/// The place of the reduction of token vectors to one vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reduction {
    /// The first token's vector, before the dense layer.
    First,
    /// The mean over the tokens, before the dense layer.
    Mean,
    /// The mean over the tokens, after the dense layer, its activation and normalization.
    Late,
}

/// The reduction with a name in `config.json`, whose key is `key`.
pub(crate) fn reduction(key: &str, name: &str, known: &[(&str, Reduction)]) -> Result<Reduction> {
    let found = known.iter().find(|(known, _)| *known == name);
    found.map(|(_, reduction)| *reduction).ok_or_else(|| {
        let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
        NnError::config(
            format!("{key} in config.json"),
            format!(
                "`{name}` is not supported; supported are {}",
                names.join(", ")
            ),
        )
    })
}

/// The normalization of a head.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HeadNorm {
    /// The name.
    pub name: &'static str,
    /// The kind.
    pub kind: NormKind,
    /// The number added to the variance.
    pub epsilon: f64,
}

impl FamilyHead {
    /// BERT's: the encoder's pooler over the first token, with the hyperbolic tangent. `layers` is
    /// the number of layers below.
    pub(crate) fn bert(layers: usize) -> Self {
        Self {
            reduction: Reduction::First,
            dropout: 0.0,
            dense: "pooler.dense",
            has_bias: true,
            activation: Activation::Tanh,
            norm: None,
            output: "classifier",
            layer: Some(layers),
        }
    }

    /// RoBERTa's: two layers of its own over the first token, each after dropout of this rate.
    pub(crate) fn roberta(dropout: f64) -> Self {
        Self {
            dropout,
            dense: "classifier.dense",
            output: "classifier.out_proj",
            layer: None,
            ..Self::bert(0)
        }
    }
}

/// The part of a model between the vectors of tokens and the one vector that the last layer reads:
/// a reduction and, in a family's head, a dense layer.
#[derive(Debug, Clone)]
pub struct Pooler {
    reduction: Reduction,
    layers: Option<Layers>,
}

parameters!(Pooler: layers);

/// The layers of a pooler.
#[derive(Debug, Clone)]
struct Layers {
    dropout: f64,
    dense: Linear,
    activation: Activation,
    norm: Option<Norm>,
}

parameters!(Layers: dense, norm);

impl Pooler {
    /// A pooler without layers.
    pub fn new(reduction: Reduction) -> Self {
        Self {
            reduction,
            layers: None,
        }
    }

    /// The pooler of a family's head over vectors of this width. Parameters that the checkpoint
    /// lacks get initial values, and so do those outside of the encoder if `is_new`.
    ///
    /// # Errors
    /// If a parameter cannot be loaded.
    pub fn load(
        head: &FamilyHead,
        width: usize,
        loader: &WeightLoader,
        is_new: bool,
    ) -> Result<Self> {
        let vb = match is_new && head.layer.is_none() {
            true => loader.fresh(),
            false => loader.initialized(),
        };
        let dense = linear_head(width, width, head.has_bias, &vb.pp(head.dense))?;
        let norm = |norm: HeadNorm| norm.kind.load(width, norm.epsilon, vb.pp(norm.name));
        let layers = Layers {
            dropout: head.dropout,
            dense,
            activation: head.activation,
            norm: head.norm.map(norm).transpose()?,
        };
        let group = head.layer.map_or(ParamGroup::Head, ParamGroup::Layer);
        Ok(Self {
            reduction: head.reduction,
            layers: Some(layers.with_group(group)),
        })
    }

    /// Computes the vector of each sequence.
    ///
    /// # Shapes
    /// hidden `[tokens.., width]` → `[batch, width]`
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub fn forward<'a, O: SequenceOps>(
        &self,
        hidden: &Var<'a, O>,
        sequences: &O::Sequences,
    ) -> Result<Var<'a, O>> {
        match (self.reduction, &self.layers) {
            (Reduction::Late, Some(layers)) => layers.forward(hidden)?.mean_pool(sequences),
            (Reduction::First, layers) => above(layers, hidden.first_pool(sequences)?),
            (_, layers) => above(layers, hidden.mean_pool(sequences)?),
        }
    }
}

/// Applies the layers to pooled vectors, if there are any.
fn above<'a, O: Ops>(layers: &Option<Layers>, pooled: Var<'a, O>) -> Result<Var<'a, O>> {
    match layers {
        Some(layers) => layers.forward(&pooled),
        None => Ok(pooled),
    }
}

impl Layers {
    fn forward<'a, O: Ops>(&self, xs: &Var<'a, O>) -> Result<Var<'a, O>> {
        let dense = self.dense.forward(&xs.dropout(self.dropout)?)?;
        let active = self.activation.forward(&dense)?;
        match &self.norm {
            Some(norm) => norm.forward(&active),
            None => Ok(active),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Eager, Param, StateDict, TokenSequences};
    use candle_core::{Device, Tensor};
    use std::collections::BTreeMap;

    fn head(reduction: Reduction) -> FamilyHead {
        FamilyHead {
            reduction,
            activation: Activation::Relu,
            ..FamilyHead::roberta(0.0)
        }
    }

    fn loader(weights: &[(&str, Tensor)]) -> WeightLoader {
        let tensors = weights
            .iter()
            .map(|(name, tensor)| ((*name).to_owned(), tensor.clone()));
        let tensors: BTreeMap<String, Tensor> = tensors.collect();
        WeightLoader::new(StateDict::from(tensors), 1, &Device::Cpu)
    }

    #[test]
    fn the_place_of_the_reduction_decides_the_vector() -> Result<()> {
        let device = &Device::Cpu;
        let weights = loader(&[
            (
                "classifier.dense.weight",
                Tensor::new(&[[1_f32, 0.0], [0.0, 1.0]], device)?,
            ),
            ("classifier.dense.bias", Tensor::new(&[0_f32, 1.0], device)?),
        ]);
        // The last token is padding.
        let hidden = Tensor::new(&[[[-1_f32, 1.0], [5.0, 2.0], [9.0, 9.0]]], device)?;
        let sequences = TokenSequences::padded(&[1, 1, 0], 1, 3, device)?;
        let ops = Eager::new();
        for (reduction, expected) in [
            (Reduction::First, [0.0, 2.0]),
            (Reduction::Mean, [2.0, 2.5]),
            (Reduction::Late, [2.5, 2.5]),
        ] {
            let pooler = Pooler::load(&head(reduction), 2, &weights, false)?;
            let pooled = pooler.forward(&Var::new(&ops, hidden.clone()), &sequences)?;
            assert_eq!(
                pooled.value().to_vec2::<f32>()?,
                [expected],
                "{reduction:?}"
            );
        }
        Ok(())
    }

    #[test]
    fn layers_of_the_encoder_stay_and_those_of_the_head_are_new() -> Result<()> {
        let ones = Tensor::ones((2, 2), candle_core::DType::F32, &Device::Cpu)?;
        let bias = Tensor::ones(2, candle_core::DType::F32, &Device::Cpu)?;
        let (own, encoders) = (head(Reduction::First), FamilyHead::bert(3));
        for (head, is_new, is_kept, group) in [
            (&own, false, true, ParamGroup::Head),
            (&own, true, false, ParamGroup::Head),
            (&encoders, false, true, ParamGroup::Layer(3)),
            (&encoders, true, true, ParamGroup::Layer(3)),
        ] {
            let weights = loader(&[
                (&format!("{}.weight", head.dense), ones.clone()),
                (&format!("{}.bias", head.dense), bias.clone()),
            ]);
            let pooler = Pooler::load(head, 2, &weights, is_new)?;
            let params = pooler.params();
            assert!(params.iter().all(|param| param.group() == group));
            let first =
                |param: &Param| Ok::<_, crate::NnError>(param.value().to_vec2::<f32>()?[0][0]);
            assert_eq!(first(params[0])? == 1.0, is_kept, "{head:?} {is_new}");
        }
        Ok(())
    }
}

//! Pretrained encoders, one file each.

mod bert;

pub use bert::{Bert, BertConfig};

use crate::{Inputs, ModelConfig, NnError, Ops, Param, Parameters as _, Result, SequenceOps, Var};
use candle_nn::VarBuilder;

/// An encoder of one of the supported families.
#[derive(Debug, Clone)]
pub enum Encoder {
    /// BERT and models of its shape, MiniLM among them.
    Bert(Bert),
}

impl Encoder {
    /// The encoder that `config` describes, over the weights of a checkpoint.
    pub(crate) fn load(config: &ModelConfig, vb: &VarBuilder<'_>, pooler: bool) -> Result<Self> {
        match config.model_type() {
            "bert" => Ok(Self::Bert(Bert::load(&config.parse()?, vb, pooler)?)),
            other => Err(NnError::config(
                "model_type in config.json",
                format!("`{other}` is not supported; supported is bert"),
            )),
        }
    }

    /// The prefix that checkpoints with a head put before the encoder's names.
    pub(crate) fn prefix(model_type: &str) -> &str {
        model_type
    }

    /// The width of a token's vector.
    pub fn width(&self) -> usize {
        match self {
            Self::Bert(bert) => bert.width(),
        }
    }

    /// The share of hidden values that dropout sets to zero.
    pub(crate) fn dropout(&self) -> f64 {
        match self {
            Self::Bert(bert) => bert.dropout(),
        }
    }

    /// # Shapes
    /// ids `[tokens..]` → `[tokens.., width]`
    ///
    /// # Errors
    /// Where the shapes do not fit.
    pub fn forward<'a, O: SequenceOps>(&self, inputs: &Inputs<'a, O>) -> Result<Var<'a, O>> {
        match self {
            Self::Bert(bert) => bert.forward(inputs),
        }
    }

    /// The first token's vector through the pooler.
    ///
    /// # Shapes
    /// first `[batch, width]` → the same
    ///
    /// # Errors
    /// Where the encoder was loaded without its pooler.
    pub fn pool<'a, O: Ops>(&self, first: &Var<'a, O>) -> Result<Var<'a, O>> {
        match self {
            Self::Bert(bert) => bert.pool(first),
        }
    }

    pub(crate) fn params(&self) -> Vec<&Param> {
        match self {
            Self::Bert(bert) => bert.params(),
        }
    }
}

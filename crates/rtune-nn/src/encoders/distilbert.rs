use crate::encoders::absolute::{AbsoluteConfig, AbsoluteEncoder, AbsoluteNames};
use crate::encoders::bert::{check_heads, default_activation, default_dropout};
use crate::encoders::fields::{check_layers, check_rate};
use crate::encoders::{Block, BlockConfig, BlockNames, BlockOrder, FamilyConfig};
use crate::heads::FamilyHead;
use crate::{Activation, Attention, Positions, Result, TensorNames};
use candle_nn::VarBuilder;
use serde::Deserialize;

/// The epsilon of all normalizations; `config.json` does not state it.
const LAYER_NORM_EPS: f64 = 1e-12;

/// The settings of a DistilBERT encoder (Sanh et al., 2019), with Hugging Face's names and
/// meanings. The encoder is BERT's without token types and pooler.
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "the names and meanings are Hugging Face's")]
pub struct DistilBertConfig {
    pub vocab_size: usize,
    pub dim: usize,
    pub n_layers: usize,
    pub n_heads: usize,
    pub hidden_dim: usize,
    #[serde(default = "default_activation")]
    pub activation: String,
    #[serde(default = "default_dropout")]
    pub dropout: f64,
    #[serde(default = "default_dropout")]
    pub attention_dropout: f64,
    #[serde(default)]
    pub seq_classif_dropout: Option<f64>,
    pub max_position_embeddings: usize,
}

impl DistilBertConfig {
    /// The rate of dropout before the head.
    fn head_dropout(&self) -> f64 {
        self.seq_classif_dropout.unwrap_or(self.dropout)
    }
}

impl FamilyConfig for DistilBertConfig {
    type Encoder = AbsoluteEncoder;

    const FIELDS: &'static [&'static str] = &[
        "activation",
        "attention_dropout",
        "dim",
        "dropout",
        "hidden_dim",
        "max_position_embeddings",
        "n_heads",
        "n_layers",
        "seq_classif_dropout",
        "vocab_size",
    ];

    const NAMES: TensorNames = TensorNames {
        prefixes: &["distilbert"],
        anchor: "embeddings.word_embeddings.weight",
    };

    fn check(&self) -> Result<()> {
        check_heads(("n_heads", self.n_heads), ("dim", self.dim))?;
        check_layers("n_layers", self.n_layers)?;
        check_rate("dropout", self.dropout)?;
        Activation::from_name("activation", &self.activation)?;
        check_rate("attention_dropout", self.attention_dropout)?;
        check_rate("seq_classif_dropout", self.head_dropout())
    }

    fn max_length(&self) -> Result<usize> {
        Ok(self.max_position_embeddings)
    }

    fn head(&self) -> Result<FamilyHead> {
        Ok(FamilyHead {
            dense: "pre_classifier",
            activation: Activation::Relu,
            output: "classifier",
            ..FamilyHead::roberta(0.0)
        })
    }

    fn load(&self, vb: &VarBuilder<'_>) -> Result<AbsoluteEncoder> {
        let width = self.dim;
        let config = AbsoluteConfig {
            vocabulary: self.vocab_size,
            positions: self.max_position_embeddings,
            position_rule: Positions::FromZero,
            token_types: 0,
            task_types: 0,
            embedding_width: width,
            width,
            sequence: (0..self.n_layers).collect(),
            heads: self.n_heads,
            epsilon: LAYER_NORM_EPS,
            max_length: self.max_position_embeddings,
            dropout: self.dropout,
            head_dropout: self.head_dropout(),
        };
        let block = BlockConfig {
            width,
            inner: self.hidden_dim,
            attention: Attention {
                dropout: self.attention_dropout,
                ..Attention::new(self.n_heads, width / self.n_heads)
            },
            activation: Activation::from_name("activation", &self.activation)?,
            epsilon: LAYER_NORM_EPS,
            // The reference has no dropout here.
            attention_dropout: 0.0,
            dropout: self.dropout,
        };
        AbsoluteEncoder::load(&config, &AbsoluteNames::BERT, vb, |index| {
            let vb = vb.pp("transformer.layer").pp(index);
            Block::load(BlockOrder::PostNorm, &block, &BlockNames::DISTILBERT, &vb)
        })
    }
}

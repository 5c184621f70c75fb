use crate::encoders::bert::{check_heads, default_activation, default_dropout};
use crate::encoders::fields::{check_layers, check_rate};
use crate::encoders::{
    Block, BlockConfig, BlockNames, BlockOrder, FamilyConfig, Tables, TextEncoder,
};
use crate::{
    Activation, Attention, Embedding, Inputs, LayerNorm, NnError, Ops, ParamGroup, Parameters as _,
    Positions, Result, SequenceOps, TensorNames, Var, embedding, layer_norm, parameters,
};
use candle_nn::VarBuilder;
use rtune_task::TextSignature;
use serde::Deserialize;

/// The epsilon of all normalizations; `config.json` does not state it.
const LAYER_NORM_EPS: f64 = 1e-12;

/// The settings of a DistilBERT encoder, with Hugging Face's names and meanings.
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
    type Encoder = DistilBert;

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

    fn load(&self, vb: &VarBuilder<'_>, pooler: bool) -> Result<DistilBert> {
        if pooler {
            return Err(NnError::config(
                "pooling",
                "`pooler` is not available, because DistilBERT has no pooler; use mean or first",
            ));
        }
        DistilBert::load(self, vb)
    }
}

/// DistilBERT (Sanh et al., 2019): BERT without token types and pooler.
#[derive(Debug, Clone)]
pub struct DistilBert {
    words: Embedding,
    positions: Embedding,
    norm: LayerNorm,
    layers: Vec<Block>,
    tokens: usize,
    width: usize,
    max_length: usize,
    dropout: f64,
    head_dropout: f64,
}

parameters!(DistilBert: words, positions, norm, layers);

impl DistilBert {
    fn load(config: &DistilBertConfig, vb: &VarBuilder<'_>) -> Result<Self> {
        let width = config.dim;
        let table = |rows, name: &str| {
            let table = embedding(rows, width, vb.pp("embeddings").pp(name))?;
            Ok::<_, NnError>(table.with_group(ParamGroup::Embeddings))
        };
        let block = BlockConfig {
            width,
            inner: config.hidden_dim,
            attention: Attention {
                dropout: config.attention_dropout,
                ..Attention::new(config.n_heads, width / config.n_heads)
            },
            activation: Activation::from_name("activation", &config.activation)?,
            epsilon: LAYER_NORM_EPS,
            // The reference has no dropout here.
            attention_dropout: 0.0,
            dropout: config.dropout,
        };
        let layer = |index: usize| {
            let vb = vb.pp("transformer.layer").pp(index);
            let block = Block::load(BlockOrder::PostNorm, &block, &BlockNames::DISTILBERT, &vb)?;
            Ok(block.with_group(ParamGroup::Layer(index)))
        };
        Ok(Self {
            words: table(config.vocab_size, "word_embeddings")?,
            positions: table(config.max_position_embeddings, "position_embeddings")?,
            norm: layer_norm(width, LAYER_NORM_EPS, vb.pp("embeddings.LayerNorm"))?
                .with_group(ParamGroup::Embeddings),
            layers: (0..config.n_layers).map(layer).collect::<Result<_>>()?,
            tokens: config.vocab_size,
            width,
            max_length: config.max_position_embeddings,
            dropout: config.dropout,
            head_dropout: config.head_dropout(),
        })
    }
}

impl TextEncoder for DistilBert {
    fn width(&self) -> usize {
        self.width
    }

    fn max_length(&self) -> usize {
        self.max_length
    }

    fn tables(&self) -> Tables {
        Tables {
            tokens: self.tokens,
            token_types: None,
            padding: None,
        }
    }

    fn head_dropout(&self) -> f64 {
        self.head_dropout
    }

    fn signature(&self) -> TextSignature {
        TextSignature::with_token_types(false)
    }

    fn forward<'a, O: SequenceOps>(&self, inputs: &Inputs<'a, O>) -> Result<Var<'a, O>> {
        let mut hidden = {
            let _scope = inputs.ops().scope("embeddings");
            let words = self.words.forward(&inputs.input_ids)?;
            let positions = inputs.position_ids(Positions::FromZero)?;
            let sum = (words + self.positions.forward(&positions)?)?;
            self.norm.forward(&sum)?.dropout(self.dropout)?
        };
        for layer in &self.layers {
            hidden = layer.forward(&hidden, inputs.sequences)?;
        }
        Ok(hidden)
    }

    fn pool<'a, O: Ops>(&self, _first: &Var<'a, O>) -> Result<Var<'a, O>> {
        Err(NnError::config("pooling", "DistilBERT has no pooler"))
    }
}

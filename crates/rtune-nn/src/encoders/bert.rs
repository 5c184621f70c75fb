use crate::encoders::absolute::{AbsoluteConfig, AbsoluteEncoder, AbsoluteNames};
use crate::encoders::fields::{check_epsilon, check_layers, check_rate};
use crate::encoders::{Block, BlockConfig, BlockNames, BlockOrder, FamilyConfig};
use crate::heads::FamilyHead;
use crate::{Activation, Attention, NnError, Positions, Result, TensorNames};
use candle_nn::VarBuilder;
use serde::Deserialize;

/// The settings of a BERT encoder (Devlin et al., 2018), with Hugging Face's names and meanings.
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "the names and meanings are Hugging Face's")]
pub struct BertConfig {
    pub vocab_size: usize,
    pub hidden_size: usize,
    pub num_hidden_layers: usize,
    pub num_attention_heads: usize,
    pub intermediate_size: usize,
    #[serde(default = "default_activation")]
    pub hidden_act: String,
    #[serde(default = "default_dropout")]
    pub hidden_dropout_prob: f64,
    #[serde(default = "default_dropout")]
    pub attention_probs_dropout_prob: f64,
    pub max_position_embeddings: usize,
    #[serde(default = "default_type_vocab_size")]
    pub type_vocab_size: usize,
    #[serde(default = "default_layer_norm_eps")]
    pub layer_norm_eps: f64,
    #[serde(default)]
    pub position_embedding_type: Option<String>,
    #[serde(default)]
    pub classifier_dropout: Option<f64>,
}

pub(super) fn default_activation() -> String {
    "gelu".to_owned()
}

pub(super) fn default_dropout() -> f64 {
    0.1
}

fn default_type_vocab_size() -> usize {
    2
}

fn default_layer_norm_eps() -> f64 {
    1e-12
}

impl BertConfig {
    /// The rate of dropout before the head.
    pub(super) fn head_dropout(&self) -> f64 {
        self.classifier_dropout.unwrap_or(self.hidden_dropout_prob)
    }

    pub(super) fn block(&self) -> Result<BlockConfig> {
        let heads = self.num_attention_heads;
        Ok(BlockConfig {
            width: self.hidden_size,
            inner: self.intermediate_size,
            attention: Attention {
                dropout: self.attention_probs_dropout_prob,
                ..Attention::new(heads, self.hidden_size / heads)
            },
            activation: Activation::from_name("hidden_act", &self.hidden_act)?,
            epsilon: self.layer_norm_eps,
            attention_dropout: self.hidden_dropout_prob,
            dropout: self.hidden_dropout_prob,
        })
    }
}

impl BertConfig {
    /// The sizes of the encoder, apart from its blocks: those of BERT.
    pub(super) fn encoder(&self) -> AbsoluteConfig {
        AbsoluteConfig {
            vocabulary: self.vocab_size,
            positions: self.max_position_embeddings,
            position_rule: Positions::FromZero,
            token_types: self.type_vocab_size,
            task_types: 0,
            embedding_width: self.hidden_size,
            width: self.hidden_size,
            sequence: (0..self.num_hidden_layers).collect(),
            heads: self.num_attention_heads,
            epsilon: self.layer_norm_eps,
            max_length: self.max_position_embeddings,
            dropout: self.hidden_dropout_prob,
            head_dropout: self.head_dropout(),
        }
    }

    /// An encoder with BERT's blocks.
    pub(super) fn load_as(
        &self,
        config: &AbsoluteConfig,
        names: &AbsoluteNames,
        vb: &VarBuilder<'_>,
    ) -> Result<AbsoluteEncoder> {
        let block = self.block()?;
        AbsoluteEncoder::load(config, names, vb, |index| {
            let vb = vb.pp("encoder.layer").pp(index);
            Block::load(BlockOrder::PostNorm, &block, &BlockNames::BERT, &vb)
        })
    }
}

impl FamilyConfig for BertConfig {
    type Encoder = AbsoluteEncoder;

    const FIELDS: &'static [&'static str] = &[
        "attention_probs_dropout_prob",
        "classifier_dropout",
        "hidden_act",
        "hidden_dropout_prob",
        "hidden_size",
        "intermediate_size",
        "layer_norm_eps",
        "max_position_embeddings",
        "num_attention_heads",
        "num_hidden_layers",
        "position_embedding_type",
        "type_vocab_size",
        "vocab_size",
    ];

    const NAMES: TensorNames = TensorNames {
        prefixes: &["bert"],
        anchor: "embeddings.word_embeddings.weight",
    };

    fn check(&self) -> Result<()> {
        check_heads(
            ("num_attention_heads", self.num_attention_heads),
            ("hidden_size", self.hidden_size),
        )?;
        check_layers("num_hidden_layers", self.num_hidden_layers)?;
        check_rate("hidden_dropout_prob", self.hidden_dropout_prob)?;
        check_rate(
            "attention_probs_dropout_prob",
            self.attention_probs_dropout_prob,
        )?;
        check_rate("classifier_dropout", self.head_dropout())?;
        check_epsilon("layer_norm_eps", self.layer_norm_eps)?;
        Activation::from_name("hidden_act", &self.hidden_act)?;
        check_absolute(self.position_embedding_type.as_deref())
    }

    fn max_length(&self) -> Result<usize> {
        Ok(self.max_position_embeddings)
    }

    fn head(&self) -> Result<FamilyHead> {
        Ok(FamilyHead::bert(self.num_hidden_layers))
    }

    fn load(&self, vb: &VarBuilder<'_>) -> Result<AbsoluteEncoder> {
        self.load_as(&self.encoder(), &AbsoluteNames::BERT, vb)
    }
}

/// Checks that positions are those of a table.
pub(super) fn check_absolute(position_embedding_type: Option<&str>) -> Result<()> {
    match position_embedding_type {
        None | Some("absolute") => Ok(()),
        Some(other) => Err(NnError::config(
            "position_embedding_type in config.json",
            format!("`{other}` is not supported; supported is absolute"),
        )),
    }
}

/// Checks that the number of heads is one that a model can have and divides the width; both with
/// their keys in config.json.
pub(super) fn check_heads(heads: (&str, usize), width: (&str, usize)) -> Result<()> {
    // ALiBi has a number for each head, made before the weights are found not to fit.
    const MOST: usize = 1 << 16;
    if heads.1 > MOST {
        return Err(NnError::config(
            format!("{} in config.json", heads.0),
            format!("is {}, expected at most {MOST}", heads.1),
        ));
    }
    if heads.1 > 0 && width.1.is_multiple_of(heads.1) {
        return Ok(());
    }
    Err(NnError::config(
        format!("{} in config.json", heads.0),
        format!(
            "is {}, which does not divide {} {}",
            heads.1, width.0, width.1
        ),
    ))
}

mod encoder;

pub use encoder::DebertaV2;

use crate::encoders::bert::{check_heads, default_activation, default_dropout};
use crate::encoders::fields::{check_epsilon, check_layers, check_rate};
use crate::encoders::{BlockConfig, FamilyConfig};
use crate::heads::FamilyHead;
use crate::{Activation, Attention, NnError, Result, TensorNames};
use candle_nn::VarBuilder;
use serde::Deserialize;

/// The settings of a DeBERTa-v2 or v3 encoder (He et al., 2021), with Hugging Face's names and
/// meanings.
///
/// Attention has scores between tokens and relative positions, of which distances up to
/// `position_buckets / 2` have a row of the table each and longer ones share rows.
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "the names and meanings are Hugging Face's")]
pub struct DebertaV2Config {
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
    #[serde(default)]
    pub type_vocab_size: usize,
    #[serde(default = "default_epsilon")]
    pub layer_norm_eps: f64,
    #[serde(default)]
    pub relative_attention: bool,
    pub max_relative_positions: Option<i64>,
    pub position_buckets: Option<i64>,
    #[serde(default = "default_biased_input")]
    pub position_biased_input: bool,
    pub pos_att_type: Option<PositionScores>,
    #[serde(default)]
    pub share_att_key: bool,
    pub norm_rel_ebd: Option<String>,
    pub embedding_size: Option<usize>,
    pub attention_head_size: Option<usize>,
    pub conv_kernel_size: Option<i64>,
    pub cls_dropout: Option<f64>,
    #[serde(default)]
    pub pooler_dropout: f64,
    pub pooler_hidden_act: Option<String>,
    pub pooler_hidden_size: Option<usize>,
}

/// The kinds of scores with positions: `"p2c|c2p"`, or a list.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
#[expect(missing_docs, reason = "the two notations of one value")]
pub enum PositionScores {
    Text(String),
    List(Vec<String>),
}

fn default_epsilon() -> f64 {
    1e-7
}

fn default_biased_input() -> bool {
    true
}

/// The greatest number of distances: a table has an element for each.
const MOST_DISTANCES: usize = 1 << 20;

fn wrong(key: &str, problem: impl Into<String>) -> NnError {
    NnError::config(format!("{key} in config.json"), problem)
}

impl DebertaV2Config {
    /// The kinds of scores with positions.
    fn scores(&self) -> Vec<String> {
        let kinds: Vec<String> = match &self.pos_att_type {
            None => vec![],
            Some(PositionScores::Text(text)) => text.split('|').map(str::to_owned).collect(),
            Some(PositionScores::List(list)) => list.clone(),
        };
        let kinds = kinds.iter().map(|kind| kind.trim().to_lowercase());
        kinds.filter(|kind| !kind.is_empty()).collect()
    }

    fn has_scores(&self, kind: &str) -> bool {
        self.scores().iter().any(|found| found == kind)
    }

    /// The distance from which on all share a row of the table.
    fn max_distance(&self) -> usize {
        let stated = self.max_relative_positions.filter(|length| *length > 0);
        stated.map_or(self.max_position_embeddings, |length| length as usize)
    }

    fn buckets(&self) -> Option<usize> {
        let stated = self.position_buckets.filter(|buckets| *buckets > 0);
        stated.map(|buckets| buckets as usize)
    }

    /// Half the number of rows of the table of relative positions.
    fn span(&self) -> usize {
        self.buckets().unwrap_or(self.max_distance())
    }

    fn has_position_norm(&self) -> bool {
        let kinds = self.norm_rel_ebd.as_deref().unwrap_or("none");
        kinds
            .split('|')
            .any(|kind| kind.trim().eq_ignore_ascii_case("layer_norm"))
    }

    fn embedding_size(&self) -> usize {
        self.embedding_size.unwrap_or(self.hidden_size)
    }

    fn head_dropout(&self) -> f64 {
        self.cls_dropout.unwrap_or(self.hidden_dropout_prob)
    }

    fn block(&self) -> Result<BlockConfig> {
        let heads = self.num_attention_heads;
        let head_dim = self.hidden_size / heads;
        let scores = 1 + ["c2p", "p2c"]
            .iter()
            .filter(|kind| self.has_scores(kind))
            .count();
        Ok(BlockConfig {
            width: self.hidden_size,
            inner: self.intermediate_size,
            attention: Attention {
                scale: 1.0 / ((head_dim * scores) as f64).sqrt(),
                dropout: self.attention_probs_dropout_prob,
                ..Attention::new(heads, head_dim)
            },
            activation: Activation::from_name("hidden_act", &self.hidden_act)?,
            epsilon: self.layer_norm_eps,
            attention_dropout: self.hidden_dropout_prob,
            dropout: self.hidden_dropout_prob,
        })
    }

    fn check_variant(&self) -> Result<()> {
        if self.conv_kernel_size.is_some_and(|size| size > 0) {
            return Err(wrong(
                "conv_kernel_size",
                "asks for a convolution after the first layer, as in deberta-v2-xlarge and \
                 -xxlarge, which rtune does not compute; take a model without it, such as \
                 deberta-v3",
            ));
        }
        if let Some(size) = self.attention_head_size
            && size.checked_mul(self.num_attention_heads) != Some(self.hidden_size)
        {
            let problem = format!(
                "is {size}, expected hidden_size / num_attention_heads, which is {}",
                self.hidden_size / self.num_attention_heads
            );
            return Err(wrong("attention_head_size", problem));
        }
        if let Some(kind) = self
            .scores()
            .iter()
            .find(|kind| !["c2p", "p2c"].contains(&&***kind))
        {
            let problem = format!("`{kind}` is not supported; supported are c2p and p2c");
            return Err(wrong("pos_att_type", problem));
        }
        if let Some(size) = self
            .pooler_hidden_size
            .filter(|size| *size != self.hidden_size)
        {
            let problem = format!("is {size}, expected hidden_size {}", self.hidden_size);
            return Err(wrong("pooler_hidden_size", problem));
        }
        if self.relative_attention && self.scores().is_empty() {
            let problem = "names no scores, though relative_attention is true; expected c2p, p2c \
                           or both";
            return Err(wrong("pos_att_type", problem));
        }
        if self.max_distance() > MOST_DISTANCES {
            let problem = format!(
                "is {}, expected at most {MOST_DISTANCES}",
                self.max_distance()
            );
            return Err(wrong("max_relative_positions", problem));
        }
        match self.buckets() {
            Some(buckets) if buckets < 4 || self.max_distance() <= buckets / 2 + 1 => {
                let problem = format!(
                    "is {buckets}, expected at least 4, and half of it less than the longest \
                     distance {}",
                    self.max_distance()
                );
                Err(wrong("position_buckets", problem))
            }
            _ => Ok(()),
        }
    }
}

impl FamilyConfig for DebertaV2Config {
    type Encoder = DebertaV2;

    const FIELDS: &'static [&'static str] = &[
        "attention_head_size",
        "attention_probs_dropout_prob",
        "cls_dropout",
        // Of the convolution, which is refused.
        "conv_act",
        "conv_groups",
        "conv_kernel_size",
        "embedding_size",
        "hidden_act",
        "hidden_dropout_prob",
        "hidden_size",
        "intermediate_size",
        "layer_norm_eps",
        // How transformers names the weights of another head.
        "legacy",
        "max_position_embeddings",
        "max_relative_positions",
        "norm_rel_ebd",
        "num_attention_heads",
        "num_hidden_layers",
        "pooler_dropout",
        "pooler_hidden_act",
        "pooler_hidden_size",
        "pos_att_type",
        "position_biased_input",
        "position_buckets",
        "relative_attention",
        "share_att_key",
        "type_vocab_size",
        "vocab_size",
    ];

    const NAMES: TensorNames = TensorNames {
        prefixes: &["deberta"],
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
        check_rate("cls_dropout", self.head_dropout())?;
        check_rate("pooler_dropout", self.pooler_dropout)?;
        check_epsilon("layer_norm_eps", self.layer_norm_eps)?;
        Activation::from_name("hidden_act", &self.hidden_act)?;
        self.check_variant()
    }

    fn max_length(&self) -> Result<usize> {
        Ok(self.max_position_embeddings)
    }

    fn head(&self) -> Result<FamilyHead> {
        let name = self.pooler_hidden_act.as_deref().unwrap_or("gelu");
        Ok(FamilyHead {
            dense: "pooler.dense",
            activation: Activation::from_name("pooler_hidden_act", name)?,
            output: "classifier",
            ..FamilyHead::roberta(self.pooler_dropout)
        })
    }

    fn load(&self, vb: &VarBuilder<'_>) -> Result<DebertaV2> {
        DebertaV2::load(self, vb)
    }
}

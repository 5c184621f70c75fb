use crate::encoders::absolute::{AbsoluteConfig, AbsoluteEncoder, AbsoluteNames};
use crate::encoders::bert::{check_absolute, check_heads};
use crate::encoders::fields::{check_epsilon, check_layers, check_rate, check_width};
use crate::encoders::{Block, BlockConfig, BlockNames, BlockOrder, FamilyConfig};
use crate::heads::FamilyHead;
use crate::{Activation, Attention, NnError, Positions, Result, TensorNames};
use candle_nn::VarBuilder;
use serde::Deserialize;

/// The settings of an ALBERT encoder (Lan et al., 2020), with Hugging Face's names and meanings.
///
/// The layers of a group are the same parameters; most models have one group of one layer. A linear
/// layer stands between the embeddings, which are narrower, and the layers.
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "the names and meanings are Hugging Face's")]
pub struct AlbertConfig {
    pub vocab_size: usize,
    #[serde(default = "default_embedding_size")]
    pub embedding_size: usize,
    pub hidden_size: usize,
    pub num_hidden_layers: usize,
    #[serde(default = "default_count")]
    pub num_hidden_groups: usize,
    #[serde(default = "default_count")]
    pub inner_group_num: usize,
    pub num_attention_heads: usize,
    pub intermediate_size: usize,
    #[serde(default = "default_activation")]
    pub hidden_act: String,
    #[serde(default)]
    pub hidden_dropout_prob: f64,
    #[serde(default)]
    pub attention_probs_dropout_prob: f64,
    #[serde(default = "default_head_dropout")]
    pub classifier_dropout_prob: f64,
    pub max_position_embeddings: usize,
    #[serde(default = "default_types")]
    pub type_vocab_size: usize,
    #[serde(default = "default_epsilon")]
    pub layer_norm_eps: f64,
    #[serde(default)]
    pub position_embedding_type: Option<String>,
}

fn default_embedding_size() -> usize {
    128
}

fn default_count() -> usize {
    1
}

fn default_activation() -> String {
    "gelu_new".to_owned()
}

fn default_head_dropout() -> f64 {
    0.1
}

fn default_types() -> usize {
    2
}

fn default_epsilon() -> f64 {
    1e-12
}

const NAMES: BlockNames = BlockNames {
    query: "attention.query",
    key: "attention.key",
    value: "attention.value",
    attention_output: "attention.dense",
    attention_norm: "attention.LayerNorm",
    up: "ffn",
    down: "ffn_output",
    feed_forward_norm: "full_layer_layer_norm",
};

impl AlbertConfig {
    /// The layers in the order of their use: group by group, each several times.
    fn sequence(&self) -> Vec<usize> {
        // As the reference divides.
        let repeated = self.num_hidden_layers as f64 / self.num_hidden_groups as f64;
        let groups = (0..self.num_hidden_layers).map(|layer| (layer as f64 / repeated) as usize);
        let inner = self.inner_group_num;
        groups
            .flat_map(|group| group * inner..(group + 1) * inner)
            .collect()
    }

    fn encoder(&self) -> AbsoluteConfig {
        AbsoluteConfig {
            vocabulary: self.vocab_size,
            positions: self.max_position_embeddings,
            position_rule: Positions::FromZero,
            token_types: self.type_vocab_size,
            task_types: 0,
            embedding_width: self.embedding_size,
            width: self.hidden_size,
            sequence: self.sequence(),
            heads: self.num_attention_heads,
            epsilon: self.layer_norm_eps,
            max_length: self.max_position_embeddings,
            dropout: self.hidden_dropout_prob,
            head_dropout: self.classifier_dropout_prob,
        }
    }

    fn block(&self) -> Result<BlockConfig> {
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
            // The reference has no dropout here.
            dropout: 0.0,
        })
    }

    /// Checks that each group has layers, and each layer a place.
    fn check_groups(&self) -> Result<()> {
        let (groups, layers) = (self.num_hidden_groups, self.num_hidden_layers);
        if groups == 0 || groups > layers {
            return Err(NnError::config(
                "num_hidden_groups in config.json",
                format!("is {groups}, expected 1 to num_hidden_layers {layers}"),
            ));
        }
        check_width("inner_group_num", self.inner_group_num)?;
        check_layers("inner_group_num", self.inner_group_num)?;
        let all = "num_hidden_layers times inner_group_num";
        check_layers(all, layers * self.inner_group_num)
    }
}

impl FamilyConfig for AlbertConfig {
    type Encoder = AbsoluteEncoder;

    const FIELDS: &'static [&'static str] = &[
        "attention_probs_dropout_prob",
        "classifier_dropout_prob",
        "embedding_size",
        "hidden_act",
        "hidden_dropout_prob",
        "hidden_size",
        "inner_group_num",
        "intermediate_size",
        "layer_norm_eps",
        "max_position_embeddings",
        "num_attention_heads",
        "num_hidden_groups",
        "num_hidden_layers",
        "position_embedding_type",
        "type_vocab_size",
        "vocab_size",
    ];

    const NAMES: TensorNames = TensorNames {
        prefixes: &["albert"],
        anchor: "embeddings.word_embeddings.weight",
    };

    fn check(&self) -> Result<()> {
        check_heads(
            ("num_attention_heads", self.num_attention_heads),
            ("hidden_size", self.hidden_size),
        )?;
        check_layers("num_hidden_layers", self.num_hidden_layers)?;
        self.check_groups()?;
        check_width("embedding_size", self.embedding_size)?;
        for (key, rate) in [
            ("hidden_dropout_prob", self.hidden_dropout_prob),
            (
                "attention_probs_dropout_prob",
                self.attention_probs_dropout_prob,
            ),
            ("classifier_dropout_prob", self.classifier_dropout_prob),
        ] {
            check_rate(key, rate)?;
        }
        check_epsilon("layer_norm_eps", self.layer_norm_eps)?;
        Activation::from_name("hidden_act", &self.hidden_act)?;
        check_absolute(self.position_embedding_type.as_deref())
    }

    fn max_length(&self) -> Result<usize> {
        Ok(self.max_position_embeddings)
    }

    fn head(&self) -> Result<FamilyHead> {
        Ok(FamilyHead {
            dense: "pooler",
            ..FamilyHead::bert(self.num_hidden_groups * self.inner_group_num)
        })
    }

    fn load(&self, vb: &VarBuilder<'_>) -> Result<AbsoluteEncoder> {
        let names = AbsoluteNames {
            projection: Some("encoder.embedding_hidden_mapping_in"),
            ..AbsoluteNames::BERT
        };
        let (block, inner) = (self.block()?, self.inner_group_num);
        AbsoluteEncoder::load(&self.encoder(), &names, vb, |index| {
            let group = vb.pp("encoder.albert_layer_groups").pp(index / inner);
            let vb = group.pp("albert_layers").pp(index % inner);
            Block::load(BlockOrder::PostNorm, &block, &NAMES, &vb)
        })
    }
}

use crate::encoders::absolute::{AbsoluteConfig, AbsoluteEncoder, AbsoluteNames, BUCKETS};
use crate::encoders::bert::BertConfig;
use crate::encoders::fields::joined;
use crate::encoders::roberta::positions_after;
use crate::encoders::{Block, BlockNames, BlockOrder, FamilyConfig};
use crate::heads::FamilyHead;
use crate::{NnError, Positions, Result, TensorNames};
use candle_nn::VarBuilder;
use serde::Deserialize;

/// The id of padding, from which positions are counted: the reference fixes it.
const PADDING: u32 = 1;

/// The settings of an MPNet encoder (Song et al., 2020), with Hugging Face's names and meanings.
///
/// Positions are counted as RoBERTa's. The scores of attention have a summand that depends on the
/// distance of tokens, from a table that all layers share. There are no token types.
#[derive(Debug, Clone, Deserialize)]
pub struct MpNetConfig {
    /// The settings that MPNet shares with BERT.
    #[serde(flatten)]
    pub bert: BertConfig,
    /// The number of buckets of distances.
    #[serde(default = "default_buckets")]
    pub relative_attention_num_buckets: usize,
}

fn default_buckets() -> usize {
    BUCKETS
}

const FIELDS: [&str; BertConfig::FIELDS.len() + 1] =
    joined(BertConfig::FIELDS, &["relative_attention_num_buckets"]);

const NAMES: BlockNames = BlockNames {
    query: "attention.attn.q",
    key: "attention.attn.k",
    value: "attention.attn.v",
    attention_output: "attention.attn.o",
    attention_norm: "attention.LayerNorm",
    ..BlockNames::BERT
};

impl FamilyConfig for MpNetConfig {
    type Encoder = AbsoluteEncoder;

    const FIELDS: &'static [&'static str] = &FIELDS;

    const NAMES: TensorNames = TensorNames {
        prefixes: &["mpnet"],
        ..BertConfig::NAMES
    };

    fn check(&self) -> Result<()> {
        self.bert.check()?;
        let buckets = self.relative_attention_num_buckets;
        if buckets != BUCKETS {
            return Err(NnError::config(
                "relative_attention_num_buckets in config.json",
                format!("is {buckets}; supported is {BUCKETS}"),
            ));
        }
        self.max_length().map(|_| ())
    }

    fn max_length(&self) -> Result<usize> {
        positions_after(PADDING, self.bert.max_position_embeddings)
    }

    fn head(&self) -> Result<FamilyHead> {
        Ok(FamilyHead::roberta(self.bert.hidden_dropout_prob))
    }

    fn load(&self, vb: &VarBuilder<'_>) -> Result<AbsoluteEncoder> {
        let config = AbsoluteConfig {
            position_rule: Positions::AfterPadding(PADDING),
            token_types: 0,
            max_length: self.max_length()?,
            head_dropout: self.bert.hidden_dropout_prob,
            ..self.bert.encoder()
        };
        let names = AbsoluteNames {
            distances: Some("encoder.relative_attention_bias"),
            ..AbsoluteNames::BERT
        };
        let block = self.bert.block()?;
        AbsoluteEncoder::load(&config, &names, vb, |index| {
            let vb = vb.pp("encoder.layer").pp(index);
            Block::load(BlockOrder::PostNorm, &block, &NAMES, &vb)
        })
    }
}

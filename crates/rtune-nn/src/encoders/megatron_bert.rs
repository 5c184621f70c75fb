use crate::encoders::absolute::{AbsoluteConfig, AbsoluteEncoder, AbsoluteNames};
use crate::encoders::bert::BertConfig;
use crate::encoders::{Block, BlockNames, BlockOrder, FamilyConfig};
use crate::heads::FamilyHead;
use crate::{Result, TensorNames};
use candle_nn::VarBuilder;
use serde::Deserialize;

/// The settings of a Megatron-BERT encoder (Shoeybi et al., 2019), which are those of BERT.
///
/// Normalizations stand before attention and feed-forward network, and after the last layer; the
/// embeddings have none.
#[derive(Debug, Clone, Deserialize)]
#[serde(transparent)]
pub struct MegatronBertConfig {
    /// The settings.
    pub bert: BertConfig,
}

const NAMES: BlockNames = BlockNames {
    attention_norm: "attention.ln",
    feed_forward_norm: "ln",
    ..BlockNames::BERT
};

impl FamilyConfig for MegatronBertConfig {
    type Encoder = AbsoluteEncoder;

    const FIELDS: &'static [&'static str] = BertConfig::FIELDS;

    const NAMES: TensorNames = BertConfig::NAMES;

    fn check(&self) -> Result<()> {
        self.bert.check()
    }

    fn max_length(&self) -> Result<usize> {
        self.bert.max_length()
    }

    fn head(&self) -> Result<FamilyHead> {
        self.bert.head()
    }

    fn load(&self, vb: &VarBuilder<'_>) -> Result<AbsoluteEncoder> {
        let config = AbsoluteConfig {
            head_dropout: self.bert.hidden_dropout_prob,
            ..self.bert.encoder()
        };
        let names = AbsoluteNames {
            norm: None,
            final_norm: Some("encoder.ln"),
            ..AbsoluteNames::BERT
        };
        let block = self.bert.block()?;
        AbsoluteEncoder::load(&config, &names, vb, |index| {
            let vb = vb.pp("encoder.layer").pp(index);
            Block::load(BlockOrder::PreNorm, &block, &NAMES, &vb)
        })
    }
}

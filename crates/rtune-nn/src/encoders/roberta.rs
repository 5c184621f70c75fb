use crate::encoders::FamilyConfig;
use crate::encoders::absolute::{AbsoluteConfig, AbsoluteEncoder, AbsoluteNames};
use crate::encoders::bert::BertConfig;
use crate::encoders::fields::joined;
use crate::heads::FamilyHead;
use crate::{NnError, Positions, Result, TensorNames};
use candle_nn::VarBuilder;
use serde::Deserialize;

/// The settings of a RoBERTa encoder (Liu et al., 2019), with Hugging Face's names and meanings.
/// CamemBERT, XLM-RoBERTa and data2vec-text have the same.
///
/// The encoder is BERT's. Positions are numbered from `pad_token_id` + 1 on, so the position table
/// has that many rows that texts do not use.
#[derive(Debug, Clone, Deserialize)]
pub struct RobertaConfig {
    /// The settings that RoBERTa shares with BERT.
    #[serde(flatten)]
    pub bert: BertConfig,
    /// The id of the padding token.
    #[serde(default = "default_pad_token_id")]
    pub pad_token_id: u32,
}

fn default_pad_token_id() -> u32 {
    1
}

/// The number of positions in a table with `rows` rows, if they are numbered from `padding` + 1 on.
pub(super) fn positions_after(padding: u32, rows: usize) -> Result<usize> {
    let length = rows.checked_sub(padding as usize + 1);
    length.filter(|length| *length > 0).ok_or_else(|| {
        let problem = format!("is {rows}, which leaves no position after pad_token_id {padding}");
        NnError::config("max_position_embeddings in config.json", problem)
    })
}

const FIELDS: [&str; BertConfig::FIELDS.len() + 1] = joined(BertConfig::FIELDS, &["pad_token_id"]);

impl FamilyConfig for RobertaConfig {
    type Encoder = AbsoluteEncoder;

    const FIELDS: &'static [&'static str] = &FIELDS;

    const NAMES: TensorNames = TensorNames {
        prefixes: &["roberta", "data2vec_text"],
        ..BertConfig::NAMES
    };

    fn check(&self) -> Result<()> {
        self.bert.check()?;
        self.max_length().map(|_| ())
    }

    fn max_length(&self) -> Result<usize> {
        positions_after(self.pad_token_id, self.bert.max_position_embeddings)
    }

    fn head(&self) -> Result<FamilyHead> {
        Ok(FamilyHead::roberta(self.bert.head_dropout()))
    }

    fn load(&self, vb: &VarBuilder<'_>) -> Result<AbsoluteEncoder> {
        let config = AbsoluteConfig {
            position_rule: Positions::AfterPadding(self.pad_token_id),
            max_length: self.max_length()?,
            ..self.bert.encoder()
        };
        self.bert.load_as(&config, &AbsoluteNames::BERT, vb)
    }
}
